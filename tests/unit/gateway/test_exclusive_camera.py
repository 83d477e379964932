"""A camera that only one process can have belongs to the active one, and follows when another becomes active."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.vision import wire
from gateway.vision.camera_settings import OpenCvCamera
from gateway.vision.wire import ModelFacts
from protocols.faults import Code
from tests.unit.gateway.played_workers import SEEN, Line, make


@pytest.fixture
async def pair() -> Line:
    line = make(camera=OpenCvCamera(device=0))
    line.pool.tend()
    line.ready(0)
    line.ready(1)
    return line


def led(line: Line) -> list[int]:
    return [index for index, worker in enumerate(line.workers) if wire.Lead() in worker.orders]


async def test_the_active_one_alone_is_told_to_open_the_camera(pair: Line) -> None:
    assert led(pair) == [0]
    assert {*pair.news()} == {("down", Code.STARTING)}
    pair.workers[0].says(wire.CameraUp())
    assert pair.news() == [("ready", 1)]


async def test_no_trigger_goes_to_a_process_without_camera(pair: Line) -> None:
    pair.inspect(1)
    assert ("observed", 1, Code.STARTING) in pair.news()


async def test_the_standby_takes_the_camera_over_and_judges_the_frame_that_was_taken(pair: Line) -> None:
    pair.workers[0].says(wire.CameraUp())
    pair.inspect(1)
    pair.workers[0].says(wire.Exposed(1, 0.0, 0.01))
    pair.news()
    pair.workers[0].dies()
    assert led(pair) == [0, 1]
    assert pair.workers[1].order.reuse_frame
    pair.workers[1].says(wire.Observed(1, SEEN))
    assert pair.news() == [("observed", 1, Code.NONE), ("down", Code.STARTING)]
    pair.workers[1].says(wire.CameraUp())
    assert pair.news() == [("ready", 1)]


async def test_a_part_whose_frame_was_not_taken_is_a_fault(pair: Line) -> None:
    pair.workers[0].says(wire.CameraUp())
    pair.inspect(1)
    pair.workers[0].dies()
    assert ("observed", 1, Code.WORKER_DIED) in pair.news()


async def test_a_late_answer_does_not_move_the_camera(pair: Line) -> None:
    """The late one has it until it is dead: the standby could only fail to open it."""
    pair.workers[0].says(wire.CameraUp())
    pair.inspect(1)
    pair.news()
    pair.pool.give_up(1)
    assert led(pair) == [0]
    assert pair.news() == [("down", Code.DEADLINE_MISSED)]
    pair.workers[0].says(wire.Observed(1, SEEN))
    assert pair.news() == [("ready", 1)]
    assert led(pair) == [0]


async def test_one_that_hangs_loses_the_camera_with_its_life(pair: Line) -> None:
    pair.workers[0].says(wire.CameraUp())
    pair.inspect(1)
    pair.pool.give_up(1)
    pair.pass_time(0.6)
    assert pair.workers[0].killed
    assert led(pair) == [0, 1]


async def test_another_recipe_s_process_opens_the_camera_when_it_takes_over(pair: Line) -> None:
    pair.workers[0].says(wire.CameraUp())
    pair.news()
    change = asyncio.ensure_future(pair.pool.activate(Path("other")))
    await asyncio.sleep(0)
    pair.workers[2].says(wire.Ready(ModelFacts(recipe=2)))
    await asyncio.sleep(0)
    await change
    assert led(pair) == [0, 2]
    pair.workers[2].says(wire.CameraUp())
    assert pair.news()[-1] == ("ready", 2)
