"""From a model file to a recipe: what the commands print, make and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from gateway import cli, recipe
from gateway.inspection import Finding, Trigger
from gateway.judge import judge
from tests import models


def named(model: bytes, **metadata: str) -> bytes:
    proto = onnx.ModelProto.FromString(model)
    onnx.helper.set_model_props(proto, metadata)
    return bytes(proto.SerializeToString())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plate.onnx"
    path.write_bytes(named(models.float_detector(), author="Ultralytics", names="{0: 'scratch', 1: 'burr'}"))
    return path


def test_a_model_is_told_in_lines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "inspect", str(file)]) == 0
    told = capsys.readouterr().out
    for part in ("ai.onnx 18", "image: tensor(float) [1, 3, 64, 96]", "output0: tensor(float) [1, 6, 9]"):
        assert part in told
    assert "detect yolov8" in told
    assert "scratch, burr" in told
    assert "CPUExecutionProvider" in told


def test_a_model_is_told_to_programs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "inspect", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["task"] == {"kind": "detect", "format": "yolov8"}
    assert facts["labels"] == ["scratch", "burr"]
    assert facts["bytes"] == file.stat().st_size


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lambda: b"no model", "damaged or no ONNX file"),
        (lambda: models.external("../secret.bin"), "in another file"),
        (models.nested_functions, "killed the process"),
    ],
    ids=["garbage", "external data", "crash"],
)
def test_a_harmful_model_harms_nobody(
    tmp_path: Path, model: Callable[[], bytes], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(model())
    assert cli.main(["model", "inspect", str(path)]) == 1
    told = capsys.readouterr().err
    assert text in told
    assert told.count("\n") == 1
    assert cli.main(["recipe", "new", str(tmp_path / "bad"), "--model", str(path)]) == 1
    assert not (tmp_path / "bad").exists()


def test_a_recipe_is_made_that_the_gateway_takes(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "plate"
    assert cli.main(["recipe", "new", str(folder), "--model", str(file), "--number", "7"]) == 0
    made = recipe.load(folder)
    recipe.verify(made)
    kinds = [step.task.kind for step in made.steps]
    assert (made.name, made.number, kinds, made.classes) == ("plate", 7, ["detect"], ("scratch", "burr"))


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ("logits", "good,dent"),
        ("multilabel", "dent"),
        ("yolox", "a,b"),
        ("detr", "a,b"),
        ("anomaly", ""),
        ("boxes", "a"),
    ],
)
def test_every_format_makes_a_recipe(given: str, labels: str, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / given
    assert cli.main(["recipe", "new", str(folder), "--model", str(file), "--format", given, "--labels", labels]) == 0
    made = recipe.load(folder)
    assert list(recipe.mistakes(made)) == []
    assert (folder / "model.onnx").read_bytes() == file.read_bytes()


def test_a_thousand_classes_make_a_recipe_that_passes_only_the_good_one(file: Path, tmp_path: Path) -> None:
    folder, labels = tmp_path / "many", ",".join(f"kind {number}" for number in range(1000))
    new = ["recipe", "new", str(folder), "--model", str(file), "--kind", "classify", "--format", "logits"]
    assert cli.main([*new, "--labels", labels]) == 0
    made = recipe.load(folder)
    assert [(rule.verdict, rule.code) for rule in made.rules] == [("RECHECK", 900)]
    assert judge(made, (Finding("kind 7", 0.9, (0, 0, 9, 9)),), Trigger(cycle=1, trigger_seq=1)).reason == 900


def test_what_nobody_tells_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "dumb.onnx"
    path.write_bytes(models.float_detector())
    assert cli.main(["recipe", "new", str(tmp_path / "dumb"), "--model", str(path)]) == 1
    assert "--format" in capsys.readouterr().err
    assert cli.main(["recipe", "new", str(tmp_path / "dumb"), "--model", str(path), "--format", "yolov8"]) == 1
    assert "--labels" in capsys.readouterr().err
    assert not (tmp_path / "dumb").exists()


def test_a_folder_that_is_there_is_left_alone(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["recipe", "new", str(tmp_path), "--model", str(file)]) == 1
    assert "already" in capsys.readouterr().err
    assert file.exists()


def test_no_such_file_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "inspect", str(tmp_path / "none.onnx")]) == 1
    assert "no such file" in capsys.readouterr().err
