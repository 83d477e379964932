"""From class scores to labels of the whole picture."""

import math
from typing import Any

import numpy as np
import pytest

from gateway.recipe_task import Classify
from gateway.vision.engines import EngineInfo
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError, make_task
from protocols.faults import Code

FRAME = Placement(1, 1, 0, 0, 640, 480)
WHOLE = (0, 0, 640, 480)


def labels(values: list[float], **given: Any) -> list[tuple[str, float]]:
    settings = Classify.model_validate(
        {"kind": "classify", "format": "probabilities", "classes": ("good", "dent", "rust"), "min_score": 0.2} | given
    )
    output = np.array([values], np.float32)
    task = make_task(settings, EngineInfo("CPU", np.zeros((8, 8, 3), np.uint8), {"out": output.shape}, {}))
    found = task.decode({"out": output}, FRAME)
    assert all(finding.box == WHOLE for finding in found)
    return [(finding.label, round(finding.score, 4)) for finding in found]


def test_probabilities_are_used_as_they_are_best_first() -> None:
    assert labels([0.3, 0.6, 0.1]) == [("dent", 0.6), ("good", 0.3)]


def test_logits_go_through_softmax() -> None:
    assert labels([math.log(6), math.log(3), math.log(1)], format="logits") == [("good", 0.6), ("dent", 0.3)]


def test_large_logits_do_not_overflow() -> None:
    assert labels([1e5, 0, -1e5], format="logits") == [("good", 1.0)]


def test_several_labels_at_once_go_through_sigmoid_each() -> None:
    assert labels([math.log(3), 0, -1e9], format="multilabel") == [("good", 0.75), ("dent", 0.5)]


@pytest.mark.parametrize("values", [[2.0, 0.1, 0.1], [-0.5, 1, 0.5]])
def test_what_is_no_probability_is_a_fault(values: list[float]) -> None:
    with pytest.raises(TaskError, match="logits") as caught:
        labels(values)
    assert caught.value.code is Code.OUTPUT_INVALID


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("form", ["probabilities", "logits", "multilabel"])
def test_what_is_no_number_is_a_fault(wrong: float, form: str) -> None:
    with pytest.raises(TaskError, match="NaN"):
        labels([wrong, 0, 0], format=form)


def test_another_number_of_classes_than_labels_is_a_mismatch() -> None:
    with pytest.raises(TaskError, match="knows 2 classes") as caught:
        labels([0.5, 0.5])
    assert caught.value.code is Code.MODEL_MISMATCH
