"""Where the contract's fields lie in a PLC that the gateway polls, and in which order they are exchanged. Pure.

One request is one consistent moment. Where a device needs several, the order keeps the promise of the contract:

- read: the words that start something (CONTROL, TRIGGER_SEQ, COMMAND_SEQ) first, their payload after them, and when
  they changed, those words once more: only if they stayed the same does the payload belong to them;
- written: RESULT_SEQ_COPY first, the payload, RESULT_SEQ, the status words, STATUS last. Until RESULT_SEQ is there the
  two numbers differ and the block says itself that it is torn. TRIGGER_REFUSED and COMMAND_RESULT stand before the
  acknowledged numbers that they belong to. Before a result is overwritten, ResultValid is taken away, so that a PLC
  which looks at that bit alone sees no half a result either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from protocols.modbus.planning import BIT_TABLES, Answer, Limits, Place, Request, plan, values
from protocols.modbus.quirks import Quirks
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS, STATUS_WORDS
from protocols.signals import Control, StatusBit

COMMAND_BYTES = 2 * COMMAND_WORDS
OUTPUT_BYTES = 2 * OUTPUT_WORDS
RESULT_AT = 2 * STATUS_WORDS

_SEQ = slice(RESULT_AT, RESULT_AT + 2)
_TELLING = frozenset((0, STATUS_WORDS))
"""Words of status and result that say whether there is a result: STATUS and RESULT_SEQ."""

STARTS = frozenset((0, 1, 6))
"""Words of the command block whose change starts something: CONTROL, TRIGGER_SEQ, COMMAND_SEQ."""
_EDGES = sum(Control)


class Stage(IntEnum):
    """When a field is written; lower ones are in the PLC before higher ones begin."""

    COPY = 0
    PAYLOAD = 1
    SEQ = 2
    STATE = 3
    BITS = 4


_STAGES = {0: Stage.BITS, STATUS_WORDS: Stage.SEQ, OUTPUT_WORDS - 1: Stage.COPY}
_ACKS = {2: 3, 11: 12}
"""TRIGGER_SEQ_ACK says that TRIGGER_REFUSED holds, COMMAND_SEQ_ACK that COMMAND_RESULT does."""


def stage(word: int) -> Stage:
    """The stage of a word of status and result (0…63)."""
    return _STAGES.get(word, Stage.STATE if word < STATUS_WORDS else Stage.PAYLOAD)


class Source(Protocol):
    """A place in the PLC that brings a part of the command block."""

    @property
    def place(self) -> Place: ...

    def put(self, block: bytearray, found: Answer) -> None:
        """Enter what was found there."""

    @property
    def starts(self) -> bool:
        """Whether its change can start something."""


class Sink(Protocol):
    """A place in the PLC that shows a part of status and result."""

    @property
    def place(self) -> Place: ...

    @property
    def words(self) -> frozenset[int]:
        """Of the 64 words of status and result, those of which something lies there."""

    def of(self, block: bytes) -> Answer:
        """What to write there."""


@dataclass(frozen=True, slots=True)
class Write:
    """One request that writes."""

    request: Request
    sinks: tuple[Sink, ...]
    words: frozenset[int]
    earliest: Stage
    latest: Stage

    @classmethod
    def of_sinks(cls, request: Request, sinks: tuple[Sink, ...]) -> Write:
        """The request that writes these, in the order of their addresses."""
        words = frozenset(word for sink in sinks for word in sink.words)
        stages = [stage(word) for word in words]
        return cls(request, sinks, words, min(stages), max(stages))

    @property
    def result(self) -> bool:
        """Whether any part of the result is in it."""
        return self.earliest <= Stage.SEQ

    def precedes(self, other: Write) -> bool:
        """Whether something in it must be in the PLC before something in the other."""
        return self.earliest < other.latest or any(
            ack in other.words and why in self.words for ack, why in _ACKS.items()
        )

    def of(self, block: bytes) -> Answer:
        """What it carries; the places follow each other without a gap."""
        parts = [sink.of(block) for sink in self.sinks]
        if self.request.table in BIT_TABLES:
            return tuple(bit for part in parts for bit in part if isinstance(bit, bool))
        return b"".join(part for part in parts if isinstance(part, bytes))


class ClientMap:
    """The plan of one station in one PLC: requests that read, requests that write, and what is in them."""

    def __init__(self, sources: Sequence[Source], sinks: Sequence[Sink], quirks: Quirks) -> None:
        self._sources = tuple(sources)
        read = Limits(quirks.max_read, quirks.max_read_bits, quirks.max_gap)
        requests = plan([source.place for source in sources], read)
        first = [request for request in requests if any(sources[n].starts for n in request.wanted)]
        self.reads = (*first, *(request for request in requests if request not in first))
        """In this order; what starts something comes first."""
        self.first = len(first)
        """So many of `reads` bring what starts something."""
        self.writes = tuple(_ordered(sinks, Limits(quirks.write_words, quirks.write_bits)))
        """In this order."""

    def command(self, answers: Sequence[Answer]) -> bytes:
        """The command block from one answer for each of `reads`: 64 bytes; what is not mapped is 0."""
        block = bytearray(COMMAND_BYTES)
        places = [source.place for source in self._sources]
        for source, found in zip(self._sources, values(places, self.reads, answers), strict=True):
            source.put(block, found)
        return bytes(block)

    def due(self, block: bytes, written: bytes | None) -> Iterator[tuple[Write, Answer]]:
        """What to write, in order, so that a PLC which has `written` (None = unknown) shows `block`; 128 bytes each."""
        if len(self.writes) == 1:
            yield from _changed(self.writes, block, written)
            return
        if written is None or block[RESULT_AT:] != written[RESULT_AT:]:
            low = lowered(block, written)
            telling = [write for write in reversed(self.writes) if write.words & _TELLING]
            yield from _changed(telling, low, written)
            yield from _changed(self.writes, block, written and low, anyhow=True)
        else:
            yield from _changed(self.writes, block, written)


def starts(command: bytes) -> bytes:
    """The part of a command block whose change starts something."""
    control = int.from_bytes(command[:2], "big") & _EDGES
    return control.to_bytes(2, "big") + b"".join(command[2 * word : 2 * word + 2] for word in sorted(STARTS - {0}))


def _changed(
    writes: Sequence[Write], block: bytes, written: bytes | None, *, anyhow: bool = False
) -> Iterator[tuple[Write, Answer]]:
    """Those that carry something new; `anyhow`: and all that carry a part of the result."""
    for write in writes:
        data = write.of(block)
        if written is None or (anyhow and write.result) or data != write.of(written):
            yield write, data


def lowered(block: bytes, written: bytes | None) -> bytes:
    """What the PLC has, with ResultValid taken away, and Ready where it will go; no result where that is unknown."""
    base = bytearray(written or block[:RESULT_AT] + bytes(OUTPUT_BYTES - RESULT_AT))
    bits = int.from_bytes(base[:2], "big") & ~StatusBit.RESULT_VALID
    if written is None or not int.from_bytes(block[:2], "big") & StatusBit.READY:
        bits &= ~StatusBit.READY
    base[:2] = bits.to_bytes(2, "big")
    if base[_SEQ] == block[_SEQ]:  # the same number for other words: only 0 tells that they are being replaced
        base[_SEQ] = b"\0\0"
    return bytes(base)


def _ordered(sinks: Sequence[Sink], limits: Limits) -> Iterator[Write]:
    """As few requests as keep the order: all planned together, or stage by stage where that would break it."""
    if (together := _sorted(_planned(sinks, limits))) is not None:
        yield from together
        return
    for last in Stage:
        now = [sink for sink in sinks if max(map(stage, sink.words)) is last]
        acks = [sink for sink in now if sink.words & _ACKS.keys()]
        yield from _planned([sink for sink in now if sink not in acks], limits)
        yield from _planned(acks, limits)


def _planned(sinks: Sequence[Sink], limits: Limits) -> list[Write]:
    requests = plan([sink.place for sink in sinks], limits)
    writes = [Write.of_sinks(request, tuple(sinks[n] for n in request.wanted)) for request in requests]
    return sorted(writes, key=lambda write: (write.earliest, write.latest))


def _sorted(writes: list[Write]) -> list[Write] | None:
    """Each after all that precede it, or None where two must precede each other."""
    done: list[Write] = []
    while writes:
        ready = next((w for w in writes if not any(o.precedes(w) for o in writes if o is not w)), None)
        if ready is None:
            return None
        done.append(ready)
        writes = [write for write in writes if write is not ready]
    return done
