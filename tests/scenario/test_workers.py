"""The vision process dies or hangs in mid-inspection: the PLC gets its answer in time all the same."""

from __future__ import annotations

import itertools
import time

import pytest

from protocols.faults import Code
from protocols.signals import Judgement
from simulators.plc import Answer
from tests.scenario import wire
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import Line, line, task
from tests.scenario.stand import until

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

SPARE = {"worker": {"standby": True}, "pictures": {"keep": 5, "verdicts": ["OK", "NG"]}}
"""A standby, and pictures of every part: only a standby that is ready draws them, so they tell that it is."""
WARM_UP = range(61, 121)


async def warm(plant: Line) -> None:
    """Inspect until a standby has drawn a picture: it is ready to take over."""
    drawn, end = len(plant.stand.told("picture")), time.monotonic() + 20
    for part in itertools.cycle(WARM_UP):
        assert (await plant.plc.inspect(part)).result is not None
        if len(plant.stand.told("picture")) > drawn + 1:
            return
        assert time.monotonic() < end, "no standby has become ready"


def in_time(answer: Answer, plant: Line) -> bool:
    e = plant.evidence
    return answer.response is not None and answer.response <= e.deadline + e.margin


async def test_a_standby_takes_over_when_the_worker_dies(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand(merged_camera(crash_at=[3], late_at=[6], late_ms=60) | SPARE)
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        await warm(plant)
        for part in (1, 2, 3, 4):
            answer = await plant.plc.inspect(part)
            assert answer.judgement is bench.verdict(part), answer
            assert in_time(answer, plant)
        assert stand.told("worker_lost"), "the injected SIGSEGV did not happen"
        await warm(plant)
        async with task(kill_in_mid_inspection(plant, 6), "killer"):
            answer = await plant.plc.inspect(6)
        assert answer.judgement is bench.verdict(6), answer
        assert in_time(answer, plant)
        assert len(stand.told("worker_lost")) == 2, "the SIGKILL came too late to matter"
        assert (await plant.plc.inspect(7)).judgement is bench.verdict(7)
        assert await stand.stop() == 0
    assert all(row.judgement is not Judgement.FAULT for row in stand.history())


async def kill_in_mid_inspection(plant: Line, part: int) -> None:
    """SIGKILL the worker that has the part, once its frame is taken and before it has answered."""
    await plant.see(lambda b: b.bit(wire.BUSY) and b.bit(wire.EXPOSURE_DONE), 5, f"part {part} is exposed")
    min(plant.stand.workers(), key=lambda process: process.create_time()).kill()


@pytest.mark.parametrize("standby", [False, True])
async def test_a_hanging_worker_is_given_up_at_the_deadline(new_stand: NewStand, bench: Bench, standby: bool) -> None:
    stand = new_stand(merged_camera(hang_at=[3]) | (SPARE if standby else {}))
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        if standby:
            await warm(plant)
        answer = await plant.plc.inspect(3)
        assert (answer.judgement, answer.reason) == (Judgement.FAULT, Code.DEADLINE_MISSED)
        assert in_time(answer, plant)
        await plant.ready()
        assert (await plant.plc.inspect(4)).judgement is bench.verdict(4)
        await until(lambda: len(stand.workers()) == 1 + standby, 5, "the hung process is replaced")
        assert await stand.stop() == 0


async def test_without_a_standby_a_death_is_told_and_the_next_part_is_right(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand(merged_camera(crash_at=[2], late_at=[4], late_ms=100))
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        assert (await plant.plc.inspect(1)).judgement is bench.verdict(1)
        answer = await plant.plc.inspect(2)
        assert (answer.judgement, answer.reason) == (Judgement.FAULT, Code.WORKER_DIED)
        assert in_time(answer, plant)
        await plant.ready()
        assert (await plant.plc.inspect(3)).judgement is bench.verdict(3)
        async with task(kill_in_mid_inspection(plant, 4), "killer"):
            answer = await plant.plc.inspect(4)
        assert (answer.judgement, answer.reason) == (Judgement.FAULT, Code.WORKER_DIED)
        assert in_time(answer, plant)
        await plant.ready()
        assert (await plant.plc.inspect(5)).judgement is bench.verdict(5)
        assert await stand.stop() == 0


async def test_a_worker_that_always_dies_is_held_until_clear_fault(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand(merged_camera(poison_at=[1, 2, 3]))
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        for part in (1, 2, 3):
            answer = await plant.plc.inspect(part)
            assert (answer.judgement, answer.reason) == (Judgement.FAULT, Code.WORKER_DIED)
            await plant.see(lambda b: b.ready or b.not_ready_reason == Code.CRASH_LOOP, 10, "Ready or held")
        await plant.see(lambda b: b.not_ready_reason == Code.CRASH_LOOP, 5, "the vision is held (2007)")
        answer = await plant.plc.inspect(4)
        assert (answer.judgement, answer.reason, answer.result) == (Judgement.FAULT, Code.CRASH_LOOP, None)
        plant.plc.role.write(control=plant.plc.role.command.control | 1 << 4)
        await plant.ready()
        assert (await plant.plc.inspect(5)).judgement is bench.verdict(5)
        assert await stand.stop() == 0


def merged_camera(**inject: object) -> dict[str, object]:
    """A station whose camera fails on order."""
    return {"camera": {"inject": inject}}
