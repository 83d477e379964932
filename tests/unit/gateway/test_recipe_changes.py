"""Another recipe while parts come: rows B-14 and B-15, asked for by the PLC and by a person at the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typing_extensions import override

from gateway.vision.wire import ModelFacts
from gateway.worker_team import WorkerError
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.signals import StatusBit
from tests.unit.gateway.played import Cell, Vision


class Slow(Vision):
    """Vision that needs its time to load a recipe."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = asyncio.Event()

    @override
    async def activate(self, recipe: Path) -> ModelFacts:
        await self.loaded.wait()
        return await super().activate(recipe)


@pytest.fixture
async def cell() -> AsyncIterator[Cell]:
    found = Cell()
    found.vision = Slow()
    found.station.use(found.vision)
    found.ready()
    running = asyncio.create_task(found.station.run())
    await asyncio.sleep(0)
    yield found
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def slow(cell: Cell) -> Slow:
    assert isinstance(cell.vision, Slow)
    return cell.vision


def ready(cell: Cell) -> bool:
    return bool(cell.status.bits & StatusBit.READY)


async def test_b15_ready_is_off_until_the_new_recipe_is_warm(cell: Cell) -> None:
    cell.send(command=1, command_param=2, command_seq=1)
    await asyncio.sleep(0)
    assert (ready(cell), cell.status.recipe_active, cell.status.command_result) == (False, 1, 1)
    slow(cell).loaded.set()
    await cell.until(lambda: ready(cell))
    assert (cell.status.recipe_active, cell.status.command_result) == (2, 2)


async def test_b15_a_person_changes_the_recipe(cell: Cell) -> None:
    change = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    assert (cell.status.not_ready_reason, cell.status.recipe_active) == (Code.STARTING, 1)
    slow(cell).loaded.set()
    assert (await change)[0] is Code.NONE
    assert (ready(cell), cell.status.recipe_active) == (True, 2)
    assert (cell.status.command_result, cell.status.command_seq_ack) == (0, 0)  # the PLC's channel is the PLC's
    cell.seen(cell.trigger(1))
    assert (cell.result.recipe, cell.result.model_crc) == (2, 222)


async def test_b15_the_old_recipe_stays_when_the_new_one_fails(cell: Cell) -> None:
    slow(cell).loaded.set()
    cell.vision.refuses = WorkerError(Code.MODEL_HASH, "another file")
    assert await cell.station.recipes.by_person(2, "uid 1") == (Code.MODEL_HASH, "another file")
    assert (ready(cell), cell.status.recipe_active) == (True, 1)
    code, text = await cell.station.recipes.by_person(77, "uid 1")
    assert code is Code.UNKNOWN_RECIPE
    assert "has no recipe 77; it has [1, 2]" in text
    cell.seen(cell.trigger(1))
    assert (cell.result.recipe, cell.result.model_crc) == (1, 111)


async def test_b15_who_calls_it_off_leaves_the_station_ready(cell: Cell) -> None:
    change = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)
    assert (ready(cell), cell.status.recipe_active) == (True, 1)


async def test_b14_the_result_bears_the_recipe_that_judged_it(cell: Cell) -> None:
    cycle = cell.trigger(1)
    change = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    slow(cell).loaded.set()
    assert (await change)[0] is Code.NONE
    cell.seen(cycle)
    assert (cell.result.recipe, cell.result.model_crc, cell.status.recipe_active) == (1, 111, 2)


async def test_b14_a_trigger_while_it_changes_is_refused(cell: Cell) -> None:
    change = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    cell.send(trigger_seq=1)
    assert (cell.status.trigger_refused, cell.vision.asked) == (Code.STARTING, [])
    slow(cell).loaded.set()
    await change


async def test_b14_one_change_at_a_time(cell: Cell) -> None:
    first = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    assert (await cell.station.recipes.by_person(1, "uid 1"))[0] is Code.OUT_OF_ORDER
    cell.send(command=1, command_param=1, command_seq=1)  # the PLC's waits its turn
    slow(cell).loaded.set()
    assert (await first)[0] is Code.NONE
    await cell.until(lambda: cell.status.command_result == 2)
    assert len(cell.vision.activated) == 2


async def test_b14_what_the_plc_was_told_has_failed_is_not_done_later() -> None:
    """It has waited for a person's change for as long as it may take itself."""
    cell = Cell(CycleSettings(command_timeout=0.1))
    cell.vision = vision = Slow()
    cell.station.use(vision)
    cell.ready()
    running = asyncio.create_task(cell.station.run())
    person = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    cell.send(command=1, command_param=2, command_seq=1)
    assert (await person)[0] is Code.COMMAND_TIMEOUT
    vision.loaded.set()
    await cell.until(lambda: cell.status.command_result != 1)
    assert (cell.status.command_result, cell.status.recipe_active, vision.activated) == (Code.COMMAND_TIMEOUT, 1, [])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_b14_a_change_while_busy_is_refused_to_the_plc(cell: Cell) -> None:
    cycle = cell.trigger(1)
    cell.send(command=1, command_param=2, command_seq=1)
    assert (cell.status.command_result, cell.status.recipe_active) == (Code.OUT_OF_ORDER, 1)
    cell.seen(cycle)
    assert cell.result.recipe == 1


async def test_vision_that_comes_back_meanwhile_does_not_make_it_ready(cell: Cell) -> None:
    change = asyncio.create_task(cell.station.recipes.by_person(2, "uid 1"))
    await cell.until(lambda: not ready(cell))
    cell.station.workers_down(Code.WORKER_DIED, "it died")
    cell.station.workers_ready(ModelFacts(recipe=1, model_crc=111, simulated=True))
    assert not ready(cell)
    slow(cell).loaded.set()
    await change
    assert ready(cell)
