"""PLC programs with the mistakes they are known to make: no mistake wedges the gateway or earns a wrong verdict."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from protocols.handshake import Style
from protocols.signals import Judgement
from simulators import rude
from tests.scenario.conftest import KNOWN, Bench
from tests.scenario.observer import line
from tests.scenario.stand import Stand

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

PARTS = 10
_parts = itertools.count()


def next_part() -> int:
    """Part numbers come round: the trigger's number tells two parts apart."""
    return next(_parts) % KNOWN + 1


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> Iterator[Stand]:
    """One gateway for all mistakes: what one has wedged, the next one shows."""
    stand = Stand(tmp_path_factory.mktemp("rude"), bench.recipe, {"camera": {"frozen_check": False}})
    asyncio.run(_started(stand))
    yield stand
    left = stand.close()
    assert not left, left


async def _started(stand: Stand) -> None:
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()


@pytest.mark.parametrize(
    ("name", "style"),
    [(name, style) for name, switch in rude.SWITCHES.items() for style in sorted(switch.styles, key=lambda s: s.value)],
)
async def test_a_mistake_of_the_plc_program(stand: Stand, bench: Bench, name: str, style: Style) -> None:
    async with line(stand, style=style, rude=rude.named([name], style), gives_up=0.35) as plant:
        for part in (next_part() for _ in range(PARTS)):
            answer = await plant.plc.inspect(part)
            if answer.result is not None and answer.judgement is not Judgement.FAULT:
                assert answer.judgement is bench.verdict(part), answer
    async with line(stand, style=style) as plant:
        await plant.ready(5)
        for part in (next_part(), next_part()):
            answer = await plant.plc.inspect(part)
            assert answer.judgement is bench.verdict(part), answer
