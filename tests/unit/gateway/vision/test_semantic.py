"""A class for each pixel, worked out by hand: input 320 x 256."""

import math
from typing import Any

import numpy as np
import pytest

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.vision.finding_rows import MAX_POINTS
from gateway.vision.tasks import TaskError
from protocols.faults import Code
from tests.unit.gateway.vision.tensors import LETTERBOX, area, decoded, floats, task

MAP = np.zeros((1, 64, 80), np.int64)
MAP[0, 10:20, 5:25] = 2
MAP[0, 30:34, 40:50] = 1
MAP[0, 50:52, 60:64] = 2  # 8 pixels: one less than min_region
MAP[0, 60:64, 70:80] = 1
MAP[0, 60, 70] = 0


def seen(found: tuple[Finding, ...]) -> list[tuple[Any, ...]]:
    return [(f.label, round(f.score, 4), f.box, round(area(f), 2)) for f in found]


WANTED = [
    ("burr", 1.0, (20, 40, 100, 80), 3200.0),
    ("scratch", 1.0, (160, 120, 200, 136), 640.0),
    ("scratch", 1.0, (280, 240, 320, 256), 632.0),  # 39 pixels of 16; the outline cuts across the corner of one pixel
]


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_a_map_of_class_numbers(dtype: type) -> None:
    assert seen(decoded({"out": MAP.astype(dtype)}, kind="semantic", format="labels")) == WANTED
    assert seen(decoded({"out": MAP[0].astype(dtype)}, kind="semantic", format="labels")) == WANTED


def one_hot(high: float, low: float) -> np.ndarray:
    return np.where(np.arange(3)[:, None, None] == MAP, high, low).astype(np.float32)[None]


def test_planes_of_logits_are_told_by_the_highest_and_scored_by_softmax() -> None:
    found = seen(decoded({"out": one_hot(2, -1)}, kind="semantic", format="logits"))
    score = round(math.exp(3) / (math.exp(3) + 2), 4)
    assert found == [(label, score, box, size) for label, _, box, size in WANTED]
    assert decoded({"out": one_hot(2, -1)}, kind="semantic", format="logits", min_score=0.95) == ()


def test_planes_of_probabilities_are_taken_as_they_are() -> None:
    found = seen(decoded({"out": one_hot(0.75, 0.125)}, kind="semantic", format="probabilities"))
    assert [row[1] for row in found] == [0.75] * 3


def test_without_a_background_every_pixel_has_a_label() -> None:
    found = decoded({"out": (MAP > 0).astype(np.int64)}, kind="semantic", format="labels", background="none")
    assert (found[0].label, found[0].box) == ("scratch", (0, 0, 320, 256))
    assert {f.label for f in found} == {"scratch", "burr"}


@pytest.mark.parametrize(
    ("form", "high", "low", "score"), [("logits", 2, -2, 0.8808), ("probabilities", 0.8, 0.2, 0.8)]
)
def test_one_plane_is_one_label_with_a_limit_in_the_middle(form: str, high: float, low: float, score: float) -> None:
    plane = np.where(MAP > 0, high, low).astype(np.float32)[None]
    found = seen(decoded({"out": plane}, kind="semantic", format=form, classes=("dirt",)))
    assert found == [("dirt", score, box, size) for _, _, box, size in WANTED]


def test_regions_come_back_to_the_frame() -> None:
    found = decoded({"out": MAP}, LETTERBOX, kind="semantic", format="labels")
    assert list(found[0].box) == [40, 64, 200, 144]
    assert area(found[0]) == 160 * 80


def test_regions_left_out_for_others_that_score_too_little_are_told() -> None:
    """A hundred doubtful places of four pixels, and a sure one of a pixel that no list has room for."""
    plane = np.zeros((1, 256, 320), np.float32)
    for n in range(MAX_FINDINGS):
        plane[0, 4 * (n // 50) : 4 * (n // 50) + 2, 4 * (n % 50) : 4 * (n % 50) + 2] = 0.55
    plane[0, 200, 200] = 0.99
    given: dict[str, Any] = {"kind": "semantic", "format": "probabilities", "classes": ("dirt",), "min_score": 0.9}
    with pytest.raises(TaskError, match=r"1 regions are left out .* raise task.min_region") as caught:
        decoded({"out": plane}, min_region=1, **given)
    assert caught.value.code is Code.OUTPUT_INVALID
    plane[0, 200, 200] = 0.0
    assert decoded({"out": plane}, min_region=1, **given) == ()


def test_noise_stays_within_a_message() -> None:
    noise = np.random.default_rng(5).integers(0, 3, (1, 256, 320))
    found = decoded({"out": noise}, kind="semantic", format="labels")
    assert len(found) <= MAX_FINDINGS
    assert sum(len(f.outline) for f in found) <= MAX_POINTS


@pytest.mark.parametrize(
    ("output", "form", "code"),
    [
        (one_hot(math.nan, 0), "logits", Code.OUTPUT_INVALID),
        (one_hot(math.inf, 0), "logits", Code.OUTPUT_INVALID),
        (one_hot(2, -1), "probabilities", Code.OUTPUT_INVALID),
        (one_hot(2, -1)[:, :2], "logits", Code.MODEL_MISMATCH),
        (np.concatenate((one_hot(2, -1),) * 2, axis=1), "logits", Code.MODEL_MISMATCH),
        (np.concatenate((one_hot(2, -1),) * 2), "logits", Code.OUTPUT_INVALID),
        (one_hot(2, -1)[:, :1], "logits", Code.MODEL_MISMATCH),
        (one_hot(2, -1)[:, :, 0], "logits", Code.MODEL_MISMATCH),
        (one_hot(2, -1)[:, :, :0], "logits", Code.OUTPUT_INVALID),
        (MAP, "logits", Code.OUTPUT_INVALID),
        (MAP + 1, "labels", Code.OUTPUT_INVALID),
        (MAP - 1, "labels", Code.OUTPUT_INVALID),
        (MAP.astype(np.float32), "labels", Code.OUTPUT_INVALID),
        (np.concatenate((MAP, MAP)), "labels", Code.OUTPUT_INVALID),
        (MAP, None, Code.MODEL_MISMATCH),
    ],
)
def test_what_cannot_be_is_a_fault(output: np.ndarray, form: str | None, code: Code) -> None:
    with pytest.raises(TaskError) as refused:
        decoded({"out": output}, kind="semantic", format=form)
    assert refused.value.code is code


def test_metadata_tells_the_format() -> None:
    told = {"description": "Ultralytics YOLO26n-sem", "task": "semantic"}
    for output in (one_hot(2, -1), MAP):
        assert task({"out": output}, told, kind="semantic").decode({"out": output}, LETTERBOX)[0].label == "burr"
    with pytest.raises(TaskError, match="one output"):
        task({"out": MAP, "other": floats([1])}, kind="semantic", format="labels")
