"""Named values of equipment outside the handshake: what a tag is, its value with quality and age, bytes and back. Pure.

Numbers longer than a word lie in one of the codec's four word orders; one-word values are big-endian on every carrier
(MODBUS Application Protocol Specification V1.1b3, §4.2). The order of a text is its own setting.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from protocols.codec import StringOrder, WordOrder
from protocols.faults import Code

Value = bool | int | float | str

_NUMBERS = {"uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q"}
_REALS = {"float32": "f", "float64": "d"}
_PACKED = {name: struct.Struct(f">{letter}") for name, letter in (_NUMBERS | _REALS).items()}


class TagError(ValueError):
    """A value that cannot be written as this tag: one sentence that begins with the value."""


class Quality(StrEnum):
    """How far a value may be trusted; only a good one decides anything."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    """There is a value, but it is old or outside its range."""
    BAD = "bad"
    """There is none: the device is not reached, refuses, or sends what is no number."""


@dataclass(frozen=True, slots=True)
class TagValue:
    """One reading: a value and what it is worth. Times in seconds; `at` is monotonic, `utc` since 1970."""

    value: Value | None = None
    quality: Quality = Quality.BAD
    code: Code = Code.LINK_LOST
    reason: str = "not read yet"
    at: float = 0.0
    utc: float = 0.0
    max_age: float = math.inf
    """Older than this it is no longer good."""

    def age(self, now: float) -> float:
        """Seconds since the device gave it."""
        return max(0.0, now - self.at)

    def seen(self, now: float) -> TagValue:
        """The reading as it is worth at `now`: never good with an old time."""
        if self.quality is not Quality.GOOD or self.age(now) <= self.max_age:
            return self
        reason = f"{self.age(now):.3g} s old, at most {self.max_age:.3g} s are allowed"
        return replace(self, quality=Quality.UNCERTAIN, code=Code.TAG_DOUBTFUL, reason=reason)


NOT_READ = TagValue()


@dataclass(frozen=True, slots=True)
class Tag:
    """What a value is: its type and order on the wire, its scale, and what may be believed of it."""

    name: str
    type: str = "uint16"
    bit: int | None = None
    """Of a bool in a register: which bit; None = the whole word, 0 is false."""
    word_order: WordOrder = WordOrder.ABCD
    string_order: StringOrder = StringOrder.BIG
    scale: float = 1.0
    offset: float = 0.0
    """value = raw * scale + offset; of numbers only."""
    unit: str = ""
    deadband: float = 0.0
    """A number that moved by no more has not changed."""
    low: float | None = None
    high: float | None = None
    """A number outside is uncertain."""
    max_age: float = math.inf

    @property
    def length(self) -> int:
        """Characters of a string, 0 of all others."""
        return int(self.type[7:-1]) if self.type.startswith("string") else 0

    @property
    def words(self) -> int:
        """Registers that it takes."""
        if self.length:
            return (self.length + 1) // 2
        return _PACKED[self.type].size // 2 if self.type in _PACKED else 1

    @property
    def modulus(self) -> int:
        """After how many steps an integer begins again; 0 of all others."""
        return 1 << 16 * self.words if self.type in _NUMBERS else 0

    @property
    def numeric(self) -> bool:
        return self.type in _PACKED

    # ------------------------------------------------------------ from the device

    def decode(self, words: bytes) -> Value:
        """The value in `2 * words` bytes, big-endian words as on the wire; NaN and infinity come as they are."""
        if self.type == "bool":
            word = int.from_bytes(words, "big")
            return bool(word >> self.bit & 1) if self.bit is not None else word != 0
        if self.length:
            return self._text(words)
        raw: int | float = _PACKED[self.type].unpack(_ordered(words, self.word_order))[0]
        return raw if self.scale == 1 and self.offset == 0 else raw * self.scale + self.offset

    def _text(self, words: bytes) -> str:
        raw = words if self.string_order is StringOrder.BIG else _swapped(words)
        return raw[: self.length].split(b"\0", 1)[0].rstrip(b" ").decode("ascii", "replace")

    def reading(self, value: Value, at: float, utc: float) -> TagValue:
        """A value that the device gave at `at`, with its quality."""
        quality, code, reason = Quality.GOOD, Code.NONE, ""
        if isinstance(value, float) and not math.isfinite(value):
            return self.failed(Code.TAG_DOUBTFUL, f"the device sent {value}, which is no number", at, utc)
        if not isinstance(value, bool | str) and not self._in_range(value):
            quality, code = Quality.UNCERTAIN, Code.TAG_DOUBTFUL
            reason = f"{value:g} lies outside {_bound(self.low)} to {_bound(self.high)}"
        return TagValue(value, quality, code, reason, at, utc, self.max_age)

    def failed(self, code: Code, reason: str, at: float, utc: float) -> TagValue:
        """No value, and why."""
        return TagValue(None, Quality.BAD, code, reason, at, utc, self.max_age)

    def _in_range(self, value: float) -> bool:
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    # ------------------------------------------------------------ to the device

    def encode(self, value: Value) -> bytes:
        """The words of a value; raises TagError for one that does not fit: nothing is cut or wrapped."""
        if self.type == "bool":
            if value not in (0, 1):
                raise TagError(f"{value!r} does not fit bool; give 0 or 1, also for what is left to its default")
            return struct.pack(">H", int(value))
        if self.length:
            return self._encoded_text(value)
        if isinstance(value, str):
            raise TagError(f"{value!r} does not fit {self.type}; give a number")
        return _ordered(self._packed(value), self.word_order)

    def _packed(self, value: float) -> bytes:
        plain = self.scale == 1 and self.offset == 0
        raw = value if plain else (value - self.offset) / self.scale
        try:
            if self.type in _REALS:
                if not math.isfinite(raw):
                    raise TagError(f"{value!r} does not fit {self.type}; give a finite number")
                return _PACKED[self.type].pack(raw)
            if plain and raw != int(raw):
                raise TagError(f"{value!r} does not fit {self.type}; give a whole number")
            return _PACKED[self.type].pack(round(raw))
        except (struct.error, OverflowError, ValueError) as error:
            if isinstance(error, TagError):
                raise
            raise TagError(f"{value!r} does not fit {self.type}; it is out of range") from None

    def _encoded_text(self, value: Value) -> bytes:
        if not isinstance(value, str) or not value.isascii() or len(value) > self.length:
            raise TagError(f"{value!r} does not fit {self.type}; give ASCII text of at most {self.length} characters")
        raw = value.encode("ascii").ljust(2 * self.words, b"\0")
        return raw if self.string_order is StringOrder.BIG else _swapped(raw)


def records(readings: Mapping[str, TagValue], now: float) -> dict[str, dict[str, Any]]:
    """Readings as they are worth at `now`, for JSON: value, quality, age_ms, and why they are not good."""
    rows: dict[str, dict[str, Any]] = {}
    for name, reading in readings.items():
        seen = reading.seen(now)
        row: dict[str, Any] = {"value": seen.value, "quality": seen.quality.value}
        if seen.value is not None:
            row["age_ms"] = round(seen.age(now) * 1000)
        if seen.quality is not Quality.GOOD:
            row |= {"code": int(seen.code), "reason": seen.reason}
        rows[name] = row
    return rows


def recorded(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, TagValue]:
    """What `records` wrote, as readings whose age counts to 0."""
    return {
        name: TagValue(
            value=row["value"],
            quality=Quality(row["quality"]),
            code=Code(row.get("code", 0)),
            reason=row.get("reason", ""),
            at=-row["age_ms"] / 1000 if "age_ms" in row else 0.0,
        )
        for name, row in rows.items()
    }


def changed(before: Value, after: Value, deadband: float) -> bool:
    """Whether a value differs by more than the deadband; text and truth values have none."""
    if isinstance(before, bool | str) or isinstance(after, bool | str):
        return before != after
    return abs(after - before) > deadband


def _ordered(raw: bytes, order: WordOrder) -> bytes:
    """Bytes between most significant first and the device's order; its own inverse. One word stays as it is."""
    if len(raw) <= 2 or order is WordOrder.ABCD:
        return raw
    if order is WordOrder.DCBA:
        return raw[::-1]
    if order is WordOrder.BADC:
        return _swapped(raw)
    return _swapped(raw[::-1])


def _swapped(raw: bytes) -> bytes:
    """The two bytes of each word exchanged."""
    out = bytearray(len(raw))
    out[0::2], out[1::2] = raw[1::2], raw[0::2]
    return bytes(out)


def _bound(limit: float | None) -> str:
    return "any" if limit is None else f"{limit:g}"
