"""Standard names for the values of a CNC, and where each kind of server keeps them. Pure tables.

Sources: OPC 40502 (CNC Systems), OPC 40501-1 (Machine Tools); Sinumerik's string ids are the paths of its own operands
(list manual of the NC variables), which its OPC UA server shows unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

UA: Final = "http://opcfoundation.org/UA/"
CNC: Final = "http://opcfoundation.org/UA/CNC"
TOOL: Final = "http://opcfoundation.org/UA/MachineTool/"
SINUMERIK: Final = "SinumerikVarProvider"

TypeId = tuple[str, int]
"""A type by its namespace's URI and number."""
Name = tuple[str, str]
"""A BrowseName: namespace's URI and name."""


class Profile(StrEnum):
    """How a control shows itself."""

    CNC = "cnc"
    """OPC 40502: the objects of CncInterface."""
    MACHINETOOL = "machinetool"
    """OPC 40501-1 (umati): a machine of MachineToolType."""
    SINUMERIK = "sinumerik"
    """String ids that are the control's own operands."""
    NONE = "none"
    """Only nodes that are named."""


class Kind(StrEnum):
    """Objects that are found by their type; the first of several is taken, unless one is named."""

    CHANNEL = "channel"
    SPINDLE = "spindle"
    AXIS = "axis"
    MACHINE = "machine"
    JOB = "job"
    PART = "part"


TYPES: Final[Mapping[tuple[Profile, Kind], TypeId]] = {
    (Profile.CNC, Kind.CHANNEL): (CNC, 1002),
    (Profile.CNC, Kind.AXIS): (CNC, 1004),
    (Profile.CNC, Kind.SPINDLE): (CNC, 1005),
    (Profile.MACHINETOOL, Kind.MACHINE): (TOOL, 13),
    (Profile.MACHINETOOL, Kind.CHANNEL): (TOOL, 16),
    (Profile.MACHINETOOL, Kind.SPINDLE): (TOOL, 22),
    (Profile.MACHINETOOL, Kind.JOB): (TOOL, 29),
    (Profile.MACHINETOOL, Kind.PART): (TOOL, 56),
}

# The same words for all controls, so that a trigger or a report does not change with the machine.
_PROGRAM_40502 = {0: "stopped", 1: "running", 2: "waiting", 3: "interrupted", 4: "aborted"}
_PROGRAM_40501 = {0: "initializing", 1: "running", 2: "ended", 3: "interrupted", 4: "aborted"}
_PROGRAM_SINUMERIK = {1: "interrupted", 2: "stopped", 3: "running", 4: "waiting", 5: "aborted"}
_CHANNEL = {0: "active", 1: "interrupted", 2: "reset"}
_CHANNEL_SINUMERIK = {0: "reset", 1: "active", 2: "interrupted"}
_MODE_40502 = {0: "manual", 1: "mdi", 2: "automatic"}
_MODE_40501 = {0: "manual", 1: "automatic", 2: "setup", 3: "automatic", 4: "service", 5: "other"}
_QUALITY = {0: "unavailable", 1: "good", 2: "bad", 3: "not_yet_measured", 4: "will_not_be_measured"}


@dataclass(frozen=True, slots=True)
class Standard:
    """A standard name: the type of its value, and its unit."""

    type: str
    unit: str = ""
    array: bool = False
    """The node holds a list; a tag says which number it looks for, or at which place."""
    writable: bool = False


