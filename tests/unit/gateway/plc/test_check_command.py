"""What `gateway plc check` and `watch` refuse before they touch anything, and which station they mean."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gateway import cli
from gateway.plc import acceptance_report, check_command, target
from gateway.plc.target import TargetError, Wish
from protocols.codec import StringOrder, WordOrder

DEMO = Path(__file__).parents[4] / "configs" / "demo.yaml"


def run(*arguments: str) -> int:
    return cli.main(["plc", *arguments])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "127.0.0.1", "--report", "x.pdf"), "must end in .txt, .json, .html"),
        (("check", "127.0.0.1", "--report", "nowhere/at/all.txt"), "is no folder"),
        (("check", "127.0.0.1", "--parts", "0"), "0 is no number from 1 to 1000"),
        (("check", "127.0.0.1", "--port", "70000"), "70000 is no number from 1 to 65535"),
        (("check", "127.0.0.1", "--word-order", "ABDC"), "invalid choice"),
        (("watch", "127.0.0.1", "--seconds", "-1"), "is no time in seconds above 0"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_what_is_written_out_is_what_there_is() -> None:
    assert tuple(WordOrder) == check_command.WORD_ORDERS
    assert tuple(StringOrder) == check_command.STRING_ORDERS
    assert set(check_command.REPORTS) == acceptance_report.WRITERS.keys()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check",), "no HOST; give the gateway's address, or --config FILE"),
        (("check", "--client"), "no HOST; give the PLC's address, or --config FILE"),
        (("check", "127.0.0.1", "--family", "codesis"), "did you mean codesys-3.5?"),
        (("check", "--config", str(DEMO), "--station", "cell9"), "has no station 'cell9'"),
        (("check", "--client", "--config", str(DEMO)), "the check without --client is for the other kind"),
        (("watch",), "no HOST"),
        (("watch", "--client", "--config", str(DEMO)), "is for the other kind"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert len(err.splitlines()) == 1
    assert out == ""


def test_a_configuration_with_mistakes_is_told_as_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\n")
    assert run("check", "--config", str(tmp_path / "bad.yaml")) == 1
    assert "bad.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("192.0.2.1",), ("192.0.2.1", "--client"), ("192.0.2.1", "--no-trigger")])
def test_another_computer_is_not_touched_without_a_yes(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal
    assert run("check", *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("This ")
    assert err.endswith("nobody is there to ask; give --yes if this is meant\n")


def test_the_configuration_says_where_and_when() -> None:
    found = target.server_target(Wish(config=DEMO))
    assert (found.host, found.port, found.unit) == ("127.0.0.1", 5020, 1)
    assert (found.word_order, found.string_order) == (WordOrder.ABCD, StringOrder.BIG)
    assert found.cycle is not None
    assert found.cycle.deadline == 0.3
    assert "station cell1" in found.because


def test_the_command_line_goes_before_the_family_and_the_family_before_the_file() -> None:
    found = target.server_target(
        Wish("10.0.0.1", 502, 3, family="codesys-3.5", string_order="big", config=DEMO, station="cell1")
    )
    assert (found.host, found.port, found.unit) == ("10.0.0.1", 502, 3)
    assert (found.word_order, found.string_order) == (WordOrder.CDAB, StringOrder.BIG)
    assert found.because == "family codesys-3.5"


def test_nothing_said_demands_no_order() -> None:
    found = target.server_target(Wish("10.0.0.1"))
    assert (found.word_order, found.string_order, found.cycle) == (None, None, None)


def test_a_gateway_on_all_addresses_is_looked_for_on_this_computer(tmp_path: Path) -> None:
    text = DEMO.read_text().replace("recipes/bracket", str(DEMO.parent / "recipes" / "bracket"))
    file = tmp_path / "line.yaml"
    file.write_text(text.replace("host: 127.0.0.1", "host: 127.0.0.2").replace("../data", "data"))
    assert target.server_target(Wish(config=file)).host == "127.0.0.2"
    with pytest.raises(TargetError, match="no station"):
        target.server_target(Wish(config=file, station="other"))
