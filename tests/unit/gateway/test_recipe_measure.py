"""Recipes whose tasks need no network."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gateway import recipe as recipes
from gateway.recipe import Recipe, RecipeError
from gateway.vision.engine_settings import OnnxRuntimeConfig
from gateway.vision.pipeline import Pipeline
from protocols.faults import Code

BLOB = {"kind": "blob", "looks": "dark", "label": "hole"}
RULES = [{"name": "bad", "when": {"any": True}, "verdict": "NG", "code": 100}]
UNSEEN_LOGO = {"file": "a.png", "sha256": "0" * 64}
LOGO = np.zeros((40, 60), np.uint8)
cv2.circle(LOGO, (20, 20), 12, 200, cv2.FILLED)


def load(folder: Path, **parts: Any) -> Recipe:
    (folder / "recipe.yaml").write_text(json.dumps({"recipe": "plain", "number": 3, "rules": RULES, **parts}))
    return recipes.load(folder)


def template(folder: Path, file: str = "logo.png", digest: str = "") -> dict[str, Any]:
    content = cv2.imencode(".png", LOGO)[1].tobytes()
    (folder / "logo.png").write_bytes(content)
    image = {"file": file, "sha256": digest or hashlib.sha256(content).hexdigest()}
    return {"kind": "template", "label": "logo", "image": image}


def test_no_network_is_needed_nor_allowed(tmp_path: Path) -> None:
    recipe = load(tmp_path, task=BLOB)
    assert (recipe.models, recipe.classes) == ((), ("hole",))
    recipes.verify(recipe)
    with pytest.raises(RecipeError, match="needs no network"):
        load(tmp_path, task=BLOB, model={"file": "m.onnx", "sha256": "0" * 64})


def test_a_reference_picture_is_pinned_like_a_network(tmp_path: Path) -> None:
    recipe = load(tmp_path, task=template(tmp_path))
    recipes.verify(recipe)
    assert recipe.model_mark == recipe.models[0].sha256
    (tmp_path / "logo.png").write_bytes(b"another")
    with pytest.raises(RecipeError) as other:
        recipes.verify(recipe)
    (tmp_path / "logo.png").unlink()
    with pytest.raises(RecipeError) as gone:
        recipes.verify(recipe)
    assert (other.value.code, gone.value.code) == (Code.MODEL_HASH, Code.MODEL_LOAD)


@pytest.mark.parametrize("file", ["../logo.png", "/logo.png", "a\\b.png"])
def test_a_reference_picture_lies_in_the_folder(tmp_path: Path, file: str) -> None:
    with pytest.raises(RecipeError, match="does not stay in the recipe folder") as refused:
        load(tmp_path, task=template(tmp_path, file))
    assert refused.value.code is Code.MODEL_LOAD
    assert "image" in refused.value.text


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ({"kind": "width", "line": [0, 0, 5, 5]}, "at least 8 pixels long"),
        ({"kind": "circle", "centre": [9, 9], "radii": [20, 10]}, "the smallest and the largest"),
        ({"kind": "colour"}, "either low and high, or mean"),
        ({"kind": "colour", "low": [0, 0, 0], "high": [9, 9, 9], "mean": "h"}, "either low and high, or mean"),
        ({"kind": "colour", "low": [0, 50, 0], "high": [9, 9, 9]}, "must not be more than high"),
        ({"kind": "colour", "mean": "l"}, "hsv has no channel 'l'"),
        ({"kind": "blob", "looks": "dark", "min_size": 9, "max_size": 5}, "max_size must not be less"),
        ({"kind": "blob", "looks": "dark", "threshold": 0}, "threshold"),
        ({"kind": "code", "symbologies": ["aztec"]}, "reader: zxing"),
        (
            {"kind": "template", "image": {"file": "a.png", "sha256": "0" * 64}, "rotate": 90, "rotate_step": 1},
            "angles",
        ),
    ],
)
def test_a_mistake_is_one_clear_sentence(tmp_path: Path, task: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError) as refused:
        load(tmp_path, task=task)
    assert refused.value.code is Code.CONFIG_INVALID
    assert told in refused.value.text


def test_steps_without_networks_look_at_what_another_found(tmp_path: Path) -> None:
    """A plate is found by its brightness; within it a hole is measured and the logo is there."""
    frame = np.full((300, 400), 20, np.uint8)
    frame[50:250, 80:320] = 120
    frame[150:190, 220:280] = np.maximum(LOGO, 1)
    cv2.circle(frame, (140, 120), 15, 0, cv2.FILLED)
    plate = {"name": "plate", "task": {"kind": "blob", "looks": "bright", "label": "plate", "min_size": 5000}}
    logo = {"name": "logo", "on": {"step": "plate"}, "task": template(tmp_path)}
    hole = {"name": "hole", "task": {"kind": "circle", "centre": [142, 119], "radii": [5, 25], "label": "hole"}}
    ready = Pipeline(load(tmp_path, steps=[plate, logo, hole]), OnnxRuntimeConfig())
    found, _ = ready.look(np.repeat(frame[:, :, None], 3, axis=2), lambda picture: None)
    assert {f.label for f in found} == {"plate", "logo", "hole"} == set(ready.labels) - {"unseen"}
    boxes = {f.label: f.box for f in found}
    assert list(boxes["plate"]) == [80, 50, 320, 250]
    assert boxes["logo"] == pytest.approx((220, 150, 280, 190), abs=0.2)
    (value,) = (f.value for f in found if f.label == "hole")
    assert value == pytest.approx(2 * math.sqrt((frame == 0).sum() / math.pi), abs=0.5), "as its area says"
    assert (ready.provider, ready.size) == ("", (0, 0))


def test_a_width_that_nobody_misses_is_doubtful(tmp_path: Path) -> None:
    wide = {"name": "wide", "when": {"label": "width", "min_value": 10}, "verdict": "NG", "code": 1}
    there = {"name": "there", "expect": {"label": "width"}, "verdict": "NG", "code": 2}
    task = {"kind": "width", "line": [0, 0, 50, 0]}
    (told,) = recipes.doubts(load(tmp_path, task=task, rules=[wide]))
    assert told.startswith("no rule misses width: a part on which step ")
    assert list(recipes.doubts(load(tmp_path, task=task, rules=[wide, there]))) == []
    special = {"name": "special", "serial": "X*", "rules": [wide]}
    other = {"verdict": "NG", "code": 3}
    varied = load(tmp_path, task=task, rules=[wide, there], variants=[special], unknown_part=other)
    assert [doubt for doubt in recipes.doubts(varied) if "misses" in doubt] == [told]
