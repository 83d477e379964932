"""A client of OPC 40100-1 on node-opcua: methods by their paths, structures by their names, events by type."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.interop.node_opcua import Events, Session
from tests.interop.node_peer import Told
from tests.interop.opcua_stand import MACHINE_VISION, VISION

MACHINE = "VisionStateMachine"
AUTOMATIC = f"{MACHINE}/AutomaticModeStateMachine"
EVENT_TYPES = {
    1013: "JobStarted", 1018: "StateChanged", 1019: "Error", 1020: "ErrorResolved", 1022: "RecipePrepared",
    1023: "Ready", 1024: "ResultReady", 1025: "AcquisitionDone", 1030: "Safety", 1034: "Warning",
    1035: "ErrorCondition", 1036: "PersistentError", 1037: "Diagnostic", 1038: "Information",
}  # fmt: skip
"""Types of events of OPC 40100-1 §12 by their numbers."""
STRUCTURES = {
    "MeasId": 3015, "PartId": 3004, "ExternalRecipe": 3002, "InternalRecipe": 3013, "Product": 3003,
    "Configuration": 3008, "Job": 3016, "Result": 3021,
}  # fmt: skip
BASE = ("EventId", "EventType", "SourceNode", "SourceName", "Time", "Message", "Severity")
OWN = (
    "JobId", "MeasId", "PartId", "ProductId", "ResultId", "ResultState", "IsPartial", "IsSimulated", "CreationTime",
    "InternalRecipeId", "ExternalRecipeId", "InternalConfigurationId", "ExternalConfigurationId", "ProcessingTimes",
    "ResultContent", "InternalId", "ExternalId", "VisionSafetyTriggered", "VisionSafetyInformation", "CausePath",
    "ErrorCode", "ErrorString", "StopReaction", "BlockReaction",
)  # fmt: skip
STATES = ("Transition", "Transition/Id", "FromState", "FromState/Id", "ToState", "ToState/Id")
CONDITION = ("", "ConditionName", "BranchId", "Retain", "EnabledState/Id", "AckedState/Id", "ConfirmedState/Id")


@dataclass
class System:
    """The vision system as one session sees it."""

    session: Session
    root: str = VISION

    @property
    def index(self) -> int:
        return self.session.index(MACHINE_VISION)

    def id(self, path: str = "") -> str:
        return f"ns=2;s={self.root}{'.' * bool(path)}{path.replace('/', '.')}"

    def type(self, number: int) -> str:
        return f"ns={self.index};i={number}"

    def make(self, name: str, id_: str = "", **fields: Any) -> Told:
        """An argument that is a structure."""
        return {"type": "ExtensionObject", "of": self.type(STRUCTURES[name]), "value": {"id": id_, **fields}}

    async def ask(self, path: str, *inputs: Any) -> Told:
        """Call a method; {status, inputs, outputs} as it came."""
        return await self.session.call(self.id(path.rpartition("/")[0]), self.id(path), *inputs)

    async def call(self, path: str, *inputs: Any) -> list[Any]:
        """Its outputs; it must be Good."""
        answer = await self.ask(path, *inputs)
        assert answer["status"] == "Good", (path, answer)
        return [each["value"] for each in answer["outputs"]]

    def job(self, meas: str = "", part: str = "", recipe: str = "", product: str = "") -> list[Any]:
        """The arguments of StartSingleJob and StartContinuous."""
        ids = (("MeasId", meas), ("PartId", part), ("ExternalRecipe", recipe), ("Product", product))
        return [*(self.make(name, value) for name, value in ids), {"type": "Variant", "value": [], "array": True}]

    async def state(self, machine: str = MACHINE) -> str:
        (found,) = await self.session.read(self.id(f"{machine}/CurrentState"))
        return str(found["value"]["text"]) if found["value"] else str(found["status"])

    @asynccontextmanager
    async def events(self, notifier: str = "", **options: Any) -> AsyncIterator[VisionEvents]:
        """All events of it, or of another notifier, with every field that one of their types has."""
        fields = [*BASE, *(f"{self.index}:{name}" for name in OWN), *STATES, *CONDITION]
        seen = await self.session.events(notifier or self.id(), fields, **options)
        try:
            yield VisionEvents(self, seen)
        finally:
            await self.session.do("unsubscribe", subscription=seen.subscription)


@dataclass
class VisionEvents:
    """Events by the names of their types; own fields without their namespace."""

    system: System
    seen: Events

    def all(self, kind: str = "") -> list[dict[str, Any]]:
        found = [self._plain(each) for each in self.seen.all()]
        return [each for each in found if kind in ("", each["kind"])]

    async def first(self, kind: str, seconds: float = 15.0, **wanted: Any) -> dict[str, Any]:
        """The first of this type whose fields are so."""

        def fits(event: dict[str, Any]) -> bool:
            told = self._plain(event)
            return told["kind"] == kind and all(told[name] == value for name, value in wanted.items())

        return self._plain(await self.seen.seen(fits, seconds))

    def _plain(self, event: dict[str, Any]) -> dict[str, Any]:
        told = {name.partition(":")[2] or name: value for name, value in event.items()}
        namespace, _, number = str(told["EventType"]).partition(";i=")
        ours = namespace == f"ns={self.system.index}"
        told["kind"] = EVENT_TYPES.get(int(number or 0), number) if ours else number
        return told
