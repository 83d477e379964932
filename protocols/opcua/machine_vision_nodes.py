"""The objects of one station in the address space of OPC 40100-1, and what their variables show.

Namespace 2, string ids: `press-1.MachineVision` is the VisionSystemType object, its members follow by their names
(`press-1.MachineVision.VisionStateMachine.CurrentState`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from asyncua import Server, ua

from protocols.opcua import compat
from protocols.opcua.compat.names import named, numeric, status
from protocols.opcua.machine_vision_events import AUTOMATIC, MACHINE, TYPES, Fields
from protocols.opcua.machine_vision_records import Grade
from protocols.opcua.machine_vision_states import States
from protocols.opcua.machine_vision_structures import V, scalar, text
from protocols.opcua.machine_vision_tables import STATE_NODES, State, Transition
from protocols.opcua.model.install import Model
from protocols.opcua.model.instances import Choice, Instance, instantiate
from protocols.opcua.model.space import HAS_TYPE_DEFINITION, put, refer, valued

STATIONS = 2
"""Index of our own namespace."""
PROFILES = tuple(
    f"http://opcfoundation.org/UA-Profile/External/Server/MachineVision/{name}"
    for name in (
        "BasicVisionSystemServerFacet",
        "InlineVisionSystemServerFacet",
        "AutomaticModeServerFacet",
        "ProcessingTimesMetaDataHandlingServerFacet",
        "BasicResultHandlingServerFacet",
    )
)
_SHOWN = ("CurrentState/Number", "LastTransition", "LastTransition/Number", "LastTransition/TransitionTime")
_OPTIONAL = (
    *(f"{machine}/{member}" for machine in (MACHINE, AUTOMATIC) for member in _SHOWN),
    f"{MACHINE}/SelectModeAutomatic",
    f"{MACHINE}/ConfirmAll",
    f"{AUTOMATIC}/SimulationMode",
    "ConfigurationManagement",
    "RecipeManagement",
    "ResultManagement",
    "ResultManagement/ReleaseResultHandle",
    "SafetyStateManagement",
    "SystemState",
    "DiagnosticLevel",
)
_CONDITION = (
    "ConfirmedState",
    "Confirm",
    "EnabledState/EffectiveDisplayName",
    "CausePath",
    "ErrorCode",
    "ErrorString",
)
_OF_EVENT = {
    "EventId": V.ByteString,
    "EventType": V.NodeId,
    "SourceNode": V.NodeId,
    "SourceName": V.String,
    "Time": V.DateTime,
    "ReceiveTime": V.DateTime,
    "Message": V.LocalizedText,
    "Severity": V.UInt16,
}
_OWN = ("Driver", "StatusText")
_HAS_CONDITION = numeric(ua.ObjectIds.HasCondition)


@dataclass(slots=True)
class SystemNodes:
    """The vision system of one station and its three conditions."""

    server: Server
    model: Model
    system: Instance
    conditions: dict[Grade, Instance]
    _slots: dict[str, compat.Slot] = field(default_factory=dict)
    _last: dict[str, tuple[object, int]] = field(default_factory=dict)
    _states: object = None

    @property
    def notifiers(self) -> list[ua.NodeId]:
        """Objects at which every event of this system is told."""
        return [self.system.id(), self.system.id(MACHINE), self.system.id(AUTOMATIC)]

    def show(self, path: str, value: ua.Variant, code: str = "Good") -> None:
        """Show a value; nothing is written where it and its status are what stands there."""
        self._write(path, self.system, path, value, code)

    def states(self, states: States) -> None:
        """Both machines as they stand."""
        now = (states.outer, states.last_outer, states.inner, states.last_inner)
        if now != self._states:
            self._states = now
            self._machine(MACHINE, states.outer, states.last_outer)
            self._machine(AUTOMATIC, states.inner, states.last_inner)

    def condition(self, grade: Grade, fields: Fields, event: object = None) -> None:
        """The condition's object shows what its last event said, if there was one."""
        instance = self.conditions[grade]
        said = {} if event is None else {name: scalar(getattr(event, name), kind) for name, kind in _OF_EVENT.items()}
        for path, value in (fields | said).items():
            if path in instance.ids:
                self._write(f"{grade.value}:{path}", instance, path, value, "Good")

    def _machine(self, machine: str, state: State | None, last: Transition | None) -> None:
        current, transition = f"{machine}/CurrentState", f"{machine}/LastTransition"
        code = "Good" if state is not None else "BadStateNotActive"
        shown = state if state is not None else State.INITIALIZED
        values = {
            current: scalar(text(shown.title), V.LocalizedText),
            f"{current}/Id": scalar(self.model.id(STATE_NODES[shown]), V.NodeId),
            f"{current}/Number": scalar(int(shown), V.UInt32),
        }
        if last is not None:
            values |= {
                transition: scalar(text(last.name), V.LocalizedText),
                f"{transition}/Id": scalar(self.model.id(last.node), V.NodeId),
                f"{transition}/Number": scalar(last.number, V.UInt32),
            }
            if self._last.get(f"{transition}/Number", (None, 0))[0] != last.number:
                values[f"{transition}/TransitionTime"] = scalar(datetime.now(UTC), V.DateTime)
        for path, value in values.items():
            if state is None:
                self.show(path, ua.Variant(), code)
            else:
                self.show(path, value)

    def _write(self, name: str, instance: Instance, path: str, value: ua.Variant, code: str) -> None:
        found = status(code)
        if self._last.get(name) == (value.Value, found.value):
            return
        self._last[name] = (value.Value, found.value)
        if name not in self._slots:
            self._slots[name] = compat.Slot(self.server, instance.id(path))
        self._slots[name].put(valued(value, datetime.now(UTC), found.value))


