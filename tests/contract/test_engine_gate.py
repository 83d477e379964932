"""A network runs on another engine than the reference only where a comparison on pictures has shown that it may."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest

from gateway import cli
from gateway import recipe as recipes
from gateway.bench_command import _has_bf16
from gateway.config import StationConfig
from gateway.probe import Probed, probe
from gateway.vision import proof
from simulators.parts import PartSource
from tests import models

ROOT = Path(__file__).parents[2]
OPENVINO = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed (make extras)")
BF16 = pytest.mark.skipif(not _has_bf16(), reason="this processor does not compute in bfloat16")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    source = PartSource(3, 0.6)
    for part in range(1, 7):
        cv2.imwrite(str(folder / f"{part:03}.png"), source.render(part))
    return folder


@pytest.fixture
def bracket(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "configs/recipes/bracket", tmp_path / "bracket"))


def started(folder: Path, **engine: Any) -> Probed:
    """The outcome of a trial start of a station with this engine."""
    station = {"name": "s", "link": {"kind": "loopback"}, "camera": {"kind": "simulated"}, "recipes": [folder]}
    return probe(StationConfig.model_validate({**station, "engine": engine}), recipes.load(folder))


@OPENVINO
def test_an_engine_runs_a_recipe_after_a_comparison_and_not_before(
    bracket: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = started(bracket, kind="openvino")
    assert before.facts is None
    assert f"say gateway model compare {bracket} --engine openvino --on cpu --pictures FOLDER" in before.error
    assert cli.main(["model", "compare", str(bracket), "--pictures", str(pictures)]) == 0
    assert "passed; noted in engines.json" in capsys.readouterr().out
    after = started(bracket, kind="openvino", threads=2)
    assert after.facts is not None, after.error
    assert after.facts.provider == "OpenVINO CPU f32"
    # a record holds for one version of the engine, one precision, one computer
    [noted] = proof.read(bracket)
    assert (noted.pictures, noted.findings > 0, noted.box < 0.01) == (6, True, True)
    proof.forget(bracket, noted.models, noted.runs)
    proof.write(bracket, replace(noted, runs=replace(noted.runs, engine="openvino 2020.1")))
    assert "has not been compared" in started(bracket, kind="openvino").error


@OPENVINO
@BF16
def test_bfloat16_is_caught(bracket: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What OpenVINO would do by itself on such a processor."""
    arguments = ["model", "compare", str(bracket), "--pictures", str(pictures), "--precision", "bf16"]
    assert cli.main([*arguments, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["box"] > 2
    assert any("a corner moves by" in why for why in found["why"])
    assert proof.read(bracket) == []
    assert "has not been compared" in started(bracket, kind="openvino", precision="bf16").error


@OPENVINO
def test_a_comparison_that_fails_takes_the_record_away(bracket: Path, pictures: Path) -> None:
    arguments = ["model", "compare", str(bracket), "--pictures", str(pictures)]
    assert cli.main(arguments) == 0
    assert cli.main([*arguments, "--max-box", "0"]) == 1
    assert proof.read(bracket) == []


@OPENVINO
@pytest.mark.parametrize("count", [0, 2])
def test_pictures_that_show_nothing_prove_nothing(
    count: int, bracket: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for picture in sorted(pictures.iterdir())[:count]:
        shutil.copy(picture, few)
    assert cli.main(["model", "compare", str(bracket), "--pictures", str(few)]) == 1
    assert f"{count} pictures show nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wish", "text"),
    [(["--on", "cpu"], "the reference itself"), (["--on", "cuda"], "cuda first"), (["--on", "abacus"], "--on abacus")],
)
def test_what_needs_no_comparison_or_can_have_none_is_told(
    wish: list[str], text: str, bracket: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["model", "compare", str(bracket), "--engine", "onnxruntime", "--pictures", str(pictures)]
    assert cli.main([*arguments, *wish]) == 1
    told = capsys.readouterr().err
    assert text in told
    assert told.count("\n") == 1
    assert proof.read(bracket) == []


@OPENVINO
@pytest.mark.parametrize("model", [models.memory_bomb(), models.nested_functions()], ids=["memory", "stack"])
def test_a_harmful_model_harms_nobody_on_another_engine(model: bytes, tmp_path: Path) -> None:
    probed = started(models.recipe(tmp_path / "part", model), kind="openvino")
    assert probed.facts is None
    assert probed.error


def test_a_wish_that_cannot_be_had_is_among_the_facts(bracket: Path) -> None:
    probed = started(bracket, kind="onnxruntime", providers=["cuda"])
    assert probed.facts is not None, probed.error
    assert (probed.facts.provider, "cuda first" in probed.facts.missed) == ("CPUExecutionProvider", True)
    assert "engine.require" in started(bracket, kind="onnxruntime", providers=["cuda"], require=True).error


def test_engines_are_measured_and_one_is_advised(bracket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["model", "bench", str(bracket), "--seconds", "0.01", "--every", "1", "--threads", "1"]
    assert cli.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kinds = {row["setting"]["kind"] for row in told["rows"] if "error" not in row}
    assert kinds == ({"onnxruntime", "openvino"} if find_spec("openvino") else {"onnxruntime"})
    assert told["advised"] == {"kind": "onnxruntime", "threads": 1}  # nothing else has been compared
    for row in told["rows"]:
        assert row["full"]["runs"] >= 20
        assert 0 < row["full"]["p50_ms"] <= row["full"]["p99_ms"]
        assert row["rss_mb"] > 10


def test_what_cannot_be_measured_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "bench", str(tmp_path / "none.onnx")]) == 1
    assert "no such file" in capsys.readouterr().err
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    assert cli.main(["model", "bench", str(tmp_path / "bad.onnx"), "--threads", "1"]) == 1
    assert "damaged" in capsys.readouterr().out
