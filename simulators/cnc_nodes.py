"""What the CNC shows: the types of the companion specifications it needs, and its nodes. Tables of our own; pure.

Identifiers and names: OPC 40502 (CNC), OPC 40501-1 (Machine Tools), OPC 40001-1 (Machinery). Sinumerik's string ids are
paths of its own operand tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from simulators.cnc import ANSWER, ASKED, BLOCKS, MAIN, PROGRAM, Cnc, Program

UA: Final = "http://opcfoundation.org/UA/"
CNC: Final = "http://opcfoundation.org/UA/CNC"
TOOL: Final = "http://opcfoundation.org/UA/MachineTool/"
MACHINERY: Final = "http://opcfoundation.org/UA/Machinery/"
DI: Final = "http://opcfoundation.org/UA/DI/"
OWN: Final = "urn:vision-plc-gateway:simulators:cnc"
SINUMERIK: Final = "SinumerikVarProvider"

Id = tuple[str, int]
"""A node id by its namespace's URI."""

OBJECTS: Final[Id] = (UA, 85)
BASE_OBJECT: Final[Id] = (UA, 58)
FOLDER: Final[Id] = (UA, 61)
PROPERTY: Final[Id] = (UA, 68)
VARIABLE: Final[Id] = (UA, 63)
ITEM: Final[Id] = (UA, 2365)
ANALOG: Final[Id] = (UA, 2368)
UNIT: Final[Id] = (UA, 17570)
STATE: Final[Id] = (UA, 2760)
MACHINES: Final[Id] = (MACHINERY, 1001)

BOOL, BYTE_STRING, INT16, INT32, UINT16, UINT32 = (UA, 1), (UA, 15), (UA, 4), (UA, 6), (UA, 5), (UA, 7)
DOUBLE, STRING, NODE_ID, TEXT = (UA, 11), (UA, 12), (UA, 17), (UA, 21)


class Type(NamedTuple):
    """A type node: its id, name, and what it is a subtype of."""

    id: Id
    name: str
    base: Id
    kind: str = "object"
    """object, variable or data."""


def _types(uri: str, *rows: tuple[int, str, Id]) -> tuple[Type, ...]:
    return tuple(Type((uri, number), name, base) for number, name, base in rows)


def _enums(uri: str, *rows: tuple[int, str]) -> tuple[Type, ...]:
    return tuple(Type((uri, number), name, (UA, 29), "data") for number, name in rows)


TYPES: Final[tuple[Type, ...]] = (
    *_types(
        CNC,
        (1001, "CncComponentType", BASE_OBJECT),
        (1002, "CncChannelType", (CNC, 1001)),
        (1003, "CncDriveType", (CNC, 1001)),
        (1004, "CncAxisType", (CNC, 1003)),
        (1005, "CncSpindleType", (CNC, 1003)),
        (1007, "CncInterfaceType", BASE_OBJECT),
        (1008, "CncAxisListType", BASE_OBJECT),
        (1009, "CncSpindleListType", BASE_OBJECT),
        (1010, "CncChannelListType", BASE_OBJECT),
    ),
    *_enums(
        CNC,
        (3001, "CncSpindleTurnDirection"),
        (3002, "CncChannelProgramStatus"),
        (3003, "CncChannelStatus"),
        (3004, "CncAxisStatus"),
        (3005, "CncSpindleStatus"),
        (3006, "CncOperationMode"),
    ),
    Type((CNC, 3007), "CncPositionDataType", (UA, 22), "data"),
    Type((CNC, 2001), "CncPositionVariableType", VARIABLE, "variable"),
    *_types(
        TOOL,
        (7, "NotificationType", BASE_OBJECT),
        (12, "EquipmentType", BASE_OBJECT),
        (13, "MachineToolType", BASE_OBJECT),
        (14, "MonitoringType", BASE_OBJECT),
        (24, "ProductionStateMachineType", (UA, 2771)),
        (15, "ProductionProgramStateMachineType", (TOOL, 24)),
        (23, "ElementMonitoringType", BASE_OBJECT),
        (16, "ChannelMonitoringType", (TOOL, 23)),
        (20, "ProductionStatisticsType", BASE_OBJECT),
        (21, "ProductionType", BASE_OBJECT),
        (41, "WorkingUnitMonitoringType", (TOOL, 23)),
        (22, "SpindleMonitoringType", (TOOL, 41)),
        (26, "MachineOperationMonitoringType", BASE_OBJECT),
        (29, "ProductionJobType", BASE_OBJECT),
        (30, "ProductionJobListType", (UA, 23518)),
        (59, "ProductionProgramType", BASE_OBJECT),
        (32, "ProductionActiveProgramType", (TOOL, 59)),
        (34, "ProductionPartSetType", BASE_OBJECT),
        (38, "MessagesType", BASE_OBJECT),
        (56, "ProductionPartType", BASE_OBJECT),
    ),
    *_enums(
        TOOL,
        (62, "ProcessIrregularity"),
        (63, "PartQuality"),
        (64, "ChannelState"),
        (65, "MachineOperationMode"),
        (67, "ChannelMode"),
    ),
)

