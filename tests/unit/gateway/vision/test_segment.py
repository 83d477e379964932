"""Boxes with masks, worked out by hand: input 320 x 256."""

import math
from typing import Any

import numpy as np
import pytest

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.vision.finding_rows import MAX_OUTLINE, MAX_POINTS
from gateway.vision.tasks import TaskError
from protocols.faults import Code
from tests.unit.gateway.vision.tensors import LETTERBOX, area, decoded, floats, task

Arrays = dict[str, np.ndarray]


def planes(*shown: tuple[slice, slice], low: float = -4.0, high: float = 4.0) -> np.ndarray:
    """One plane of 64 x 80 (a quarter of the input) for each place shown."""
    made = np.full((len(shown), 64, 80), low, np.float32)
    for plane, place in zip(made, shown, strict=True):
        plane[place] = high
    return made


LEFT, RIGHT = (slice(10, 20), slice(5, 25)), (slice(10, 20), slice(40, 60))
"""Input: x 20…100 and 160…240, y 40…80."""


def columns(*rows: list[float]) -> np.ndarray:
    return floats(rows).T[None]


def rounded(found: tuple[Finding, ...]) -> list[tuple[Any, ...]]:
    return [(f.label, round(f.score, 3), tuple(round(edge) for edge in f.box)) for f in found]


def test_a_mask_is_the_sum_of_prototypes_cut_to_its_box() -> None:
    outputs = {
        "output0": columns([60, 60, 100, 60, 0.1, 0.72, 1, 0], [200, 60, 40, 60, 0.45, 0.1, 0, 1]),
        "output1": planes(LEFT, RIGHT)[None],
    }
    found = decoded(outputs, kind="segment", format="yolov8")
    assert rounded(found) == [("burr", 0.72, (20, 40, 100, 80)), ("scratch", 0.45, (180, 40, 220, 80))]
    assert area(found[0]) == pytest.approx(80 * 40, rel=0.02)  # corners are rounded by the enlarging
    assert area(found[1]) == pytest.approx(40 * 40, rel=0.02)


def test_coefficients_may_take_one_prototype_from_another() -> None:
    whole = (slice(10, 20), slice(5, 60))
    outputs = {
        "output0": columns([160, 60, 320, 120, 0.1, 0.9, 1, -1]),
        "output1": np.concatenate((planes(whole), planes(LEFT, low=0, high=8)))[None],
    }
    (found,) = decoded(outputs, kind="segment", format="yolov8")
    assert rounded((found,)) == [("burr", 0.9, (100, 40, 240, 80))]


def test_finished_rows_have_their_coefficients_last() -> None:
    outputs = {
        "output0": floats([[[10, 30, 110, 90, 0.72, 1, 1, 0], [180, 30, 220, 90, 0.45, 0, 0, 1], [0] * 8]]),
        "output1": planes(LEFT, RIGHT)[None],
    }
    assert rounded(decoded(outputs, kind="segment", format="end2end")) == [
        ("burr", 0.72, (20, 40, 100, 80)),
        ("scratch", 0.45, (180, 40, 220, 80)),
    ]


def test_masks_of_torchvision_are_probabilities_in_the_size_of_the_input() -> None:
    masks = np.zeros((3, 1, 256, 320), np.float32)
    masks[0, 0, 40:80, 20:100] = 0.9
    masks[1, 0, 45:55, 90:110] = 0.49
    outputs = {
        "boxes": floats([[20, 40, 100, 80], [90, 45, 110, 55], [1, 1, 9, 9]]),
        "labels": np.array([2, 1, 1]),
        "scores": floats([0.72, 0.45, 0.1]),
        "masks": masks,
    }
    found = decoded(outputs, kind="segment")
    assert [(f.label, f.box, area(f)) for f in found] == [
        ("burr", (20, 40, 100, 80), 3200),
        ("scratch", (90, 45, 110, 55), 0),  # no pixel of its mask: the box stands for it
    ]
    assert set(found[0].outline) == {(20, 40), (100, 40), (100, 80), (20, 80)}
    assert found[1].outline == ()


def test_queries_have_masks_of_logits() -> None:
    boxes = floats([[[60 / 320, 60 / 256, 100 / 320, 60 / 256], [200 / 320, 60 / 256, 40 / 320, 60 / 256]]])
    outputs = {"dets": boxes, "labels": floats([[[-9, 1], [-9, -9]]]), "masks": planes(LEFT, RIGHT)[None]}
    assert rounded(decoded(outputs, kind="segment")) == [("burr", 0.731, (20, 40, 100, 80))]
    assert rounded(decoded(outputs, kind="detect")) == [("burr", 0.731, (10, 30, 110, 90))], "masks need not be used"


