"""The nodes of a station's plain face: Command, Status and Result of the contract as OPC UA variables. Pure.

Names, lengths and meanings come from the register map, so that there is one truth for every carrier. Data types are
the built-in types of OPC 10000-6 §5.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum

from protocols.modbus.registers import CONTROL_BITS, FIELDS, RESULT_BITS, STATUS_BITS, Bit, Block, Field, Type
from protocols.signals import SERIAL_BYTES, VALUES
from protocols.station_view import StationFacts

NAMESPACE = 2
"""Index of our own nodes, fixed by the server."""
NAMESPACE_URI = "urn:vision-plc-gateway:stations"
ROOT = "Stations"
"""The folder below Objects that holds all stations."""
STRUCTURE = "InspectionResult"
"""The structured data type of a whole result."""
STRUCTURE_ID, STRUCTURE_ENCODING_ID = 3001, 5001
"""Numeric ids of that data type and of its binary encoding."""


class DataType(IntEnum):
    """A data type by its number in namespace 0 (OPC 10000-6 §5.1.2); STRUCTURE is our own."""

    BOOLEAN = 1
    UINT16 = 5
    UINT32 = 7
    FLOAT = 10
    STRING = 12
    DATETIME = 13
    STRUCTURE = 22

    @property
    def text(self) -> str:
        """As OPC UA writes it."""
        return _NAMES[self]


_NAMES = {
    DataType.BOOLEAN: "Boolean",
    DataType.UINT16: "UInt16",
    DataType.UINT32: "UInt32",
    DataType.FLOAT: "Float",
    DataType.STRING: "String",
    DataType.DATETIME: "DateTime",
    DataType.STRUCTURE: STRUCTURE,
}
_TYPES = {
    Type.BITS: DataType.UINT16,
    Type.UINT: DataType.UINT16,
    Type.UDINT: DataType.UINT32,
    Type.REAL: DataType.FLOAT,
    Type.STRING: DataType.STRING,
}


class Part(Enum):
    """What decides about the StatusCode of a variable."""

    COMMAND = "command"
    STATUS = "status"
    OUTCOME = "outcome"
    """Which result, and the verdict: known even when nothing could be seen."""
    MEASURED = "measured"
    """What was seen in the picture: missing in a FAULT."""


@dataclass(frozen=True, slots=True)
class PlainNode:
    """One variable of a station; `path` is its node id behind the station's name."""

    path: str
    type: DataType
    part: Part
    text: str
    length: int = 0
    """Elements of an array; 0 = a single value."""
    bit: int | None = None
    """Of the variable above it."""

    @property
    def name(self) -> str:
        """The browse name: of a named value or check the name itself, which may hold points."""
        for folder in (VALUES_FOLDER, CHECKS_FOLDER):
            if self.path.startswith(f"{folder}."):
                return self.path[len(folder) + 1 :]
        return self.path.rpartition(".")[2]

    @property
    def parent(self) -> str:
        """Path of the node above; "" for the station."""
        return self.path[: -len(self.name) - 1] if self.name != self.path else ""

    @property
    def writable(self) -> bool:
        return self.part is Part.COMMAND

    @property
    def type_text(self) -> str:
        """The data type as OPC UA writes it, with the length of an array."""
        return f"{self.type.text}[{self.length}]" if self.length else self.type.text


COMMAND, STATUS, RESULT = "Command", "Status", "Result"
VALUES_FOLDER, CHECKS_FOLDER = f"{RESULT}.Values", f"{RESULT}.Checks"
RESULT_STRUCTURE, DRIVER, WRITER = "ResultStructure", "Driver", "Writer"
FOLDERS: tuple[tuple[str, str], ...] = (
    (COMMAND, "written by the PLC"),
    (STATUS, "written by the gateway: the station"),
    (RESULT, "written by the gateway: one inspection"),
    (VALUES_FOLDER, "the values by the names that the recipes give them"),
    (CHECKS_FOLDER, "the checks by the names that the recipes give them"),
)
"""The objects of a station, each behind the one that holds it."""

_MEASURED = ("FINDINGS", "SCORE", "MODEL_CRC")
_BITS: dict[str, tuple[Bit, ...]] = {"CONTROL": CONTROL_BITS, "STATUS": STATUS_BITS, "RESULT_BITS": RESULT_BITS}
_FOLDER = {Block.COMMAND: COMMAND, Block.STATUS: STATUS, Block.RESULT: RESULT}


def nodes_of(facts: StationFacts) -> tuple[PlainNode, ...]:
    """Every variable of this station in a fixed order: the recipes decide about the named values and checks."""
    return (*CONTRACT_NODES, *_named(facts))


