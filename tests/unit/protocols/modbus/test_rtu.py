"""RTU frames written by hand, as other people's documents and devices have them."""

import pytest

from protocols.modbus import rtu

GOLDEN = [
    "01 03 00 00 00 0A C5 CD",
    "01 04 00 00 00 4A 71 FD",
    "11 03 00 6B 00 03 76 87",
    "11 03 06 AE 41 56 52 43 40 49 AD",
    "11 05 00 AC FF 00 4E 8B",
    "11 10 00 01 00 02 04 00 0A 01 02 C6 F0",
    "0A 81 02 B0 53",
]
"""Frames as the makers of masters and slaves print them in their manuals: the checksum is theirs."""


@pytest.mark.parametrize("text", GOLDEN)
def test_the_checksum_is_everybody_else_s(text: str) -> None:
    frame = bytes.fromhex(text)
    assert rtu.framed(frame[0], frame[1:-2]) == frame
    assert rtu.sound(frame)
    assert rtu.first_sound(frame + b"\x55") == len(frame)
    assert not rtu.sound(frame[:-1])
    for at in range(len(frame)):
        assert not rtu.sound(frame[:at] + bytes((frame[at] ^ 0x10,)) + frame[at + 1 :])


@pytest.mark.parametrize(
    ("text", "request_length", "answer_length"),
    [
        ("01 03 00 00 00 0A C5 CD", 8, 5),
        ("01 03 14", 8, 25),
        ("01 01 03 CD 6B 05", 8, 8),
        ("01 0F 00 13 00 0A 02 CD 01", 11, 8),
        ("01 10 00 01 00 02 04", 13, 8),
        ("01 10 00 01 00 02", 10, 8),  # the count is still to come: a bound above what is here
        ("01 16 00 04 00 F2 00 25", 10, 10),
        ("01 17 00 03 00 06 00 0E 00 03 06", 19, 5),
        ("01 11", 4, 6),
        ("01 2B 0E 01 00", 7, rtu.UNKNOWN),
        ("01 2B 0D 01 00", rtu.UNKNOWN, rtu.UNKNOWN),
        ("01 41 00", rtu.UNKNOWN, rtu.UNKNOWN),
        ("01 83 02", rtu.UNKNOWN, 5),
        ("01 18 00 06", 6, 12),
    ],
)
def test_a_frame_s_length_is_told_by_its_function(text: str, request_length: int, answer_length: int) -> None:
    start = bytes.fromhex(text)
    assert rtu.request_length(start) == request_length
    assert rtu.answer_length(start) == answer_length


def test_counts_that_disagree_are_no_likely_request() -> None:
    assert rtu.counts_agree(bytes.fromhex("01 10 00 01 00 02 04"))
    assert rtu.counts_agree(bytes.fromhex("01 0F 00 13 00 0A 02"))
    assert rtu.counts_agree(bytes.fromhex("01 17 0003 0006 000E 0003 06"))
    for text in (
        "01 10 00 01 00 02 05",
        "01 10 00 01 00 00 00",
        "01 0F 00 13 00 0A 03",
        "01 17 0003 0006 000E 0003 05",
    ):
        assert not rtu.counts_agree(bytes.fromhex(text))


def test_times_of_the_line() -> None:
    slow, fast = rtu.timing(9600), rtu.timing(115200)
    assert slow.char == pytest.approx(1.146e-3, abs=1e-6)
    assert slow.silence == pytest.approx(4.01e-3, abs=1e-5)
    assert fast.silence == 0.00175
    assert rtu.timing(19200).silence == pytest.approx(2.005e-3, abs=1e-5)
    assert fast.patience > 0.016
    assert rtu.timing(300).patience > rtu.timing(300).silence
