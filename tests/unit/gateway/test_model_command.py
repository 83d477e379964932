"""What `gateway recipe new` writes for each kind of network."""

import argparse
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway import model_command, recipe
from gateway.model_command import FORMATS
from gateway.model_facts import ModelError
from gateway.recipe import Recipe
from gateway.recipe_task import Network

FACTS: dict[str, Any] = {
    "sha256": "0" * 64,
    "inputs": [{"name": "images", "type": "tensor(float)", "shape": [1, 3, 256, 320]}],
    "labels": ["scratch", "burr"],
    "task": {"why": "nothing tells"},
}


def made(folder: Path, told: dict[str, str] | None = None, *arguments: str) -> Recipe:
    parser = argparse.ArgumentParser()
    model_command.add_new(parser.add_subparsers())
    options = parser.parse_args(["new", "plate", "--model", "m.onnx", *arguments])
    text = model_command._recipe("plate", options, FACTS | ({"task": told} if told else {}))
    (folder / recipe.FILE).write_text(text, "utf-8")
    return recipe.load(folder)


def kind_and_format(read: Recipe) -> tuple[str, str | None]:
    task = read.steps[0].task
    return task.kind, getattr(task, "format", None)


@pytest.mark.parametrize(("kind", "form"), [(kind, form) for kind, forms in FORMATS.items() for form in forms])
def test_every_kind_and_format_becomes_a_recipe(tmp_path: Path, kind: str, form: str) -> None:
    wanted = (kind, form if kind != "anomaly" else None)
    assert kind_and_format(made(tmp_path, None, "--kind", kind, "--format", form, "--points", "4")) == wanted


def test_every_format_that_a_recipe_may_have_is_offered() -> None:
    for kind in get_args(Network):
        annotation = kind.model_fields["format"].annotation if "format" in kind.model_fields else None
        literals = [part for part in (annotation, *get_args(annotation)) if part is not type(None)]
        known = {form for part in literals for form in get_args(part) if isinstance(form, str)}
        name = get_args(kind.model_fields["kind"].annotation)[0]
        assert known == set(FORMATS[name]) - {"anomaly"}


def test_what_the_model_tells_needs_no_option(tmp_path: Path) -> None:
    told = {"kind": "segment", "format": "yolov8"}
    assert kind_and_format(made(tmp_path, told)) == ("segment", "yolov8")
    assert kind_and_format(made(tmp_path, told, "--format", "end2end")) == ("segment", "end2end")
    assert kind_and_format(made(tmp_path, told, "--format", "multilabel")) == ("classify", "multilabel")
    assert kind_and_format(made(tmp_path, told, "--kind", "detect", "--format", "detr")) == ("detect", "detr")
    assert kind_and_format(made(tmp_path, {"kind": "anomaly"})) == ("anomaly", None)


def test_a_format_alone_is_of_the_first_kind(tmp_path: Path) -> None:
    assert kind_and_format(made(tmp_path, None, "--format", "yolov8")) == ("detect", "yolov8")
    assert kind_and_format(made(tmp_path, None, "--format", "logits")) == ("classify", "logits")
    assert kind_and_format(made(tmp_path, None, "--format", "labels")) == ("semantic", "labels")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing tells, or --kind and --format"),
        (["--kind", "semantic"], "one of logits, probabilities, labels"),
        (["--kind", "oriented", "--format", "detr"], "one of yolov8, end2end"),
    ],
)
def test_what_is_not_told_is_asked_for(tmp_path: Path, arguments: list[str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        made(tmp_path, None, *arguments)