async def build(server: Server, model: Model, station: str, parent: ua.NodeId | None = None) -> SystemNodes:
    """Create the vision system of a station below `parent`, by default the Objects folder."""
    root = named(f"{station}.MachineVision", STATIONS)
    system = await instantiate(
        model,
        parent or numeric(ua.ObjectIds.ObjectsFolder),
        model.id("VisionSystemType"),
        root,
        ua.QualifiedName(f"{station}.MachineVision", STATIONS),
        Choice(optional=_OPTIONAL, writable=("DiagnosticLevel",), notifiers=("", MACHINE, AUTOMATIC)),
    )
    conditions = {grade: await _condition(model, system, grade) for grade in Grade}
    ids = dict(system.ids)
    for name in _OWN:
        ids[name] = _own_variable(server, root, name)
    await _profiles(server)
    return SystemNodes(server, model, Instance(model, ids, system.declarations), conditions)


async def _condition(model: Model, system: Instance, grade: Grade) -> Instance:
    root = system.id()
    name = f"{root.Identifier!s}.{grade.value}"
    made = await instantiate(
        model,
        root,
        model.id(TYPES[grade]),
        named(name, STATIONS),
        ua.QualifiedName(grade.value, STATIONS),
        Choice(optional=_CONDITION),
    )
    refer(model.server.iserver.aspace, root, _HAS_CONDITION, made.id())
    return made


def _own_variable(server: Server, root: ua.NodeId, name: str) -> ua.NodeId:
    """A String of ours beside the members of the standard."""
    space = server.iserver.aspace
    node = named(f"{root.Identifier!s}.{name}", STATIONS)
    attributes = {
        ua.AttributeIds.Value: valued(scalar("", V.String), datetime.now(UTC), ua.StatusCodes.BadWaitingForInitialData),
        ua.AttributeIds.DataType: numeric(ua.ObjectIds.String),
        ua.AttributeIds.ValueRank: -1,
        ua.AttributeIds.AccessLevel: 1,
        ua.AttributeIds.UserAccessLevel: 1,
        ua.AttributeIds.Historizing: False,
    }
    put(space, node, ua.NodeClass.Variable, ua.QualifiedName(name, STATIONS), attributes)
    refer(space, node, HAS_TYPE_DEFINITION, numeric(ua.ObjectIds.BaseDataVariableType), both=False)
    refer(space, root, numeric(ua.ObjectIds.HasComponent), node)
    return node


async def _profiles(server: Server) -> None:
    """ServerProfileArray names what is kept to, each once."""
    node = server.get_node(numeric(ua.ObjectIds.Server_ServerCapabilities_ServerProfileArray))
    known = list(await node.read_value() or [])
    await node.write_value([*known, *(uri for uri in PROFILES if uri not in known)], V.String)
