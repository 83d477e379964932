"""A server with one vision system, and the played station behind it; started once for many tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from asyncua import Client, Node, Server, ua
from asyncua.crypto.permission_rules import User

from protocols.handshake import CycleSettings
from protocols.link import LinkState
from protocols.opcua import compat
from protocols.opcua.compat import LoggedIn, Role
from protocols.opcua.machine_vision import MachineVisionFace
from protocols.opcua.machine_vision_execution import MachineSettings
from protocols.opcua.model.install import Model, install
from protocols.signals import Command, Control, Judgement, next_seq
from protocols.station_view import Outcome
from tests.vision_station import FACTS, PlayedStation

STATIONS = "urn:vision-plc-gateway:stations"
USERS = {"viewer": Role.VIEWER, "operator": Role.OPERATOR, "engineer": Role.ENGINEER}
SETTINGS = MachineSettings(job_timeout=3.0, claim_timeout=0.5, command_timeout=5.0, session_grace=0.3)
ROOT = "press-1.MachineVision"


async def met(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what nobody tells."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Users:
    """Three people, one a role."""

    def get_user(self, _: Any, username: str | None = None, **__: Any) -> User | None:
        return LoggedIn(name=username, may=USERS[username]) if username in USERS else None


class Joint:
    """Joins a face and a played station on the running loop, as two processes would: a turn later, in order."""

    def __init__(self, face: MachineVisionFace) -> None:
        self.station = PlayedStation(CycleSettings(deadline=2.0, command_timeout=2.0, plc_heartbeat_timeout=5.0))
        self.plc = Command()
        self.links: list[LinkState] = []
        self._face = face
        face.attach(self)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def command(self, command: Command) -> None:
        self.station.vision(command, self.now)
        self._soon()

    def link_changed(self, state: LinkState, reason: str) -> None:
        self.links.append(state)

    def write(self, *, enable: bool | None = None, trigger: bool = False, part: int = 0, **fields: int) -> None:
        """The PLC writes its block."""
        control = self.plc.control if enable is None else int(Control.ENABLE) * enable
        seq = next_seq(self.plc.trigger_seq) if trigger else self.plc.trigger_seq
        words = {"control": control, "trigger_seq": seq, "part_id": part or self.plc.part_id} | fields
        self.plc = Command(**words)  # type: ignore[arg-type]
        self.station.link(self.plc, self.now)
        self._soon()

    def _soon(self) -> None:
        asyncio.get_running_loop().call_soon(self.show)

    def show(self) -> None:
        """Everything the station has to tell."""
        told, self.station.told = self.station.told, []
        for what in told:
            if isinstance(what, Outcome):
                self._face.outcome(what)
            else:
                self._face.driven(what)
        self._face.publish(self.station.outputs(self.now))

    async def run(self) -> None:
        """The station's scan."""
        while True:
            self.station.tick(self.now)
            self.show()
            await asyncio.sleep(0.05)

    def again(self) -> None:
        """A station as new, which nobody drives."""
        for code in tuple(self.station.role.conditions._active):
            self.station.fault(code, False)
        self.station.take_away(self.now)
        self.station.loads = True
        self.station.role.conditions.clear()
        self.write(enable=False, command=0)


class Events:
    """Subscribes to everything that one node tells, and keeps it in order."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._news = asyncio.Event()

    def event_notification(self, event: Any) -> None:
        self.seen.append(event)
        self._news.set()

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self._news.clear()
                await self._news.wait()


class Bench:
    """The server, its face and its station."""

    def __init__(self, server: Server, model: Model, face: MachineVisionFace, joint: Joint) -> None:
        self.server, self.model, self.face, self.joint = server, model, face, joint
        self.log: list[str] = []

    @property
    def station(self) -> PlayedStation:
        return self.joint.station

    @property
    def url(self) -> str:
        assert self.server.bserver is not None
        return f"opc.tcp://127.0.0.1:{self.server.bserver.port}"

    @asynccontextmanager
    async def client(self, user: str) -> AsyncIterator[Vision]:
        """A client of this user; left when the server has let go of its socket."""
        server = self.server.bserver
        assert server is not None
        before = len(server.clients)
        client = Client(self.url, timeout=20)
        client.set_user(user)
        async with client:
            yield Vision(client, self.model)
        await met(lambda: len(server.clients) <= before)


class Vision:
    """A client's view of the vision system."""

    def __init__(self, client: Client, model: Model) -> None:
        self.client, self.model = client, model
        self.session = client.uaclient

    def node(self, path: str = "") -> Node:
        name = f"{ROOT}.{path.replace('/', '.')}" if path else ROOT
        return self.client.get_node(ua.NodeId(name, 2))  # type: ignore[arg-type]

    async def value(self, path: str) -> Any:
        return await self.node(path).read_value()

    async def status(self, path: str) -> str:
        found = await self.node(path).read_data_value(raise_on_bad_status=False)
        return found.StatusCode.name if found.StatusCode is not None else "Good"

    async def call(self, path: str, *arguments: Any) -> Any:
        """Call a method; its outputs, one alone as it is."""
        above = path.rsplit("/", 1)[0]
        return await self.node(above).call_method(self.node(path).nodeid, *arguments)

    def make(self, name: str, **fields: Any) -> Any:
        return ua.Variant(self.model.structure(name)(**fields), ua.VariantType.ExtensionObject)


