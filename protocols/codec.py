"""Records of the contract as 16-bit words and back: word order, string order, saturation. Pure.

One-word values are big-endian on every carrier of words (MODBUS Application Protocol Specification V1.1b3, §4.2);
the word order concerns UDINT and REAL only, the string order concerns text only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from dataclasses import fields
from enum import StrEnum
from operator import itemgetter

from protocols.signals import SERIAL_BYTES, UDINT_MAX, UINT_MAX, VALUES, Command, Result, Status

COMMAND_BYTES = 64
STATUS_BYTES = 32
RESULT_BYTES = 96
SIGNATURE_BYTES = 20

SIGNATURE_VALUES = (0x1234, 0x12345678, 123.456, b"ABCDEFGH")
"""What a PLC programmer must see in the signature block: UINT, UDINT, REAL, STRING[8]."""

# Big-endian without padding; `2x` is a reserved word that reads 0.
_COMMAND = struct.Struct(">7H2xI6H32s")
_STATUS = struct.Struct(">16H")
_RESULT = struct.Struct(">2HI4Hf5H2xIH2x13f2xH")
_SIGNATURE = struct.Struct(">HIf8s2x")

# First byte of each 32-bit value, and the extent of each text, in the blocks above.
_COMMAND_LONGS, _COMMAND_TEXT = (16,), (32, 64)
_RESULT_LONGS = (4, 16, 32, *range(40, 92, 4))
_SIGNATURE_LONGS, _SIGNATURE_TEXT = (2, 6), (10, 18)

_RESULT_NAMES = tuple(field.name for field in fields(Result))[:15]
"""The fields before the values, in the order of the words."""

_Permutation = Callable[[bytes], tuple[int, ...]]
_FLOAT32_MAX = 3.4028234663852886e38


class WordOrder(StrEnum):
    """How a PLC lays the four bytes of a UDINT or REAL into two words; A is the most significant."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class StringOrder(StrEnum):
    """Which byte of a word holds the first of its two characters: `big` the high one, `little` the low one."""

    BIG = "big"
    LITTLE = "little"


