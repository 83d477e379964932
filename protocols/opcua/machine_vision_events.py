"""The events of OPC 40100-1 with all their fields, as asyncua delivers them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from asyncua import ua

from protocols.opcua import machine_vision_records as records
from protocols.opcua.compat.names import numeric
from protocols.opcua.machine_vision_records import ConditionShown, Grade
from protocols.opcua.machine_vision_structures import Structures, V, array, content, moment, scalar, structure, text
from protocols.opcua.machine_vision_tables import STATE_NODES, State, Transition
from protocols.opcua.model.install import Model
from protocols.opcua.model.instances import Instance

Fields = dict[str, ua.Variant]

MACHINE = "VisionStateMachine"
AUTOMATIC = f"{MACHINE}/AutomaticModeStateMachine"
TYPES = {
    Grade.WARNING: "VisionWarningConditionType",
    Grade.ERROR: "VisionErrorConditionType",
    Grade.PERSISTENT: "VisionPersistentErrorConditionType",
}
SEVERITY = {Grade.WARNING: 500, Grade.ERROR: 700, Grade.PERSISTENT: 900}
"""OPC 40100-1 §11.3: 401…600, 601…800, 801…1000."""
_STAMPS = {
    "EventId": V.ByteString,
    "Time": V.DateTime,
    "ReceiveTime": V.DateTime,
    "LocalTime": V.ExtensionObject,
}
"""What the emitter fills in."""
_NULL = ua.Variant()
_QUIET, _NEWS = 100, 200
_FAILED = 500


class VisionEvent:
    """One event for all who hear of it: nothing in it is changed or copied once it is emitted (asyncua copies each
    field for each subscriber). A field that it does not have is Null, in a where clause too (Part 4 §7.22.3)."""

    def __init__(self, fields: Fields) -> None:
        self.emitting_node: ua.NodeId | None = None
        self.EventId: bytes | None = None
        self.Time: datetime | None = None
        self.ReceiveTime: datetime | None = None
        self.LocalTime: Any = None
        self._fields = fields

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = self._fields.get(name)
        return None if found is None else found.Value

    def to_event_fields(self, select_clauses: Sequence[ua.SimpleAttributeOperand]) -> list[ua.Variant]:
        """What these clauses ask for, in their order."""
        known = self._fields
        if "EventId" not in known:
            known |= {name: ua.Variant(getattr(self, name), kind) for name, kind in _STAMPS.items()}
        return [known.get(_name(clause), _NULL) for clause in select_clauses]


class EventMaker:
    """Makes the events of one vision system; `system` is its instance, `source` its name."""

    def __init__(self, model: Model, system: Instance, source: str) -> None:
        self._model, self._system, self._source = model, system, source
        self._structures = Structures(model)
        self._conditions: dict[Grade, Instance] = {}
        self._bases: dict[tuple[str, str, int], Fields] = {}
        self._moves: dict[int, Fields] = {}

    def conditions(self, instances: Mapping[Grade, Instance]) -> None:
        """Name the condition objects."""
        self._conditions = dict(instances)

    def make(self, event: records.Event) -> VisionEvent:
        """The event, ready to be emitted; EventId, and Time where it is now, are the emitter's."""
        makers: dict[type[Any], Callable[[Any], VisionEvent]] = {
            records.StateChanged: self._changed,
            records.JobEvent: self._job,
            records.RecipePrepared: self._prepared,
            records.ResultReady: self._result,
            records.SafetyReported: self._safety,
            records.Told: self._told,
            records.ConditionChanged: lambda changed: self.condition(changed.shown),
        }
        return makers[type(event)](event)

    # ------------------------------------------------------------ states and jobs

    def _changed(self, event: records.StateChanged) -> VisionEvent:
        step = event.transition
        fields = self._moves.get(step.node) or self._moved(step)
        what = f"{step.source.title} → {step.target.title}"
        severity = _QUIET
        if event.kind != "StateChanged":
            severity = SEVERITY[Grade.ERROR] if event.kind == "Error" else _NEWS
            what = event.text or what
        return self._event(f"{event.kind}EventType", AUTOMATIC if step.inner else MACHINE, what, severity, fields)

    def _moved(self, step: Transition) -> Fields:
        """What every event of a transition says; made once."""
        self._moves[step.node] = fields = {
            "Transition": scalar(text(step.name), V.LocalizedText),
            "Transition/Id": scalar(self._model.id(step.node), V.NodeId),
            "Transition/Number": scalar(step.number, V.UInt32),
            **self._state("FromState", step.source),
            **self._state("ToState", step.target),
        }
        return fields

    def _state(self, name: str, state: State) -> Fields:
        return {
            name: scalar(text(state.title), V.LocalizedText),
            f"{name}/Id": scalar(self._model.id(STATE_NODES[state]), V.NodeId),
            f"{name}/Number": scalar(int(state), V.UInt32),
        }

    def _job(self, event: records.JobEvent) -> VisionEvent:
        place = MACHINE if event.step is records.JobStep.ACQUIRED else AUTOMATIC
        fields = {"JobId": structure(self._structures.job(event.job_id))}
        what = f"{event.step.value} {event.job_id}"
        made = self._event(f"{event.step.value}EventType", place, what, _QUIET, fields)
        made.Time = moment(event.at) if event.at else None
        return made

    def _prepared(self, event: records.RecipePrepared) -> VisionEvent:
        fields = {
            "ExternalId": structure(self._structures.external_recipe(event.external)),
            "InternalId": structure(self._structures.internal_recipe(event.internal)),
            "ProductId": ua.Variant(),
        }
        return self._event("RecipePreparedEventType", AUTOMATIC, f"recipe {event.internal.id}", _NEWS, fields)

    def _safety(self, event: records.SafetyReported) -> VisionEvent:
        fields = {
            "VisionSafetyTriggered": scalar(event.triggered, V.Boolean),
            "VisionSafetyInformation": scalar(event.information, V.String),
        }
        severity = SEVERITY[Grade.PERSISTENT] if event.triggered else _NEWS
        return self._event("VisionSafetyEventType", "", event.information or "safety state", severity, fields)

    def _result(self, ready: records.ResultReady) -> VisionEvent:
        r = ready.result
        values = self._structures.result_fields(r)
        plain = {
            "IsPartial": V.Boolean,
            "IsSimulated": V.Boolean,
            "ResultState": V.Int32,
            "CreationTime": V.DateTime,
        }
        fields = {name: scalar(values[name], kind) for name, kind in plain.items()}
        rest = values.keys() - plain.keys() - {"HasTransferableDataOnFile"}
        fields |= {name: structure(values[name]) for name in sorted(rest)}
        fields["ResultContent"] = array(content(r.content), V.Variant)
        good = r.state is records.ResultState.COMPLETED
        what = f"{r.content.judgement.name} {r.part.id}".strip()
        return self._event("ResultReadyEventType", AUTOMATIC, what, _NEWS if good else _FAILED, fields)

    def _told(self, event: records.Told) -> VisionEvent:
        kind = "VisionInformationEventType" if event.level is None else "VisionDiagnosticInfoEventType"
        job = structure(self._structures.job(event.job_id)) if event.job_id else ua.Variant()
        fields = {"JobId": job, "CausePath": scalar(str(event.code) if event.code else "", V.String)}
        severity = event.severity if event.level is None else int(event.level)
        return self._event(kind, "", event.text, severity, fields)

    # ------------------------------------------------------------ conditions

    def condition(self, shown: ConditionShown) -> VisionEvent:
        """The event of a condition as it stands."""
        instance = self._conditions[shown.grade]
        fields = self.condition_fields(shown) | {"NodeId": scalar(instance.id(), V.NodeId)}
        return self._event(TYPES[shown.grade], "", _story(shown), SEVERITY[shown.grade], fields)

    def condition_fields(self, c: ConditionShown) -> Fields:
        """What the event and the condition's object both carry, by browse path."""
        now = ua.DateTime.now()
        comment, locale, user = c.comment
        return {
            "ConditionClassId": scalar(numeric(ua.ObjectIds.ProcessConditionClassType), V.NodeId),
            "ConditionClassName": scalar(text("ProcessConditionClass"), V.LocalizedText),
            "ConditionName": scalar(c.grade.value, V.String),
            "BranchId": scalar(ua.NodeId(), V.NodeId),
            "Retain": scalar(c.retain, V.Boolean),
            **_two_state("EnabledState", True, "Enabled", "Disabled"),
            "EnabledState/EffectiveDisplayName": scalar(text(_summary(c)), V.LocalizedText),
            "Quality": scalar(ua.StatusCode(), V.StatusCode),
            "Quality/SourceTimestamp": scalar(now, V.DateTime),
            "LastSeverity": scalar(SEVERITY[c.grade], V.UInt16),
            "LastSeverity/SourceTimestamp": scalar(now, V.DateTime),
            "Comment": scalar(ua.LocalizedText(comment or None, locale or None), V.LocalizedText),
            "Comment/SourceTimestamp": scalar(now, V.DateTime),
            "ClientUserId": scalar(user, V.String),
            **_two_state("AckedState", c.acked, "Acknowledged", "Unacknowledged"),
            **_two_state("ConfirmedState", c.confirmed, "Confirmed", "Unconfirmed"),
            "StopReaction": scalar(c.stop_reaction, V.Boolean),
            "BlockReaction": scalar(c.block_reaction, V.Boolean),
            "ErrorCode": scalar(c.code, V.UInt64),
            "ErrorString": scalar(c.text, V.String),
            "CausePath": scalar(f"{self._source}/{c.code}" if c.code else self._source, V.String),
        }

    # ------------------------------------------------------------ inside

    def _event(self, kind: str, place: str, message: str, severity: int, fields: Fields) -> VisionEvent:
        base = self._bases.get((kind, place, severity)) or self._base(kind, place, severity)
        return VisionEvent(base | fields | {"Message": scalar(text(message), V.LocalizedText)})

    def _base(self, kind: str, place: str, severity: int) -> Fields:
        """What all events of one type at one place say; made once."""
        self._bases[kind, place, severity] = base = {
            "EventType": scalar(self._model.id(kind), V.NodeId),
            "SourceNode": scalar(self._system.id(place), V.NodeId),
            "SourceName": scalar(f"{self._source}/{place}" if place else self._source, V.String),
            "Severity": scalar(severity, V.UInt16),
        }
        return base


def may_wait(event: records.Event) -> bool:
    """Only that a job begins, or a remark: nobody acts upon it, and the next event comes soon."""
    match event:
        case records.StateChanged(transition=step, kind="StateChanged"):
            return step.target in (State.SINGLE_EXECUTION, State.CONTINUOUS_EXECUTION)
        case records.JobEvent(step=records.JobStep.STARTED):
            return True
        case records.Told(level=level):
            return level is not None
        case _:
            return False


def _name(clause: ua.SimpleAttributeOperand) -> str:
    if not clause.BrowsePath:
        return ua.AttributeIds(clause.AttributeId).name
    return "/".join(str(step.Name) for step in clause.BrowsePath)


def _two_state(name: str, on: bool, yes: str, no: str) -> Fields:
    return {name: scalar(text(yes if on else no), V.LocalizedText), f"{name}/Id": scalar(on, V.Boolean)}


def _summary(c: ConditionShown) -> str:
    words = ["Active" if c.active else "Inactive"]
    words += [] if c.acked else ["Unacknowledged"]
    words += [] if c.confirmed else ["Unconfirmed"]
    return ", ".join(words)


def _story(c: ConditionShown) -> str:
    return c.text if c.active else f"over: {c.text}"