def test_outlines_come_back_to_the_frame() -> None:
    outputs = {"output0": columns([60, 60, 100, 60, 0.1, 0.72, 1]), "output1": planes(LEFT)[None]}
    (found,) = decoded(outputs, LETTERBOX, kind="segment", format="yolov8")
    assert rounded((found,)) == [("burr", 0.72, (40, 64, 200, 144))]
    assert area(found) == pytest.approx(160 * 80, rel=0.02)


def test_a_circle_has_the_area_of_a_circle() -> None:
    y, x = np.mgrid[:64, :80] + 0.5
    disc = (20 - np.hypot(x - 40, y - 32))[None].astype(np.float32)  # of 20 cells: 80 pixels of the input
    outputs = {"output0": columns([160, 128, 320, 256, 0.1, 0.72, 1]), "output1": disc[None]}
    (found,) = decoded(outputs, kind="segment", format="yolov8")
    assert area(found) == pytest.approx(math.pi * 80**2, rel=0.01)
    assert found.box == pytest.approx((80, 48, 240, 208), abs=1.0)


def test_many_wild_masks_stay_within_a_message() -> None:
    random = np.random.default_rng(3)
    masks = random.normal(size=(120, 64, 80)).astype(np.float32)
    boxes = np.tile(floats([0.5, 0.5, 0.9, 0.9]), (1, 120, 1))
    outputs = {"dets": boxes, "labels": np.full((1, 120, 2), (-9.0, 3.0), np.float32), "masks": masks[None]}
    found = decoded(outputs, kind="segment", format="detr")
    assert len(found) == MAX_FINDINGS
    assert sum(len(f.outline) for f in found) <= MAX_POINTS
    (alone,) = decoded({name: array[:, :1] for name, array in outputs.items()}, kind="segment", format="detr")
    assert 3 <= len(alone.outline) <= MAX_OUTLINE


ROWS = columns([60, 60, 100, 60, 0.1, 0.72, 1, 0])
GOOD: Arrays = {"output0": ROWS, "output1": planes(LEFT, RIGHT)[None]}
BOXES: Arrays = {
    "boxes": floats([[20, 40, 100, 80]]),
    "labels": np.array([1]),
    "scores": floats([0.72]),
    "masks": np.zeros((1, 1, 256, 320), np.float32),
}


@pytest.mark.parametrize(
    ("outputs", "form", "code"),
    [
        (GOOD | {"output1": planes(LEFT, RIGHT, low=math.nan)[None]}, "yolov8", Code.OUTPUT_INVALID),
        (GOOD | {"output1": planes(LEFT, RIGHT, high=math.inf)[None]}, "yolov8", Code.OUTPUT_INVALID),
        (GOOD | {"output1": planes(LEFT, RIGHT, LEFT)[None]}, "yolov8", Code.MODEL_MISMATCH),
        (GOOD | {"output1": np.zeros((2, 2, 64, 80), np.float32)}, "yolov8", Code.OUTPUT_INVALID),
        (GOOD | {"output1": np.zeros((1, 2, 0, 80), np.float32)}, "yolov8", Code.OUTPUT_INVALID),
        (GOOD | {"output1": planes(LEFT, RIGHT)}, "yolov8", Code.MODEL_MISMATCH),
        ({"output0": ROWS}, "yolov8", Code.MODEL_MISMATCH),
        (GOOD | {"output0": floats([[[1, 2, 30, 40, 0.9, 0, 1]]])}, "end2end", Code.OUTPUT_INVALID),
        (GOOD, "boxes", Code.MODEL_MISMATCH),
        (GOOD, None, Code.MODEL_MISMATCH),
        (BOXES | {"masks": np.zeros((0, 1, 256, 320), np.float32)}, "boxes", Code.OUTPUT_INVALID),
        (BOXES | {"masks": np.zeros((1, 256), np.float32)}, "boxes", Code.OUTPUT_INVALID),
        (BOXES | {"masks": np.zeros((1, 1, 256, 320), np.int64)}, "boxes", Code.OUTPUT_INVALID),
        (BOXES | {"labels": np.array([3])}, "boxes", Code.OUTPUT_INVALID),
    ],
)
def test_what_cannot_be_is_a_fault(outputs: Arrays, form: str | None, code: Code) -> None:
    with pytest.raises(TaskError) as refused:
        decoded(outputs, kind="segment", format=form)
    assert refused.value.code is code


def test_metadata_tells_the_format() -> None:
    told = {"description": "Ultralytics YOLO11n-seg", "task": "segment"}
    assert task(GOOD, told, kind="segment").decode(GOOD, LETTERBOX)[0].label == "burr"
