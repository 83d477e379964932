"""The command line: exit codes and one sentence for a mistake."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway import cli

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "configs" / "demo.yaml"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text("name: demo\ndata_dir: data\nstations: []\ncolour: red\n")
    return path


@pytest.mark.parametrize("command", ["run", "check", "map", "history"])
def test_a_wrong_file_is_told_with_its_place_and_exit_1(
    command: str, broken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, str(broken)]) == 1
    told = "".join(capsys.readouterr())
    assert "broken.yaml:4:1: colour" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("command", ["run", "check", "map", "history"])
def test_a_missing_file_is_one_sentence(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, str(tmp_path / "none.yaml")]) == 1
    assert "none.yaml" in "".join(capsys.readouterr())


def test_nothing_is_begun_with_a_wrong_file(broken: Path) -> None:
    cli.main(["run", str(broken)])
    assert sorted(path.name for path in broken.parent.iterdir()) == ["broken.yaml"]


@pytest.mark.parametrize("arguments", [[], ["fly"], ["run"], ["check", str(DEMO), "--fast"]])
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: gateway" in capsys.readouterr().err


def test_the_schema_is_the_one_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((ROOT / "configs" / "schema.json").read_text())


def test_the_map_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["map", str(DEMO), "--format", "csv"]) == 0
    out = capsys.readouterr().out
    assert "RESULT_SEQ_COPY" in out
    assert "STATUS.1 READY" in out
    assert "3003" in out


def test_no_history_yet_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "demo.yaml"
    text = (
        DEMO.read_text().replace("../data", "data").replace("recipes/bracket", str(DEMO.parent / "recipes" / "bracket"))
    )
    path.write_text(text)
    assert cli.main(["history", str(path)]) == 1
    assert "history.sqlite3" in capsys.readouterr().err


def test_the_demo_becomes_the_simulators_program(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []

    def execv(program: str, arguments: list[str]) -> int:
        told.append(arguments)
        return 0

    monkeypatch.setattr(os, "execv", execv)
    assert cli.main(["demo", "--plain", "--parts", "3"]) == 0
    assert told[0][1:] == ["-m", "simulators", "demo", "--plain", "--parts", "3"]


@pytest.mark.parametrize("count", ["0", "-5", "99999999999999999999", "x"])
def test_a_count_that_is_none_is_wrong_usage(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["history", str(DEMO), f"-n={count}"])
    assert "no number from 1" in capsys.readouterr().err
