"""FC23 whose answer waits for the outcome of its trigger, without a socket."""

import struct
from collections.abc import Callable

import pytest

from protocols.codec import Codec
from protocols.modbus.held import HeldAnswer, triggers
from protocols.modbus.pdu import UnitImage, Units
from protocols.modbus.registers import FIELDS, Block, RegisterMap
from protocols.signals import VALUES, Command, Outputs, Result, Status, StatusBit
from tests.unit.protocols.modbus.test_mbap import exchange, frame, request

CODEC = Codec()
PART = 0x00C0_FFEE
BUSY = int(StatusBit.BUSY)


class Bench:
    """One station that may hold answers; what was held, and what was given."""

    def __init__(self, *, hold: bool = True) -> None:
        self.units = Units(lambda *refusal: None)
        self.image: UnitImage = self.units.add(1, RegisterMap(), CODEC.encode_signature(), self.written)
        self.held: list[HeldAnswer] = []
        self.given: list[bytes] = []
        self.at_once: Callable[[], None] = lambda: None
        if hold:
            self.image.hold = self.hold

    def hold(self, held: HeldAnswer, source: object) -> bool:
        self.held.append(held)
        held.wait(self.given.append)
        return True

    def written(self, block: bytes, source: object) -> None:
        self.at_once()

    def show(self, status: Status, result: Result | None = None) -> None:
        outputs = Outputs(status, result or Result())
        self.image.show(CODEC.encode_status(outputs.status) + CODEC.encode_result(outputs.result), 0)

    def trigger(self, seq: int, *, part: int = PART, count: int = 64) -> bytes:
        block = CODEC.encode_command(Command(control=1, trigger_seq=seq, part_id=part))
        words = list(struct.unpack(">10H", block[:20]))
        return self.units.answer(frame(exchange(100, count, 0, words)), "plc")


def outcome(seq: int, *, result_seq: int, part: int = PART) -> Result:
    return Result(result_seq=result_seq, trigger_seq=seq, part_id=part, judgement=1, values=(0.5,) * VALUES)


def test_the_words_looked_at_are_those_of_the_map() -> None:
    names = {(field.block is Block.COMMAND, field.name): field.word for field in FIELDS}
    assert (names[True, "TRIGGER_SEQ"], names[True, "PART_ID"]) == (1, 8)
    assert [names[False, name] for name in ("STATUS", "TRIGGER_SEQ_ACK", "TRIGGER_REFUSED")] == [0, 2, 3]
    assert names[False, "RESULT_SEQ"] == 16
    result = {field.name: field.word for field in FIELDS if field.block is Block.RESULT}
    assert (result["TRIGGER_SEQ"], result["PART_ID"]) == (17, 18)


@pytest.mark.parametrize(("before", "after", "is_one"), [(0, 1, True), (1, 1, False), (1, 0, False), (9, 1, True)])
def test_what_a_trigger_is(before: int, after: int, is_one: bool) -> None:
    blocks = [CODEC.encode_command(Command(trigger_seq=seq)) for seq in (before, after)]
    assert triggers(*blocks) is is_one


def test_the_answer_comes_with_the_result_and_is_the_whole_block_of_that_moment() -> None:
    bench = Bench()
    bench.at_once = lambda: bench.show(Status(trigger_seq_ack=7, bits=BUSY))
    assert bench.trigger(7) == b""
    bench.show(Status(trigger_seq_ack=7, bits=BUSY, heartbeat=9))
    assert bench.given == []
    bench.show(Status(trigger_seq_ack=7, heartbeat=10), outcome(7, result_seq=3))
    (answer,) = bench.given
    assert answer[:2] == b"\x17\x80"
    assert CODEC.decode_status(answer[2:34]) == Status(trigger_seq_ack=7, heartbeat=10)
    assert CODEC.decode_result(answer[34:]) == outcome(7, result_seq=3)
    bench.show(Status(trigger_seq_ack=7), outcome(7, result_seq=4))
    assert len(bench.given) == 1


def test_a_refusal_is_an_outcome_and_comes_at_once() -> None:
    bench = Bench()
    bench.at_once = lambda: bench.show(Status(trigger_seq_ack=7, trigger_refused=3009))
    answer = bench.trigger(7)
    assert CODEC.decode_status(answer[9:41]).trigger_refused == 3009
    assert bench.held == []


def test_a_repeated_trigger_whose_result_is_shown_is_answered_at_once() -> None:
    bench = Bench()
    bench.at_once = lambda: bench.show(Status(trigger_seq_ack=7), outcome(7, result_seq=3))
    assert CODEC.decode_result(bench.trigger(7)[41:]) == outcome(7, result_seq=3)


def test_an_old_result_with_the_same_numbers_is_no_outcome_while_the_station_is_busy() -> None:
    bench = Bench()
    old = outcome(7, result_seq=3)
    bench.at_once = lambda: bench.show(Status(trigger_seq_ack=7, bits=BUSY), old)
    assert bench.trigger(7) == b""
    bench.show(Status(trigger_seq_ack=7, bits=BUSY, heartbeat=1), old)
    assert bench.given == []
    bench.show(Status(trigger_seq_ack=7, bits=BUSY), outcome(7, result_seq=4))  # the next one is busy already: overlap
    assert len(bench.given) == 1


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (Status(trigger_seq_ack=6), outcome(7, result_seq=4)),
        (Status(trigger_seq_ack=7), outcome(6, result_seq=4)),
        (Status(trigger_seq_ack=7), outcome(7, result_seq=4, part=1)),
        (Status(trigger_seq_ack=7), None),
    ],
)
def test_another_result_is_no_outcome(status: Status, result: Result | None) -> None:
    bench = Bench()
    assert bench.trigger(7) == b""
    bench.show(status, result)
    assert bench.given == []


def test_at_its_bound_it_is_answered_with_what_is_shown() -> None:
    bench = Bench()
    assert bench.trigger(7) == b""
    bench.show(Status(heartbeat=5))
    bench.held[0].release()
    assert CODEC.decode_status(bench.given[0][2:34]) == Status(heartbeat=5)
    bench.held[0].release()
    bench.show(Status(trigger_seq_ack=7), outcome(7, result_seq=4))
    assert len(bench.given) == 1
    assert bench.image._held == []


def test_one_that_nobody_waits_for_is_forgotten() -> None:
    bench = Bench()
    assert bench.trigger(7) == b""
    bench.held[0].drop()
    bench.show(Status(heartbeat=5))
    assert (bench.given, bench.image._held) == ([], [])


def test_what_does_not_trigger_is_answered_at_once() -> None:
    bench = Bench()
    assert bench.trigger(0)[7] == 0x17
    assert bench.trigger(7) == b""
    assert bench.trigger(7)[7] == 0x17
    assert bench.trigger(0)[7] == 0x17
    assert bench.units.answer(frame(request(6, 1, 8)), "plc")[7] == 6
    assert len(bench.held) == 1


def test_without_the_setting_every_answer_comes_at_once() -> None:
    assert Bench(hold=False).trigger(7)[7] == 0x17


def test_a_held_request_that_is_wrong_is_refused_at_once_and_writes_nothing() -> None:
    bench = Bench()
    assert bench.trigger(7, count=75)[7:] == b"\x97\x02"
    assert bench.trigger(7, count=126)[7:] == b"\x97\x03"
    assert bench.image.command == bytes(64)
    assert bench.held == []
