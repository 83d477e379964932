"""The ear on a serial line: whatever others say and however the stream is cut, exactly our requests come out."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.modbus.rtu import crc, framed, timing
from protocols.modbus.rtu_ear import Ear, Request

TIMING = timing(19200)
OURS = frozenset({1, 7})
READ = framed(1, bytes.fromhex("03 0000 000A"))
WRITE = framed(1, bytes.fromhex("06 0001 0007"))
BLOCK = framed(7, bytes.fromhex("10 0000 0002 04 0001 0009"))
FOREIGN = framed(2, bytes.fromhex("03 0000 0002"))
FOREIGN_ANSWER = framed(2, bytes.fromhex("03 04 0001 0002"))


class Line:
    """Feeds an ear; time goes by as told."""

    def __init__(self, *, echo: bool = False) -> None:
        self.ear = Ear(OURS, TIMING, echo=echo)
        self.now = 100.0

    def hear(self, data: bytes, after: float = 0.0) -> list[Request]:
        self.now += after
        return self.ear.feed(data, self.now)

    def silence(self) -> list[Request]:
        self.now = max(self.now, self.ear.until or 0.0)
        found = self.ear.quiet(self.now)
        assert self.ear.until is None, "silence resolves all that is held"
        return found

    def answer(self, frame: bytes) -> None:
        self.ear.said(frame, self.now)


def pdus(requests: Sequence[Request]) -> list[tuple[int, bytes]]:
    return [(request.unit, request.pdu) for request in requests]


def test_a_request_is_heard_at_its_last_byte_and_may_be_answered() -> None:
    line = Line()
    assert line.hear(READ[:-1]) == []
    assert line.hear(READ[-1:]) == [Request(1, READ[1:-2], last=True)]
    assert line.ear.until is None


def test_what_was_followed_by_anything_is_served_and_not_answered() -> None:
    line = Line()
    assert [r.last for r in line.hear(READ + WRITE)] == [False, True]
    assert [r.last for r in line.hear(READ + FOREIGN)] == [False]
    assert [r.last for r in line.hear(READ + FOREIGN[:3])] == [False]


def test_foreign_requests_and_answers_are_silence() -> None:
    line = Line()
    for _ in range(3):
        assert line.hear(FOREIGN) == []
        assert line.hear(FOREIGN_ANSWER, TIMING.silence) == []
    assert (line.ear.heard.foreign, line.ear.heard.broken) == (6, 0)


INNER = WRITE + BLOCK


@pytest.mark.parametrize(
    "carrier",
    [
        framed(2, bytes((0x10, 0, 0, 0, 11, 22)) + INNER + b"\0"),
        framed(2, bytes.fromhex("03 0000 000B")) + framed(2, bytes((3, 22)) + INNER + b"\0"),
        framed(2, bytes.fromhex("14 07 06 0004 0001 0002")) + framed(2, bytes((0x14, 23, 22, 6)) + INNER),
        framed(2, bytes((0x41, 1)) + INNER),
        framed(2, bytes.fromhex("2B 0E 01 00")) + framed(2, bytes.fromhex("2B 0E 01 01 00 00 01 00 15") + INNER),
    ],
    ids=["write", "read", "file", "private", "identification"],
)
@pytest.mark.parametrize("size", [1, 2, 7, 8, 300])
def test_a_request_for_us_inside_a_foreign_frame_is_data(carrier: bytes, size: int) -> None:
    line = Line()
    for at in range(0, len(carrier), size):
        assert line.hear(carrier[at : at + size]) == []
    assert pdus(line.hear(READ) + line.silence()) == [(1, READ[1:-2])]
    assert line.ear.heard.broken == 0


@pytest.mark.parametrize("size", [1, 8, 300])
def test_an_answer_that_begins_like_a_whole_request_is_an_answer(size: int) -> None:
    start = bytes.fromhex("02 03 0E 0000 01")
    answer = framed(2, start[1:] + crc(start).to_bytes(2, "little") + WRITE + b"\0")
    line = Line()
    assert line.hear(framed(2, bytes.fromhex("03 0000 0007"))) == []
    for at in range(0, len(answer), size):
        assert line.hear(answer[at : at + size]) == []
    assert line.silence() == []
    assert (line.ear.heard.foreign, line.ear.heard.broken) == (2, 0)


def test_the_confirmation_of_a_write_nobody_heard_does_not_hold_our_request_up() -> None:
    line = Line()
    assert line.hear(framed(2, bytes.fromhex("10 0000 0002"))) == []
    assert pdus(line.hear(READ)) == [(1, READ[1:-2])]


def test_a_frame_in_pieces_with_pauses_as_an_adapter_makes_them() -> None:
    line = Line()
    assert line.hear(BLOCK[:3]) == []
    assert line.hear(BLOCK[3:8], 0.016) == []
    assert pdus(line.hear(BLOCK[8:], 0.016)) == [(7, BLOCK[1:-2])]


def test_an_unfinished_frame_is_given_up_after_patience() -> None:
    line = Line()
    assert line.hear(BLOCK[:5]) == []
    assert line.silence() == []
    assert pdus(line.hear(READ)) == [(1, READ[1:-2])]
    assert line.ear.heard.broken == 1


def test_a_request_behind_an_unfinished_one_is_found_at_the_gap() -> None:
    line = Line()
    assert line.hear(BLOCK[:5]) == []
    found = line.hear(READ, 2 * TIMING.silence) or line.silence()
    assert found == [Request(1, READ[1:-2], last=True)]


def test_a_late_timer_is_no_late_request() -> None:
    line = Line()
    assert line.hear(BLOCK[:5]) == []
    assert pdus(line.hear(READ, 5.0)) == [(1, READ[1:-2])]


def test_a_bad_checksum_is_silence_and_the_next_request_is_heard() -> None:
    line = Line()
    assert line.hear(READ[:-1] + bytes((READ[-1] ^ 1,))) == []
    assert line.ear.heard.broken == 1
    assert pdus(line.hear(READ, TIMING.silence)) == [(1, READ[1:-2])]


def test_behind_noise_without_a_gap_a_sound_frame_gives_the_step_but_is_not_served() -> None:
    line = Line()
    assert line.hear(b"\x01\x06\x55\xaa\x55\xaa\x55\xaa\x55" + READ) == []
    assert line.hear(WRITE) == []
    assert pdus(line.silence()) == [(1, WRITE[1:-2])]
    assert line.ear.heard.missed == 1


def test_noise_without_a_pause_is_searched_for_frames_too() -> None:
    line = Line()
    noise = b"\x01\x06" + b"\x55" * 600
    assert line.hear(noise + READ) == []
    heard = [request for _ in range(60) for request in line.hear(WRITE)]
    assert len(heard) > 20
    assert line.ear.heard.missed > 0


def test_endless_noise_costs_little() -> None:
    line = Line()
    noise = random.Random(3).randbytes(20_000)
    before = time.process_time()
    for byte in noise:
        assert line.hear(bytes((byte,)), TIMING.char) == []
    assert time.process_time() - before < 2.0, "100 us for each byte"


@pytest.mark.parametrize("lead", [b"\x00", b"\xff", b"\x00\xff\xff"])
def test_what_a_driver_leaves_on_the_line_harms_no_frame(lead: bytes) -> None:
    line = Line()
    assert pdus(line.hear(lead + READ) or line.silence()) == [(1, READ[1:-2])]
    assert [r.last for r in line.hear(READ + lead)] == [True]
    assert pdus(line.hear(WRITE, TIMING.silence) or line.silence()) == [(1, WRITE[1:-2])]


def test_lengths_that_lie_and_functions_nobody_knows_are_cut_by_silence() -> None:
    line = Line()
    for pdu in ("03", "03 0000 000A 00", "10 0000 0002 06 0001 0009", "41 01", "08 0001 0000 0000 00"):
        frame = framed(1, bytes.fromhex(pdu))
        assert pdus(line.hear(frame, TIMING.patience) or line.silence()) == [(1, frame[1:-2])], pdu


def test_no_exception_answer_is_taken_for_a_request() -> None:
    line = Line()
    for pdu in ("83 02", "80 01", "00 0000 0000", "FF 03"):
        assert (line.hear(framed(1, bytes.fromhex(pdu)), 1.0) or line.silence()) == [], pdu


def test_broadcasts_are_for_us_too() -> None:
    line = Line()
    assert line.hear(framed(0, WRITE[1:-2])) == [Request(0, WRITE[1:-2], last=True)]


def test_a_foreign_answer_as_long_as_a_request_is_followed_rightly() -> None:
    line = Line()
    coils = framed(2, bytes.fromhex("01 0000 0011"))
    line.hear(coils)
    line.hear(framed(2, bytes.fromhex("01 03 AABB01")))
    assert pdus(line.hear(READ)) == [(1, READ[1:-2])]
    for _ in range(3):  # a unit that does not answer is asked again
        line.hear(coils)
    assert pdus(line.hear(READ)) == [(1, READ[1:-2])]


# ------------------------------------------------------------ an adapter that hears itself


def test_with_echo_our_answer_comes_back_once() -> None:
    line = Line(echo=True)
    assert pdus(line.hear(WRITE)) == [(1, WRITE[1:-2])]
    line.answer(WRITE)
    assert line.hear(WRITE[:5]) == []
    assert line.hear(WRITE[5:]) == []
    assert pdus(line.hear(WRITE)) == [(1, WRITE[1:-2])], "the same write again is the master's"
    assert line.ear.heard.echoes == 1


def test_an_echo_that_does_not_come_swallows_nothing_later() -> None:
    line = Line(echo=True)
    line.hear(WRITE)
    line.answer(WRITE)
    assert pdus(line.hear(WRITE, 1.0)) == [(1, WRITE[1:-2])]
    line.answer(WRITE)
    assert pdus(line.hear(READ)) == [(1, READ[1:-2])]


def test_an_echo_nobody_told_us_of_is_seen_where_it_is_unlike_a_request() -> None:
    line = Line()
    answer = framed(1, bytes.fromhex("03 04 0001 0002"))
    line.hear(framed(1, bytes.fromhex("03 0000 0002")))
    line.answer(answer)
    assert line.hear(answer) == []
    assert line.ear.heard.echoes == 1
    assert pdus(line.hear(READ)) == [(1, READ[1:-2])]


def test_our_own_echo_is_not_answered_for_ever() -> None:
    line = Line()
    answered = 0
    heard = line.hear(WRITE)
    while heard and answered < 100:
        answered += 1
        line.answer(WRITE)
        heard = line.hear(WRITE)
    assert answered < 20
    assert line.ear.heard.echoes == 1


# ------------------------------------------------------------ any traffic, any cut


@dataclass(frozen=True)
class Spoken:
    frame: bytes
    ours: bool = False


units = st.integers(2, 255).filter(lambda unit: unit not in OURS)
words = st.binary(min_size=2, max_size=20).map(lambda b: b[: len(b) // 2 * 2])
inner = st.sampled_from([b"", WRITE, READ, BLOCK])


@st.composite
def foreign(draw: st.DrawFn) -> list[Spoken]:
    """A request to somebody else, and mostly its answer."""
    unit, data = draw(units), draw(words) + draw(inner)
    data += b"\0" * (len(data) % 2)
    count, address = len(data) // 2, draw(st.binary(min_size=2, max_size=2))
    number = count.to_bytes(2, "big")
    request, answer = draw(
        st.sampled_from(
            [
                (b"\x03" + address + number, bytes((3, len(data))) + data),
                (b"\x04" + address + number, b"\x84\x02"),
                (b"\x10" + address + number + bytes((len(data),)) + data, b"\x10" + address + number),
                (b"\x06" + address + data[:2], b"\x06" + address + data[:2]),
                (b"\x16" + address + b"\0\1\0\2", b"\x16" + address + b"\0\1\0\2"),
                (b"\x11", bytes((0x11, len(data))) + data),
                (b"\x17" + address + number + address + b"\0\1\2\0\7", bytes((0x17, len(data))) + data),
                (b"\x0f" + address + b"\0\x09\x02\xff\x01", b"\x0f" + address + b"\0\x09"),
            ]
        )
    )
    said = [Spoken(framed(unit, request))]
    return said if draw(st.integers(0, 4)) == 0 else [*said, Spoken(framed(unit, answer))]


own = st.tuples(
    st.sampled_from(sorted(OURS)),
    st.sampled_from([READ[1:-2], WRITE[1:-2], BLOCK[1:-2], bytes.fromhex("17 0000 0002 0001 0001 02 0007"), b"\x11"]),
).map(lambda both: [Spoken(framed(*both), ours=True)])

traffic = st.lists(st.one_of(own, foreign()), min_size=1, max_size=12).map(lambda parts: [s for p in parts for s in p])


def play(said: list[Spoken], cuts: random.Random, gap: float) -> tuple[list[tuple[int, bytes]], Ear]:
    """Feed the stream in pieces; the line is silent for `gap` between some of them, never for patience."""
    line, heard = Line(), []
    stream = b"".join(spoken.frame for spoken in said)
    at = 0
    while at < len(stream):
        size = cuts.choice((1, 2, 3, 8, 62, 400))
        heard += pdus(line.hear(stream[at : at + size], cuts.choice((0.0, gap))))
        at += size
    return heard + pdus(line.silence()), line.ear


@given(traffic, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.001, 0.004, 0.016]))
@example([Spoken(FOREIGN), Spoken(READ, ours=True)], random.Random(1), 0.004)
def test_any_cut_of_any_traffic_gives_exactly_our_requests(said: list[Spoken], cuts: random.Random, gap: float) -> None:
    heard, ear = play(said, cuts, gap)
    assert heard == [(s.frame[0], s.frame[1:-2]) for s in said if s.ours]
    assert ear.heard.foreign == sum(not s.ours for s in said)


@given(traffic, st.binary(max_size=300), st.randoms(use_true_random=False))
def test_noise_never_costs_more_than_the_frames_it_touches(
    said: list[Spoken], noise: bytes, cuts: random.Random
) -> None:
    line = Line()
    line.hear(noise)
    line.silence()
    heard: list[tuple[int, bytes]] = []
    for spoken in said:
        for byte in spoken.frame:
            heard += pdus(line.hear(bytes((byte,)), cuts.choice((0.0, 0.004))))
    assert heard + pdus(line.silence()) == [(s.frame[0], s.frame[1:-2]) for s in said if s.ours]


@given(st.lists(st.binary(max_size=600), max_size=8))
def test_noise_is_never_a_request_and_is_not_kept(pieces: list[bytes]) -> None:
    line = Line()
    for piece in pieces:
        heard = line.hear(piece)
        assert len(line.ear._buffer) < 512
        assert all(framed(r.unit, r.pdu) in b"".join(pieces) for r in heard)
    line.silence()
