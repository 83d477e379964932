"""SIGTERM in mid-inspection: Ready off first, the inspection ends, the outputs become invalid, exit 0."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from protocols.faults import Code
from protocols.signals import Judgement
from tests.scenario import wire
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import watched
from tests.scenario.panel import panel
from tests.scenario.stand import Stand
from tests.scenario.wire import Block, Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]


async def stopped_at_part_two(stand: Stand) -> list[Block]:
    """SIGTERM while part 2 is inspected; what was on the wire from then on."""
    evidence = stand.evidence["cell1"]
    await stand.start()
    async with panel(evidence, stand.port) as plc, watched(stand, Master(stand.port)):
        await plc.ready()
        await plc.inspect(1)
        await plc.see(lambda b: b.ready, 5, "Ready")
        await plc.trigger(2)
        await plc.see(lambda b: b.bit(wire.BUSY) and b.bit(wire.EXPOSURE_DONE), 2, "part 2 is exposed")
        first = len(evidence.views)
        stand.signal(signal.SIGTERM)
        assert await stand.ended() == 0
    return [view.block for view in evidence.views[first:]]


def check_farewell(blocks: list[Block]) -> None:
    """Never Ready again, nothing valid at the end, and the PLC had the time to see it."""
    reasons = [block.not_ready_reason for block in blocks]
    first = reasons.index(Code.STOPPING)
    assert all(code == Code.STOPPING for code in reasons[first:])
    assert not any(block.ready for block in blocks)
    busy = [block for block in blocks if block.bit(wire.BUSY) and block.newest_result_seq == 1]
    assert busy[-1].not_ready_reason == Code.STOPPING, "the PLC must be told before the inspection ends"
    last = blocks[-1]
    assert not last.bit(wire.ONLINE)
    assert not last.valid
    assert last.bit(wire.FAIL_SAFE)


FINISHED: dict[str, Any] = {"camera": {"inject": {"late_at": [2], "late_ms": 150}}}
CUT_OFF: dict[str, Any] = {
    "camera": {"inject": {"late_at": [2], "late_ms": 3000}},
    "cycle": {"deadline_ms": 5000, "grace_s": 0.3},
}


async def test_a_running_inspection_is_finished(new_stand: NewStand, bench: Bench) -> None:
    check_farewell(await stopped_at_part_two(stand := new_stand(FINISHED)))
    assert stand.history()[-1].judgement is bench.verdict(2)


async def test_what_takes_longer_than_the_grace_time_ends_as_fault(new_stand: NewStand) -> None:
    check_farewell(await stopped_at_part_two(stand := new_stand(CUT_OFF)))
    last = stand.history()[-1]
    assert (last.judgement, last.reason) == (Judgement.FAULT, Code.STOPPING)
    assert last.total < 1.5


@pytest.mark.parametrize("changes", [FINISHED, CUT_OFF], ids=["finished", "cut off"])
async def test_the_plc_sees_the_outcome_of_the_last_inspection(new_stand: NewStand, changes: dict[str, Any]) -> None:
    blocks = await stopped_at_part_two(stand := new_stand(changes))
    shown = next((block for block in blocks if block.valid and block.part_id == 2), None)
    assert shown is not None, "the PLC has never seen the result of part 2"
    assert shown.not_ready_reason == Code.STOPPING, "the result must come after Ready went off"
    assert (shown.judgement, shown.reason) == (stand.history()[-1].judgement, stand.history()[-1].reason)
