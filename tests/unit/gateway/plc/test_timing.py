"""The timing diagram is played by the tables, and the pictures and pages in docs are what the commands print."""

from __future__ import annotations

import itertools
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gateway.plc import chart, drawing, family, page, timing
from protocols.handshake import PlcMove, PlcState, Style

DOCS = Path(__file__).parents[4] / "docs"


def lanes(style: Style) -> dict[str, tuple[int, ...]]:
    return {signal.name: signal.levels for signal in timing.record(style).signals}


@pytest.mark.parametrize("style", Style)
def test_a_recording_walks_the_table_from_rest_to_rest(style: Style) -> None:
    steps = timing.record(style).steps
    assert steps[0].move.state is PlcState.IDLE
    assert steps[-1].move.to is PlcState.DONE
    assert all(step.move in chart.TABLES[style] for step in steps)
    assert all(before.move.to is after.move.state for before, after in itertools.pairwise(steps))


def test_the_sequence_of_numbers_is_the_contract_s() -> None:
    shown = lanes(Style.SEQUENCE)
    asked = shown["TRIGGER_SEQ"].index(2)
    seen = shown["TRIGGER_SEQ_ACK"].index(2)
    exposed = shown["EXPOSURE_DONE"].index(1, seen)
    valid = shown["RESULT_VALID"].index(1)
    taken = shown["RESULT_ACK_SEQ"].index(2)
    assert asked < seen < exposed < valid < taken
    assert shown["RESULT_SEQ"][valid] == 2
    assert shown["BUSY"][seen:valid] == (1,) * (valid - seen)
    assert shown["RESULT_VALID"][-1] == 0


def test_the_four_phases_are_the_contract_s() -> None:
    shown = lanes(Style.BITS)
    trigger, ack = shown["TRIGGER"], shown["TRIGGER_ACK"]
    assert trigger.index(1) < ack.index(1) < trigger.index(0, trigger.index(1)) < ack.index(0, ack.index(1))
    valid, taken = shown["RESULT_VALID"], shown["RESULT_ACK"]
    assert valid.index(1) < taken.index(1) < valid.index(0, valid.index(1)) < taken.index(0, taken.index(1))


@pytest.mark.parametrize("style", Style)
def test_the_picture_names_every_move(style: Style) -> None:
    recording = timing.record(style)
    root = ET.fromstring(drawing.svg(recording))  # noqa: S314 - the picture is ours
    texts = [text.text or "" for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for step in recording.steps:
        assert any(step.move.guard.replace("_", " ") in text for text in texts)
    assert {signal.name for signal in recording.signals} <= set(texts)


def test_another_table_is_another_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    from protocols import plc_role

    before = drawing.svg(timing.record(Style.SEQUENCE))
    slow = (PlcMove(PlcState.RUNNING, "accepted_seq", "nothing", PlcState.RELEASE),)
    monkeypatch.setattr(plc_role, "PLC_SEQUENCE", (*slow, *chart.TABLES[Style.SEQUENCE]))
    with pytest.raises(AssertionError, match="do not bring a request to its end"):
        timing.record(Style.SEQUENCE)
    monkeypatch.undo()
    assert drawing.svg(timing.record(Style.SEQUENCE)) == before


@pytest.mark.parametrize("style", Style)
def test_the_pictures_in_docs_are_current(style: Style) -> None:
    """gateway plc diagram --style bits > docs/images/handshake-bits.svg"""
    path = DOCS / "images" / f"handshake-{style.value}.svg"
    assert path.read_text(encoding="utf-8") == drawing.svg(timing.record(style))


@pytest.mark.parametrize("name", family.names())
def test_the_pages_in_docs_are_current(name: str) -> None:
    """gateway plc families NAME > docs/plc/NAME.md"""
    text = "\n".join(page.page(family.load(name))) + "\n"
    assert (DOCS / "plc" / f"{name}.md").read_text(encoding="utf-8") == text


def test_the_index_names_every_family() -> None:
    index = (DOCS / "plc" / "README.md").read_text(encoding="utf-8")
    assert [name for name in family.names() if f"({name}.md)" not in index] == []
