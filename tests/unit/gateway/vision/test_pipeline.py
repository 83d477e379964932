"""Steps one after the other over one frame, with real small networks."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.recipe import Recipe
from gateway.vision.engines import EngineError
from gateway.vision.frames import Pixels
from gateway.vision.pipeline import Pipeline
from gateway.vision.settings import EngineConfig
from gateway.vision.tasks import TaskError
from protocols.faults import Code
from tests import models

FRAME = np.random.default_rng(1).integers(40, 215, (512, 640, 3), np.uint8)
RULES = [{"name": "any", "when": {"any": True}, "verdict": "NG", "code": 100}]


def nothing(picture: Pixels) -> None:
    """The check that finds nothing wrong."""


def step(folder: Path, name: str, model: bytes, *labels: str) -> dict[str, Any]:
    (folder / f"{name}.onnx").write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    task = {"kind": "detect", "format": "end2end", "classes": labels, "min_score": 0.25}
    return {"name": name, "model": {"file": f"{name}.onnx", "sha256": digest}, "task": task}


def pipeline(folder: Path, *steps: dict[str, Any]) -> Pipeline:
    recipe = Recipe.model_validate({"recipe": "steps", "number": 1, "steps": steps, "rules": RULES}).placed(folder)
    return Pipeline(recipe, EngineConfig())


def test_the_findings_of_all_steps_in_their_order(tmp_path: Path) -> None:
    """The network's input is 320 x 256, the frame twice that."""
    first = step(tmp_path, "first", models.detector([(10, 20, 30, 40, 0.9, 0)]), "hole")
    second = step(tmp_path, "second", models.detector([(50, 60, 70, 80, 0.5, 1)]), "hole", "dent")
    ready = pipeline(tmp_path, first, second)
    findings, seconds = ready.look(FRAME, nothing)
    assert [(f.label, f.box) for f in findings] == [("hole", (20, 40, 60, 80)), ("dent", (100, 120, 140, 160))]
    assert (ready.labels, ready.size, ready.provider) == (("hole", "dent"), (320, 256), "CPUExecutionProvider")
    assert seconds > 0


def test_the_check_sees_the_first_step_alone(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []
    steps = [step(tmp_path, name, models.detector(), "hole") for name in ("first", "second")]
    pipeline(tmp_path, *steps).look(FRAME, lambda picture: seen.append(picture.shape))
    assert seen == [(256, 320, 3)]


def test_an_error_names_the_step(tmp_path: Path) -> None:
    good = step(tmp_path, "good", models.detector(), "hole")
    bad = step(tmp_path, "bad", models.detector([(0, 0, 9, 9, 0.9, 3)]), "hole")
    with pytest.raises(TaskError, match=r"^step 'bad': the network named a class outside 0\.\.0"):
        pipeline(tmp_path, good, bad).look(FRAME, nothing)
    with pytest.raises(TaskError, match=r"^the network named a class"):
        pipeline(tmp_path, bad).look(FRAME, nothing)
    (tmp_path / "bad.onnx").write_bytes(b"another")
    with pytest.raises(EngineError, match=r"^step 'bad': .*has SHA-256") as caught:
        pipeline(tmp_path, good, bad)
    assert caught.value.code is Code.MODEL_HASH


def test_more_than_can_be_judged_is_a_fault(tmp_path: Path) -> None:
    rows: list[models.Row] = [(10, 20, 30, 40, 0.9, 0)] * 50
    steps = [step(tmp_path, name, models.detector(rows), "hole") for name in ("a", "b", "c")]
    assert len(pipeline(tmp_path, *steps[:2]).look(FRAME, nothing)[0]) == 100
    with pytest.raises(TaskError, match="the steps found 150 things, at most 100") as caught:
        pipeline(tmp_path, *steps).look(FRAME, nothing)
    assert caught.value.code is Code.OUTPUT_INVALID
