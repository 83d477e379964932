"""Values of an OPC UA server as tags, and tags' values in the server's exact type. Pure.

A server refuses a value of another type than the node's (Bad_TypeMismatch, OPC 10000-4 §5.11.4), so what is written is
made of that very type or not written at all; nothing is cut, wrapped or rounded away.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from protocols.tags import Tag, TagError, Value

INTEGERS = {
    "SByte": (-(2**7), 2**7 - 1),
    "Byte": (0, 2**8 - 1),
    "Int16": (-(2**15), 2**15 - 1),
    "UInt16": (0, 2**16 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "UInt32": (0, 2**32 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt64": (0, 2**64 - 1),
}
"""Built-in integers of OPC UA and their ranges (OPC 10000-6 §5.2.2)."""
REALS = ("Float", "Double")
_SHOWN = 60


class ValueMismatchError(ValueError):
    """A value that is not what the tag says: one sentence that begins with the value."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a tag's value follows from the node's."""

    tag: Tag
    words: Mapping[int, str] = field(default_factory=dict)
    index: int | None = None
    has: int | None = None

    def value(self, raw: Any) -> tuple[Value, str]:
        """The tag's value, and why it is doubtful ("": it is not). Raises ValueMismatchError."""
        if self.has is not None:
            return self.has in _list(raw), ""
        if self.index is not None:
            items = _list(raw)
            if self.index >= len(items):
                raise ValueMismatchError(f"a list of {len(items)} values has none at index {self.index}")
            raw = items[self.index]
        elif isinstance(raw, list | tuple):
            raw = _only(raw, self.tag)
        if self.tag.length:
            return self._text(raw)
        if self.tag.type == "bool":
            return _truth(raw), ""
        return self._number(raw), ""

    def _text(self, raw: Any) -> tuple[Value, str]:
        doubt = ""
        if self.words and isinstance(raw, int):
            text = self.words.get(int(raw), "")
            if not text:
                text, doubt = str(int(raw)), f"{int(raw)} is none of the known states"
        elif isinstance(raw, str):
            text = raw
        elif isinstance(raw, bool | int | float):
            text = f"{raw:g}" if isinstance(raw, float) else str(raw)
        else:
            text = getattr(raw, "Text", None) or ""
            if not isinstance(text, str) or not hasattr(raw, "Text"):
                raise ValueMismatchError(f"{_shown(raw)} is no text")
        if len(text) > self.tag.length:
            return text[: self.tag.length], f"the text is longer than {self.tag.length} characters and was cut"
        return text, doubt

    def _number(self, raw: Any) -> Value:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise ValueMismatchError(f"{_shown(raw)} is no number")
        tag = self.tag
        plain = tag.scale == 1 and tag.offset == 0
        if not plain or not tag.modulus:
            return float(raw) if plain else raw * tag.scale + tag.offset
        if not math.isfinite(raw) or raw != int(raw):
            raise ValueMismatchError(f"{raw!r} is no whole number, and the tag is {tag.type}")
        low = 0 if tag.type.startswith("u") else -(tag.modulus // 2)
        if not low <= raw < low + tag.modulus:
            raise ValueMismatchError(f"{int(raw)} does not fit {tag.type}")
        return int(raw)


def exact(tag: Tag, value: Value, wire: str) -> Value:
    """A tag's value as a built-in type of OPC UA, named `wire`; raises TagError for one that does not fit."""
    if wire == "String":
        if not isinstance(value, str):
            raise TagError(f"{value!r} does not fit a String node; set type: string[n]")
        if tag.length and len(value) > tag.length:
            raise TagError(f"{value!r} is longer than {tag.type}")
        return value
    if isinstance(value, str):
        raise TagError(f"{value!r} does not fit a node of type {wire}; give a number")
    if wire == "Boolean":
        if value not in (0, 1):
            raise TagError(f"{value!r} does not fit a Boolean node; give 0 or 1")
        return bool(value)
    raw = value if tag.scale == 1 and tag.offset == 0 else (value - tag.offset) / tag.scale
    if wire in REALS:
        return _real(raw, wire)
    if wire not in INTEGERS:
        raise TagError(f"{value!r} cannot be written: the node is of type {wire}, which is no plain value")
    if tag.scale != 1 or tag.offset:
        raw = round(raw) if math.isfinite(raw) else raw
    low, high = INTEGERS[wire]
    if not math.isfinite(raw) or raw != int(raw) or not low <= raw <= high:
        raise TagError(f"{value!r} does not fit a node of type {wire}; it is no whole number from {low} to {high}")
    return int(raw)


def same(sent: Value, shown: Any, wire: str) -> bool:
    """Whether a node shows what was written to it."""
    if isinstance(shown, list | tuple) or isinstance(sent, str) != isinstance(shown, str):
        return False
    if wire == "Float" and isinstance(shown, int | float) and not isinstance(sent, str):
        return struct.pack(">f", sent) == struct.pack(">f", shown)
    return bool(sent == shown)


def _real(raw: float, wire: str) -> float:
    if not math.isfinite(raw):
        raise TagError(f"{raw!r} does not fit a node of type {wire}; give a finite number")
    try:
        struct.pack(">f" if wire == "Float" else ">d", raw)
    except OverflowError:
        raise TagError(f"{raw!r} does not fit a node of type {wire}; it is out of range") from None
    return float(raw)


def _list(raw: Any) -> list[Any]:
    if raw is None:
        return []
    if not isinstance(raw, list | tuple):
        raise ValueMismatchError(f"{_shown(raw)} is no list")
    return list(raw)


def _only(raw: Any, tag: Tag) -> Any:
    """The value of a list of one; a text takes the first, as of the lines of a program block."""
    if tag.length:
        return raw[0] if raw else ""
    if len(raw) == 1:
        return raw[0]
    raise ValueMismatchError(f"a list of {len(raw)} values needs index or has")


def _truth(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        return raw != 0
    raise ValueMismatchError(f"{_shown(raw)} is no truth value")


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
