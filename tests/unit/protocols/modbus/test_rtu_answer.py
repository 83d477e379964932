"""What a master on a serial line believes: golden frames, and everything that is not the answer."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.link import MapError
from protocols.modbus import rtu_answer
from protocols.modbus.registers import Table
from protocols.modbus.rtu import framed
from protocols.modbus.rtu_answer import WrongAnswerError

WORDS = rtu_answer.read(Table.HOLDING, 0x6B, 3)
ANSWER = bytes.fromhex("11 03 06 AE41 5652 4340 49AD")


@pytest.mark.parametrize(
    ("asked", "request_pdu", "answer"),
    [
        (WORDS, "03 006B 0003", "03 06 AE41 5652 4340"),
        (rtu_answer.read(Table.INPUT, 8, 1), "04 0008 0001", "04 02 000A"),
        (rtu_answer.read(Table.COIL, 0x13, 0x13), "01 0013 0013", "01 03 CD6B05"),
        (rtu_answer.read(Table.DISCRETE, 0xC4, 22), "02 00C4 0016", "02 03 ACDB35"),
        (rtu_answer.write_words(1, b"\x00\x0a\x01\x02"), "10 0001 0002 04 000A 0102", "10 0001 0002"),
        (rtu_answer.write_word(1, b"\x00\x03"), "06 0001 0003", "06 0001 0003"),
        (
            rtu_answer.write_coils(0x13, [n in (0, 2, 3, 6, 7, 8) for n in range(10)]),
            "0F 0013 000A 02 CD01",
            "0F 0013 000A",
        ),
        (rtu_answer.write_coil(0xAC, True), "05 00AC FF00", "05 00AC FF00"),
        (rtu_answer.write_coil(0xAC, False), "05 00AC 0000", "05 00AC 0000"),
    ],
)
def test_requests_and_answers_as_in_the_specification(asked: rtu_answer.Asked, request_pdu: str, answer: str) -> None:
    assert asked.pdu == bytes.fromhex(request_pdu)
    pdu = bytes.fromhex(answer)
    frame = framed(9, pdu)
    assert asked.answer(9, frame) == pdu
    for length in range(len(frame)):
        assert asked.answer(9, frame[:length]) is None
    refusal = bytes((pdu[0] | 0x80, 6))
    assert asked.answer(9, framed(9, refusal)) == refusal


def test_the_answer_is_found_behind_a_glitch_and_a_late_answer_of_another_unit() -> None:
    late = framed(2, bytes.fromhex("03 06 0001 0002 0003"))
    for before in (b"\x00", b"\xff\xff", late, b"\x00" + late + b"\xff"):
        assert WORDS.answer(0x11, before + ANSWER) == ANSWER[1:-2]
        assert WORDS.answer(0x11, before + ANSWER[:-1]) is None


@pytest.mark.parametrize(
    ("stream", "why", "spoken"),
    [
        (ANSWER[:-1] + b"\x00", "is garbled", True),
        (ANSWER[:4] + b"\x00" + ANSWER[5:], "is garbled", True),
        (b"\x12" + ANSWER[1:], "is garbled", False),
        (framed(0x11, bytes.fromhex("83 02"))[:-1] + b"\x00", "is garbled", True),
        (framed(0x11, bytes.fromhex("04 06 0001 0002 0003")), "is of function 4, asked was 3", False),
        (framed(0x11, bytes.fromhex("84 02")), "is of function 132, asked was 3", False),
        (framed(0x11, bytes.fromhex("03 04 0001 0002")), "is 6 bytes long, 8 were expected", False),
        (framed(0x11, bytes.fromhex("41 04 0001 0002 0003")), "is garbled", False),
    ],
)
def test_what_is_not_the_answer_is_refused(stream: bytes, why: str, spoken: bool) -> None:
    with pytest.raises(WrongAnswerError, match=why) as caught:
        WORDS.answer(0x11, stream)
    assert caught.value.spoken is spoken


def test_a_write_confirmed_elsewhere_is_refused() -> None:
    with pytest.raises(WrongAnswerError, match="confirms another request"):
        rtu_answer.write_words(1, b"\0\1").answer(1, framed(1, bytes.fromhex("10 0002 0001")))


IMPOSSIBLE: list[Callable[[], object]] = [
    lambda: rtu_answer.read(Table.HOLDING, 0, 126),
    lambda: rtu_answer.read(Table.HOLDING, 65535, 2),
    lambda: rtu_answer.read(Table.COIL, 0, 2001),
    lambda: rtu_answer.write_words(0, bytes(2 * 124)),
    lambda: rtu_answer.write_coils(0, []),
]


@pytest.mark.parametrize("asked", IMPOSSIBLE)
def test_requests_that_cannot_be_are_our_own_mistake(asked: Callable[[], object]) -> None:
    with pytest.raises(MapError, match="one request carries 1 to"):
        asked()


@given(st.binary(max_size=600))
def test_noise_is_never_an_answer(noise: bytes) -> None:
    try:
        answer = WORDS.answer(0x11, noise)
    except WrongAnswerError:
        return
    assert answer is None or framed(0x11, answer) in noise
