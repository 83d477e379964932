"""From rows of numbers to findings."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.recipe_task import Detect
from gateway.vision.engines import EngineInfo
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.end2end import EndToEnd
from protocols.faults import Code

FRAME = Placement(0.25, 0.25, 0, 0, 1280, 1024)


def settings(**given: Any) -> Detect:
    return Detect.model_validate({"kind": "detect", "classes": ("scratch", "burr"), "min_score": 0.25} | given)


def info(outputs: dict[str, tuple[int, ...]] | None = None, **metadata: str) -> EngineInfo:
    return EngineInfo("CPU", np.zeros((256, 320, 3), np.uint8), outputs or {"detections": (1, 50, 6)}, metadata)


def rows(*some: tuple[float, ...]) -> dict[str, np.ndarray]:
    table = np.zeros((1, 50, 6), np.float32)
    for index, row in enumerate(some):
        table[0, index] = row
    return {"detections": table}


def test_boxes_come_back_in_pixels_of_the_frame_best_first() -> None:
    seen = EndToEnd(settings(), info()).decode(rows((10, 20, 30, 40, 0.5, 1), (1, 2, 3, 4, 0.9, 0)), FRAME)
    assert [(f.label, round(f.score, 3), f.box) for f in seen] == [
        ("scratch", 0.9, (4, 8, 12, 16)),
        ("burr", 0.5, (40, 80, 120, 160)),
    ]


def test_a_letterbox_is_taken_back() -> None:
    place = Placement(0.5, 0.5, 0, 16, 128, 64)
    (finding,) = EndToEnd(settings(), info()).decode(rows((10, 26, 20, 36, 0.5, 0)), place)
    assert finding.box == (20, 20, 40, 40)


def test_low_scores_and_empty_rows_are_no_findings() -> None:
    assert EndToEnd(settings(), info()).decode(rows((1, 1, 9, 9, 0.2, 0)), FRAME) == ()


def test_boxes_are_cut_to_the_frame_and_thin_ones_dropped() -> None:
    seen = EndToEnd(settings(), info()).decode(
        rows(
            (-50, -50, 10, 10, 0.5, 0), (30, 30, 30, 90, 0.5, 0), (400, 10, 500, 20, 0.5, 0), (50, 40, 20, 10, 0.5, 0)
        ),
        FRAME,
    )
    assert [finding.box for finding in seen] == [(0, 0, 40, 40)]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("column", range(6))
def test_a_number_that_is_none_is_a_fault_never_a_good_part(value: float, column: int) -> None:
    output = rows()
    output["detections"][0, 49, column] = value
    with pytest.raises(TaskError) as caught:
        EndToEnd(settings(), info()).decode(output, FRAME)
    assert caught.value.code is Code.OUTPUT_INVALID


@pytest.mark.parametrize(
    "row", [(1, 1, 9, 9, 1.5, 0), (1, 1, 9, 9, 0.5, 2), (1, 1, 9, 9, 0.5, -1), (1, 1, 9, 9, 0.5, 0.5)]
)
def test_scores_and_classes_out_of_range_are_a_fault(row: tuple[float, ...]) -> None:
    with pytest.raises(TaskError) as caught:
        EndToEnd(settings(), info()).decode(rows(row), FRAME)
    assert caught.value.code is Code.OUTPUT_INVALID


@pytest.mark.parametrize("shape", [(1, 50, 5), (2, 50, 6), (50,), (1, 1, 50, 6)])
def test_an_output_of_another_shape_is_a_fault(shape: tuple[int, ...]) -> None:
    with pytest.raises(TaskError):
        EndToEnd(settings(), info()).decode({"detections": np.zeros(shape, np.float32)}, FRAME)


@pytest.mark.parametrize("outputs", [{"boxes": (1, 8400, 84)}, {"a": (1, 50, 6), "b": (1, 60, 6)}, {"a": (2, 50, 6)}])
def test_a_model_without_exactly_one_fitting_output_is_refused(outputs: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(TaskError) as caught:
        EndToEnd(settings(), info(outputs))
    assert caught.value.code is Code.MODEL_MISMATCH


@pytest.mark.parametrize("names", ['["a", "b"]', '{"0": "a", "1": "b"}', "{0: 'a', 1: 'b'}", "['a', 'b']"])
def test_labels_come_from_the_model_where_the_recipe_has_none(names: str) -> None:
    assert EndToEnd(settings(classes=None), info(names=names)).labels == ("a", "b")


@pytest.mark.parametrize("names", ["", "{", "[]", "{'0': 1}", "{1: 'a'}", "[1, 2]", "__import__('os')", "[" * 5000])
def test_a_model_that_names_no_classes_needs_them_in_the_recipe(names: str) -> None:
    with pytest.raises(TaskError) as caught:
        EndToEnd(settings(classes=None), info(names=names))
    assert caught.value.code is Code.MODEL_MISMATCH


@given(
    st.lists(
        st.tuples(*[st.floats(-500, 500, width=32)] * 4, st.floats(0, 1, width=32), st.integers(0, 1)), max_size=50
    )
)
def test_every_finding_lies_in_the_frame(some: list[tuple[float, ...]]) -> None:
    for finding in EndToEnd(settings(), info()).decode(rows(*some), FRAME):
        x1, y1, x2, y2 = finding.box
        assert 0 <= x1 < x2 <= 1280
        assert 0 <= y1 < y2 <= 1024
        assert 0.25 <= finding.score <= 1
