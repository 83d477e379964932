"""A frame that is a trigger: it begins an inspection, and is the one that is inspected."""

from __future__ import annotations

import pytest

from gateway.vision import wire
from gateway.vision.camera_settings import FolderCamera
from protocols.faults import Code
from tests.unit.gateway.played_workers import SEEN, Line, make


@pytest.fixture
async def pair() -> Line:
    line = make(camera=FolderCamera.model_validate({"path": "pictures", "watch": True, "starts": True}))
    line.pool.tend()
    line.ready(0)
    line.ready(1)
    line.workers[0].says(wire.CameraUp())
    line.news()
    return line


async def test_the_frame_that_came_is_the_one_that_is_asked_for(pair: Line) -> None:
    pair.workers[0].says(wire.FrameCame(7))
    assert pair.news() == [("came",)]
    assert (pair.workers[0].order.cycle, pair.workers[0].order.frame) == (501, 7)
    pair.workers[0].says(wire.Observed(501, SEEN))
    assert pair.news() == [("observed", 501, Code.NONE)]


async def test_a_trigger_of_its_own_has_no_frame(pair: Line) -> None:
    pair.workers[0].says(wire.FrameCame(7))
    pair.inspect(1)
    assert pair.workers[0].order.frame == 0


async def test_a_frame_that_is_not_accepted_begins_nothing(pair: Line) -> None:
    pair.takes = False
    orders = len(pair.workers[0].orders)
    pair.workers[0].says(wire.FrameCame(7))
    assert pair.news() == [("came",)]
    assert len(pair.workers[0].orders) == orders


async def test_only_the_active_one_s_frames_count(pair: Line) -> None:
    pair.workers[1].says(wire.FrameCame(7))
    assert pair.news() == []


async def test_a_frame_that_died_with_its_process_is_not_replaced_by_one_of_the_same_number(pair: Line) -> None:
    pair.workers[0].says(wire.FrameCame(7))
    pair.workers[0].dies()
    assert ("observed", 501, Code.WORKER_DIED) in pair.news()
    assert not any(isinstance(order, wire.Inspect) for order in pair.workers[1].orders)
