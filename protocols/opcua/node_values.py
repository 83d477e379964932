"""Values of the contract in a PLC's exact types: which type can hold which field, and how it is turned. Pure.

A PLC takes a value of its own type only (else Bad_TypeMismatch). So the type is read at each connection, and a field
whose every value it cannot hold is refused by name before anything is exchanged.
Source: OPC 10000-6 §5.1.2 (built-in types and their numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from protocols.link import MapError, PeerError
from protocols.modbus.registers import Block, Type
from protocols.opcua.node_map import Entry


class Builtin(IntEnum):
    """Built-in types that can hold a field, by their numbers."""

    BOOLEAN = 1
    SBYTE = 2
    BYTE = 3
    INT16 = 4
    UINT16 = 5
    INT32 = 6
    UINT32 = 7
    INT64 = 8
    UINT64 = 9
    FLOAT = 10
    DOUBLE = 11
    STRING = 12


INTEGERS = {
    Builtin.SBYTE: (-(1 << 7), (1 << 7) - 1),
    Builtin.BYTE: (0, (1 << 8) - 1),
    Builtin.INT16: (-(1 << 15), (1 << 15) - 1),
    Builtin.UINT16: (0, (1 << 16) - 1),
    Builtin.INT32: (-(1 << 31), (1 << 31) - 1),
    Builtin.UINT32: (0, (1 << 32) - 1),
    Builtin.INT64: (-(1 << 63), (1 << 63) - 1),
    Builtin.UINT64: (0, (1 << 64) - 1),
}
"""The least and the greatest that each holds."""

_SMALL = {"JUDGEMENT": 4}
"""Fields whose greatest value is less than their word could hold."""
_TOLD = frozenset(
    (
        "TRIGGER_REFUSED", "PENDING", "LOST", "MISSED", "FAULT_CODE", "NOT_READY_REASON", "RECIPE_ACTIVE",
        "COMMAND_RESULT", "MAP_VERSION", "REASON", "FINDINGS", "RECIPE", "TOTAL", "GRAB", "INFER", "TIME_MS",
        "PART_ID", "TIME_S",
    )
)  # fmt: skip
"""Fields that are only told: a signed type of the same length shows what does not fit as the greatest that does."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a node holds: its type, and how many elements if it is an array (0: a single value)."""

    type: Builtin
    length: int = 0

    def __str__(self) -> str:
        name = self.type.name.capitalize().replace("Uint", "UInt").replace("Sbyte", "SByte")
        return f"{name}[{self.length}]" if self.length else name


def check(entry: Entry, kind: Kind, where: str) -> None:
    """Whether this node can hold every value of the field; raises MapError with name, type and remedy."""
    place = f"{where}.{entry.name}: {entry.node} is of type {kind}"
    if bool(entry.count) != bool(kind.length):
        raise MapError(f"{place}, and {entry.name} is {_article(entry)}; map its elements, or another node")
    if entry.count and where == "command" and kind.length < entry.count:
        raise MapError(f"{place}, and {entry.name} has {entry.count} elements; make it longer")
    if not _holds(entry, kind.type):
        raise MapError(f"{place}, which cannot hold {_article(entry)}; make it {_wanted(entry)}")


def read_into(block: bytearray, entry: Entry, kind: Kind, value: object) -> None:
    """Enter what was read into a command block; raises PeerError for a value that the field cannot have."""
    if entry.field.type is Type.STRING:
        if not isinstance(value, str | None):
            raise PeerError(f"{entry.name}: {entry.node} holds {_shown(value)}, which is no text")
        entry.put_text(block, value or "")
        return
    values = value if isinstance(value, list) and kind.length else [value]
    if kind.length and len(values) < entry.count:
        raise PeerError(f"{entry.name}: {entry.node} holds {len(values)} elements where {entry.count} are needed")
    entry.put(block, [_number(entry, kind, one) for one in values[: entry.count or 1]])


