"""The registers of one station as people read them: decoded, with their age, and in words why Ready is low. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from protocols.codec import RESULT_BYTES, SIGNATURE_BYTES, STATUS_BYTES, Codec, StringOrder
from protocols.faults import CATALOGUE, Code
from protocols.modbus.registers import (
    CONTROL_BITS,
    FIELDS,
    OUTPUT_WORDS,
    RESULT_BITS,
    STATUS_BITS,
    STATUS_WORDS,
    Bit,
    Block,
    Field,
    Type,
)
from protocols.signals import Command, CommandCode, Control, Judgement, Status, StatusBit

STILL = 1.0
"""Seconds without a beat after which a heartbeat stands still."""
BEATS = frozenset(("HEARTBEAT", "PLC_HEARTBEAT"))
_BITS: dict[str, tuple[Bit, ...]] = {"CONTROL": CONTROL_BITS, "STATUS": STATUS_BITS, "RESULT_BITS": RESULT_BITS}
_CODES = frozenset(("TRIGGER_REFUSED", "FAULT_CODE", "NOT_READY_REASON", "COMMAND_RESULT", "REASON"))
_RESULTS = {0: "none", 1: "running", 2: "done"}


@dataclass(frozen=True, slots=True)
class Row:
    """One register as it stands: `age` in seconds since it last changed, None while it has not since the start."""

    field: Field
    raw: str
    shown: str
    age: float | None
    writer: str
    """Who writes it: `PLC` or `gateway`."""


class Watched:
    """Fed with both blocks at each poll; remembers when each field last changed."""

    def __init__(self, codec: Codec, *, shown_words: int = OUTPUT_WORDS) -> None:
        """`shown_words` may leave out the signature, which a PLC that is polled does not hold."""
        self.codec = codec
        self.command = Command()
        self.status = Status()
        self.result_valid = False
        self._fields = tuple(f for f in FIELDS if f.block is Block.COMMAND or f.word + f.words <= shown_words)
        self._raw: dict[str, bytes] = {}
        self._changed: dict[str, float | None] = {}
        self._began = 0.0

    def take(self, command: bytes, shown: bytes, now: float) -> list[str]:
        """64 bytes of the PLC's, and status, result and signature of the gateway's; the keys of what has changed."""
        first = not self._raw
        if first:
            self._began = now
        self.command = self.codec.decode_command(command)
        self.status = self.codec.decode_status(shown[:STATUS_BYTES])
        news = []
        for field in self._fields:
            block = command if field.block is Block.COMMAND else shown
            raw = block[2 * field.word : 2 * (field.word + field.words)]
            key = _key(field)
            if self._raw.get(key) != raw:
                self._raw[key] = raw
                self._changed[key] = None if first else now
                news.append(key)
        return news

    def rows(self, now: float) -> Iterator[Row]:
        """Every field, in the order of the map."""
        for field in self._fields:
            key = _key(field)
            raw, changed = self._raw.get(key, b""), self._changed.get(key)
            age = None if changed is None else now - changed
            writer = "PLC" if field.block is Block.COMMAND else "gateway"
            yield Row(field, raw.hex(" ", 2).upper(), self.shown(field, raw), age, writer)

    def row(self, key: str, now: float) -> Row:
        """One of them."""
        return next(row for row in self.rows(now) if _key(row.field) == key)

    def still(self, name: str, now: float) -> float:
        """Seconds that a heartbeat has stood still; 0 while it moves, or while that cannot be known yet.

        A PLC need not beat: its heartbeat stands still only after it was seen to move.
        """
        if name == "PLC_HEARTBEAT" and not self.beaten(name):
            return 0.0
        key = next(_key(field) for field in self._fields if field.name == name)
        since = self._changed.get(key)
        seconds = now - (self._began if since is None else since)
        return seconds if seconds > STILL else 0.0

    def beaten(self, name: str) -> bool:
        """Whether a heartbeat was seen to move."""
        key = next(_key(field) for field in self._fields if field.name == name)
        return self._changed.get(key) is not None

    def shown(self, field: Field, raw: bytes) -> str:
        """The value as a person writes it."""
        if not raw:
            return ""
        match field.type:
            case Type.BITS:
                return _names(_BITS[field.name], int.from_bytes(raw, "big"))
            case Type.UINT:
                return _number(field.name, int.from_bytes(raw, "big"))
            case Type.UDINT:
                return str(struct.unpack(">I", self._ordered(raw))[0])
            case Type.REAL:
                return f"{struct.unpack('>f', self._ordered(raw))[0]:.6g}"
            case Type.STRING:
                return repr(self._text(raw))

    def _ordered(self, raw: bytes) -> bytes:
        return bytes(raw["ABCD".index(letter)] for letter in self.codec.word_order)

    def _text(self, raw: bytes) -> str:
        swapped = self.codec.string_order is StringOrder.LITTLE
        plain = b"".join(raw[n : n + 2][::-1] for n in range(0, len(raw), 2)) if swapped else raw
        return plain.split(b"\0", 1)[0].decode("ascii", "replace")

    # ------------------------------------------------------------ in words

    def why(self, now: float) -> list[str]:
        """Why Ready is low and what to do, likeliest first; empty while it is high and nothing waits."""
        told = list(self._reasons(now))
        told += self._waiting(now)
        return told

    def _reasons(self, now: float) -> Iterator[str]:
        status = self.status
        if seconds := self.still("HEARTBEAT", now):
            yield f"The gateway's HEARTBEAT has stood still for {seconds:.0f} s: trust nothing it shows; see its log."
        if status.ready:
            return
        if status.bits & StatusBit.BUSY and status.not_ready_reason == Code.TRIGGER_WHILE_BUSY:
            yield "Ready is low: an inspection is running."
        elif status.not_ready_reason:
            yield f"Ready is low: {explained(status.not_ready_reason)}"
        else:
            yield "Ready is low, and NOT_READY_REASON is 0: this is no gateway, or its outputs were never written."
        if not self.command.control & Control.ENABLE:
            yield "Hint: Enable (CONTROL bit 0) is 0; the station inspects only while it is 1."
        if self.still("PLC_HEARTBEAT", now):
            yield f"Hint: PLC_HEARTBEAT has stood at {self.command.plc_heartbeat}; is the PLC in RUN?"
        if self.command.control & Control.TRIGGER:
            yield "Hint: the Trigger bit is 1; it must fall before the next edge counts."
        if status.fault_code and status.fault_code != status.not_ready_reason:
            yield f"Latched: {explained(status.fault_code)} ClearFault removes it."

    def _waiting(self, now: float) -> Iterator[str]:
        status, command = self.status, self.command
        if status.pending and status.bits & StatusBit.RESULT_VALID:
            yield (
                f"{status.pending} result(s) wait for the acknowledgement: write the RESULT_SEQ shown into "
                f"RESULT_ACK_SEQ (now {command.result_ack_seq}), or ResultAck 0→1→0."
            )
        if status.trigger_refused and status.trigger_seq_ack == command.trigger_seq:
            yield f"The last trigger was refused: {explained(status.trigger_refused)}"


def explained(code: int) -> str:
    """A code of the catalogue with its cause and remedy, as sentences."""
    info = CATALOGUE.get(code)
    if info is None:
        return f"{code}, which this version does not know."
    return f"{code} {info.text}. Cause: {info.cause}. Remedy: {info.remedy}."


def _key(field: Field) -> str:
    return f"{field.block.value}.{field.name}"


def _names(bits: tuple[Bit, ...], value: int) -> str:
    on = [bit.name for bit in bits if value >> bit.number & 1]
    rest = value & ~sum(1 << bit.number for bit in bits)
    return " ".join([*on, f"{rest:#06x}"] if rest else on) or "-"


def _number(name: str, value: int) -> str:
    if name == "JUDGEMENT" and value in tuple(Judgement):
        return f"{value} {Judgement(value).name}"
    if name == "COMMAND" and value in tuple(CommandCode):
        return f"{value} {CommandCode(value).name.lower()}"
    if name == "COMMAND_RESULT" and value in _RESULTS:
        return f"{value} {_RESULTS[value]}"
    if name in _CODES and value in CATALOGUE:
        return f"{value} {CATALOGUE[value].text}"
    return str(value)


assert 2 * STATUS_WORDS == STATUS_BYTES and 2 * OUTPUT_WORDS == STATUS_BYTES + RESULT_BYTES  # noqa: S101, PT018
assert SIGNATURE_BYTES == 20  # noqa: S101
