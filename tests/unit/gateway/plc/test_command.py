"""`gateway plc`: what it prints, its exit codes, one sentence for a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import cli
from gateway.plc import command, family
from protocols.handshake import Style

DEMO = Path(__file__).parents[4] / "configs" / "demo.yaml"


def run(*arguments: str) -> int:
    return cli.main(["plc", *arguments])


def test_export_prints_the_names_of_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", str(DEMO), "--family", "siemens-s7-1200-1500", "--out", str(tmp_path / "plc")) == 0
    out, err = capsys.readouterr()
    assert sorted(out.split()) == sorted(str(path) for path in (tmp_path / "plc").iterdir())
    assert "FB_VisionStation.scl" in out
    assert err == ""


def test_export_takes_only_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", str(DEMO), "--family", "generic", "--out", str(tmp_path), "--only", "l5x", "table") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FB_VisionStation.L5X", "registers.csv", "registers.md"]


def test_an_order_that_does_not_fit_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", str(DEMO), "--family", "codesys-3.5", "--out", str(tmp_path)) == 0
    assert "warning: station cell1: its word_order is ABCD, but codesys-3.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"--family": "codesis"}, "there is no PLC family 'codesis'; did you mean codesys-3.5?"),
        ({"--station": "cel1"}, "there is no station cel1; did you mean cell1?"),
        ({"file": "none.yaml"}, "there is no such file"),
    ],
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    changes: dict[str, str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = {"--family": "generic", "--out": str(tmp_path / "plc"), **changes}
    file = chosen.pop("file", str(DEMO))
    assert run("export", file, *(word for pair in chosen.items() for word in pair)) == 1
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err
    assert not (tmp_path / "plc").exists()


def test_families_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("families") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(family.names())


def test_a_family_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("families", "wago") == 0
    assert capsys.readouterr().out.startswith("# WAGO: from box to first verdict\n")
    assert run("families", "waggo") == 1
    assert "did you mean wago?" in capsys.readouterr().err


@pytest.mark.parametrize("style", Style)
def test_a_diagram_is_printed(style: Style, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diagram", "--style", style.value) == 0
    assert capsys.readouterr().out.startswith("<svg ")


def test_the_choices_are_those_of_the_code() -> None:
    """They are written twice so that the command line need not import what it seldom uses."""
    assert tuple(kind.value for kind in family.Kind) == command.KINDS
    assert tuple(style.value for style in Style) == command.STYLES