def write_from(block: bytes, entry: Entry, kind: Kind) -> bool | int | float | str | list[int | float]:
    """What to write into this node, in its type."""
    numbers = [_fitted(entry, number, kind.type) for number in entry.numbers(block)]
    if not entry.count:
        return bool(numbers[0]) if kind.type is Builtin.BOOLEAN else numbers[0]
    # An array is written whole, as long as the PLC has it.
    return (numbers + [math.nan] * kind.length)[: kind.length]


def note_shown(block: bytearray, entry: Entry, kind: Kind, value: object) -> None:
    """Make a block of status and result, as it is to be shown, tell what the PLC shows of this field instead."""
    wanted = write_from(bytes(block), entry, kind)
    if _same(wanted, value):
        return
    exact = entry.field.type is Type.BITS or entry.name == "RESULT_SEQ"
    if exact and isinstance(value, int):
        entry.put(block, [value & 0xFFFF])
    else:  # what it is does not matter, only that it is something else
        block[entry.extent] = bytes(~byte & 0xFF for byte in block[entry.extent])


def _same(wanted: object, value: object) -> bool:
    if isinstance(wanted, list):
        return isinstance(value, list) and len(wanted) == len(value) and all(map(_same, wanted, value))
    both_nan = isinstance(wanted, float) and isinstance(value, float) and math.isnan(wanted) and math.isnan(value)
    return both_nan or (isinstance(value, bool) is isinstance(wanted, bool) and wanted == value)


def _holds(entry: Entry, kind: Builtin) -> bool:
    field = entry.field
    if entry.mask or (kind is Builtin.BOOLEAN and field.name == "PLC_HEARTBEAT"):  # a clock bit beats as well
        return kind is Builtin.BOOLEAN
    if field.type in (Type.STRING, Type.REAL):
        return kind in ((Builtin.STRING,) if field.type is Type.STRING else (Builtin.FLOAT, Builtin.DOUBLE))
    if kind not in INTEGERS or field.block is Block.COMMAND:
        return kind in INTEGERS  # what a narrow one cannot hold cannot be asked for
    least, most = INTEGERS[kind]
    bits = 16 * field.words
    same_length = least == -(1 << bits - 1)
    return most >= _SMALL.get(field.name, (1 << bits) - 1) or (
        same_length and (field.type is Type.BITS or field.name in _TOLD)
    )


def _wanted(entry: Entry) -> str:
    if entry.mask:
        return "Boolean"
    return {
        Type.STRING: "String",
        Type.REAL: "Float",
        Type.BITS: "UInt16 (WORD)",
        Type.UINT: "UInt16 (UINT)",
        Type.UDINT: "UInt32 (UDINT)",
    }[entry.field.type]


def _article(entry: Entry) -> str:
    return f"{'an' if entry.kind[0] in 'aeiou' else 'a'} {entry.kind}"


def _number(entry: Entry, kind: Kind, value: object) -> int:
    most = 1 if entry.mask else (1 << 16 * entry.field.words) - 1
    if isinstance(value, bool) is not (kind.type is Builtin.BOOLEAN) or not isinstance(value, int):
        raise PeerError(f"{entry.name}: {entry.node} holds {_shown(value)}, which is no {kind}")
    if entry.field.type is Type.BITS and not entry.mask:
        return value & most  # bits of a signed word
    if not 0 <= value <= most:
        raise PeerError(f"{entry.name}: {entry.node} holds {value}, and {entry.name} goes from 0 to {most}")
    return value


def _fitted(entry: Entry, number: int | float, kind: Builtin) -> int | float:
    if kind not in INTEGERS or not isinstance(number, int):
        return number
    least, most = INTEGERS[kind]
    if entry.field.type is Type.BITS and number > most:
        return number - (1 << 16)
    return max(least, min(most, number))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def elements(value: object, dimensions: Sequence[int] | None, rank: int) -> int:
    """How many elements a node holds, by its value or else by its declaration; 0 for a single value."""
    if isinstance(value, list):
        return len(value)
    if rank >= 1 and dimensions and dimensions[0] > 0:
        return int(dimensions[0])
    return 0
