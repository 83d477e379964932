"""From scores and maps to what stands out."""

import math
from typing import Any

import numpy as np
import pytest

from gateway.recipe_task import Anomaly
from gateway.vision.engines import EngineInfo
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError, make_task
from protocols.faults import Code

FRAME = Placement(0.5, 0.5, 0, 0, 128, 64)
"""Input 64 x 32, map 32 x 16: a pixel of the map is 4 x 4 of the frame."""
WHOLE = (0, 0, 128, 64)
SCALING = {"image_threshold": 10, "pixel_threshold": 8, "min": 0, "max": 20}


def heat(low: float = 0.1) -> np.ndarray:
    """A region of 3 x 4 with 0.9 at its best, and a single hot pixel."""
    heat = np.full((1, 1, 16, 32), low, np.float32)
    heat[0, 0, 2:5, 10:14] = 0.6
    heat[0, 0, 3, 11] = 0.9
    heat[0, 0, 12, 20] = 0.8
    return heat


def seen(outputs: dict[str, Any], **given: Any) -> list[tuple[str, float, Any]]:
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    known = EngineInfo("CPU", np.zeros((32, 64, 3), np.uint8), {n: a.shape for n, a in arrays.items()}, {})
    task = make_task(Anomaly.model_validate({"kind": "anomaly"} | given), known)
    return [(f.label, round(f.score, 3), f.box) for f in task.decode(arrays, FRAME)]


def score(value: float) -> np.ndarray:
    return np.array([value], np.float32)


def test_score_and_map_as_anomalib_2_gives_them() -> None:
    outputs = {"pred_score": score(0.7), "anomaly_map": heat(), "pred_label": np.array([True])}
    assert seen(outputs) == [("anomaly", 0.7, WHOLE), ("region", 0.9, (40, 8, 56, 20))]


def test_how_small_and_how_hot_a_region_may_be_is_a_setting() -> None:
    outputs = {"pred_score": score(0.7), "anomaly_map": heat()}
    assert [label for label, _, _ in seen(outputs, min_region=1)] == ["anomaly", "region", "region"]
    assert seen(outputs, min_region=1, region_score=0.85)[1:] == [("region", 0.9, (44, 12, 48, 16))]


def test_a_good_part_keeps_its_score() -> None:
    assert seen({"pred_score": score(0.2), "anomaly_map": np.zeros((1, 1, 16, 32), np.float32)}) == [
        ("anomaly", 0.2, WHOLE)
    ]
    assert seen({"pred_score": score(0.2)}, min_score=0.5) == []


def test_a_map_alone_gives_its_highest_as_the_score() -> None:
    assert seen({"anomaly_map": heat()})[0] == ("anomaly", 0.9, WHOLE)


def test_raw_distances_are_scaled_by_their_thresholds() -> None:
    assert seen({"output": score(13)}, scaling=SCALING) == [("anomaly", 0.65, WHOLE)]
    assert seen({"output": score(99)}, scaling=SCALING) == [("anomaly", 1.0, WHOLE)]
    raw = 8 + (heat() - 0.5) * 20
    assert seen({"output": raw}, scaling=SCALING)[1] == ("region", 0.9, (40, 8, 56, 20))
    assert seen({"output": raw}, scaling=SCALING)[0] == ("anomaly", 0.8, WHOLE)  # 16: (16 - 10) / 20 + 0.5


def test_raw_distances_without_thresholds_are_a_fault() -> None:
    with pytest.raises(TaskError, match=r"task\.scaling") as caught:
        seen({"output": score(13)})
    assert caught.value.code is Code.OUTPUT_INVALID


@pytest.mark.parametrize("outputs", [{"pred_score": score(math.nan)}, {"anomaly_map": heat(math.inf)}])
def test_what_is_no_number_is_a_fault(outputs: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match="NaN"):
        seen(outputs)


def test_other_outputs_are_a_mismatch() -> None:
    with pytest.raises(TaskError, match="pred_score") as caught:
        seen({"a": score(0), "b": score(0)})
    assert caught.value.code is Code.MODEL_MISMATCH