STANDARDS: Final[Mapping[str, Standard]] = {
    "program_name": Standard("string[240]"),
    "program_state": Standard("string[32]"),
    "program_block": Standard("string[240]", array=True),
    "channel_state": Standard("string[32]"),
    "operation_mode": Standard("string[32]"),
    "tool_id": Standard("uint32"),
    "feed_rate": Standard("float64", "mm/min"),
    "feed_override": Standard("float64", "%"),
    "spindle_override": Standard("float64", "%"),
    "spindle_load": Standard("float64", "%"),
    "spindle_speed": Standard("float64", "1/min"),
    "axis_position": Standard("float64", "mm"),
    "part_counter": Standard("uint32"),
    "m_functions": Standard("bool", array=True),
    "alarm_count": Standard("uint32"),
    "alarm_number": Standard("uint32"),
    "part_quality": Standard("int32", writable=True),
    "r_parameter": Standard("float64", writable=True),
}
"""All names, and what their values are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is: an object found by its type, and the way from there. The names are of one namespace each."""

    kind: Kind
    path: tuple[Name, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Where a profile keeps a value: the first place that the server has."""

    places: tuple[Place, ...] = ()
    id: str = ""
    """Of Sinumerik: the string id, with {channel}, {spindle}, {axis} and {index} to be filled in."""
    words: Mapping[int, str] = field(default_factory=dict)
    """Of an enumeration: the common words for its numbers."""


def _in(uri: str, kind: Kind, *names: str) -> Place:
    return Place(kind, tuple((uri, name) for name in names))


def _cnc(kind: Kind, name: str, words: Mapping[int, str] | None = None) -> Found:
    return Found((_in(CNC, kind, name),), words=words or {})


def _id(text: str, words: Mapping[int, str] | None = None) -> Found:
    return Found(id=text, words=words or {})


_ACTIVE = ((TOOL, "Production"), (TOOL, "ActiveProgram"))

PLACES: Final[Mapping[Profile, Mapping[str, Found]]] = {
    Profile.CNC: {
        "program_name": _cnc(Kind.CHANNEL, "ActProgramName"),
        "program_state": _cnc(Kind.CHANNEL, "ActProgramStatus", _PROGRAM_40502),
        "program_block": _cnc(Kind.CHANNEL, "ActProgramBlock"),
        "channel_state": _cnc(Kind.CHANNEL, "ActStatus", _CHANNEL),
        "operation_mode": _cnc(Kind.CHANNEL, "ActOperationMode", _MODE_40502),
        "tool_id": _cnc(Kind.CHANNEL, "ToolId"),
        "feed_rate": _cnc(Kind.CHANNEL, "ActFeedrate"),
        "feed_override": _cnc(Kind.CHANNEL, "ActOverride"),
        "m_functions": _cnc(Kind.CHANNEL, "ActMFunctions"),
        "spindle_override": _cnc(Kind.SPINDLE, "ActOverride"),
        "spindle_load": _cnc(Kind.SPINDLE, "ActLoad"),
        "spindle_speed": _cnc(Kind.SPINDLE, "ActSpeed"),
        "axis_position": Found(
            (_in(CNC, Kind.AXIS, "PosDirect", "ActPos"), _in(CNC, Kind.AXIS, "PosIndirect", "ActPos"))
        ),
    },
    Profile.MACHINETOOL: {
        "program_name": Found((Place(Kind.MACHINE, (*_ACTIVE, (TOOL, "Name"))),)),
        "program_state": Found(
            (Place(Kind.MACHINE, (*_ACTIVE, (TOOL, "State"), (UA, "CurrentState"), (UA, "Number"))),),
            words=_PROGRAM_40501,
        ),
        "channel_state": Found((_in(TOOL, Kind.CHANNEL, "ChannelState"),), words=_CHANNEL),
        "operation_mode": Found(
            (_in(TOOL, Kind.MACHINE, "Monitoring", "MachineTool", "OperationMode"),), words=_MODE_40501
        ),
        "feed_override": Found(
            (
                _in(TOOL, Kind.CHANNEL, "FeedOverride"),
                _in(TOOL, Kind.MACHINE, "Monitoring", "MachineTool", "FeedOverride"),
            )
        ),
        "spindle_override": Found((_in(TOOL, Kind.SPINDLE, "Override"),)),
        "part_counter": Found(
            (
                _in(TOOL, Kind.JOB, "PartsCompleted"),
                _in(TOOL, Kind.MACHINE, "Production", "Statistics", "PartsProducedInLifetime"),
            )
        ),
        "part_quality": Found((_in(TOOL, Kind.PART, "PartQuality"),), words=_QUALITY),
    },
    Profile.SINUMERIK: {
        "program_name": _id("/Channel/ProgramInfo/progName[u{channel}]"),
        "program_state": _id("/Channel/State/progStatus[u{channel}]", _PROGRAM_SINUMERIK),
        "channel_state": _id("/Channel/State/chanStatus[u{channel}]", _CHANNEL_SINUMERIK),
        "operation_mode": _id("/Bag/State/opMode[u1]", _MODE_40502),
        "tool_id": _id("/Channel/State/actTNumber[u{channel}]"),
        "feed_rate": _id("/Channel/State/actFeedRateIpo[u{channel}]"),
        "feed_override": _id("/Channel/State/feedRateIpoOvr[u{channel}]"),
        "spindle_override": _id("/Channel/Spindle/speedOvr[u{channel},{spindle}]"),
        "spindle_load": _id("/Channel/Spindle/driveLoad[u{channel},{spindle}]"),
        "spindle_speed": _id("/Channel/Spindle/actSpeed[u{channel},{spindle}]"),
        "axis_position": _id("/Channel/GeometricAxis/actToolBasePos[u{channel},{axis}]"),
        "part_counter": _id("/Channel/State/actParts[u{channel}]"),
        "alarm_count": _id("/Nck/State/numAlarms"),
        "alarm_number": _id("/Nck/SequencedAlarms/textIndex[1]"),
        "r_parameter": _id("/Channel/Parameter/R[u{channel},{index}]"),
    },
    Profile.NONE: {},
}
"""Where each profile keeps which value; what is missing it does not have."""

WORDS: Final = frozenset(word for found in PLACES.values() for row in found.values() for word in row.words.values())
"""All common words of enumerations."""


def id_of(template: str, *, channel: str, spindle: str, axis: str, index: int | None) -> str:
    """A Sinumerik string id for one channel, spindle, axis or parameter; X, Y and Z are the geometric axes 1 to 3."""
    letters = {"X": "1", "Y": "2", "Z": "3"}
    return template.format(channel=channel, spindle=spindle, axis=letters.get(axis.upper(), axis), index=index)