class Codec:
    """Records ↔ words for one PLC's word order and string order; safe to share, keeps no state."""

    def __init__(self, word_order: WordOrder = WordOrder.ABCD, string_order: StringOrder = StringOrder.BIG) -> None:
        self.word_order = WordOrder(word_order)
        self.string_order = StringOrder(string_order)
        swap = self.string_order is StringOrder.LITTLE
        self._command = self._permutation(COMMAND_BYTES, _COMMAND_LONGS, _COMMAND_TEXT if swap else (0, 0))
        self._result = self._permutation(RESULT_BYTES, _RESULT_LONGS, (0, 0))
        self._signature = self._permutation(SIGNATURE_BYTES, _SIGNATURE_LONGS, _SIGNATURE_TEXT if swap else (0, 0))

    def _permutation(self, size: int, longs: Iterable[int], text: tuple[int, int]) -> _Permutation | None:
        """The order in which to take the big-endian bytes, or None; each is its own inverse."""
        order = list(range(size))
        for first in longs:
            order[first : first + 4] = [first + "ABCD".index(letter) for letter in self.word_order]
        for first in range(*text, 2):
            order[first : first + 2] = [first + 1, first]
        return None if order == list(range(size)) else itemgetter(*order)

    def encode_status(self, status: Status) -> bytes:
        """Words 0…15, 32 bytes; a number beyond its word is shown as the nearest that fits."""
        words = (
            status.bits,
            status.heartbeat,
            status.trigger_seq_ack,
            status.trigger_refused,
            status.newest_result_seq,
            status.pending,
            status.lost,
            status.missed,
            status.fault_code,
            status.not_ready_reason,
            status.recipe_active,
            status.command_seq_ack,
            status.command_result,
            status.config_crc,
            status.boot_id,
            status.map_version,
        )
        try:
            return _STATUS.pack(*words)
        except struct.error:
            return _STATUS.pack(*map(_uint, words))

    def encode_result(self, result: Result) -> bytes:
        """Words 16…63, 96 bytes, RESULT_SEQ first and last; never raises for a number that does not fit.

        Integers saturate, so that no overflow wraps to JUDGEMENT 1 (OK); reals beyond REAL become infinite;
        missing values are NaN.
        """
        try:
            block = _pack_result(result, result.values)
        except (struct.error, OverflowError):
            block = _pack_result(_fitted(result), _fitted_values(result.values))
        return block if self._result is None else bytes(self._result(block))

    def encode_command(self, command: Command) -> bytes:
        """The command block, 64 bytes; SERIAL is cut at 32 bytes, a character beyond ASCII becomes `?`."""
        block = _COMMAND.pack(
            command.control,
            command.trigger_seq,
            command.result_ack_seq,
            command.plc_heartbeat,
            command.command,
            command.command_param,
            command.command_seq,
            command.part_id,
            *command.user,
            command.serial.encode("ascii", "replace")[:SERIAL_BYTES],
        )
        return block if self._command is None else bytes(self._command(block))

    def encode_signature(self) -> bytes:
        """The signature block, 20 bytes: known values in this word and string order."""
        block = _SIGNATURE.pack(*SIGNATURE_VALUES)
        return block if self._signature is None else bytes(self._signature(block))

    def decode_status(self, block: bytes) -> Status:
        """Words 0…15 from exactly 32 bytes."""
        return Status(*_STATUS.unpack(block))

    def decode_result(self, block: bytes) -> Result | None:
        """Words 16…63 from exactly 96 bytes; None when the block is torn (RESULT_SEQ ≠ RESULT_SEQ_COPY)."""
        words = _RESULT.unpack(block if self._result is None else bytes(self._result(block)))
        if words[0] != words[-1]:
            return None
        return Result(**dict(zip(_RESULT_NAMES, words, strict=False)), values=words[15:-1])

    def decode_command(self, block: bytes) -> Command:
        """The command block from exactly 64 bytes; no content makes it raise.

        SERIAL ends at the first NUL (behind it lies the rest of a longer text), loses trailing blanks, and shows
        bytes beyond ASCII as U+FFFD.
        """
        plain = block if self._command is None else bytes(self._command(block))
        control, trigger, ack, beat, code, param, seq, part, *user, raw = _COMMAND.unpack(plain)
        serial = raw.split(b"\0", 1)[0].rstrip(b" ").decode("ascii", "replace") if raw[0] else ""
        return Command(control, trigger, ack, beat, code, param, seq, part, tuple(user), serial)


def _pack_result(result: Result, values: tuple[float, ...]) -> bytes:
    return _RESULT.pack(
        result.result_seq,
        result.trigger_seq,
        result.part_id,
        result.judgement,
        result.bits,
        result.reason,
        result.findings,
        result.score,
        result.recipe,
        result.model_crc,
        result.total,
        result.grab,
        result.infer,
        result.time_s,
        result.time_ms,
        *values,
        result.result_seq,
    )


def _fitted(result: Result) -> Result:
    return Result(
        result_seq=_uint(result.result_seq),
        trigger_seq=_uint(result.trigger_seq),
        part_id=_uint(result.part_id, UDINT_MAX),
        judgement=_uint(result.judgement),
        bits=_uint(result.bits),
        reason=_uint(result.reason),
        findings=_uint(result.findings),
        score=_real(result.score),
        recipe=_uint(result.recipe),
        model_crc=_uint(result.model_crc),
        total=_uint(result.total),
        grab=_uint(result.grab),
        infer=_uint(result.infer),
        time_s=_uint(result.time_s, UDINT_MAX),
        time_ms=_uint(result.time_ms),
    )


def _fitted_values(values: tuple[float, ...]) -> tuple[float, ...]:
    return (*map(_real, values), *(math.nan,) * VALUES)[:VALUES]


def _uint(value: int, limit: int = UINT_MAX) -> int:
    return max(0, min(limit, int(value)))


def _real(value: float) -> float:
    return value if math.isnan(value) or abs(value) <= _FLOAT32_MAX else math.copysign(math.inf, value)
