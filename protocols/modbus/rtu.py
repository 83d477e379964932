"""Frames of Modbus RTU: checksum, character times, and how long a frame of each function is. Pure.

Source: MODBUS over Serial Line Specification and Implementation Guide V1.02, §2.5.1 (RTU framing, CRC in appendix B);
lengths by MODBUS Application Protocol Specification V1.1b3, §6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BROADCAST = 0
"""The unit that means all: it writes, and nobody answers (§2.1)."""
UNITS = range(1, 248)
"""Units that may answer; those above are reserved (§2.2)."""
MIN_FRAME, MAX_FRAME = 4, 256
"""Unit, function and CRC; with the largest PDU of 253 bytes."""
UNKNOWN = 0
"""The length of a frame whose function does not tell it."""
REFUSAL_BIT = 0x80
REFUSAL_BYTES = 5

_FAST_BAUD, _FAST_SILENCE = 19200, 0.00175
"""Above 19200 baud the silence between frames does not shrink any more (§2.5.1.1)."""
_CHUNKS = 0.025
"""Seconds that USB adapters keep bytes back: FTDI's default is 16 ms."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of one line in seconds."""

    char: float
    """One character, start, parity and stop bits included."""
    silence: float
    """What separates two frames: 3.5 characters."""
    patience: float
    """An unfinished frame that does not go on for so long is given up; more than an adapter holds bytes back."""

    def exchange(self, request: int, answer: int) -> float:
        """A request and its answer of so many bytes, and the silences that must follow each."""
        return (request + answer) * self.char + 2 * self.silence

    @property
    def cycle(self) -> float:
        """What the wire alone needs to read 64 words (FC4) and to write 32 (FC16)."""
        return self.exchange(8, 5 + 128) + self.exchange(9 + 64, 8)


def timing(baud: int, bits: int = 11, patience: float = _CHUNKS) -> Timing:
    """Of a line with this baud rate and so many bits a character (11: 8E1 or 8N2, 10: 8N1)."""
    char = bits / baud
    silence = _FAST_SILENCE if baud > _FAST_BAUD else 3.5 * char
    return Timing(char, silence, max(patience, 2 * silence))


def _row(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_TABLE = tuple(_row(value) for value in range(256))


def crc(data: bytes | bytearray) -> int:
    """CRC-16 with 0xA001 from 0xFFFF; sent low byte first. Over a whole sound frame, its CRC included, it is 0."""
    table, value = _TABLE, 0xFFFF
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value


def framed(unit: int, pdu: bytes) -> bytes:
    """The frame of a PDU."""
    body = bytes((unit,)) + pdu
    return body + crc(body).to_bytes(2, "little")


def sound(frame: bytes | bytearray) -> bool:
    """Whether these bytes are a whole frame by length and CRC."""
    return MIN_FRAME <= len(frame) <= MAX_FRAME and not crc(frame)


def first_sound(data: bytes | bytearray) -> int:
    """Length of the shortest sound frame at the start, or UNKNOWN."""
    table, value = _TABLE, 0xFFFF
    for length, byte in enumerate(data[:MAX_FRAME], 1):
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
        if not value and length >= MIN_FRAME:
            return length
    return UNKNOWN


# Whole frames, by function; or where a count of bytes stands, and how much stands around what it counts.
_REQUESTS = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 24: 6}
_REQUEST_COUNTS = {15: (6, 9), 16: (6, 9), 20: (2, 5), 21: (2, 5), 23: (10, 13)}
_ANSWERS = {5: 8, 6: 8, 7: 5, 8: 8, 11: 8, 15: 8, 16: 8, 22: 10}
_ANSWER_COUNTS = dict.fromkeys((1, 2, 3, 4, 12, 17, 20, 21, 23), (2, 5))
_MEI, _DEVICE_IDENTIFICATION = 43, b"\x0e"


def request_length(start: bytes | bytearray) -> int:
    """How long the request is that begins so (2 bytes or more); a bound above `len(start)` while that is not known."""
    if start[1] == _MEI:
        return 7 if start[2:3] in (b"", _DEVICE_IDENTIFICATION) else UNKNOWN
    return _length(start, _REQUESTS, _REQUEST_COUNTS)


def answer_length(start: bytes | bytearray) -> int:
    """As `request_length`, for an answer."""
    if start[1] & REFUSAL_BIT:
        return REFUSAL_BYTES
    if start[1] == 24:  # counts by a word
        return 6 + int.from_bytes(start[2:4], "big") if len(start) >= 4 else 6
    return _length(start, _ANSWERS, _ANSWER_COUNTS)


def _length(start: bytes | bytearray, fixed: dict[int, int], counted: dict[int, tuple[int, int]]) -> int:
    function = start[1]
    if function not in counted:
        return fixed.get(function, UNKNOWN)
    at, around = counted[function]
    return around + start[at] if len(start) > at else around + 1


def counts_agree(start: bytes | bytearray) -> bool:
    """Whether a request of FC15, FC16 or FC23 counts its bytes and its values alike; True for other functions."""
    function = start[1]
    if function == 23 and len(start) > 10:
        return start[10] == 2 * int.from_bytes(start[8:10], "big") > 0
    if function in (15, 16) and len(start) > 6:
        count = int.from_bytes(start[4:6], "big")
        return start[6] == (2 * count if function == 16 else (count + 7) // 8) > 0
    return True


def answer_count(request: Sequence[int]) -> int | None:
    """The byte count that the answer to this whole request bears; None where it bears none or anything goes."""
    function, count = request[1], request[4] << 8 | request[5] if len(request) >= 8 else 0
    if function in (1, 2):
        return (count + 7) // 8
    return 2 * count if function in (3, 4, 23) else None


def glitch(data: bytes | bytearray) -> bool:
    """Whether this is no more than what a driver leaves on the line when it lets go: a few bytes of 00 or FF."""
    return len(data) <= 3 and not data.strip(b"\x00\xff")