Read = Callable[[Cnc], Any]


class Node(NamedTuple):
    """A node of the machine: its string id, the namespace of its name, its type, and of a variable what it shows."""

    path: str
    uri: str
    type: Id
    data: Id | None = None
    """None: an object."""
    read: Read | None = None
    """None: a variable without a value."""
    wire: Id | None = None
    """The built-in type, where the data type is an enumeration."""
    array: bool = False
    write: tuple[str, int | str] | None = None
    """Who takes what a client writes: ("r", 21), ("gud", "NAME") or ("quality", 0)."""
    id: Id | str | None = None
    """None: the path, as a string in our own namespace; a text: a string in Sinumerik's."""

    @property
    def parent(self) -> str:
        """The path of the node that it is in."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The BrowseName's name."""
        return self.path.rpartition("/")[2]


_PROGRAM_40502 = {
    Program.RUNNING: 1, Program.WAITING: 2, Program.INTERRUPTED: 3, Program.ABORTED: 4,
}  # fmt: skip
_CHANNEL = {Program.RUNNING: 0, Program.WAITING: 0, Program.INTERRUPTED: 1}
"""Active 0, interrupted 1, else reset 2: the same in OPC 40502 and OPC 40501-1."""
_SINUMERIK = {Program.INTERRUPTED: 1, Program.RUNNING: 3, Program.WAITING: 4}
"""progStatus: interrupted 1, stopped 2, in progress 3, waiting 4, aborted 5."""
_STATE_IDS: dict[Program, Id] = {
    Program.INITIALIZING: (TOOL, 135),
    Program.RUNNING: (TOOL, 138),
    Program.INTERRUPTED: (TOOL, 139),
    Program.ENDED: (TOOL, 140),
    Program.ABORTED: (TOOL, 141),
}
"""The states of ProductionStateMachineType."""
_STATES = {Program.WAITING: Program.RUNNING}
"""OPC 40501-1 knows no waiting."""


def _state(cnc: Cnc) -> Program:
    return _STATES.get(cnc.state, cnc.state)


def _enum(path: str, uri: str, kind: Id, number: int, read: Read) -> Node:
    return Node(path, uri, kind, (uri, number), read, INT32)


def _real(path: str, uri: str, read: Read, kind: Id = ANALOG) -> Node:
    return Node(path, uri, kind, DOUBLE, read)


def _number(path: str, uri: str, read: Read, kind: Id = ITEM) -> Node:
    return Node(path, uri, kind, UINT32, read)


def _text(path: str, uri: str, read: Read, kind: Id = ITEM) -> Node:
    return Node(path, uri, kind, STRING, read)


