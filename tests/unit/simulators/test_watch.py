"""Each rule of the observer must go red when it is broken, and stay quiet when it is not."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from protocols.faults import Code
from protocols.handshake import Style
from protocols.signals import UINT_MAX, Command, Control, Judgement, Result, Status, StatusBit
from simulators import watch as watching
from simulators.watch import RULES, Watch

READY = StatusBit.ONLINE | StatusBit.READY
BUSY = StatusBit.ONLINE | StatusBit.BUSY
VALID = READY | StatusBit.RESULT_VALID
SCAN = 0.01


class Wire:
    """Says to a Watch what a PLC would write and read, one scan apart."""

    def __init__(self, style: Style = Style.SEQUENCE) -> None:
        self.watch = Watch(style)
        self.now = 10.0
        self.beat = 0
        self.command = Command(control=Control.ENABLE)
        self.status = Status(bits=READY, boot_id=3)
        self.result = Result()
        self.toggle = False
        self.watch.wrote(self.command, self.now)
        self.read()

    def read(self, seconds: float = SCAN, *, beats: bool = True, torn: bool = False, **fields: int) -> None:
        """Read at every scan for so long; fields of the status stay as given."""
        for _ in range(max(1, round(seconds / SCAN))):
            self.now += SCAN
            self.beat += beats
            self.status = replace(self.status, heartbeat=self.beat, **fields)
            self.watch.read(self.status, None if torn else self.result, self.now)

    def trigger(self, seq: int, part: int) -> None:
        self.write(trigger_seq=seq, part_id=part)

    def write(self, **fields: int) -> None:
        self.now += SCAN
        self.command = replace(self.command, **fields)  # type: ignore[arg-type]
        self.watch.wrote(self.command, self.now)

    def show(self, seq: int, trigger: int, part: int, judgement: Judgement = Judgement.OK, **fields: int) -> None:
        """A new result appears with all that belongs to it."""
        self.toggle = not self.toggle
        values = {"bits": 1 << (judgement - 1), **fields}
        self.result = Result(seq, trigger, part, judgement, **values)  # type: ignore[arg-type]
        bits = VALID | (StatusBit.RESULT_TOGGLE if self.toggle else 0)
        self.read(bits=bits, not_ready_reason=0, newest_result_seq=seq, pending=1)

    def taken(self) -> None:
        """The PLC's ack was seen: ResultValid is 0, the block stays."""
        self.read(bits=READY | (StatusBit.RESULT_TOGGLE if self.toggle else 0), pending=0)

    def part(self, seq: int, trigger: int, part: int) -> None:
        """One part from trigger to ack."""
        self.trigger(trigger, part)
        self.read(bits=BUSY | (StatusBit.RESULT_TOGGLE if self.toggle else 0), not_ready_reason=3003)
        self.show(seq, trigger, part)
        self.taken()

    def broken(self) -> dict[str, int]:
        return dict(self.watch.counts)


def test_a_good_run_breaks_nothing() -> None:
    wire = Wire()
    for n in range(1, 50):
        wire.part(n, n, 100 + n)
    assert wire.watch.ok
    assert wire.watch.results == 49


def test_every_rule_has_a_test_that_breaks_it() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [rule for rule in RULES if f'{{"{rule}":' not in source] == []


def test_torn() -> None:
    wire = Wire()
    wire.read(torn=True)
    assert wire.broken() == {"torn": 1}


@pytest.mark.parametrize(("trigger", "part"), [(1, 8), (2, 7), (0, 0)])
def test_echo_of_what_was_not_asked_for(trigger: int, part: int) -> None:
    wire = Wire()
    wire.trigger(1, 7)
    wire.show(1, trigger, part)
    assert wire.broken() == {"echo": 1}


def test_bit_style_knows_the_part_only() -> None:
    wire = Wire(Style.BITS)
    wire.write(control=Control.ENABLE | Control.TRIGGER, part_id=7)
    wire.show(1, 40, 7)
    assert wire.watch.ok
    wire.write(control=Control.ENABLE)
    wire.show(2, 41, 8)
    assert wire.broken() == {"echo": 1}


