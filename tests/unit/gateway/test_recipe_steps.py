"""A recipe of several steps, and the short form that is one step."""

import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway import facts
from gateway import recipe as recipes
from gateway.recipe import ONLY, Recipe, RecipeError
from gateway.recipe_task import UNSEEN
from gateway.vision import wire
from protocols.faults import Code

FIRST, SECOND = b"finds", b"grades"
FIND = {"name": "find", "model": {"file": "find.onnx", "sha256": hashlib.sha256(FIRST).hexdigest()},
        "task": {"kind": "detect", "format": "end2end", "classes": ["part"]}}  # fmt: skip
GRADE = {"name": "grade", "model": {"file": "grade.onnx", "sha256": hashlib.sha256(SECOND).hexdigest()},
         "task": {"kind": "classify", "format": "logits", "classes": ["good", "bad"]}}  # fmt: skip
RULES = [{"name": "bad", "when": {"label": "bad", "min_score": 0.5}, "verdict": "NG", "code": 100}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "find.onnx").write_bytes(FIRST)
    (tmp_path / "grade.onnx").write_bytes(SECOND)
    return tmp_path


def load(folder: Path, **parts: Any) -> Recipe:
    document = {"recipe": "two", "number": 2, "steps": [FIND, GRADE], "rules": RULES, **parts}
    (folder / "recipe.yaml").write_text(json.dumps({key: value for key, value in document.items() if value}))
    return recipes.load(folder)


def refusal(folder: Path, **parts: Any) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load(folder, **parts)
    return caught.value


def short(folder: Path) -> Recipe:
    return load(folder, steps=None, model=FIND["model"], task={**GRADE["task"]})  # type: ignore[dict-item]


def test_the_short_form_is_one_step(folder: Path) -> None:
    recipe = short(folder)
    assert [(step.name, step.model, step.task) for step in recipe.steps] == [(ONLY, recipe.model, recipe.task)]
    assert recipe.classes == ("good", "bad")


def test_a_recipe_is_told_in_the_form_it_was_written(folder: Path) -> None:
    one, two = short(folder), load(folder)
    assert not {"steps"} & set(one.model_dump(mode="json"))
    assert not {"model", "task"} & set(two.model_dump(mode="json"))
    for recipe in (one, two):
        again = Recipe.model_validate(recipe.model_dump(mode="json"))
        assert again.steps == recipe.steps
        assert facts.digest(again) == facts.digest(recipe)


def test_labels_are_those_of_all_steps(folder: Path) -> None:
    assert load(folder).classes == ("part", "good", "bad")
    untold = {**GRADE, "task": {"kind": "classify", "format": "logits"}}
    assert load(folder, steps=[FIND, untold]).classes is None


def test_a_step_that_must_look_may_say_so(folder: Path) -> None:
    on: dict[str, Any] = {"step": "find"}
    assert load(folder, steps=[FIND, {**GRADE, "on": on}]).classes == ("part", "good", "bad", UNSEEN)
    on["required"] = False
    assert load(folder, steps=[FIND, {**GRADE, "on": on}]).classes == ("part", "good", "bad")


def test_the_short_form_may_have_a_picture(folder: Path) -> None:
    picture = {"region": [0, 0, 10, 10], "rotate": 90}
    recipe = load(folder, steps=None, model=FIND["model"], task=GRADE["task"], picture=picture)
    assert (recipe.steps[0].picture.region, recipe.steps[0].picture.rotate) == ((0, 0, 10, 10), 90)
    assert Recipe.model_validate(recipe.model_dump(mode="json")).steps == recipe.steps


def test_every_model_is_pinned(folder: Path) -> None:
    recipe = load(folder)
    recipes.verify(recipe)
    (folder / "grade.onnx").write_bytes(b"another")
    with pytest.raises(RecipeError, match=r"grade\.onnx: the file has SHA-256") as caught:
        recipes.verify(recipe)
    assert caught.value.code is Code.MODEL_HASH


def test_the_mark_of_the_models(folder: Path) -> None:
    """MODEL_CRC: of one model as ever; of several, of the SHA-256 of their SHA-256s in a row."""
    first, second = (hashlib.sha256(model).digest() for model in (FIRST, SECOND))
    assert short(folder).model_mark == first.hex()
    both = load(folder).model_mark
    assert both == hashlib.sha256(first + second).hexdigest()
    assert wire.model_crc(both) == binascii.crc_hqx(hashlib.sha256(first + second).digest(), 0)
    assert load(folder, steps=[GRADE, FIND]).model_mark != both


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"task": GRADE["task"]}, "has both task and steps"),
        ({"steps": None}, "needs either task (with model and picture) or steps"),
        ({"steps": [FIND, {**GRADE, "name": "find"}]}, "steps[1].name: 'find' is already the name of steps[0]"),
        ({"steps": [FIND, {**GRADE, "model": None}]}, "steps[1].task.kind: 'classify' needs a network; name its file"),
        ({"steps": [FIND] * 9}, "steps: has too many entries; at most 8 allowed"),
        ({"steps": [{**FIND, "task": {**FIND["task"], "classes": ["a", "a"]}}]},  # type: ignore[dict-item]
         "steps[0].task.classes: a label is listed twice"),
        ({"steps": [{**FIND, "on": {"step": "find"}}]},
         "steps[0].on.step: 'find' is no earlier step; use one of these: none, as it is the first"),
        ({"steps": [FIND, {**GRADE, "on": {"step": "fnd"}}]}, "steps[1].on.step: 'fnd' is no earlier step"),
        ({"steps": [FIND, {**GRADE, "on": {"step": "find", "labels": ["pin"]}}]},
         "steps[1].on.labels: step 'find' knows no 'pin'; use one of part"),
        ({"steps": [FIND, {**GRADE, "on": {"step": "find", "regions": [[5, 0, 5, 9]]}}]},
         "steps[1].on: a region is x1, y1, x2, y2 with at least two pixels between"),
        ({"steps": [FIND, {**GRADE, "on": {"step": "find", "regions": [[0, 0, 9, 9]], "margin": 1}}]},
         "steps[1].on: margin has no place beside regions"),
        ({"steps": [FIND, {**GRADE, "on": {"step": "find"}, "picture": {"region": [0, 0, 9, 9]}}]},
         "steps[1].picture.region: has no place beside on"),
        ({"steps": [{**FIND, "picture": {"region": [9, 0, 9, 9]}}]}, "steps[0].picture: region is x1, y1, x2, y2 with"),
        ({"steps": [{**FIND, "picture": {"tiles": {"size": [64, 64], "overlap": 33}}}]},
         "steps[0].picture.tiles: overlap must be at most half of the smaller side"),
        ({"steps": [{**FIND, "task": {**FIND["task"], "classes": ["unseen"]}}]},  # type: ignore[dict-item]
         "steps[0].task.classes: 'unseen' is said where a step has nothing to look at"),
        ({"picture": {"rotate": 90}}, "needs either task (with model and picture) or steps"),
        ({"rules": [{**RULES[0], "when": {"label": "prt"}}]}, "'prt' is not one of task.classes; did you mean part"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_step(folder: Path, parts: dict[str, Any], expected: str) -> None:
    assert expected in refusal(folder, **parts).text


def test_no_model_of_a_step_lies_outside(folder: Path) -> None:
    outside = {**GRADE, "model": {**GRADE["model"], "file": "../grade.onnx"}}  # type: ignore[dict-item]
    error = refusal(folder, steps=[FIND, outside])
    assert error.code is Code.MODEL_LOAD
    assert "steps[1].model.file: '../grade.onnx' does not stay in the recipe folder" in error.text
