"""The model card's metric against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulators.parts import Defect, Part
from simulators.training.evaluate import (
    Box,
    Limits,
    Looked,
    Seen,
    average_precision,
    confusion,
    decode,
    iou,
    limits,
    verdict,
)

HERE: Box = (0, 0, 100, 100)
THERE: Box = (200, 200, 300, 300)
LIMITS: Limits = {"scratch": (0.2, 0.5), "burr": (0.1, 0.4), "missing_hole": (0.3, 0.3)}


def looked(true: list[Box], seen: list[tuple[float, Box]], label: str = "burr", number: int = 0) -> Looked:
    part = Part(number, tuple(Defect(label, box) for box in true))
    return Looked(part, tuple(Seen(label, score, box) for score, box in seen))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (HERE, HERE, 1.0),
        (HERE, THERE, 0.0),
        (HERE, (100, 0, 200, 100), 0.0),  # they only touch
        (HERE, (50, 0, 150, 100), 1 / 3),  # 5000 / 15000
        (HERE, (25, 25, 75, 75), 0.25),
    ],
)
def test_iou(a: Box, b: Box, expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected)
    assert iou(b, a) == pytest.approx(expected)


def test_all_found_and_nothing_else_is_one() -> None:
    assert average_precision([looked([HERE, THERE], [(0.9, HERE), (0.4, THERE)])], "burr") == 1.0


def test_nothing_found_is_zero_and_no_truth_is_nan() -> None:
    assert average_precision([looked([HERE], [])], "burr") == 0.0
    assert math.isnan(average_precision([looked([HERE], [(0.9, HERE)])], "scratch"))


def test_a_false_alarm_in_between_costs_by_its_rank() -> None:
    """Ranked hit, miss, hit of 2 true: 0.5 * 1 + 0.5 * 2/3 = 5/6."""
    pictures = [looked([HERE], [(0.9, HERE), (0.8, THERE)]), looked([THERE], [(0.7, THERE)])]
    assert average_precision(pictures, "burr") == pytest.approx(5 / 6)


def test_precision_is_made_non_increasing() -> None:
    """Ranked miss, hit, hit of 4 true: precisions 0, 1/2, 2/3 become 2/3 throughout; recall ends at 1/2: 1/3."""
    seen = [(0.9, (400.0, 400.0, 450.0, 450.0)), (0.8, HERE), (0.7, THERE)]
    pictures = [looked([HERE, THERE], seen), looked([HERE, THERE], [])]
    assert average_precision(pictures, "burr") == pytest.approx(1 / 3)


def test_a_second_detection_of_one_defect_is_a_false_alarm() -> None:
    """Hit, double, hit of 2 true: 0.5 * 1 + 0.5 * 2/3."""
    pictures = [looked([HERE, THERE], [(0.9, HERE), (0.8, HERE), (0.7, THERE)])]
    assert average_precision(pictures, "burr") == pytest.approx(5 / 6)


def test_a_box_must_overlap_by_half_in_its_own_picture() -> None:
    assert average_precision([looked([HERE], [(0.9, (50, 0, 150, 100))])], "burr") == 0.0
    assert average_precision([looked([HERE], [(0.9, (0, 0, 100, 51))])], "burr") == 1.0
    assert average_precision([looked([HERE], []), looked([], [(0.9, HERE)])], "burr") == 0.0


def test_other_labels_do_not_count() -> None:
    one = Looked(Part(0, (Defect("burr", HERE),)), (Seen("scratch", 0.9, HERE),))
    assert average_precision([one], "burr") == 0.0


@pytest.mark.parametrize(
    ("score", "expected"), [(0.09, "OK"), (0.1, "RECHECK"), (0.39, "RECHECK"), (0.4, "NG"), (1.0, "NG")]
)
def test_verdict_by_the_label_limits(score: float, expected: str) -> None:
    assert verdict(looked([], [(score, HERE)]), LIMITS) == expected


def test_equal_limits_leave_no_grey_zone() -> None:
    assert verdict(looked([], [(0.29, HERE)], "missing_hole"), LIMITS) == "OK"
    assert verdict(looked([], [(0.3, HERE)], "missing_hole"), LIMITS) == "NG"


def test_confusion_counts_parts() -> None:
    pictures = [looked([HERE], [(0.9, HERE)]), looked([HERE], []), looked([], [(0.2, HERE)]), looked([], [])]
    assert confusion(pictures, LIMITS) == {
        "good": {"OK": 1, "RECHECK": 1, "NG": 0},
        "bad": {"OK": 1, "RECHECK": 0, "NG": 1},
    }


def test_limits_stand_above_what_good_parts_score() -> None:
    silent = [looked([], [])] * 97
    pictures = [*silent, *[looked([], [(0.2, HERE)])] * 2, looked([], [(0.4, HERE)]), looked([HERE], [(0.9, HERE)])]
    chosen = limits(pictures)
    assert chosen["burr"] == (0.22, 0.48)  # of 100 good parts 98.5 stay at 0.2 or under, none above 0.4
    assert chosen["scratch"] == (0.1, 0.3)  # never seen on a good part: the least there is


def test_limits_leave_no_room_between_where_good_parts_score_high() -> None:
    chosen = limits([looked([], [(0.9, HERE)])] * 10)
    assert chosen["burr"] == (0.6, 0.6)


def test_decode_scales_to_the_frame_and_drops_noise() -> None:
    rows = np.array([[1, 2, 3, 4, 0.5, 2], [1, 2, 3, 4, 0.01, 0]], dtype=np.float32)
    assert decode(rows, 4.0) == (Seen("missing_hole", 0.5, (4.0, 8.0, 12.0, 16.0)),)
