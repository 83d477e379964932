"""The fields of the map as members of PLC types: their names and types in generated programs."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.modbus.registers import FIELDS, STATUS_WORDS, Block, Field, Type
from protocols.signals import VALUES

STATUS_TYPE = "VisionStatus"
RESULT_TYPE = "VisionResult"


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a structure: its first word in the status array, or of each element where `count` > 1."""

    name: str
    type: Type
    word: int
    meaning: str
    count: int = 1


def camel(name: str) -> str:
    """`triggerSeqAck` for TRIGGER_SEQ_ACK."""
    first, *rest = name.lower().split("_")
    return first + "".join(part.capitalize() for part in rest)


def word_of(name: str, block: Block) -> int:
    """The word of a field, from the base of its area."""
    return next(field.word for field in FIELDS if field.name == name and field.block is block)


def members(block: Block) -> tuple[Member, ...]:
    """The structure of a block that the gateway writes; VALUE_0… become one array, the copy of RESULT_SEQ is left out.

    RESULT_SEQ_COPY is compared when the block is read and means nothing afterwards.
    """
    found = []
    for field in FIELDS:
        if field.block is not block or field.name == "RESULT_SEQ_COPY":
            continue
        if field.name.startswith("VALUE_"):
            if field.name == "VALUE_0":
                found.append(Member("value", Type.REAL, field.word, field.meaning.replace("NaN", "0.0"), VALUES))
            continue
        found.append(Member(_renamed(field), field.type, field.word, field.meaning))
    return tuple(found)


def _renamed(field: Field) -> str:
    return {"STATUS": "statusBits"}.get(field.name) or camel(field.name)


assert word_of("RESULT_SEQ", Block.RESULT) == STATUS_WORDS  # noqa: S101 - the result follows the status in one array
