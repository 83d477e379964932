"""Steps one after the other over one frame, with real small networks."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.inspection import Finding
from gateway.recipe import Recipe
from gateway.recipe_task import UNSEEN
from gateway.vision.engine_settings import OnnxRuntimeConfig
from gateway.vision.engines import EngineError
from gateway.vision.frames import Pixels
from gateway.vision.pipeline import Pipeline
from gateway.vision.tasks import TaskError
from protocols.faults import Code
from tests import models

FRAME = np.random.default_rng(1).integers(40, 215, (512, 640, 3), np.uint8)
RULES = [{"name": "any", "when": {"any": True}, "verdict": "NG", "code": 100}]


def nothing(picture: Pixels) -> None:
    """The check that finds nothing wrong."""


def step(folder: Path, name: str, model: bytes, *labels: str, **parts: Any) -> dict[str, Any]:
    (folder / f"{name}.onnx").write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    task = {"kind": "detect", "format": "end2end", "classes": labels, "min_score": 0.1}
    return {"name": name, "model": {"file": f"{name}.onnx", "sha256": digest}, "task": task, **parts}


def pipeline(folder: Path, *steps: dict[str, Any]) -> Pipeline:
    recipe = Recipe.model_validate({"recipe": "steps", "number": 1, "steps": steps, "rules": RULES}).placed(folder)
    return Pipeline(recipe, OnnxRuntimeConfig())


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


LEFT, RIGHT = (40.0, 80.0, 140.0, 180.0), (400.0, 80.0, 480.0, 140.0)


def parts() -> Pixels:
    """Two parts on grey ground: a bright and a dark one."""
    frame = np.full((512, 640, 3), 100, np.uint8)
    for (x1, y1, x2, y2), grey in ((LEFT, 204), (RIGHT, 51)):
        frame[int(y1) : int(y2), int(x1) : int(x2)] = grey
    return frame


def finder(folder: Path, *found: tuple[tuple[float, float, float, float], float]) -> dict[str, Any]:
    """A step that finds parts at these places of the frame."""
    rows: list[models.Row] = [(x1 / 2, y1 / 2, x2 / 2, y2 / 2, score, 0) for (x1, y1, x2, y2), score in found]
    return step(folder, "find", models.detector(rows), "part")


def brightness(folder: Path, **parts: Any) -> dict[str, Any]:
    """A step that tells how bright its picture is, with a box around all of it."""
    return step(folder, "grade", models.detector([(0, 0, 320, 256, 0, 0)], bright=True), "bright", **parts)


def looked(ready: Pipeline, frame: Pixels) -> list[tuple[str, object, object]]:
    found = ready.look(frame, nothing)[0]
    return [(f.label, pytest.approx(f.score, abs=0.01), f.box) for f in found if f.label != "part"]


def test_a_step_looks_at_what_an_earlier_one_found(tmp_path: Path) -> None:
    """Detector, cut, second network: the brightness of each part, with the part's place in the frame."""
    ready = pipeline(tmp_path, finder(tmp_path, (RIGHT, 0.5), (LEFT, 0.9)), brightness(tmp_path, on={"step": "find"}))
    assert looked(ready, parts()) == [("bright", 204 / 255, LEFT), ("bright", 51 / 255, RIGHT)]
    assert ready.labels == ("part", "bright", UNSEEN)


def test_regions_of_a_found_part(tmp_path: Path) -> None:
    """Seen from the middle of the left part, (90, 130): one half on the ground, one within."""
    on = {"step": "find", "best": 1, "regions": [[50, -10, 70, 10], [-10, -10, 10, 10]]}
    ready = pipeline(tmp_path, finder(tmp_path, (LEFT, 0.9)), brightness(tmp_path, on=on))
    expected = [("bright", 100 / 255, (140, 120, 160, 140)), ("bright", 204 / 255, (80, 120, 100, 140))]
    assert looked(ready, parts()) == expected


def test_a_required_step_says_that_it_saw_nothing(tmp_path: Path) -> None:
    whole = (0.0, 0.0, 640.0, 512.0)
    ready = pipeline(tmp_path, finder(tmp_path), brightness(tmp_path, on={"step": "find"}))
    findings, _ = ready.look(parts(), nothing)
    assert findings == (Finding(UNSEEN, 1.0, whole, text="grade"),)
    lax = pipeline(tmp_path, finder(tmp_path), brightness(tmp_path, on={"step": "find", "required": False}))
    assert lax.look(parts(), nothing)[0] == ()
    assert UNSEEN not in lax.labels


def test_what_sees_nothing_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    third = {**brightness(tmp_path, on={"step": "grade"}), "name": "again"}
    ready = pipeline(tmp_path, finder(tmp_path), brightness(tmp_path, on={"step": "find"}), third)
    assert [f.text for f in ready.look(parts(), nothing)[0]] == ["grade", "again"]


def test_a_region_of_the_frame_turned(tmp_path: Path) -> None:
    """The right part alone; a row of the network's input comes back turned."""
    picture = {"region": [400, 80, 480, 140], "rotate": 90}
    model = models.detector([(0, 0, 160, 256, 0, 0)], bright=True)  # the left half of what it sees
    ready = pipeline(tmp_path, step(tmp_path, "grade", model, "bright", picture=picture))
    assert looked(ready, parts()) == [("bright", 51 / 255, (400, 110, 480, 140))]


def test_a_region_outside_the_frame_is_a_fault(tmp_path: Path) -> None:
    ready = pipeline(tmp_path, brightness(tmp_path, picture={"region": [0, 0, 641, 10]}))
    with pytest.raises(TaskError, match=r"picture.region .* does not lie in the frame of 640 x 512") as caught:
        ready.look(parts(), nothing)
    assert caught.value.code is Code.IMAGE_FORMAT


def test_pieces_of_a_large_picture(tmp_path: Path) -> None:
    """Each piece says its brightness for all of itself: neighbours are one finding, so the whole frame is."""
    tiles = {"size": [240, 256], "overlap": 40}
    seen: list[tuple[int, ...]] = []
    ready = pipeline(tmp_path, brightness(tmp_path, picture={"tiles": tiles}))
    findings, _ = ready.look(parts(), lambda picture: seen.append(picture.shape))
    assert [f.box for f in findings] == [(0, 0, 640, 512)]
    assert seen == [(512, 640, 3)]


@pytest.mark.parametrize("degrees", [0.0, 90.0, 180.0, 270.0, 30.0, -45.0])
def test_a_picture_turned_by_anything_finds_the_same_place(tmp_path: Path, degrees: float) -> None:
    """A box in the middle of the network's input is one around the middle of the region."""
    picture = {"region": [400, 80, 480, 140], "rotate": degrees}
    model = models.detector([(150, 120, 170, 136, 0.9, 0)])
    (finding,) = pipeline(tmp_path, step(tmp_path, "find", model, "part", picture=picture)).look(parts(), nothing)[0]
    x1, y1, x2, y2 = finding.box
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((440, 110), abs=1e-3)
    assert finding.angle == (pytest.approx(-degrees) if degrees % 90 else None)