def _channel(root: str, number: int, busy: bool) -> tuple[Node, ...]:
    """A channel of OPC 40502; only the first one ever works."""

    def of(read: Read, idle: Any) -> Read:
        return read if busy else lambda cnc: idle

    return (
        Node(root, OWN, (CNC, 1002)),
        _number(f"{root}/Id", CNC, lambda cnc: number, PROPERTY),
        _text(f"{root}/ActProgramName", CNC, of(lambda cnc: PROGRAM, "")),
        _text(f"{root}/ActMainProgramName", CNC, of(lambda cnc: MAIN, "")),
        _enum(f"{root}/ActProgramStatus", CNC, ITEM, 3002, of(lambda cnc: _PROGRAM_40502.get(cnc.state, 0), 0)),
        _enum(f"{root}/ActStatus", CNC, ITEM, 3003, of(lambda cnc: _CHANNEL.get(cnc.state, 2), 2)),
        _enum(f"{root}/ActOperationMode", CNC, ITEM, 3006, lambda cnc: 2),
        Node(f"{root}/ActProgramBlock", CNC, ITEM, STRING, of(lambda cnc: [cnc.text], []), array=True),
        Node(f"{root}/ActMFunctions", CNC, ITEM, UINT32, of(lambda cnc: list(cnc.m_functions), []), array=True),
        Node(f"{root}/ActGFunctions", CNC, ITEM, UINT32, of(lambda cnc: [1, 17, 54, 90], []), array=True),
        _number(f"{root}/ToolId", CNC, of(lambda cnc: cnc.tool, 0)),
        _real(f"{root}/ActFeedrate", CNC, of(_feed, 0.0)),
        _real(f"{root}/ActOverride", CNC, of(lambda cnc: cnc.override, 0.0)),
        Node(f"{root}/FeedHold", CNC, ITEM, BOOL, lambda cnc: False),
    )


def _feed(cnc: Cnc) -> float:
    return cnc.block.feed * cnc.override / 100 if cnc.block else 0.0


def _axis(letter: str, n: int) -> tuple[Node, ...]:
    root = f"Cnc/CncAxisList/{letter}"
    return (
        Node(root, OWN, (CNC, 1004)),
        _enum(f"{root}/ActStatus", CNC, ITEM, 3004, lambda cnc: int(bool(cnc.block and cnc.block.feed))),
        Node(f"{root}/IsReferenced", CNC, ITEM, BOOL, lambda cnc: True),
        Node(f"{root}/PosDirect", CNC, (CNC, 2001), (CNC, 3007)),
        _real(f"{root}/PosDirect/ActPos", CNC, lambda cnc: cnc.position[n], VARIABLE),
        _real(f"{root}/ActLoad", CNC, lambda cnc: cnc.load / 3),
    )


def _spindle(root: str) -> tuple[Node, ...]:
    return (
        Node(root, OWN, (CNC, 1005)),
        _real(f"{root}/ActSpeed", CNC, lambda cnc: cnc.rpm),
        _real(f"{root}/ActLoad", CNC, lambda cnc: cnc.load),
        _real(f"{root}/ActOverride", CNC, lambda cnc: cnc.spindle_override),
        _enum(f"{root}/ActStatus", CNC, ITEM, 3005, lambda cnc: int(cnc.rpm > 0)),
        _enum(f"{root}/ActTurnDirection", CNC, ITEM, 3001, lambda cnc: int(cnc.rpm > 0)),
    )


_M = "Machine"
_SET = f"{_M}/Production/ProductionPlan/Job1/PartSets/Set1"
_PROGRAM_STATE = f"{_M}/Production/ActiveProgram/State"

