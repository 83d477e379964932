"""Turned boxes, worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.oriented import shared
from protocols.faults import Code
from tests.unit.gateway.vision.tensors import LETTERBOX, area, decoded, floats, task

# centre, size, class scores, angle: columns of [1, 4 + classes + 1, n]
LEVEL = [100, 50, 40, 20, 0.1, 0.72, 0.0]
TURNED = [200, 100, 50, 30, 0.45, 0.1, math.atan2(4, 3)]  # a side of 50 goes 30 across and 40 down
WEAK = [9, 9, 9, 9, 0.2, 0.29, 0]


def columns(*rows: list[float]) -> dict[str, np.ndarray]:
    return {"output0": floats(rows).T[None]}


def seen(found: tuple[Finding, ...]) -> list[tuple[Any, ...]]:
    return [
        (f.label, round(f.score, 3), tuple((round(x, 2), round(y, 2)) for x, y in f.outline), round(f.angle or 0.0, 2))
        for f in found
    ]


BURR = ("burr", 0.72, ((80, 40), (120, 40), (120, 60), (80, 60)), 0.0)
SCRATCH = ("scratch", 0.45, ((197, 71), (227, 111), (203, 129), (173, 89)), 53.13)


def test_corners_follow_the_angle() -> None:
    found = decoded(columns(LEVEL, TURNED, WEAK), kind="oriented", format="yolov8")
    assert seen(found) == [BURR, SCRATCH]
    assert list(found[0].box) == [80, 40, 120, 60]
    assert found[1].box == pytest.approx((173, 71, 227, 129), abs=1e-3)
    assert area(found[1]) == pytest.approx(1500, rel=1e-5)


def test_finished_rows_are_read_alike() -> None:
    rows = floats([[*TURNED[:4], 0.45, 0, TURNED[-1]], [*LEVEL[:4], 0.72, 1, 0], [9, 9, 9, 9, 0.1, 0, 0]])[None]
    assert seen(decoded({"output0": rows}, kind="oriented", format="end2end")) == [BURR, SCRATCH]


def test_letterboxed_boxes_come_back_to_the_frame() -> None:
    (found,) = decoded(columns(TURNED), LETTERBOX, kind="oriented", format="yolov8")
    assert seen((found,)) == [
        ("scratch", 0.45, ((394, 126), (454, 206), (406, 242), (346, 162)), 53.13),
    ]


def test_a_stretched_box_has_the_angle_that_it_has_in_the_frame() -> None:
    (found,) = decoded(columns(TURNED), Placement(1, 0.5, 0, 0, 320, 512), kind="oriented", format="yolov8")
    assert found.outline[0] == pytest.approx((197, 142), abs=1e-3)
    assert found.angle == pytest.approx(math.degrees(math.atan2(80, 30)))


def test_what_overlaps_turned_is_told_once_and_what_only_its_hull_covers_twice() -> None:
    bar = [100.0, 100, 80, 8, 0.9, 0.1, math.radians(45)]
    again = [101.0, 100, 80, 8, 0.8, 0.1, math.radians(45)]
    across = [100.0, 100, 80, 8, 0.7, 0.1, math.radians(-45)]
    beside = [112.0, 88, 80, 8, 0.6, 0.1, math.radians(45)]  # the same upright box nearly, but no common point
    other = [101.0, 100, 80, 8, 0.1, 0.5, math.radians(45)]
    found = decoded(columns(bar, again, across, beside, other), kind="oriented", format="yolov8")
    assert [(f.label, round(f.score, 2)) for f in found] == [
        ("scratch", 0.9), ("scratch", 0.7), ("scratch", 0.6), ("burr", 0.5),
    ]  # fmt: skip


def test_a_box_whose_middle_lies_outside_is_dropped() -> None:
    assert decoded(columns([400, 50, 20, 20, 0.9, 0.1, 0]), kind="oriented", format="yolov8") == ()
    (edge,) = decoded(columns([315, 50, 20, 20, 0.9, 0.1, 0]), kind="oriented", format="yolov8")
    assert list(edge.box) == [305, 40, 320, 60]


rectangles = st.tuples(
    st.tuples(st.integers(0, 30), st.integers(0, 30)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.floats(0, 359),
)


@given(rectangles, rectangles, st.booleans())
def test_the_common_area_is_that_of_clipping_by_hand(one: Any, other: Any, along: bool) -> None:
    if along:
        other = (*other[:2], one[2])
    assert shared(one, other) == pytest.approx(clipped(one, other), abs=1e-6)
    assert shared(one, one) == pytest.approx(one[1][0] * one[1][1])
    assert shared(other, one) == pytest.approx(shared(one, other), abs=1e-6)


def test_sides_on_one_another_share_all_that_lies_within() -> None:
    assert shared(((0, 0), (6, 1), 309), ((0, 0), (6, 13), 309)) == pytest.approx(6), "OpenCV says none"


def clipped(one: Any, other: Any) -> float:
    """Sutherland and Hodgman, half plane by half plane."""
    subject, clip = corners(one), corners(other)
    for (ax, ay), (bx, by) in zip(clip, clip[1:] + clip[:1], strict=True):
        kept = []
        for p, q in zip(subject, subject[1:] + subject[:1], strict=True):
            sides = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for x, y in (p, q)]
            if sides[0] >= 0:
                kept.append(p)
            if (sides[0] >= 0) != (sides[1] >= 0):
                part = sides[0] / (sides[0] - sides[1])
                kept.append((p[0] + part * (q[0] - p[0]), p[1] + part * (q[1] - p[1])))
        if not kept:
            return 0.0
        subject = kept
    pairs = zip(subject, subject[1:] + subject[:1], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2


def corners(rectangle: Any) -> list[tuple[float, float]]:
    (x, y), (width, height), angle = rectangle
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    around = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [(x + (i * width * c - j * height * s) / 2, y + (i * width * s + j * height * c) / 2) for i, j in around]


@pytest.mark.parametrize(
    ("rows", "form", "code"),
    [
        (columns([100, 50, 40, 20, 0.1, math.nan, 0]), "yolov8", Code.OUTPUT_INVALID),
        (columns([100, 50, 40, 20, 0.1, 0.9, math.inf]), "yolov8", Code.OUTPUT_INVALID),
        (columns([100, 50, 40, 20, 0.1, 7, 0]), "yolov8", Code.OUTPUT_INVALID),
        (columns([100, 50, 40, 20, 0.1, 0]), "yolov8", Code.MODEL_MISMATCH),
        (columns([100, 50, 40, 20, 0.1, 0, 0, 0]), "yolov8", Code.MODEL_MISMATCH),
        ({"output0": floats([100, 50])}, "yolov8", Code.MODEL_MISMATCH),
        ({"output0": floats([[[1, 2, 3, 4, 0.9, 2, 0]]])}, "end2end", Code.OUTPUT_INVALID),
        ({"output0": floats([[[1, 2, 3, 4, 0.9, 0.5, 0]]])}, "end2end", Code.OUTPUT_INVALID),
        ({"output0": floats([[[1, 2, 3, 4, 0.9, 0]]])}, "end2end", Code.OUTPUT_INVALID),
        ({"a": floats([[[1]]]), "b": floats([[[1]]])}, "yolov8", Code.MODEL_MISMATCH),
        ({"output0": floats([[[1, 2, 3, 4, 0.9, 0, 0]]])}, None, Code.MODEL_MISMATCH),
    ],
)
def test_what_cannot_be_is_a_fault(rows: dict[str, np.ndarray], form: str | None, code: Code) -> None:
    with pytest.raises(TaskError) as refused:
        decoded(rows, kind="oriented", format=form)
    assert refused.value.code is code


def test_metadata_tells_the_format() -> None:
    told = {"description": "Ultralytics YOLO11n-obb", "task": "obb", "names": "{0: 'scratch', 1: 'burr'}"}
    assert seen(task(columns(LEVEL), told, kind="oriented").decode(columns(LEVEL), LETTERBOX))[0][0] == "burr"
    rows = {"output0": floats([[[*LEVEL[:4], 0.72, 1, 0]]])}
    assert task(rows, told | {"end2end": "True"}, kind="oriented").decode(rows, LETTERBOX)[0].label == "burr"
    with pytest.raises(TaskError, match="of kind oriented"):
        task(rows, told, kind="detect")


def test_as_many_boxes_as_a_message_holds_and_no_more() -> None:
    many = [[8.0 * (n % 40) + 4, 8.0 * (n // 40) + 4, 6, 6, 0.9, 0.1, 0] for n in range(400)]
    assert len(decoded(columns(*many), kind="oriented", format="yolov8")) == MAX_FINDINGS


def test_a_crowd_of_candidates_hides_no_other_thing() -> None:
    crowd = [[100 + n / 100, 100, 50, 20, 0.1, 0.9, 0] for n in range(400)]
    labels = [
        found.label
        for found in decoded(columns(*crowd, [250, 50, 20, 20, 0.5, 0.1, 0]), kind="oriented", format="yolov8")
    ]
    assert labels == ["burr", "scratch"]
    with pytest.raises(TaskError, match=r"gave 2010 candidates, at most 2000 are compared; raise task.min_score"):
        decoded(columns(*crowd[:201] * 10), kind="oriented", format="yolov8")
