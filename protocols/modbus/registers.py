"""The register map of one station: fields, bits and addresses. Pure; `gateway map` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntFlag, StrEnum

from protocols.link import MapError
from protocols.signals import VALUES, Control, ResultBit, StatusBit

COMMAND_WORDS = 32
STATUS_WORDS = 16
OUTPUT_WORDS = 64
SIGNATURE_WORDS = 10
SHOWN_WORDS = OUTPUT_WORDS + SIGNATURE_WORDS
COILS = 16
DISCRETES = 32
ADDRESSES = 0x1_0000


class Table(Enum):
    """The four tables of the Modbus data model, with the first digit of their PLC addresses (0xxxx, 1xxxx, …)."""

    COIL = 0
    DISCRETE = 1
    INPUT = 3
    HOLDING = 4


class Block(StrEnum):
    """Who writes a field: the PLC (command) or the gateway (the others)."""

    COMMAND = "command"
    STATUS = "status"
    RESULT = "result"
    SIGNATURE = "signature"


class Type(StrEnum):
    """Type of a field as IEC 61131-3 names it; BITS is a WORD of single bits."""

    BITS = "BITS"
    UINT = "UINT"
    UDINT = "UDINT"
    REAL = "REAL"
    STRING = "STRING"


@dataclass(frozen=True, slots=True)
class Field:
    """One named value: `word` counts from the base of its area (command block, or status for all others)."""

    block: Block
    word: int
    name: str
    type: Type
    words: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Bit:
    """One bit of CONTROL, STATUS or RESULT_BITS; bit 0 is the least significant."""

    number: int
    name: str
    meaning: str


def _fields() -> Iterator[Field]:
    layout: dict[Block, tuple[int, tuple[tuple[str, Type, int, str], ...]]] = {
        Block.COMMAND: (0, _COMMAND),
        Block.STATUS: (0, _STATUS),
        Block.RESULT: (STATUS_WORDS, _RESULT),
        Block.SIGNATURE: (OUTPUT_WORDS, _SIGNATURE),
    }
    for block, (first, rows) in layout.items():
        word = first
        for name, kind, words, meaning in rows:
            if name:
                yield Field(block, word, name, kind, words, meaning)
            word += words


_U, _D, _R, _B, _S = Type.UINT, Type.UDINT, Type.REAL, Type.BITS, Type.STRING
_RESERVED = ("", _U, 1, "reserved, reads 0")

# Each row stands behind the one before it; the offsets follow from the lengths.
_COMMAND = (
    ("CONTROL", _B, 1, "see the bits; also as coils"),
    ("TRIGGER_SEQ", _U, 1, "0 = unused; a change to another non-zero value is a trigger"),
    ("RESULT_ACK_SEQ", _U, 1, "the RESULT_SEQ that the PLC has taken"),
    ("PLC_HEARTBEAT", _U, 1, "every change is a beat; never changed = not supervised"),
    ("COMMAND", _U, 1, "1 activate recipe, 2 reset counters, 3 go offline, 4 go online"),
    ("COMMAND_PARAM", _U, 1, "recipe number"),
    ("COMMAND_SEQ", _U, 1, "a change to another non-zero value executes COMMAND"),
    _RESERVED,
    ("PART_ID", _D, 2, "echoed with the result"),
    *((f"USER_{n}", _U, 1, "recorded with the inspection") for n in range(6)),
    ("SERIAL", _S, 16, "serial of the part, 32 characters, ends at the first NUL"),
)
_STATUS = (
    ("STATUS", _B, 1, "see the bits; also as discrete inputs"),
    ("HEARTBEAT", _U, 1, "counts up every heartbeat period"),
    ("TRIGGER_SEQ_ACK", _U, 1, "last trigger seen, accepted or refused"),
    ("TRIGGER_REFUSED", _U, 1, "why that trigger was refused; 0 = accepted"),
    ("NEWEST_RESULT_SEQ", _U, 1, "number of the newest result, shown or waiting"),
    ("PENDING", _U, 1, "results waiting for their ack, the shown one included"),
    ("LOST", _U, 1, "results overwritten unacknowledged"),
    ("MISSED", _U, 1, "triggers refused"),
    ("FAULT_CODE", _U, 1, "latched until ClearFault; 0 = none"),
    ("NOT_READY_REASON", _U, 1, "why Ready is low; 0 = ready"),
    ("RECIPE_ACTIVE", _U, 1, "number of the active recipe"),
    ("COMMAND_SEQ_ACK", _U, 1, "last COMMAND_SEQ seen"),
    ("COMMAND_RESULT", _U, 1, "0 none, 1 running, 2 done, other = fault code"),
    ("CONFIG_CRC", _U, 1, "changes when configuration or recipe changes"),
    ("BOOT_ID", _U, 1, "another one after each start of the gateway"),
    ("MAP_VERSION", _U, 1, "version of this map"),
)
_RESULT = (
    ("RESULT_SEQ", _U, 1, "1…65535, then 1; 0 = no result"),
    ("TRIGGER_SEQ", _U, 1, "the trigger this result belongs to"),
    ("PART_ID", _D, 2, "the part this result belongs to"),
    ("JUDGEMENT", _U, 1, "0 none, 1 OK, 2 NG, 3 RECHECK, 4 FAULT; only 1 is good"),
    ("RESULT_BITS", _B, 1, "see the bits; also as discrete inputs"),
    ("REASON", _U, 1, "NG code of the rule that fired, or the fault code"),
    ("FINDINGS", _U, 1, "how many findings"),
    ("SCORE", _R, 2, "deciding score"),
    ("RECIPE", _U, 1, "recipe that judged"),
    ("MODEL_CRC", _U, 1, "model that judged"),
    ("TOTAL", _U, 1, "trigger to result, 0.1 ms"),
    ("GRAB", _U, 1, "taking the picture, 0.1 ms"),
    ("INFER", _U, 1, "running the network, 0.1 ms"),
    _RESERVED,
    ("TIME_S", _D, 2, "UTC of the exposure, seconds since 1970"),
    ("TIME_MS", _U, 1, "and milliseconds"),
    _RESERVED,
    *((f"VALUE_{n}", _R, 2, "named value of the recipe; unused = NaN") for n in range(VALUES)),
    _RESERVED,
    ("RESULT_SEQ_COPY", _U, 1, "equals RESULT_SEQ, or the block is torn: do not use it"),
)
_SIGNATURE = (
    ("SIGNATURE_UINT", _U, 1, "reads 16#1234"),
    ("SIGNATURE_UDINT", _D, 2, "reads 16#12345678 when the word order is right"),
    ("SIGNATURE_REAL", _R, 2, "reads 123.456 when the word order is right"),
    ("SIGNATURE_STRING", _S, 4, "reads ABCDEFGH when the string order is right"),
    _RESERVED,
)

FIELDS: tuple[Field, ...] = tuple(_fields())
"""Every named value of the map, in the order of the words; gaps are reserved words that read 0."""


def _bits(flags: type[IntFlag], meanings: dict[IntFlag, str]) -> tuple[Bit, ...]:
    return tuple(Bit(flag.bit_length() - 1, str(flag.name), meanings[flag]) for flag in flags)


CONTROL_BITS: tuple[Bit, ...] = _bits(
    Control,
    {
        Control.ENABLE: "the station shall inspect",
        Control.TRIGGER: "0→1 starts an inspection; hold until TRIGGER_ACK",
        Control.RESULT_ACK: "0→1 takes the result shown",
        Control.EXECUTE: "0→1 runs COMMAND; hold until COMMAND_DONE or COMMAND_FAILED",
        Control.CLEAR_FAULT: "0→1 clears FAULT_CODE",
        Control.ABORT: "0→1 ends the running inspection",
    },
)
STATUS_BITS: tuple[Bit, ...] = _bits(
    StatusBit,
    {
        StatusBit.ONLINE: "the station runs and has not been taken offline",
        StatusBit.READY: "a trigger will be accepted",
        StatusBit.TRIGGER_ACK: "the trigger was seen; follows the Trigger bit down",
        StatusBit.BUSY: "an inspection is running",
        StatusBit.EXPOSURE_DONE: "the picture is taken, the part may move",
        StatusBit.RESULT_VALID: "the result block holds an unacknowledged result",
        StatusBit.OVERRUN: "a result was lost unacknowledged",
        StatusBit.MISSED_TRIGGER: "a trigger was refused",
        StatusBit.EXECUTING: "a command is running",
        StatusBit.COMMAND_DONE: "the command was carried out",
        StatusBit.COMMAND_FAILED: "the command failed, see COMMAND_RESULT",
        StatusBit.DEGRADED: "results go on, something needs attention",
        StatusBit.FAULT: "see FAULT_CODE",
        StatusBit.SIMULATED: "pictures come from a simulated camera",
        StatusBit.FAIL_SAFE: "outputs are held in their safe state",
        StatusBit.RESULT_TOGGLE: "flips with every new result",
    },
)
RESULT_BITS: tuple[Bit, ...] = tuple(
    bit
    for bit in _bits(
        ResultBit,
        {
            ResultBit.OK: "judgement is OK",
            ResultBit.NG: "judgement is NG",
            ResultBit.RECHECK: "judgement is RECHECK",
            ResultBit.FAULT: "judgement is FAULT",
            ResultBit.DEADLINE_MISSED: "no verdict within the deadline",
            ResultBit.SIMULATED: "from a simulated camera",
            ResultBit.CHECK_0: "",
        },
    )
    if bit.number < 8
) + tuple(Bit(8 + n, f"CHECK_{n}", "named check of the recipe found something") for n in range(8))


_TABLE_NAMES = {
    Table.COIL: "coils",
    Table.DISCRETE: "discrete inputs",
    Table.INPUT: "input registers",
    Table.HOLDING: "holding registers",
}
_AREA_TABLES = {
    "command": Table.HOLDING,
    "status": Table.INPUT,
    "mirror": Table.HOLDING,
    "coils": Table.COIL,
    "discrete": Table.DISCRETE,
}


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """Where the blocks of a station lie (PDU addresses); raises MapError when they overlap or leave the table."""

    command: int = 0
    """Holding registers: the command block, written by the PLC."""
    status: int = 0
    """Input registers: status, result, signature."""
    mirror: int = 100
    """Holding registers: the same, for masters that cannot read input registers."""
    coils: int = 0
    """Coils: CONTROL."""
    discrete: int = 0
    """Discrete inputs: STATUS, then RESULT_BITS."""

    def __post_init__(self) -> None:
        for name, length in self._lengths().items():
            base = getattr(self, name)
            if not 0 <= base <= ADDRESSES - length:
                raise MapError(
                    f"register map: {name} = {base} does not fit; give an address from 0 to {ADDRESSES - length}"
                )
        if self.command < self.mirror + SHOWN_WORDS and self.mirror < self.command + COMMAND_WORDS:
            raise MapError(
                f"register map: command block ({self.command}…{self.command + COMMAND_WORDS - 1}) and mirror "
                f"({self.mirror}…{self.mirror + SHOWN_WORDS - 1}) overlap; move one of them"
            )

    @staticmethod
    def _lengths() -> dict[str, int]:
        return {
            "command": COMMAND_WORDS,
            "status": SHOWN_WORDS,
            "mirror": SHOWN_WORDS,
            "coils": COILS,
            "discrete": DISCRETES,
        }

    def overlap(self, other: RegisterMap) -> str:
        """What of two stations of one unit lies in the same place, in words; "" when nothing does."""
        for name, table, start, end in self._areas():
            for its_name, its_table, its_start, its_end in other._areas():
                if table is its_table and start < its_end and its_start < end:
                    kind = _TABLE_NAMES[table]
                    return f"{name} ({kind} {start}…{end - 1}) and {its_name} ({kind} {its_start}…{its_end - 1})"
        return ""

    def _areas(self) -> Iterator[tuple[str, Table, int, int]]:
        """Name, table, first address and the one behind the last of each block."""
        for name, length in self._lengths().items():
            base = getattr(self, name)
            yield name, _AREA_TABLES[name], base, base + length

    def places(self, field: Field) -> tuple[tuple[Table, int], ...]:
        """Where a field can be read: table and PDU address of its first word, the preferred one first."""
        if field.block is Block.COMMAND:
            return ((Table.HOLDING, self.command + field.word),)
        return ((Table.INPUT, self.status + field.word), (Table.HOLDING, self.mirror + field.word))

    def bit_place(self, field: Field, bit: Bit) -> tuple[Table, int] | None:
        """Where a bit can be read as a coil or discrete input, or None."""
        if field.name == "CONTROL":
            return Table.COIL, self.coils + bit.number
        first = {"STATUS": 0, "RESULT_BITS": 16}.get(field.name)
        return None if first is None else (Table.DISCRETE, self.discrete + first + bit.number)


def plc_address(table: Table, pdu: int) -> str:
    """A PDU address (from 0) as PLC programmers write it (from 1): 40001, and with six digits from 410000 on."""
    number = pdu + 1
    return f"{table.value}{number:04d}" if number <= 9999 else f"{table.value}{number:05d}"