def no_arguments(vision: Vision, **given: Any) -> list[Any]:
    """The arguments of StartSingleJob; those not given are empty."""
    names = ("MeasIdDataType", "PartIdDataType", "RecipeIdExternalDataType", "ProductIdDataType")
    keys = ("meas", "part", "recipe", "product")
    made = [vision.make(name, Id=given.get(key, "")) for name, key in zip(names, keys, strict=True)]
    return [*made, ua.Variant(given.get("parameters", []), ua.VariantType.Variant, is_array=True)]


@asynccontextmanager
async def served() -> AsyncIterator[Bench]:
    """A server on a free port of the loopback, without security: what is tested is what it shows."""
    compat.install()
    server = Server(user_manager=Users())  # type: ignore[arg-type]
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace(STATIONS)
    model = await install(server)
    assert model.index == 3
    compat.rules_of(server).publish_at_once = True
    log: list[str] = []
    face = MachineVisionFace(server, model, FACTS, settings=SETTINGS, on_event=lambda code, text: log.append(text))
    await face.build()
    joint = Joint(face)
    async with server:
        tasks = [asyncio.create_task(face.run()), asyncio.create_task(joint.run())]
        bench = Bench(server, model, face, joint)
        bench.log = log
        try:
            yield bench
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


MACHINE = "VisionStateMachine"
AUTOMATIC = f"{MACHINE}/AutomaticModeStateMachine"
EVENTS = (
    "StateChangedEventType",
    "ErrorEventType",
    "ErrorResolvedEventType",
    "RecipePreparedEventType",
    "JobStartedEventType",
    "ReadyEventType",
    "ResultReadyEventType",
    "AcquisitionDoneEventType",
    "VisionSafetyEventType",
    "VisionDiagnosticInfoEventType",
    "VisionInformationEventType",
    "VisionWarningConditionType",
    "VisionErrorConditionType",
    "VisionPersistentErrorConditionType",
)
NO_CAUSE = (ua.Variant(0, ua.VariantType.Int32), ua.Variant("", ua.VariantType.String))
PAGING = tuple(ua.Variant(0, kind) for kind in (ua.VariantType.UInt32, ua.VariantType.UInt32, ua.VariantType.Int32))


class subscribed:  # noqa: N801 - reads as a context
    def __init__(self, vision: Vision, seen: Any, node: Any) -> None:
        self.vision, self.seen, self.node = vision, seen, node

    async def __aenter__(self) -> Any:
        self.subscription = await self.vision.client.create_subscription(20, self.seen)
        kinds = [self.vision.client.get_node(self.vision.model.id(name)) for name in EVENTS]
        await self.subscription.subscribe_events(self.node, kinds, where_clause_generation=False)
        return self.subscription

    async def __aexit__(self, *_: object) -> None:
        await self.subscription.delete()


async def until(vision: Vision, state: str, machine: str = MACHINE) -> None:
    """Wait until a machine stands there."""
    async with asyncio.timeout(10):
        while True:
            found = await vision.node(f"{machine}/CurrentState").read_data_value(raise_on_bad_status=False)
            text = found.Value.Value if found.Value is not None else None
            if text is not None and text.Text == state:
                return
            await asyncio.sleep(0.01)


async def automatic(vision: Vision) -> None:
    assert await vision.call(f"{MACHINE}/SelectModeAutomatic") == 0
    await until(vision, "Ready", AUTOMATIC)


async def one_job(
    bench: Bench, vision: Vision, events: Events, judgement: Judgement = Judgement.OK, **given: Any
) -> str:
    """A whole job; returns its JobId."""
    job, error = await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision, **given))
    assert error == 0
    await accepted(bench)
    bench.station.expose()
    bench.joint.show()
    bench.station.finish(judgement, bench.joint.now, 101 if judgement is Judgement.NG else 0)
    bench.joint.show()
    await events.until(lambda: any(job_of(e) == job.Id for e in events.seen if kind(vision, e) == "ReadyEventType"))
    return str(job.Id)


async def accepted(bench: Bench) -> None:
    """The station has taken a trigger."""
    await met(lambda: bool(bench.station.open))


def kind(vision: Vision, event: Any) -> str:
    names = {vision.model.id(name): name for name in EVENTS}
    return names.get(event.EventType, str(event.EventType))


def job_of(event: Any) -> str:
    return event.JobId.Id if event.JobId is not None else ""


def of(vision: Vision, events: Events, name: str) -> list[Any]:
    return [event for event in events.seen if kind(vision, event) == name]


def transitions(vision: Vision, events: Events) -> list[str]:
    return [event.Transition.Text for event in of(vision, events, "StateChangedEventType")]


async def refused(vision: Vision, path: str, code: str, *arguments: Any) -> None:
    with pytest.raises(ua.UaStatusCodeError) as told:
        await vision.call(path, *arguments)
    assert told.value.code == getattr(ua.StatusCodes, code), told.value
