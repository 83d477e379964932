"""`gateway recipe`: a recipe is taken in only when its model has run in a process of its own. Rows B-1 to B-6, B-12."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import helper

from gateway import cli, recipe
from tests import models

Said = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "recipes"
    found.mkdir()
    return found


def taken(package: Path, place: Path, *more: str) -> int:
    return cli.main(["recipe", "import", str(package), "--into", str(place), *more])


def refused(package: Path, place: Path, capsys: Said) -> str:
    """What is told; nothing is left, neither here nor beside."""
    before = sorted(package.parent.iterdir())
    assert taken(package, place) == 1
    assert list(place.iterdir()) == []
    assert sorted(package.parent.iterdir()) == before
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    return told.err


def test_there_and_back(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.detector(), number=7)
    assert cli.main(["recipe", "export", str(folder), "--out", str(tmp_path / "plate.zip")]) == 0
    assert taken(tmp_path / "plate.zip", place) == 0
    assert "recipe 7 plate" in capsys.readouterr().out
    for name in ("recipe.yaml", "model.onnx"):
        assert (place / "plate" / name).read_bytes() == (folder / name).read_bytes()
    assert [found.name for found in place.iterdir()] == ["plate"]
    recipe.verify(recipe.load(place / "plate"))
    assert taken(tmp_path / "plate.zip", place) == 1
    assert "is there already" in capsys.readouterr().err
    assert taken(folder, place, "--as", "other") == 0
    assert taken(folder, place, "--as", "../other") == 1
    assert "is no name for a folder" in capsys.readouterr().err


def test_a_recipe_is_checked_listed_and_shown(tmp_path: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.detector())
    assert cli.main(["recipe", "check", str(folder)]) == 0
    assert "model: 320 x 256, CPUExecutionProvider" in capsys.readouterr().out
    assert cli.main(["recipe", "show", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "rule 1 any: NG 100 when 1 or more of anything" in told
    models.recipe(tmp_path / "bad", models.detector(), number=2, sha256="ab" * 32)
    assert cli.main(["recipe", "list", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^1 +plate +1 +detect +[0-9a-f]{12} +plate$", told, re.MULTILINE)
    assert "ERROR" in told
    assert "has SHA-256" in told
    assert cli.main(["recipe", "check", str(tmp_path / "bad")]) == 1


def test_a_recipe_without_a_network_is_checked(tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate" / "recipe.yaml").write_text(
        "recipe: plate\nnumber: 1\ntask: { kind: blob, looks: dark }\n"
        "rules: [{ name: any, when: { any: true }, verdict: NG, code: 100 }]\n"
    )
    assert cli.main(["recipe", "check", str(tmp_path / "plate")]) == 0
    assert "no network, labels blob" in capsys.readouterr().out


@pytest.mark.parametrize("model", [b"", b"no model", models.detector()[:-40]], ids=["empty", "garbage", "truncated"])
def test_b01_a_model_that_is_none(model: bytes, tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", model)
    assert "not imported: recipe plate: the model" in refused(folder, place, capsys)


def test_b01_a_model_that_is_missing(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.detector())
    (folder / "model.onnx").unlink()
    assert "cannot be read" in refused(folder, place, capsys)


def test_b02_a_model_of_which_one_bit_has_changed(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.detector())
    model = bytearray((folder / "model.onnx").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.onnx").write_bytes(model)
    assert "has SHA-256" in refused(folder, place, capsys)


def test_b03_a_model_that_kills_who_loads_it(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.nested_functions())
    said = refused(folder, place, capsys)
    assert "Segmentation fault" in said
    assert len(said.splitlines()) == 1, "a sentence, and no stack"


def test_b04_a_model_that_wants_all_memory(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.memory_bomb())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = refused(folder, place, capsys)
    assert "memory" in told.lower() or "alloc" in told.lower()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1024 * 1024


@pytest.mark.parametrize("place_of", ["../secret.txt", "/etc/hostname", "weights.txt", "linked.txt"])
def test_b05_weights_outside_the_model(place_of: str, tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.external(place_of))
    (tmp_path / "secret.txt").write_bytes(bytes(2000))
    (folder / "weights.txt").write_bytes(bytes(2000))
    os.link(tmp_path / "secret.txt", folder / "linked.txt")  # a hard link: copied like a file, never read as weights
    assert "in another file" in refused(folder, place, capsys)


def test_b05_a_model_that_is_a_link(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.detector())
    (folder / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert "is a link" in refused(folder, place, capsys)


def test_b06_an_operator_of_a_foreign_library(tmp_path: Path, place: Path, capsys: Said) -> None:
    node = helper.make_node("Evil", ["image"], ["detections"], domain="evil.com")
    folder = models.recipe(tmp_path / "plate", models.build([node], [], domains=["evil.com"]))
    assert "evil.com" in refused(folder, place, capsys)


def test_b06_no_library_is_ever_loaded_for_a_model() -> None:
    sources = (Path(__file__).parents[2] / "gateway").rglob("*.py")
    assert not [path for path in sources if "register_custom_ops_library" in path.read_text("utf-8")]


def test_b12_a_model_of_another_shape(tmp_path: Path, place: Path, capsys: Said) -> None:
    folder = models.recipe(tmp_path / "plate", models.float_detector())
    assert "end2end" in refused(folder, place, capsys)


@pytest.mark.parametrize("form", ["yolov5", "yolox_grid", "yolov8_grid", "fastestdet", "ssd"])
def test_b12_a_format_that_the_model_has_not(form: str, tmp_path: Path, place: Path, capsys: Said) -> None:
    task = f"{{kind: detect, format: {form}, classes: [scratch, burr]}}"
    folder = models.recipe(tmp_path / "plate", models.float_detector(), task=task)
    assert re.search(r"task\.format|is the format|compare task", refused(folder, place, capsys))


def test_b12_a_rule_for_a_label_the_model_never_says(tmp_path: Path, place: Path, capsys: Said) -> None:
    proto = onnx.ModelProto.FromString(models.float_detector())
    helper.set_model_props(proto, {"author": "Ultralytics", "names": "{0: 'scratch', 1: 'burr'}"})
    task = "{kind: detect, format: yolov8}"
    folder = models.recipe(tmp_path / "plate", bytes(proto.SerializeToString()), task=task)
    file = folder / "recipe.yaml"
    file.write_text(file.read_text().replace("any: true", "label: dent"))
    assert "rule 'any': the model knows no 'dent'; use one of scratch, burr" in refused(folder, place, capsys)


def test_i11_an_archive_that_would_write_elsewhere(tmp_path: Path, place: Path, capsys: Said) -> None:
    model = models.detector()
    folder = models.recipe(tmp_path / "plate", model)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out:
        out.writestr("recipe.yaml", (folder / "recipe.yaml").read_text())
        out.writestr("model.onnx", model)
        out.writestr("../../evil.txt", "evil")
    assert "does not stay in the recipe folder" in refused(tmp_path / "x.zip", place, capsys)


def test_a_model_is_pinned_wherever_it_comes_from(tmp_path: Path, place: Path) -> None:
    model = models.detector()
    assert taken(models.recipe(tmp_path / "plate", model), place) == 0
    assert recipe.load(place / "plate").models[0].sha256 == hashlib.sha256(model).hexdigest()