MACHINE_TOOL: Final[tuple[Node, ...]] = (
    Node("Machines", MACHINERY, FOLDER, id=MACHINES),
    Node(_M, OWN, (TOOL, 13)),
    Node(f"{_M}/Identification", DI, BASE_OBJECT),
    Node(f"{_M}/Identification/Manufacturer", DI, PROPERTY, TEXT, lambda cnc: "a simulator"),
    _text(f"{_M}/Identification/ProductInstanceUri", DI, lambda cnc: OWN, PROPERTY),
    _text(f"{_M}/Identification/SerialNumber", DI, lambda cnc: "0001", PROPERTY),
    Node(f"{_M}/Monitoring", TOOL, (TOOL, 14)),
    Node(f"{_M}/Monitoring/MachineTool", TOOL, (TOOL, 26)),
    _enum(f"{_M}/Monitoring/MachineTool/OperationMode", TOOL, VARIABLE, 65, lambda cnc: 1),
    _real(f"{_M}/Monitoring/MachineTool/FeedOverride", TOOL, lambda cnc: cnc.override, UNIT),
    Node(f"{_M}/Monitoring/Channel1", OWN, (TOOL, 16)),
    _text(f"{_M}/Monitoring/Channel1/Name", TOOL, lambda cnc: "Channel 1", PROPERTY),
    _enum(f"{_M}/Monitoring/Channel1/ChannelState", TOOL, VARIABLE, 64, lambda cnc: _CHANNEL.get(cnc.state, 2)),
    _enum(f"{_M}/Monitoring/Channel1/ChannelMode", TOOL, VARIABLE, 67, lambda cnc: 0),
    _real(f"{_M}/Monitoring/Channel1/FeedOverride", TOOL, lambda cnc: cnc.override, UNIT),
    _real(f"{_M}/Monitoring/Channel1/RapidOverride", TOOL, lambda cnc: 100.0, UNIT),
    Node(f"{_M}/Monitoring/Spindle1", OWN, (TOOL, 22)),
    _text(f"{_M}/Monitoring/Spindle1/Name", TOOL, lambda cnc: "Spindle 1", PROPERTY),
    Node(f"{_M}/Monitoring/Spindle1/IsRotating", TOOL, VARIABLE, BOOL, lambda cnc: cnc.rpm > 0),
    _real(f"{_M}/Monitoring/Spindle1/Override", TOOL, lambda cnc: cnc.spindle_override, UNIT),
    Node(f"{_M}/Production", TOOL, (TOOL, 21)),
    Node(f"{_M}/Production/ActiveProgram", TOOL, (TOOL, 32)),
    _text(f"{_M}/Production/ActiveProgram/Name", TOOL, lambda cnc: PROGRAM, PROPERTY),
    Node(f"{_M}/Production/ActiveProgram/NumberInList", UA, PROPERTY, UINT16, lambda cnc: 1),
    Node(_PROGRAM_STATE, TOOL, (TOOL, 15)),
    Node(f"{_PROGRAM_STATE}/CurrentState", UA, STATE, TEXT, lambda cnc: _state(cnc).name.capitalize()),
    Node(f"{_PROGRAM_STATE}/CurrentState/Id", UA, PROPERTY, NODE_ID, lambda cnc: _STATE_IDS[_state(cnc)]),
    _number(f"{_PROGRAM_STATE}/CurrentState/Number", UA, lambda cnc: int(_state(cnc)), PROPERTY),
    Node(f"{_M}/Production/Statistics", TOOL, (TOOL, 20)),
    _number(f"{_M}/Production/Statistics/PartsProducedInLifetime", TOOL, lambda cnc: 1000 + cnc.parts, VARIABLE),
    Node(f"{_M}/Production/ProductionPlan", TOOL, (TOOL, 30)),
    Node(f"{_M}/Production/ProductionPlan/Job1", OWN, (TOOL, 29)),
    _text(f"{_M}/Production/ProductionPlan/Job1/Identifier", TOOL, lambda cnc: "JOB-1", PROPERTY),
    _number(f"{_M}/Production/ProductionPlan/Job1/PartsCompleted", TOOL, lambda cnc: cnc.parts, VARIABLE),
    _number(f"{_M}/Production/ProductionPlan/Job1/PartsGood", TOOL, lambda cnc: cnc.good, VARIABLE),
    Node(f"{_M}/Production/ProductionPlan/Job1/PartSets", TOOL, BASE_OBJECT),
    Node(_SET, OWN, (TOOL, 34)),
    Node(f"{_SET}/PartsPerRun", TOOL, BASE_OBJECT),
    Node(f"{_SET}/PartsPerRun/Part1", OWN, (TOOL, 56)),
    _text(f"{_SET}/PartsPerRun/Part1/Name", TOOL, lambda cnc: "bracket", PROPERTY),
    Node(
        f"{_SET}/PartsPerRun/Part1/PartQuality",
        TOOL,
        VARIABLE,
        (TOOL, 63),
        lambda cnc: int(cnc.quality),
        INT32,
        write=("quality", 0),
    ),
    _enum(f"{_SET}/PartsPerRun/Part1/ProcessIrregularity", TOOL, VARIABLE, 62, lambda cnc: 0),
    Node(f"{_M}/Equipment", TOOL, (TOOL, 12)),
    Node(f"{_M}/Notification", TOOL, (TOOL, 7)),
    Node(f"{_M}/Notification/Messages", TOOL, (TOOL, 38)),
)


