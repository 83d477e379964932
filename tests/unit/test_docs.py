"""The documents say what the code says."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from gateway import cli
from protocols.handshake import VISION
from protocols.modbus.rtu import timing

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_contract_s_states_are_those_of_the_table() -> None:
    text = (ROOT / "docs" / "plc-contract.md").read_text(encoding="utf-8")
    table = text.split("<!-- from protocols.handshake.VISION -->")[1].split("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[2:]]
    assert [(state, holds) for state, holds, _ in rows] == [(row.state.value, row.holds) for row in VISION]
    for (_, _, trigger), row in zip(rows, VISION, strict=True):
        if row.refusal and row.state.value != "fault":
            assert str(int(row.refusal)) in trigger


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    lost = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert lost == []


def commands(capsys: pytest.CaptureFixture[str], *below: str) -> list[str]:
    """What the help of a command lists; nothing where it has no commands of its own."""
    with pytest.raises(SystemExit):
        cli.main([*below, "--help"])
    _, _, listed = capsys.readouterr().out.partition("\n  COMMAND\n")
    return re.findall(r"^    (\w+)(?: |$)", listed, flags=re.MULTILINE)


def test_the_readme_names_every_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # a command that becomes another program tells its help there: the test must not become it as well
    monkeypatch.setattr(os, "execv", lambda *_: sys.exit(0))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    cells = [line.replace("\\|", " ").split(" | ")[0] for line in readme.splitlines() if line.startswith("| `")]
    top = commands(capsys)
    assert {"run", "recipe"} <= set(top)
    all_of_them = [(one, name) for one in top for name in commands(capsys, one) or [""]]
    assert ("recipe", "activate") in all_of_them
    assert [
        (one, name)
        for one, name in all_of_them
        if not any(re.search(rf"`gateway {one}\b.*\b{name}\b", cell) for cell in cells)
    ] == []


def test_the_times_of_a_serial_line_are_those_of_the_wire() -> None:
    text = (ROOT / "docs" / "modbus-rtu.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) ms \| (\d+) ms \| (\d+) ms \| (\d+) ms \|$", text, flags=re.MULTILINE)
    assert len(rows) == 6
    for baud, *told in rows:
        line = timing(int(baud))
        times = (line.exchange(8, 5 + 128), line.exchange(9 + 64, 8), line.cycle, line.exchange(8, 5 + 32))
        assert [int(number) for number in told] == [round(1000 * time) for time in times], baud
