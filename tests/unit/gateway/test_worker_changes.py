"""Changing recipes, and the end: with workers that are played and a clock that is moved."""

from __future__ import annotations

import asyncio
from collections import deque
from pathlib import Path

import pytest

from gateway.vision import wire
from gateway.vision.wire import ModelFacts
from gateway.workers import Slots, WorkerError
from protocols.faults import Code
from tests.unit.gateway.played_workers import SEEN, Line


async def test_another_recipe_takes_over_when_it_is_warm(pair: Line) -> None:
    change = asyncio.ensure_future(pair.pool.activate(Path("other")))
    await asyncio.sleep(0)
    new = pair.workers[2]
    assert new.recipe == Path("other")
    pair.inspect(1)
    new.says(wire.Ready(ModelFacts(recipe=2)))
    await asyncio.sleep(0)
    assert pair.workers[0].alive()  # a trigger is still on its way
    pair.workers[0].says(wire.Observed(1, SEEN))
    assert (await change).recipe == 2
    assert not pair.workers[0].alive()
    assert not pair.workers[1].alive()
    assert pair.news() == [("observed", 1, Code.NONE), ("ready", 2)]
    assert pair.workers[3].recipe == Path("other")


async def test_a_refused_recipe_leaves_the_old_one_running(pair: Line) -> None:
    change = asyncio.ensure_future(pair.pool.activate(Path("other")))
    await asyncio.sleep(0)
    pair.workers[2].says(wire.Failed(Code.MODEL_MISMATCH, "wrong input"))
    pair.workers[2].dies()
    with pytest.raises(WorkerError, match="wrong input") as caught:
        await change
    assert caught.value.code is Code.MODEL_MISMATCH
    pair.inspect(1)
    assert pair.workers[0].order.cycle == 1
    assert pair.news() == []


async def test_a_recipe_that_crashes_is_refused_and_counts_as_no_crash_loop(pair: Line) -> None:
    for index in range(2, 6):
        change = asyncio.ensure_future(pair.pool.activate(Path("other")))
        await asyncio.sleep(0)
        pair.workers[index].dies()
        with pytest.raises(WorkerError) as caught:
            await change
        assert caught.value.code is Code.MODEL_LOAD
    assert pair.news() == []


async def test_no_recipe_is_activated_in_a_crash_loop(single: Line) -> None:
    for index in range(3):
        single.workers[index].dies()
        single.pass_time(5)
        if index < 2:
            single.ready(index + 1)
    with pytest.raises(WorkerError) as caught:
        await single.pool.activate(Path("other"))
    assert caught.value.code is Code.CRASH_LOOP
    assert len(single.workers) == 3


async def test_a_change_that_is_called_off_leaves_nothing(pair: Line) -> None:
    change = asyncio.ensure_future(pair.pool.activate(Path("other")))
    await asyncio.sleep(0)
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    assert not pair.workers[2].alive()
    pair.inspect(1)
    assert pair.workers[0].order.cycle == 1


async def test_the_end_stops_every_worker(pair: Line) -> None:
    running = asyncio.ensure_future(pair.pool.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert all(worker.stopped or worker.killed for worker in pair.workers)


def test_slots_are_taken_in_turn_and_forget_their_old_cycle() -> None:
    slots = Slots(deque(range(3)))
    assert [slots.take(cycle, set()) for cycle in range(1, 5)] == [0, 1, 2, 0]
    assert slots.of_cycle == {2: 1, 3: 2, 4: 0}
    assert slots.take(5, {1}) == 2
    assert slots.take(6, {0, 1, 2}) is None