def cnc_interface(channels: int) -> tuple[Node, ...]:
    """The objects of OPC 40502."""
    return (
        Node("Cnc", OWN, (CNC, 1007)),
        _text("Cnc/VendorName", CNC, lambda cnc: "a simulator", PROPERTY),
        _text("Cnc/VendorRevision", CNC, lambda cnc: "1", PROPERTY),
        _text("Cnc/Version", CNC, lambda cnc: "1.0.0", PROPERTY),
        Node("Cnc/CncChannelList", CNC, (CNC, 1010)),
        *(row for n in range(channels) for row in _channel(f"Cnc/CncChannelList/Channel{n + 1}", n + 1, n == 0)),
        Node("Cnc/CncAxisList", CNC, (CNC, 1008)),
        *(row for n, letter in enumerate("XYZ") for row in _axis(letter, n)),
        Node("Cnc/CncSpindleList", CNC, (CNC, 1009)),
        *_spindle("Cnc/CncSpindleList/S1"),
    )


def _operand(path: str, data: Id, read: Read, write: tuple[str, int | str] | None = None) -> Node:
    """A Sinumerik operand: its string id is its path."""
    return Node(f"Sinumerik/{path.replace('/', '.')}", SINUMERIK, VARIABLE, data, read, write=write, id=path)


def _r(number: int) -> Node:
    return _operand(f"/Channel/Parameter/R[u1,{number}]", DOUBLE, lambda cnc: cnc.r[number], ("r", number))


def _position(n: int) -> Node:
    path = f"/Channel/GeometricAxis/actToolBasePos[u1,{n + 1}]"
    return _operand(path, DOUBLE, lambda cnc: cnc.position[n])


SINUMERIK_NODES: Final[tuple[Node, ...]] = (
    Node("Sinumerik", OWN, FOLDER),
    _operand("/Channel/ProgramInfo/progName[u1]", STRING, lambda cnc: f"_N_{PROGRAM}_MPF"),
    _operand("/Channel/State/progStatus[u1]", UINT16, lambda cnc: _SINUMERIK.get(cnc.state, 5)),
    _operand("/Channel/State/chanStatus[u1]", UINT16, lambda cnc: {0: 1, 1: 2, 2: 0}[_CHANNEL.get(cnc.state, 2)]),
    _operand("/Bag/State/opMode[u1]", UINT16, lambda cnc: 2),
    _operand("/Channel/State/actTNumber[u1]", UINT32, lambda cnc: cnc.tool),
    _operand("/Channel/State/feedRateIpoOvr[u1]", DOUBLE, lambda cnc: cnc.override),
    _operand("/Channel/State/actFeedRateIpo[u1]", DOUBLE, _feed),
    _operand("/Channel/State/actParts[u1]", DOUBLE, lambda cnc: float(cnc.parts)),
    _operand("/Channel/Spindle/actSpeed[u1,1]", DOUBLE, lambda cnc: cnc.rpm),
    _operand("/Channel/Spindle/speedOvr[u1,1]", DOUBLE, lambda cnc: cnc.spindle_override),
    _operand("/Channel/Spindle/driveLoad[u1,1]", DOUBLE, lambda cnc: cnc.load),
    *(_position(n) for n in range(3)),
    _operand("/Nck/State/numAlarms", UINT16, lambda cnc: len(cnc.alarms)),
    _operand("/Nck/SequencedAlarms/textIndex[1]", UINT32, lambda cnc: cnc.alarms[-1].number if cnc.alarms else 0),
    _operand("/Plc/M5.0", BOOL, lambda cnc: cnc.state is Program.WAITING),
    *(_r(number) for number in (10, 11, ASKED, ANSWER, 22)),
    _operand("/NC/_N_NC_GD3_ACX/VISION_OK", INT32, lambda cnc: int(cnc.gud["VISION_OK"]), ("gud", "VISION_OK")),
)


def nodes(channels: int = 1) -> tuple[Node, ...]:
    """All nodes of the machine, parents first."""
    return (*cnc_interface(channels), *MACHINE_TOOL, *SINUMERIK_NODES)


def table() -> str:
    """What `--help` prints: what may be written, and where the interesting values are."""
    rows = [f"  ns={SINUMERIK};s={row.id}" for row in SINUMERIK_NODES if isinstance(row.id, str)]
    return "\n".join(
        (
            f"a part has {len(BLOCKS)} blocks; R{ASKED} counts the inspections asked for, R{ANSWER} takes the answer:",
            f"R{ASKED} for good, -R{ASKED} for not good. CncInterface and Machines/Machine show the same machine.",
            "Sinumerik-like ids (R, GUD and PartQuality may be written):",
            *rows,
        )
    )
