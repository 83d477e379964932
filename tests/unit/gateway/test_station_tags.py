"""A station's tags at work: the device, the station and the clock are played."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from typing_extensions import override

from gateway.station_tags import StationTags
from gateway.tag_settings import StationTagsConfig
from gateway.tags import TagBook
from protocols.faults import Code
from protocols.handshake import OwnTrigger
from protocols.modbus.device_settings import DeviceConfig
from protocols.signals import Judgement
from protocols.tags import Quality, TagValue, Value

DEVICE = DeviceConfig.model_validate(
    {
        "name": "cnc",
        "link": {"kind": "modbus_tcp", "host": "127.0.0.1"},
        "tags": [
            {"name": "counter", "address": 0},
            {"name": "part", "address": 1, "max": 60000},
            {"name": "serial", "address": 2, "type": "string[4]"},
            {"name": "tool", "address": 9, "max": 40},
            {"name": "lamp", "address": 20, "access": "write"},
            {"name": "gate", "address": 21, "access": "write"},
        ],
    }
)
LAMP = {"kind": "lamp", "tag": "cnc.lamp", "hold_ms": 3000}
GATE = {"kind": "gate", "tag": "cnc.gate", "delay_ms": 1000, "pulse_ms": 200}
TRIGGER = {"tag": "cnc.counter", "on": "count", "part_id": "cnc.part", "serial": "cnc.serial"}


class Wire(TagBook):
    """The book with a device that writes what it is told, when it is told."""

    def __init__(self) -> None:
        self.now = 100.0
        super().__init__([DEVICE], lambda: self.now)
        self.wanted: dict[str, Value] = {}
        self.shown: dict[str, list[Value]] = {}
        self.confirmed: dict[str, Value] = {}

    @override
    def want(self, ref: str, value: Value) -> None:
        self.wanted[ref] = value
        history = self.shown.setdefault(ref, [])
        if not history or history[-1] != value:
            history.append(value)

    @override
    def taken(self, ref: str) -> Value | None:
        return self.confirmed.get(ref)

    def answer(self, *refs: str, error: str = "") -> None:
        """The device takes (or refuses) what is wanted."""
        for ref in refs:
            if not error:
                self.confirmed[ref] = self.wanted[ref]
            self._pages["cnc"].written[ref.split(".")[1]](error)

    def link(self, up: bool) -> None:
        for tell in self._pages["cnc"].links:
            tell(up, "" if up else "unplugged")

    def give(self, **values: Value | None) -> None:
        """One moment of readings; None = bad."""
        tags = DEVICE.definitions()
        readings = {
            name: tags[name].failed(Code.LINK_LOST, "unplugged", self.now, 0.0)
            if value is None
            else tags[name].reading(value, self.now, 0.0)
            for name, value in values.items()
        }
        self.current.update({f"cnc.{name}": reading for name, reading in readings.items()})
        for name, reading in readings.items():
            for read in self._pages["cnc"].readers.get(name, ()):
                read(reading)


class Owner:
    """The station: writes down what it is told."""

    name = "cell1"

    def __init__(self) -> None:
        self.calls: list[OwnTrigger] = []
        self.missing: dict[Code, bool] = {}

    def own_trigger(self, call: OwnTrigger) -> None:
        self.calls.append(call)

    def needs(self, code: Code, missing: bool) -> None:
        self.missing[code] = missing


class Rig:
    def __init__(self, *outputs: dict[str, Any], record: Iterable[str] = (), trigger: dict[str, Any] | None = None):
        self.wire, self.owner = Wire(), Owner()
        content = {"outputs": outputs, "record": tuple(record), "trigger": trigger}
        config = StationTagsConfig.model_validate(content)
        self.tags = StationTags(config, self.wire, self.owner)
        self.tags.start()

    def pass_time(self, seconds: float) -> None:
        self.wire.now += seconds
        self.tags._apply()

    @property
    def gate(self) -> Value:
        return self.wire.wanted["cnc.gate"]

    @property
    def lamp(self) -> Value:
        return self.wire.wanted["cnc.lamp"]


@pytest.fixture
async def rig() -> Rig:
    rig = Rig(LAMP, GATE)
    rig.wire.answer("cnc.lamp", "cnc.gate")
    return rig


async def test_the_lamp_shows_the_verdict_until_the_next_part_or_its_time(rig: Rig) -> None:
    assert rig.lamp == 0
    for judgement, value in ((1, 1), (2, 2), (3, 3), (4, 4)):
        rig.tags.accepted(judgement)
        assert rig.lamp == 0
        rig.tags.decided(judgement, Judgement(judgement))
        assert rig.lamp == value
    rig.tags.refused()
    assert rig.lamp == 4
    rig.pass_time(3.0)
    assert rig.lamp == 0


async def test_the_gate_opens_for_a_good_part_in_its_time(rig: Rig) -> None:
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    assert rig.gate == 0
    rig.pass_time(1.0)
    assert rig.gate == 1
    rig.pass_time(0.2)
    assert rig.gate == 0


@pytest.mark.parametrize("judgement", [Judgement.NG, Judgement.RECHECK, Judgement.FAULT, Judgement.NONE])
async def test_anything_but_ok_rejects(rig: Rig, judgement: Judgement) -> None:
    rig.tags.accepted(1)
    rig.tags.decided(1, judgement)
    rig.pass_time(1.0)
    assert rig.gate == 0


async def test_a_doubt_rejects_what_is_on_its_way(rig: Rig) -> None:
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    rig.tags.doubt()
    rig.pass_time(1.0)
    assert rig.gate == 0


async def test_a_gate_that_cannot_be_written_takes_ready_until_it_was_seen_at_rest() -> None:
    rig = Rig(GATE)
    assert rig.owner.missing == {Code.OUTPUT_FAILED: True}
    rig.wire.answer("cnc.gate")
    assert rig.owner.missing == {Code.OUTPUT_FAILED: False}
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    rig.tags.accepted(2)
    rig.tags.decided(2, Judgement.OK)
    rig.pass_time(1.0)
    assert rig.gate == 1
    rig.wire.answer("cnc.gate", error="exception 04")
    assert rig.owner.missing == {Code.OUTPUT_FAILED: True}
    assert rig.gate == 0
    rig.tags.accepted(3)
    rig.tags.decided(3, Judgement.OK)
    rig.pass_time(1.0)
    assert rig.gate == 0
    rig.wire.answer("cnc.gate")
    assert rig.owner.missing == {Code.OUTPUT_FAILED: False}
    assert rig.gate == 0
    rig.tags.accepted(4)
    rig.tags.decided(4, Judgement.OK)
    rig.pass_time(1.0)
    assert rig.gate == 1


async def test_a_gate_that_was_opened_too_late_rejects_what_is_on_its_way() -> None:
    rig = Rig(GATE)
    rig.wire.answer("cnc.gate")
    for part in (1, 2):
        rig.tags.accepted(part)
        rig.tags.decided(part, Judgement.OK)
        rig.pass_time(0.5)
    rig.pass_time(0.1)
    assert rig.gate == 1
    rig.wire.confirmed["cnc.gate"] = 1  # the answer takes its time
    rig.pass_time(0.2)
    assert rig.gate == 0
    rig.wire._pages["cnc"].written["gate"]("")
    rig.pass_time(0.2)
    assert rig.gate == 0


async def test_a_lost_device_counts_as_not_written() -> None:
    rig = Rig(GATE)
    rig.wire.answer("cnc.gate")
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    rig.wire.link(False)
    assert rig.owner.missing == {Code.OUTPUT_FAILED: True}
    rig.wire.link(True)
    assert rig.owner.missing == {Code.OUTPUT_FAILED: True}
    rig.wire.answer("cnc.gate")
    rig.pass_time(1.0)
    assert rig.gate == 0


async def test_a_lamp_is_not_required_unless_told() -> None:
    rig = Rig(LAMP)
    rig.wire.answer("cnc.lamp", error="exception 02")
    assert rig.owner.missing == {Code.OUTPUT_FAILED: False}
    rig = Rig({**LAMP, "required": True})
    rig.wire.answer("cnc.lamp", error="exception 02")
    assert rig.owner.missing == {Code.OUTPUT_FAILED: True}


async def test_at_the_end_gates_reject_lamps_are_idle_and_nothing_moves_them(rig: Rig) -> None:
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    rig.pass_time(1.0)
    rig.wire.answer("cnc.gate", "cnc.lamp")
    await rig.tags.stop(0.01)  # the device confirms nothing: the end does not wait for ever
    assert (rig.gate, rig.lamp) == (0, 0)
    rig.tags.decided(1, Judgement.OK)
    rig.tags.accepted(2)
    rig.tags.decided(2, Judgement.OK)
    rig.pass_time(1.0)
    assert (rig.gate, rig.lamp) == (0, 0)


async def test_a_snapshot_is_what_was_read_last_with_its_own_age() -> None:
    rig = Rig(record=["cnc.tool", "cnc.part"])
    rig.wire.give(tool=99)
    taken = rig.tags.snapshot()
    rig.wire.give(tool=5)
    assert (taken["cnc.tool"].value, taken["cnc.tool"].quality) == (99, Quality.UNCERTAIN)
    assert (taken["cnc.part"].value, taken["cnc.part"].quality) == (None, Quality.BAD)
    assert taken["cnc.tool"].age(rig.wire.now + 2) == 2


async def triggered(**more: Any) -> Rig:
    rig = Rig(GATE, trigger={**TRIGGER, **more})
    rig.wire.answer("cnc.gate")
    rig.wire.give(counter=10, part=7, serial="A1")
    return rig


async def test_a_step_of_the_counter_triggers_with_the_part_s_number() -> None:
    rig = await triggered()
    assert rig.owner.calls == []
    rig.wire.give(counter=11, part=8, serial="A2")
    rig.wire.give(counter=11, part=8, serial="A2")
    assert rig.owner.calls == [OwnTrigger(8, "A2")]


@pytest.mark.parametrize("part", [None, 60001])
async def test_a_part_whose_number_is_not_good_is_refused(part: int | None) -> None:
    rig = await triggered()
    rig.wire.give(counter=11, part=part, serial="A2")
    assert rig.owner.calls == [OwnTrigger(code=Code.TAG_DOUBTFUL)]


async def test_steps_at_once_are_one_trigger_and_the_rest_refused_after_it() -> None:
    rig = await triggered()
    rig.wire.give(counter=14, part=8, serial="A2")
    assert rig.owner.calls == [OwnTrigger(8, "A2"), OwnTrigger(code=Code.TOO_FAST, times=3)]


async def test_faster_than_the_least_interval_is_refused() -> None:
    rig = await triggered(min_interval_ms=500)
    rig.wire.give(counter=11, part=8, serial="A2")
    rig.wire.now += 0.4
    rig.wire.give(counter=12, part=9, serial="A3")
    rig.wire.now += 0.2
    rig.wire.give(counter=13, part=10, serial="A4")
    assert [call.code for call in rig.owner.calls] == [Code.NONE, Code.TOO_FAST, Code.NONE]


async def test_a_lost_trigger_takes_ready_rejects_what_is_on_its_way_and_is_no_edge_when_it_is_back() -> None:
    rig = await triggered()
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    rig.wire.give(counter=None, part=None, serial=None)
    rig.wire.link(False)
    assert rig.owner.missing == {Code.LINK_LOST: True, Code.OUTPUT_FAILED: True}
    rig.wire.link(True)
    rig.wire.answer("cnc.gate")
    assert rig.owner.missing == {Code.LINK_LOST: False, Code.OUTPUT_FAILED: False}
    rig.wire.give(counter=12, part=8, serial="A2")
    assert rig.owner.calls == [OwnTrigger(code=Code.LINK_LOST, times=2)]
    rig.pass_time(1.0)
    assert rig.gate == 0


async def level_triggered() -> Rig:
    """A good part is on its way, and the trigger is seen."""
    rig = Rig(GATE, trigger={"tag": "cnc.counter", "on": "rise"})
    rig.wire.answer("cnc.gate")
    rig.wire.give(counter=0)
    rig.tags.accepted(1)
    rig.tags.decided(1, Judgement.OK)
    rig.wire.now += 0.4
    rig.wire.give(counter=0)
    return rig


async def test_a_level_that_is_seen_all_the_time_lets_its_good_part_pass() -> None:
    rig = await level_triggered()
    rig.wire.now += 0.3
    rig.wire.give(counter=0)
    rig.pass_time(0.3)
    assert rig.gate == 1


@pytest.mark.parametrize("gap", ["doubtful", "late", "silent"])
async def test_a_level_that_was_not_seen_for_a_while_rejects_what_is_on_its_way(gap: str) -> None:
    rig = await level_triggered()
    if gap == "doubtful":
        rig.wire.give(counter=None)
        rig.wire.give(counter=0)
        rig.pass_time(0.6)
    elif gap == "late":
        rig.wire.now += 0.61
        rig.wire.give(counter=0)  # the same value as before: a part may have come and gone
        rig.pass_time(0.0)
    else:
        rig.pass_time(0.61)  # no reading for longer than max_age, and the part is at the gate
    assert rig.owner.calls == []
    assert rig.gate == 0
    rig.wire.give(counter=0)
    rig.wire.give(counter=1)
    assert rig.owner.calls == [OwnTrigger()]
    rig.tags.accepted(2)
    rig.tags.decided(2, Judgement.OK)
    for _ in range(2):
        rig.wire.now += 0.45
        rig.wire.give(counter=1)
    rig.pass_time(0.2)
    assert rig.gate == 1, "the part after it counts as ever"


async def test_a_trigger_that_is_not_seen_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    rig = await level_triggered()
    for _ in range(5):
        rig.wire.give(counter=None)
    rig.wire.give(counter=0)
    assert capsys.readouterr().out.count("trigger_unseen") == 1


def test_the_book_knows_every_tag_before_it_is_read() -> None:
    book = TagBook([DEVICE])
    assert set(book.current) == {f"cnc.{tag.name}" for tag in DEVICE.tags}
    assert book.current["cnc.tool"] == TagValue()


ANSWER = {"kind": "answer", "tag": "cnc.lamp"}
ASKING = {"tag": "cnc.counter", "on": "count", "part_id": "cnc.counter"}


class Inspecting(Owner):
    """A station that takes (or refuses) each trigger at once, as the real one does."""

    tags: StationTags

    def __init__(self) -> None:
        super().__init__()
        self.cycle = 0
        self.ready = True

    @override
    def own_trigger(self, call: OwnTrigger) -> None:
        super().own_trigger(call)
        if call.code or not self.ready:
            self.tags.refused()
            return
        self.cycle += 1
        self.tags.accepted(self.cycle)


class Asked:
    """A program that asks with a number and waits for an answer."""

    def __init__(self) -> None:
        self.wire, self.owner = Wire(), Inspecting()
        config = StationTagsConfig.model_validate({"outputs": [ANSWER], "trigger": ASKING})
        self.tags = self.owner.tags = StationTags(config, self.wire, self.owner)
        self.tags.start()
        self.wire.answer("cnc.lamp")

    def ask(self, number: int) -> None:
        self.wire.now += 0.1
        self.wire.give(counter=number)

    @property
    def answer(self) -> Value:
        return self.wire.wanted["cnc.lamp"]


@pytest.fixture
async def asked() -> Asked:
    asked = Asked()
    asked.ask(10)
    return asked


async def test_the_answer_is_the_part_s_number_for_a_good_part_and_minus_it_for_any_other(asked: Asked) -> None:
    assert asked.answer == 0
    for number, judgement in enumerate((Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT), 11):
        asked.ask(number)
        assert asked.answer == 0
        asked.tags.decided(asked.owner.cycle, judgement)
        assert asked.answer == (number if judgement is Judgement.OK else -number)


async def test_a_part_that_nobody_looks_at_is_answered_as_not_good(asked: Asked) -> None:
    asked.owner.ready = False
    asked.ask(11)
    assert asked.answer == -11


async def test_a_part_that_was_asked_for_while_nobody_looked_is_not_good(asked: Asked) -> None:
    asked.wire.give(counter=None)
    asked.ask(11)
    assert asked.owner.calls[-1].code is Code.LINK_LOST
    assert asked.answer == -11


async def test_what_was_missed_before_takes_nothing_from_the_answer_of_the_last(asked: Asked) -> None:
    asked.ask(13)
    assert [call.code for call in asked.owner.calls] == [Code.NONE, Code.TOO_FAST]
    asked.tags.decided(asked.owner.cycle, Judgement.OK)
    assert asked.answer == 13


async def test_a_verdict_that_comes_after_the_next_question_answers_nobody(asked: Asked) -> None:
    asked.ask(11)
    asked.ask(12)
    asked.tags.decided(1, Judgement.OK)
    assert asked.answer == 0
    asked.tags.decided(2, Judgement.NG)
    assert asked.answer == -12


async def test_the_plc_s_own_trigger_has_no_number_and_answers_nobody(asked: Asked) -> None:
    asked.ask(11)
    asked.tags.decided(asked.owner.cycle, Judgement.OK)
    asked.tags.refused()
    assert asked.answer == 11
    asked.tags.accepted(99)
    asked.tags.decided(99, Judgement.OK)
    assert asked.answer == 0


async def test_at_the_end_the_answer_is_taken_back(asked: Asked) -> None:
    asked.ask(11)
    asked.tags.decided(asked.owner.cycle, Judgement.OK)
    await asked.tags.stop(0.01)
    assert asked.answer == 0


async def test_an_answer_that_cannot_be_written_takes_ready(asked: Asked) -> None:
    asked.wire.answer("cnc.lamp", error="refused")
    assert asked.owner.missing[Code.OUTPUT_FAILED]
