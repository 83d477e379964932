"""The documents say what the code says."""

from __future__ import annotations

import re
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


def test_the_readme_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    told = re.findall(r"^    (\w+)  ", capsys.readouterr().out, flags=re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert told
    assert [command for command in told if f"`gateway {command}" not in readme] == []


def test_the_times_of_a_serial_line_are_those_of_the_wire() -> None:
    text = (ROOT / "docs" / "modbus-rtu.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) ms \| (\d+) ms \| (\d+) ms \| (\d+) ms \|$", text, flags=re.MULTILINE)
    assert len(rows) == 6
    for baud, *told in rows:
        line = timing(int(baud))
        times = (line.exchange(8, 5 + 128), line.exchange(9 + 64, 8), line.cycle, line.exchange(8, 5 + 32))
        assert [int(number) for number in told] == [round(1000 * time) for time in times], baud
