"""The history as people read it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from gateway import history_table
from gateway.inspection import Finding, Inspection, Trigger
from protocols.faults import Code
from protocols.signals import Judgement
from protocols.tags import Quality, TagValue

BAD = Inspection("cell1", Trigger(1, 7, 42, "SN1", utc=1.8e9), Judgement.NG, 101, 5, 1, rule="scratch", total=0.0123)


def shown(*rows: Inspection, as_json: bool = False) -> str:
    out = io.StringIO()
    history_table.show(rows, out, as_json=as_json)
    return out.getvalue()


def test_a_row_says_what_happened() -> None:
    line = shown(BAD).splitlines()[1]
    assert line.split() == [
        "2027-01-15", "08:00:00.000", "cell1", "5", "7", "42", "SN1", "NG", "101", "12.3", "scratch",
    ]  # fmt: skip


def test_a_fault_says_why_and_an_open_row_is_open() -> None:
    fault = replace(BAD, judgement=Judgement.FAULT, reason=int(Code.DEADLINE_MISSED))
    assert "No verdict within the decision deadline" in shown(fault)
    assert " open " in shown(replace(BAD, judgement=Judgement.NONE))


def test_what_a_plc_sent_steers_no_terminal_and_forges_no_line() -> None:
    text = shown(replace(BAD, trigger=replace(BAD.trigger, serial="\x1b[31mred\nOK")))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2


def test_json_lines() -> None:
    assert json.loads(shown(BAD, as_json=True))["judgement"] == "NG"


def test_json_shows_all_that_a_finding_has() -> None:
    found = (
        Finding("hole", 0.5),
        Finding("code", 1, (0, 0, 5, 5), ((0, 0), (5, 0), (5, 5)), ((1, 2, 1),), 90, "A", 2.5),
    )
    plain, rich = json.loads(shown(replace(BAD, findings=found), as_json=True))["findings"]
    assert plain == {"label": "hole", "score": 0.5, "box": [0, 0, 0, 0], "outline": [], "points": []} | {
        "angle": None, "text": "", "value": None,
    }  # fmt: skip
    assert rich["outline"] == [[0, 0], [5, 0], [5, 5]]
    assert (rich["points"], rich["angle"], rich["text"], rich["value"]) == ([[1, 2, 1]], 90, "A", 2.5)


def test_json_shows_tags_as_they_were_worth() -> None:
    tags = {
        "cnc.tool": TagValue(7, Quality.GOOD, Code.NONE, "", at=99.75),
        "cnc.load": TagValue(None, Quality.BAD, Code.LINK_LOST, "unplugged", at=99.0),
    }
    row = replace(BAD, trigger=replace(BAD.trigger, accepted=100.0, tags=tags))
    assert json.loads(shown(row, as_json=True))["trigger"]["tags"] == {
        "cnc.tool": {"value": 7, "quality": "good", "age_ms": 250},
        "cnc.load": {"value": None, "quality": "bad", "code": 3001, "reason": "unplugged"},
    }


def test_none_yet() -> None:
    assert shown() == "no inspections yet\n"