def test_results_of_before_the_watch_began_are_nobodys_business() -> None:
    wire = Wire()
    wire.status = Status(bits=READY, boot_id=4, newest_result_seq=20, pending=2)
    wire.read()
    wire.show(19, 5, 5)
    wire.show(20, 6, 6)
    assert wire.watch.ok
    wire.show(21, 7, 7)
    assert wire.broken() == {"echo": 1}


def test_a_part_that_a_restart_interrupted_may_be_told_of() -> None:
    wire = Wire()
    wire.show(1, 5, 5, Judgement.FAULT, reason=Code.RESTARTED)
    assert wire.watch.ok


def test_gap() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.part(3, 2, 2)
    assert wire.broken() == {"gap": 1}


def test_a_gap_that_is_counted_as_lost_is_none() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.read(lost=1)
    wire.part(3, 2, 2)
    assert wire.watch.ok


def test_a_result_that_the_plc_acknowledged_unread_is_its_own_loss() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.write(result_ack_seq=2)
    wire.part(3, 2, 2)
    assert wire.watch.ok
    wire.part(5, 3, 3)
    assert wire.broken() == {"gap": 1}


def test_the_same_by_the_bit_excuses_one_result() -> None:
    wire = Wire(Style.BITS)
    wire.write(control=Control.ENABLE | Control.TRIGGER, part_id=1)
    wire.show(1, 1, 1)
    wire.taken()
    wire.write(control=Control.ENABLE | Control.RESULT_ACK)
    wire.write(control=Control.ENABLE, part_id=2)
    wire.write(control=Control.ENABLE | Control.TRIGGER, part_id=2)
    wire.show(3, 2, 2)
    assert wire.watch.ok
    wire.taken()
    wire.write(control=Control.ENABLE, part_id=3)
    wire.write(control=Control.ENABLE | Control.TRIGGER, part_id=3)
    wire.show(5, 3, 3)
    assert wire.broken() == {"gap": 1}


def test_numbers_wrap_from_65535_to_1() -> None:
    wire = Wire()
    wire.part(UINT_MAX, UINT_MAX, 1)
    wire.part(1, 1, 2)
    assert wire.watch.ok


def test_doubled() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.show(2, 1, 1)
    assert wire.broken() == {"doubled": 1}


def test_doubled_in_bit_style() -> None:
    wire = Wire(Style.BITS)
    wire.write(control=Control.ENABLE | Control.TRIGGER, part_id=7)
    wire.show(1, 40, 7)
    wire.show(2, 40, 7)
    assert wire.broken() == {"doubled": 1}


def test_changed() -> None:
    wire = Wire()
    wire.trigger(1, 1)
    wire.show(1, 1, 1)
    wire.result = replace(wire.result, judgement=Judgement.NG, bits=2)
    wire.read()
    assert wire.broken() == {"changed": 1}


def test_a_result_decoded_anew_has_not_changed() -> None:
    wire = Wire()
    wire.trigger(1, 1)
    wire.show(1, 1, 1)
    wire.result = replace(wire.result, values=tuple(math.nan + n for n in range(13)))
    wire.read()
    assert wire.watch.ok


def test_stale() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.read(bits=VALID)
    assert wire.broken() == {"stale": 1}


def test_a_repeated_trigger_shows_its_result_again() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.trigger(0, 1)
    wire.trigger(1, 1)
    wire.read(bits=VALID)
    assert wire.watch.ok
    assert wire.watch.repeats == 1
    wire.taken()
    wire.read(bits=VALID)
    assert wire.broken() == {"stale": 1}


def test_after_zeros_an_old_number_is_a_new_trigger() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.watch.wrote(Command(), wire.now)
    wire.part(2, 1, 1)
    assert wire.watch.ok


@pytest.mark.parametrize(
    ("judgement", "bits"), [(Judgement.NONE, 0), (5, 0), (Judgement.OK, 2), (Judgement.NG, 3), (Judgement.OK, 0)]
)
def test_judgement(judgement: int, bits: int) -> None:
    wire = Wire()
    wire.trigger(1, 1)
    wire.result = Result(1, 1, 1, judgement, bits=bits)
    wire.read(bits=VALID | StatusBit.RESULT_TOGGLE)
    assert wire.broken() == {"judgement": 1}


