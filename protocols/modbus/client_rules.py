"""Whether a whole cycle can run over mapped fields, and whether any is written over another. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from protocols.link import MapError
from protocols.modbus.client_fields import Area, place_of
from protocols.modbus.planning import Place
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS, Table


def check_fields(command: Area, outputs: Area) -> None:
    """Whether a whole cycle can run over these fields, and none is written over another; raises MapError."""
    check_cycle(None if isinstance(command, int) else command, None if isinstance(outputs, int) else outputs)
    _check_overlaps(command, outputs)


def check_cycle(command: Collection[str] | None, outputs: Collection[str] | None) -> None:
    """Whether a whole cycle can run over fields of these names (None: over all of them); raises MapError."""
    if command is not None:
        _need("command", command, ("CONTROL.ENABLE",), "the station could never be enabled")
    if outputs is not None:
        _need("outputs", outputs, ("HEARTBEAT",), "the PLC could not tell a dead gateway from an idle one")
        _need("outputs", outputs, ("STATUS.READY",), "the PLC could not tell when to trigger")
        if not any(_has(outputs, name) for name in ("JUDGEMENT", "RESULT_BITS.OK")):
            raise MapError("outputs lacks JUDGEMENT or RESULT_BITS.OK: there would be no verdict; map one of them")
    lacking = {style: _lacking(command, outputs, style) for style in _STYLES}
    if all(lacking.values()):
        told = "; ".join(f"the {style} style lacks {', '.join(names)}" for style, names in lacking.items())
        raise MapError(f"no cycle could run: {told}; map all that one of them needs")


_STYLES = {
    "sequence": (("TRIGGER_SEQ", "RESULT_ACK_SEQ"), ("RESULT_SEQ", "TRIGGER_SEQ")),
    "bit": (("CONTROL.TRIGGER", "CONTROL.RESULT_ACK"), ("STATUS.TRIGGER_ACK", "STATUS.RESULT_VALID")),
}
"""What a cycle needs beside Enable, Ready, heartbeat and verdict: of the command, of the outputs."""


def _has(names: Collection[str], name: str) -> bool:
    return name in names or name.partition(".")[0] in names


def _need(where: str, names: Collection[str], wanted: Iterable[str], why: str) -> None:
    for name in wanted:
        if not _has(names, name):
            raise MapError(f"{where} lacks {name}: {why}; map it" + (" or the whole word" if "." in name else ""))


def _lacking(command: Collection[str] | None, outputs: Collection[str] | None, style: str) -> list[str]:
    asked, shown = _STYLES[style]
    return [
        f"{where}.{name}"
        for where, names, wanted in (("command", command, asked), ("outputs", outputs, shown))
        for name in wanted
        if names is not None and not _has(names, name)
    ]


@dataclass(frozen=True, slots=True)
class Extent:
    """What one name takes in the PLC; `bit` where it takes one bit of a register alone."""

    name: str
    place: Place
    bit: int | None
    written: bool

    @property
    def span(self) -> str:
        """For messages: what it is, where it lies."""
        first, last = self.place.address, self.place.end - 1
        called = f"{self.name} at " if self.name else ""
        return f"{called}{first}" + (f" to {last}" if last > first else "")

    def beside(self, other: Extent) -> bool:
        """Whether one station may have both: bits of one register, if the same side writes it."""
        both_bits = self.bit is not None and other.bit is not None
        return not self._meets(other) or (both_bits and self.bit != other.bit and self.written == other.written)

    def clashes(self, other: Extent) -> bool:
        """Whether two stations cannot both have it so in one PLC: two may read one field, none may write another's."""
        # A register with bits of ours is written as a whole, so that another station's bits in it would be lost.
        return self._meets(other) and (self.written or other.written or not (self.name and other.name))

    def _meets(self, other: Extent) -> bool:
        mine, theirs = self.place, other.place
        return mine.table is theirs.table and mine.address < theirs.end and theirs.address < mine.end


def extents(area: Area, command: bool) -> Iterator[Extent]:
    """All that an area takes, by name; a block is one."""
    if isinstance(area, int):
        words = COMMAND_WORDS if command else OUTPUT_WORDS
        # No name: it takes everything there.
        yield Extent("", Place(Table.HOLDING, area, words), None, not command)
        return
    for name, mapped in area.items():
        yield Extent(name, place_of(name, mapped, command), mapped.bit, not command)


def _check_overlaps(command: Area, outputs: Area) -> None:
    shown = list(extents(outputs, command=False))
    asked = list(extents(command, command=True))
    for n, one in enumerate(shown):
        for where, others in (("outputs", shown[:n]), ("command", asked)):
            for other in others:
                if not one.beside(other):
                    raise MapError(f"outputs: {one.span} overlaps {other.span} of {where}; move one of them")
