"""Keypoints, worked out by hand."""

import math

import numpy as np
import pytest

from gateway.vision.tasks import TaskError
from protocols.faults import Code
from tests.unit.gateway.vision.tensors import LETTERBOX, decoded, floats, task

BOX = [100, 50, 40, 20]
POINTS = [90, 45, 0.9, 110, 55, 0.25]
ROW = [*BOX, 0.1, 0.72, *POINTS]


def columns(*rows: list[float]) -> dict[str, np.ndarray]:
    return {"output0": floats(rows).T[None]}


def test_points_stand_behind_the_class_scores() -> None:
    (found,) = decoded(columns(ROW, [9, 9, 9, 9, 0.1, 0.2, *POINTS]), kind="keypoints", format="yolov8", points=2)
    assert (found.label, round(found.score, 3), found.box) == ("burr", 0.72, (80, 40, 120, 60))
    assert found.points == ((90, 45, float(np.float32(0.9))), (110, 55, 0.25))


def test_points_without_scores_are_sure() -> None:
    row = [*BOX, 0.1, 0.72, 90, 45, 110, 55, 100, 50]
    (found,) = decoded(columns(row), kind="keypoints", format="yolov8", points=3, point_numbers=2)
    assert found.points == ((90, 45, 1), (110, 55, 1), (100, 50, 1))


def test_finished_rows_are_read_alike_and_points_come_back_to_the_frame() -> None:
    rows = {"output0": floats([[[80, 40, 120, 60, 0.72, 1, 90, 45, 0.9, 400, 4, 0.25], [0] * 12]])}
    (found,) = decoded(rows, LETTERBOX, kind="keypoints", format="end2end", points=2)
    assert list(found.box) == [160, 64, 240, 104]
    assert found.points == ((180, 74, float(np.float32(0.9))), (640, 0, 0.25)), "cut to the frame"


def test_each_box_keeps_its_own_points_when_another_is_dropped() -> None:
    near = [101, 50, 40, 20, 0.1, 0.8, 1, 2, 0.5, 3, 4, 0.5]
    far = [200, 150, 40, 20, 0.1, 0.9, 5, 6, 0.5, 7, 8, 0.5]
    found = decoded(columns(ROW, near, far), kind="keypoints", format="yolov8", points=2)
    assert [f.points for f in found] == [((5, 6, 0.5), (7, 8, 0.5)), ((1, 2, 0.5), (3, 4, 0.5))]


@pytest.mark.parametrize("shape", ["[2, 3]", "(2, 3)"])
def test_metadata_tells_format_and_points(shape: str) -> None:
    told = {"description": "Ultralytics YOLO11n-pose", "task": "pose", "kpt_shape": shape}
    (found,) = task(columns(ROW), told, kind="keypoints").decode(columns(ROW), LETTERBOX)
    assert len(found.points) == 2


@pytest.mark.parametrize("shape", ["", "2", "[2]", "[0, 3]", "[65, 3]", "[2, 4]", "[2.0, 3]", "[[2], 3]", "[" * 9000])
def test_without_their_number_the_model_is_refused(shape: str) -> None:
    with pytest.raises(TaskError, match=r"task\.points") as refused:
        task(columns(ROW), {"kpt_shape": shape}, kind="keypoints", format="yolov8")
    assert refused.value.code is Code.MODEL_MISMATCH


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ([*BOX, 0.1, 0.72, 90, 45, math.nan, 110, 55, 0.25], Code.OUTPUT_INVALID),
        ([*BOX, 0.1, 0.72, 90, 45, 3.5, 110, 55, 0.25], Code.OUTPUT_INVALID),
        ([*BOX, 0.1, 0.72, 90, 45, -3.5, 110, 55, 0.25], Code.OUTPUT_INVALID),
        ([*BOX, 0.1, 72, *POINTS], Code.OUTPUT_INVALID),
        ([*BOX, 0.72, *POINTS], Code.MODEL_MISMATCH),
        ([*BOX, 0.1, 0.72], Code.MODEL_MISMATCH),
    ],
)
def test_what_cannot_be_is_a_fault(row: list[float], code: Code) -> None:
    with pytest.raises(TaskError) as refused:
        decoded(columns(row), kind="keypoints", format="yolov8", points=2)
    assert refused.value.code is code


@pytest.mark.parametrize("width", [6, 11, 13])
def test_finished_rows_of_another_length_are_a_fault(width: int) -> None:
    with pytest.raises(TaskError) as refused:
        decoded({"output0": floats([[[0.5] * width]])}, kind="keypoints", format="end2end", points=2)
    assert refused.value.code is Code.OUTPUT_INVALID


def test_more_things_than_a_message_has_room_for_are_a_fault_and_not_left_out() -> None:
    rows = [[4 * n + 2, 40, 3, 3, 0.1, 0.72, *[4 * n + 2, 40, 0.9] * 64] for n in range(63)]
    with pytest.raises(TaskError, match="found 63 things, of 64 keypoints each at most 62 are judged; raise") as caught:
        decoded(columns(*rows), kind="keypoints", format="yolov8", points=64)
    assert caught.value.code is Code.OUTPUT_INVALID
