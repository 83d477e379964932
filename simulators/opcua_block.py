"""The data block of a simulated S7-1500 that holds the contract: members, their exact types, and how a program uses it.

Command, status and result are structures of single values, as a PLC programmer lays them out in a global data block.
Nothing in it is consistent across two values; who reads or writes keeps the order that makes that harmless.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protocols.codec import Codec
from protocols.modbus.registers import CONTROL_BITS, FIELDS, RESULT_BITS, STATUS_BITS, Bit, Block, Field, Type
from protocols.signals import (
    NO_RESULT,
    USER_WORDS,
    VALUES,
    Command,
    Control,
    Outputs,
    Result,
    ResultBit,
    Status,
    StatusBit,
)

DB = "VisionDB"
CODEC = Codec()
ARRAY = 16
"""Elements of Value, more than the contract has: arrays are as long as their programmer liked."""

BOOLEAN, INT32, UINT16, UINT32, FLOAT, STRING = 1, 6, 5, 7, 10, 12
"""Built-in types by their numbers in OPC UA (OPC 10000-6 §5.1.2)."""
_TYPES = {Type.UINT: UINT16, Type.UDINT: UINT32, Type.REAL: FLOAT, Type.STRING: STRING, Type.BITS: UINT16}
_STRUCTS = {Block.COMMAND: "Cmd", Block.STATUS: "Sts", Block.RESULT: "Res"}
_BITS: dict[str, tuple[Bit, ...]] = {"CONTROL": CONTROL_BITS, "STATUS": STATUS_BITS, "RESULT_BITS": RESULT_BITS}


@dataclass(frozen=True, slots=True)
class Member:
    """One value of the data block: the field that it is (`name` as in a NodeMap), where it lies, its type."""

    name: str
    struct: str
    path: str
    type: int
    length: int = 0
    """Elements of an array; 0 = a single value."""

    @property
    def node(self) -> str:
        """Its string identifier, quoted as a S7-1500 does."""
        return f'"{DB}"."{self.struct}"."{self.path}"'

    @property
    def zero(self) -> Any:
        """Its value after a restart."""
        one: Any = {BOOLEAN: False, FLOAT: 0.0, STRING: ""}.get(self.type, 0)
        return [one] * self.length if self.length else one


def members() -> Iterator[Member]:
    """All values of the block, structure by structure."""
    for field in FIELDS:
        if field.block not in _STRUCTS:
            continue
        struct = _STRUCTS[field.block]
        if field.name in ("VALUE_0", "USER_0"):
            name, length = ("VALUE", ARRAY) if field.name == "VALUE_0" else ("USER", USER_WORDS)
            yield Member(name, struct, name.capitalize(), _TYPES[field.type], length)
        elif not field.name.startswith(("VALUE_", "USER_")):
            yield Member(field.name, struct, _camel(field.name), _TYPES[field.type])
            yield from _bits(field, struct)


def _bits(field: Field, struct: str) -> Iterator[Member]:
    """The same as single Booleans, beside the word: a programmer uses the one or the other."""
    for bit in _BITS.get(field.name, ()):
        name = f"{field.name}.{bit.name}"
        yield Member(name, struct, _camel(bit.name if field.name != "RESULT_BITS" else name), BOOLEAN)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace(".", "_").split("_"))


def _by_name() -> dict[str, Member]:
    found: dict[str, Member] = {}
    for member in members():
        found[member.name if member.name not in found else f"Res {member.name}"] = member
    return found


MEMBERS = _by_name()
"""By the names of a NodeMap; TRIGGER_SEQ and PART_ID are those of the command, `Res TRIGGER_SEQ` of the result."""


def node_texts(*, command: bool, only: tuple[str, ...] = ()) -> dict[str, str]:
    """What a NodeMap of this block says: field → node behind the base `ns=…;s="VisionDB"`."""
    found = {}
    for member in MEMBERS.values():
        if (member.struct == "Cmd") is command and (not only or member.name in only):
            found[member.name] = member.node.removeprefix(f'"{DB}"')
    return found


def program_writes(command: Command, *, booleans: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the PLC's program writes: first the payload, then what starts something."""
    payload: dict[str, Any] = {
        "RESULT_ACK_SEQ": command.result_ack_seq,
        "PLC_HEARTBEAT": command.plc_heartbeat,
        "COMMAND": command.command,
        "COMMAND_PARAM": command.command_param,
        "PART_ID": command.part_id,
        "USER": list(command.user),
        "SERIAL": command.serial,
    }
    starting: dict[str, Any] = {
        "CONTROL": command.control,
        "TRIGGER_SEQ": command.trigger_seq,
        "COMMAND_SEQ": command.command_seq,
    }
    if booleans:
        for flag in Control:
            starting[f"CONTROL.{flag.name}"] = bool(command.control & flag)
    return payload, starting


def program_reads(image: Mapping[str, Any], before: Outputs) -> Outputs:
    """What the program takes out of the block; a result that is being written leaves the one it had."""
    status = Status(**{name.lower(): image[name] for name in _STATUS_NAMES}, bits=_word(image, "STATUS", StatusBit))
    copy = image["RESULT_SEQ_COPY"]
    if copy and copy != image["RESULT_SEQ"]:
        return Outputs(status, before.result)
    if not image["RESULT_SEQ"]:
        return Outputs(status, NO_RESULT)
    values = tuple(image["VALUE"][:VALUES])
    result = Result(
        **{name.lower(): image[_key(name)] for name in _RESULT_NAMES},
        bits=_word(image, "RESULT_BITS", ResultBit),
        values=values if any(values) else (math.nan,) * VALUES,
    )
    return Outputs(status, result)


_STATUS_NAMES = [f.name for f in FIELDS if f.block is Block.STATUS and f.name != "STATUS"]
_RESULT_NAMES = [
    f.name
    for f in FIELDS
    if f.block is Block.RESULT and f.name not in ("RESULT_BITS", "RESULT_SEQ_COPY") and "VALUE" not in f.name
]


def _key(name: str) -> str:
    return f"Res {name}" if f"Res {name}" in MEMBERS else name


def _word(image: Mapping[str, Any], name: str, flags: type[StatusBit | ResultBit]) -> int:
    """The word, or what its single bits make of it."""
    single = sum(1 << bit.number for bit in _BITS[name] if image.get(f"{name}.{bit.name}"))
    return int(image[name]) | single