def test_late() -> None:
    wire = Wire()
    wire.trigger(1, 1)
    wire.read(0.5, bits=BUSY, not_ready_reason=3003)
    assert wire.watch.ok
    wire.read(0.2)
    assert wire.broken() == {"late": 1}


def test_late_in_bit_style() -> None:
    wire = Wire(Style.BITS)
    wire.write(control=Control.ENABLE | Control.TRIGGER, part_id=7)
    wire.read(0.7)
    assert wire.broken() == {"late": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"trigger_seq_ack": 1, "trigger_refused": Code.TOO_FAST, "missed": 1},
        {"newest_result_seq": 1},
    ],
)
def test_a_refusal_is_an_outcome_and_a_result_behind_others_too(fields: dict[str, int]) -> None:
    wire = Wire()
    wire.trigger(1, 1)
    wire.read(0.1, **fields)  # type: ignore[arg-type]
    wire.read(1.0)
    assert wire.watch.ok


def test_nobody_is_late_whose_wire_was_cut_or_whose_reader_slept() -> None:
    wire = Wire()
    wire.trigger(1, 1)
    wire.watch.link_lost()
    wire.read(1.0)
    wire.trigger(2, 2)
    wire.now += 3.0
    wire.read(newest_result_seq=1)
    assert wire.watch.ok


def test_heartbeat() -> None:
    wire = Wire()
    wire.read(0.9, beats=False)
    assert wire.watch.ok
    wire.read(2.0, beats=False)
    assert wire.broken() == {"heartbeat": 1}, "one stall is told once"
    wire.read(0.1)
    wire.read(1.5, beats=False)
    assert wire.broken() == {"heartbeat": 2}


def test_a_heartbeat_runs_forward_and_wraps() -> None:
    wire = Wire()
    wire.beat = UINT_MAX - 1
    wire.status = Status(bits=READY, boot_id=4)
    for beat in (UINT_MAX, 0, 1, 500):
        wire.beat = beat
        wire.read(beats=False)
    assert wire.watch.ok
    wire.beat = 499
    wire.read(beats=False)
    assert wire.broken() == {"heartbeat": 1}


def test_a_reader_that_slept_accuses_no_heartbeat() -> None:
    wire = Wire()
    for _ in range(5):
        wire.now += 5.0
        wire.read(beats=False)
    assert wire.watch.ok


@pytest.mark.parametrize(("bits", "reason"), [(READY, 3003), (StatusBit.ONLINE, 0)])
def test_ready(bits: int, reason: int) -> None:
    wire = Wire()
    wire.read(bits=bits, not_ready_reason=reason)
    assert wire.broken() == {"ready": 1}


def test_toggle() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.trigger(2, 2)
    wire.toggle = not wire.toggle
    wire.show(2, 2, 2)
    assert wire.broken() == {"toggle": 1}


def test_version() -> None:
    wire = Wire()
    wire.read(0.1, map_version=2)
    assert wire.broken() == {"version": 1}


def test_registers_that_nobody_has_written_yet_accuse_nobody() -> None:
    watch = Watch()
    watch.read(Status(map_version=0), Result(), 1.0)
    assert watch.ok
    assert watch.reads == 0


def test_a_restart_begins_new_numbers_and_old_ones_are_forgotten() -> None:
    wire = Wire()
    wire.part(1, 1, 1)
    wire.part(2, 2, 2)
    wire.read(boot_id=9, newest_result_seq=0)
    wire.part(8, 3, 3)
    assert wire.watch.ok


def test_what_is_remembered_and_told_is_bounded() -> None:
    wire = Wire()
    for n in range(1, 3 * watching.KEPT):
        wire.part(n, n, n)
    assert wire.watch.ok
    assert len(wire.watch._issues) <= watching.KEPT
    assert len(wire.watch._seen) <= watching.KEPT
    wire.read(3 * watching.TOLD * SCAN, torn=True)
    assert len(wire.watch.violations) == watching.TOLD
    assert wire.broken() == {"torn": 3 * watching.TOLD}
