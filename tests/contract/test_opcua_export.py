"""`gateway opcua export`: from a configuration to a NodeSet2 file, and one sentence where it cannot be."""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from gateway import cli, opcua_command
from gateway.config import read
from gateway.facts import station_facts
from gateway.opcua.nodeset_process import facts

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"


def test_a_configuration_becomes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "stations.xml"
    assert cli.main(["opcua", "export", str(DEMO), "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    (station,) = read(DEMO).config.stations
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>\n')
    assert f'NodeId="ns=1;s={station.name}.Command.TRIGGER_SEQ"' in text
    assert '<RequiredModel ModelUri="http://opcfoundation.org/UA/"' in text
    (known,) = [station_facts(station.name, recipes) for recipes in read(DEMO).recipes.values()]
    for recipe in known.recipes:
        for name in recipe.values:
            assert f'NodeId="ns=1;s={station.name}.Result.Values.{name}"' in text


def test_a_station_arrives_as_it_was_told() -> None:
    (station,) = read(DEMO).config.stations
    told = station_facts(station.name, read(DEMO).recipes[station.name])
    text = json.dumps(asdict(told), default=lambda data: data.hex())
    arrived = facts(json.loads(text))
    assert arrived.name == told.name
    for mine, its in zip(told.recipes, arrived.recipes, strict=True):
        assert (mine.number, mine.values, mine.checks, mine.codes) == (its.number, its.values, its.checks, its.codes)
        assert len(mine.digest) == 32


def test_a_wrong_configuration_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("stations: 5\n", encoding="utf-8")
    assert cli.main(["opcua", "export", str(wrong)]) == 1
    assert "wrong.yaml:1" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_command, "_nodeset", lambda stations: "<x/>")
    assert cli.main(["opcua", "export", str(DEMO), "--out", str(tmp_path / "no" / "where.xml")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_a_builder_that_fails_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(stations: object) -> str:
        raise subprocess.CalledProcessError(1, "nodes")

    monkeypatch.setattr(opcua_command, "_nodeset", fails)
    assert cli.main(["opcua", "export", str(DEMO)]) == 1
    assert "could not be built" in capsys.readouterr().err
