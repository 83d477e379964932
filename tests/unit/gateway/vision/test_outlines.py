"""Masks as polygons."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import Finding
from gateway.ruler import enclosed
from gateway.vision.finding_rows import MAX_OUTLINE, MAX_POINTS
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.outlines import fitted, polygon
from protocols.faults import Code


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 5), st.integers(0, 5))
def test_a_rectangle_of_pixels_has_its_edges_as_corners(width: int, height: int, left: int, top: int) -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[top : top + height, left : left + width] = 1
    right, bottom = left + width, top + height
    corners = {(float(x), float(y)) for x, y in polygon(mask, MAX_OUTLINE).tolist()}
    assert corners == {(left, top), (right, top), (right, bottom), (left, bottom)}


def test_the_largest_part_counts_and_an_empty_mask_has_none() -> None:
    mask = np.zeros((20, 20), np.uint8)
    assert len(polygon(mask, MAX_OUTLINE)) == 0
    mask[2:4, 2:4] = mask[8:18, 5:15] = 1
    assert sorted(polygon(mask, MAX_OUTLINE).tolist()) == [[5, 8], [5, 18], [15, 8], [15, 18]]


def star(corners: int) -> tuple[tuple[float, float], ...]:
    turns = [2 * math.pi * index / corners for index in range(corners)]
    radius = [100 + 10 * (index % 2) for index in range(corners)]
    return tuple((200 + r * math.cos(t), 200 + r * math.sin(t)) for r, t in zip(radius, turns, strict=True))


def test_outlines_of_several_steps_go_into_one_message() -> None:
    many = tuple(Finding("hole", 0.9, (90, 90, 310, 310), star(200)) for _ in range(60))
    few = fitted(many)
    assert sum(len(finding.outline) for finding in few) <= MAX_POINTS
    assert all(len(finding.outline) >= 3 for finding in few)
    assert enclosed(few[0].outline) == pytest.approx(math.pi * 105**2, rel=0.15)
    assert fitted(many[:20]) == many[:20], "where there is room nothing is changed"


def test_too_many_keypoints_are_a_fault() -> None:
    crowd = tuple(Finding("clip", 0.9, (0, 0, 9, 9), star(9), ((1, 1, 1),) * 64) for _ in range(70))
    with pytest.raises(TaskError) as refused:
        fitted(crowd)
    assert refused.value.code is Code.OUTPUT_INVALID
