"""Rendered parts: the same every time, and true to their ground truth."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import bracket
from simulators.parts import LABELS, PartSource


@pytest.fixture(scope="module")
def bad() -> PartSource:
    return PartSource(seed=5, defect_rate=1.0)


@pytest.fixture(scope="module")
def good() -> PartSource:
    return PartSource(seed=5, defect_rate=0.0)


def test_the_same_seed_and_number_give_the_same_part(bad: PartSource) -> None:
    twin = PartSource(seed=5, defect_rate=1.0)
    twin.render(4)  # pictures drawn before must not matter
    assert np.array_equal(bad.render(3), twin.render(3))
    assert bad.truth(3) == twin.truth(3)


def test_other_numbers_and_seeds_give_other_pictures(bad: PartSource) -> None:
    assert not np.array_equal(bad.render(3), bad.render(4))
    assert bad.truth(3) != PartSource(seed=6, defect_rate=1.0).truth(3)


def test_a_frame_is_bgr_bytes_of_the_asked_size(bad: PartSource) -> None:
    frame = bad.render(0)
    assert frame.shape == (1024, 1280, 3)
    assert frame.dtype == np.uint8


def test_a_smaller_frame_shows_the_same_part_smaller(bad: PartSource) -> None:
    small = PartSource(seed=5, defect_rate=1.0, size=(640, 512))
    assert small.render(0).shape == (512, 640, 3)
    for large_one, small_one in zip(bad.truth(0).defects, small.truth(0).defects, strict=True):
        assert small_one.box == pytest.approx([side / 2 for side in large_one.box], abs=0.5)


def test_out_is_filled_and_returned(bad: PartSource) -> None:
    out = np.zeros((1024, 1280, 3), np.uint8)
    assert bad.render(2, out) is out
    assert np.array_equal(out, bad.render(2))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((512, 640, 3), np.uint8),
        np.zeros((1024, 1280, 3), np.float32),
        np.zeros((1024, 1280, 6), np.uint8)[..., ::2],
    ],
    ids=["size", "type", "layout"],
)
def test_an_unfit_out_is_refused(bad: PartSource, out: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="contiguous uint8 array of 1024x1280x3"):
        bad.render(0, out)


def test_unfit_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="defect_rate"):
        PartSource(defect_rate=1.5)
    with pytest.raises(ValueError, match="64 pixels"):
        PartSource(size=(32, 32))


def test_pictures_differ_from_a_good_part_inside_the_boxes_only(bad: PartSource, good: PartSource) -> None:
    for number in range(8):
        change = cv2.absdiff(bad.render(number), good.render(number)).max(axis=2)
        outside = change.copy()
        for defect in bad.truth(number).defects:
            x1, y1, x2, y2 = defect.box
            inside = np.s_[int(np.ceil(y1)) : int(y2) + 1, int(np.ceil(x1)) : int(x2) + 1]
            assert change[inside].max() >= 12, f"part {number}: {defect} is not seen"
            outside[inside] = 0
        assert not outside.any(), f"part {number} changed outside its boxes"


def test_the_box_of_a_long_flaw_is_tight(bad: PartSource, good: PartSource) -> None:
    checked = 0
    for number in range(16):
        defects = bad.truth(number).defects
        if len(defects) != 1:
            continue
        x1, y1, x2, y2 = defects[0].box
        change = cv2.absdiff(bad.render(number), good.render(number)).max(axis=2)
        rows, columns = np.nonzero(change > 4)
        room = bracket.BOX_MARGIN + 4
        if x2 - x1 > bracket.BOX_SIDE:
            assert columns.min() - x1 < room
            assert x2 - columns.max() < room
            checked += 1
        if y2 - y1 > bracket.BOX_SIDE:
            assert rows.min() - y1 < room
            assert y2 - rows.max() < room
            checked += 1
    assert checked >= 5


def test_every_defect_lies_in_the_frame_and_all_kinds_occur() -> None:
    source = PartSource(seed=11, defect_rate=1.0)
    seen = set()
    for number in range(400):
        defects = source.truth(number).defects
        assert 1 <= len(defects) <= 3
        for defect in defects:
            x1, y1, x2, y2 = defect.box
            assert 0 <= x1 < x2 <= 1280
            assert 0 <= y1 < y2 <= 1024
            assert min(x2 - x1, y2 - y1) >= bracket.BOX_SIDE - 1e-6
            seen.add(defect.label)
    assert seen == set(LABELS)


def test_the_defect_rate_is_kept_and_decides_nothing_else() -> None:
    some, all_bad = PartSource(seed=11, defect_rate=0.3), PartSource(seed=11, defect_rate=1.0)
    parts = [some.truth(number) for number in range(600)]
    assert 0.24 < sum(not part.good for part in parts) / len(parts) < 0.36
    for part in parts:
        assert part.good or part == all_bad.truth(part.number)
