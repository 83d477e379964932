"""Which node of a PLC holds which field of the contract, and in which order they are written. Pure.

Only a single value is consistent there: what one request carries is neither read nor written at one moment, nor in
any order that could be relied on. So the order is made of requests, one after the other:

- written: first what permits is taken away (Ready, ResultValid), then RESULT_SEQ_COPY, then all that is payload, then
  the numbers that vouch for it (RESULT_SEQ, the acknowledged numbers, BOOT_ID), then STATUS, and what permits last. A
  PLC that waits for a number or a bit finds complete what stands behind it, wherever between two values it looks.
- read: see `client`, which reads everything twice when a word that starts something has changed.

The values travel as the 64 and 128 bytes of the contract's blocks, big-endian, so that every carrier's records are one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from protocols.link import MapError
from protocols.modbus.client_fields import BITS, field_of
from protocols.modbus.client_map import RESULT_AT, lowered
from protocols.modbus.client_rules import check_cycle
from protocols.modbus.registers import FIELDS, STATUS_WORDS, Field, Type
from protocols.opcua.nodes import Reference
from protocols.signals import USER_WORDS, VALUES, StatusBit


class Stage(IntEnum):
    """When a value is written; lower ones are confirmed by the PLC before higher ones are sent."""

    COPY = 0
    PAYLOAD = 1
    NUMBER = 2
    STATUS = 3
    PERMIT = 4


ARRAYS = {"VALUE": ("VALUE_0", VALUES), "USER": ("USER_0", USER_WORDS)}
"""Fields in a row that may lie in one array: name, the first of them, how many."""

_NUMBERS = ("RESULT_SEQ", "TRIGGER_SEQ_ACK", "COMMAND_SEQ_ACK", "BOOT_ID")
_PERMITS = StatusBit.READY | StatusBit.RESULT_VALID


@dataclass(frozen=True, slots=True)
class Entry:
    """One mapped name: the words of its block, the node that holds them."""

    name: str
    node: Reference
    field: Field
    mask: int = 0
    """The one bit of the word that is meant; 0 = the whole field."""
    count: int = 0
    """Elements of an array; 0 = a single value."""

    @property
    def kind(self) -> str:
        """For messages: what the field is in the contract."""
        one = "single bit" if self.mask else str(self.field.type)
        return f"array of {self.count} {one}" if self.count else one

    @property
    def meaning(self) -> str:
        """One line on it; of an array, that of its elements."""
        bits = BITS.get(self.field.name, ())
        return next((bit.meaning for bit in bits if 1 << bit.number == self.mask), self.field.meaning)

    @property
    def extent(self) -> slice:
        """Its bytes in the block."""
        words = self.field.words * max(1, self.count)
        return slice(2 * self.field.word, 2 * (self.field.word + words))

    @property
    def stage(self) -> Stage:
        """When it is written."""
        name = self.field.name
        if name == "RESULT_SEQ_COPY":
            return Stage.COPY
        if name in _NUMBERS:
            return Stage.NUMBER
        if name == "STATUS":
            return Stage.PERMIT if not self.mask or self.mask & _PERMITS else Stage.STATUS
        return Stage.PAYLOAD

    @property
    def result(self) -> bool:
        """Whether it is a part of the result."""
        return self.field.word >= STATUS_WORDS

    def of(self, block: bytes) -> bytes:
        """Its bytes, or those of the word with the other bits taken away."""
        found = block[self.extent]
        return (int.from_bytes(found, "big") & self.mask).to_bytes(2, "big") if self.mask else found

    def numbers(self, block: bytes) -> list[int | float]:
        """Its values in the block: integers, or reals; a single bit is 0 or 1."""
        found = self.of(block)
        if self.mask:
            return [int(any(found))]
        size = 2 * self.field.words
        parts = [found[at : at + size] for at in range(0, len(found), size)]
        if self.field.type is Type.REAL:
            return [struct.unpack(">f", part)[0] for part in parts]
        return [int.from_bytes(part, "big") for part in parts]

    def put(self, block: bytearray, values: Sequence[int]) -> None:
        """Enter integers into a command block; a single bit leaves the others of its word as they are."""
        if self.mask:
            word = int.from_bytes(block[self.extent], "big") & ~self.mask
            block[self.extent] = (word | (self.mask if values[0] else 0)).to_bytes(2, "big")
            return
        size = 2 * self.field.words
        block[self.extent] = b"".join(value.to_bytes(size, "big") for value in values)

    def put_text(self, block: bytearray, text: str) -> None:
        """Enter SERIAL; what is longer is cut, what is not ASCII becomes `?`, as on every carrier."""
        size = 2 * self.field.words
        block[self.extent] = text.encode("ascii", "replace")[:size].ljust(size, b"\0")


@dataclass(frozen=True, slots=True)
class NodeMap:
    """All that one station has in one PLC; raises MapError for what cannot be."""

    command: tuple[Entry, ...]
    outputs: tuple[Entry, ...]

    @classmethod
    def of(cls, command: Mapping[str, Reference], outputs: Mapping[str, Reference]) -> NodeMap:
        """The map of these names (FIELDS, CONTROL.TRIGGER for a single bit, VALUE or USER for an array)."""
        asked, shown = list(_entries(command, command=True)), list(_entries(outputs, command=False))
        check_cycle([*_covered(asked)], [*_covered(shown)])
        _check_twice(asked, shown)
        return cls(tuple(asked), tuple(shown))

    def steps(self, block: bytes, written: bytes | None) -> Iterator[tuple[list[Entry], bytes]]:
        """Requests in order, so that a PLC which has `written` (None = unknown) shows `block`.

        Each with the block from which its values are to be taken.
        """
        new_result = written is None or block[RESULT_AT:] != written[RESULT_AT:]
        low = self._low(block, written, new_result)
        for name in ("STATUS", "RESULT_SEQ"):
            falling = [one for one in self.outputs if one.field.name == name and _differ(one, low, written)]
            if falling:
                yield falling, low
        before = low if written is not None else None
        for stage in Stage:
            found = [
                one
                for one in self.outputs
                if one.stage is stage and (_differ(one, block, before) or (new_result and one.result))
            ]
            if found:
                yield found, block

    def _low(self, block: bytes, written: bytes | None, new_result: bool) -> bytes:
        """What the PLC has, with those permits taken away that go, or that a result in the making forbids."""
        if written is None or new_result:
            return lowered(block, written)
        if not any(one.mask & _PERMITS for one in self.outputs if one.field.name == "STATUS"):
            return written  # a word of all bits goes as one
        kept = int.from_bytes(block[:2], "big") | ~int(_PERMITS) & 0xFFFF
        return (int.from_bytes(written[:2], "big") & kept).to_bytes(2, "big") + written[2:]


def _differ(entry: Entry, block: bytes, written: bytes | None) -> bool:
    return written is None or entry.of(block) != entry.of(written)


def _entries(fields: Mapping[str, Reference], *, command: bool) -> Iterator[Entry]:
    for word in BITS:
        if word in fields and any(name.startswith(f"{word}.") for name in fields):
            raise MapError(f"{word} is mapped as a whole and bit by bit; keep one of the two")
    for name, node in fields.items():
        if name in ARRAYS and (name == "USER") == command:
            first, count = ARRAYS[name]
            if any(other.startswith(f"{name}_") for other in fields):
                raise MapError(f"{name} is mapped as an array and element by element; keep one of the two")
            yield Entry(name, node, field_of(first, command)[0], count=count)
            continue
        field, bit = field_of(name, command)
        yield Entry(name, node, field, 0 if bit is None else 1 << bit.number)


def _covered(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        words = range(entry.field.word, entry.field.word + entry.field.words * max(1, entry.count))
        if not entry.mask:
            yield from (one.name for one in FIELDS if one.block is entry.field.block and one.word in words)
        else:
            yield entry.name


def _check_twice(asked: Sequence[Entry], shown: Sequence[Entry]) -> None:
    places: dict[Reference, str] = {}
    for where, entries in (("command", asked), ("outputs", shown)):
        for entry in entries:
            if (other := places.get(entry.node)) is not None:
                raise MapError(f"{where}.{entry.name} and {other} lie in one node, {entry.node}; give each its own")
            places[entry.node] = f"{where}.{entry.name}"