def node_id(station: str, path: str = "") -> str:
    """The node id of a station, or of what lies below it, as OPC 10000-6 §5.3.1.10 writes it."""
    return f"ns={NAMESPACE};s={identifier(station, path)}"


def identifier(station: str, path: str = "") -> str:
    """The same without its namespace."""
    return f"{station}.{path}" if path else station


def _contract() -> Iterator[PlainNode]:
    yield PlainNode(DRIVER, DataType.STRING, Part.STATUS, "who drives the station: LINK, VARIABLES or MACHINE_VISION")
    yield PlainNode(WRITER, DataType.STRING, Part.STATUS, 'user whose session holds Command; "" = nobody')
    for field in FIELDS:
        if field.block in _FOLDER:
            yield from _variables(field)
    yield PlainNode(f"{RESULT}.VALUE", DataType.FLOAT, Part.MEASURED, "all values as an array", length=VALUES)
    yield from _texts()
    yield PlainNode(RESULT_STRUCTURE, DataType.STRUCTURE, Part.OUTCOME, "the whole result as one value")


def _variables(field: Field) -> Iterator[PlainNode]:
    path = f"{_FOLDER[field.block]}.{field.name}"
    part = _part(field)
    yield PlainNode(path, _TYPES[field.type], part, _meaning(field))
    for bit in _BITS.get(field.name, ()):
        yield PlainNode(f"{path}.{bit.name}", DataType.BOOLEAN, part, bit.meaning, bit=bit.number)


def _part(field: Field) -> Part:
    if field.block is Block.COMMAND:
        return Part.COMMAND
    if field.block is Block.STATUS:
        return Part.STATUS
    return Part.MEASURED if field.name in _MEASURED or field.name.startswith("VALUE_") else Part.OUTCOME


def _meaning(field: Field) -> str:
    if field.name in _BITS:
        return "all bits in one word; also as single Booleans below"
    if field.type is Type.STRING:
        return f"serial of the part, at most {SERIAL_BYTES} ASCII characters"
    return field.meaning


def _texts() -> Iterator[PlainNode]:
    """What people want to read beside the numbers."""
    for path, part, text in (
        (f"{STATUS}.FAULT_TEXT", Part.STATUS, "FAULT_CODE in words"),
        (f"{STATUS}.NOT_READY_TEXT", Part.STATUS, "NOT_READY_REASON in words"),
        (f"{RESULT}.JUDGEMENT_TEXT", Part.OUTCOME, "NONE, OK, NG, RECHECK or FAULT"),
        (f"{RESULT}.REASON_TEXT", Part.OUTCOME, "the rule that fired, or the fault in words"),
    ):
        yield PlainNode(path, DataType.STRING, part, text)
    yield PlainNode(f"{RESULT}.TIME", DataType.DATETIME, Part.OUTCOME, "UTC of the exposure, as TIME_S and TIME_MS")


CONTRACT_NODES: tuple[PlainNode, ...] = tuple(_contract())
"""The variables that every station has."""


def _named(facts: StationFacts) -> Iterator[PlainNode]:
    """A name that several recipes use is one variable: it means the same to the line."""
    for name in dict.fromkeys(name for recipe in facts.recipes for name in recipe.values):
        text = "named value; Bad where the recipe that judged has none of this name"
        yield PlainNode(f"{VALUES_FOLDER}.{name}", DataType.FLOAT, Part.MEASURED, text)
    for name in dict.fromkeys(name for recipe in facts.recipes for name in recipe.checks):
        text = "named check; Bad where the recipe that judged has none of this name"
        yield PlainNode(f"{CHECKS_FOLDER}.{name}", DataType.BOOLEAN, Part.MEASURED, text)


@dataclass(frozen=True, slots=True)
class StructureField:
    """One field of the structure; `length` as of a node."""

    name: str
    type: DataType
    text: str
    length: int = 0


def _structure() -> Iterator[StructureField]:
    """The contract's order: RESULT_SEQ first and its copy last, the values as one array."""
    for field in FIELDS:
        if field.block is not Block.RESULT or (field.name.startswith("VALUE_") and field.name != "VALUE_0"):
            continue
        if field.name == "VALUE_0":
            yield StructureField("VALUE", DataType.FLOAT, "named values of the recipe; unused = NaN", VALUES)
        else:
            text = "all bits in one word" if field.name in _BITS else _meaning(field)
            yield StructureField(field.name, _TYPES[field.type], text)


STRUCTURE_FIELDS: tuple[StructureField, ...] = tuple(_structure())
