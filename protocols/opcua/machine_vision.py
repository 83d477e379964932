"""The face of OPC 40100-1: one station as a vision system in an OPC UA server.

A `Link` to its station and an `Observer` of it. What the station does, whoever drives it, shows in two state machines,
events, conditions and results; methods drive it as a PLC would, when no PLC does. All meaning is in
`machine_vision_requests`; here are the clock, the address space and the order of things.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from asyncua import Server, ua

from protocols.faults import Code
from protocols.link import LinkState, Station
from protocols.opcua import compat
from protocols.opcua.compat import Caller, Role
from protocols.opcua.compat.names import status
from protocols.opcua.machine_vision_events import EventMaker, may_wait
from protocols.opcua.machine_vision_execution import MachineSettings
from protocols.opcua.machine_vision_identity import configuration
from protocols.opcua.machine_vision_methods import Methods
from protocols.opcua.machine_vision_nodes import SystemNodes, build
from protocols.opcua.machine_vision_records import (
    ConditionChanged,
    Diagnostic,
    Event,
    Grade,
    SafetyReported,
    Told,
)
from protocols.opcua.machine_vision_requests import VisionMachine
from protocols.opcua.machine_vision_structures import Structures, V, scalar, structure
from protocols.opcua.model.install import Model
from protocols.settings import OnEvent
from protocols.signals import Outputs
from protocols.station_view import Outcome, Seat, StationFacts

TURN = 1.0
"""Seconds after which time is looked at again although nothing is due."""
MOST_SEVERE = 1000
LINGER = 0.005
"""Seconds for which an event that may wait waits for one that may not: each message costs both ends half a ms."""
UNCERTAIN = "UncertainLastUsableValue"


class MachineVisionFace:
    """`build`, `attach`, then `run`. Every call of the station's is synchronous, cheap and never raises."""

    def __init__(
        self,
        server: Server,
        model: Model,
        facts: StationFacts,
        *,
        settings: MachineSettings | None = None,
        on_event: OnEvent | None = None,
        parent: ua.NodeId | None = None,
    ) -> None:
        """`settings.shared` False: no PLC drives this station. `parent`: where its object hangs; else Objects."""
        self._server, self._model, self._facts, self._parent = server, model, facts, parent
        self._structures = Structures(model)
        self._on_event = on_event or (lambda code, text: None)
        # Unique over restarts of the gateway and of this server alone: the boot's number and the millisecond.
        prefix = f"{facts.name}-{facts.boot_id}-{time.time_ns() // 1_000_000:x}"
        self._machine = VisionMachine(facts, settings or MachineSettings(), prefix, time.time)
        self._station: Station | None = None
        self._inbox: deque[Callable[[], None]] = deque()
        self._busy = False
        self._wake = asyncio.Event()
        self._level = Diagnostic.COMMANDS + 1
        self._nodes: SystemNodes | None = None
        self._events: EventMaker | None = None
        self._methods: Methods | None = None
        self._shown: object = None

    async def build(self) -> None:
        """Make its objects, bind its methods; once, before `run`."""
        nodes = self._nodes = await build(self._server, self._model, self._facts.name, self._parent)
        self._events = EventMaker(self._model, nodes.system, self._facts.name)
        self._events.conditions(nodes.conditions)
        methods = self._methods = Methods(self._server, nodes, self._machine, time.monotonic)
        methods.finish = lambda: self._put(lambda: None)
        methods.started = time.time()
        methods.bind()
        nodes.show("DiagnosticLevel", scalar(self._level, V.UInt16))
        compat.bind_write(self._server, nodes.system.id("DiagnosticLevel"), self._set_level, role=Role.ENGINEER)
        compat.bind_condition_refresh(self._server)
        compat.on_session_closed(self._server, self._session_closed)
        self._begin(nodes, self._events, methods.started)
        self._show()

    # ------------------------------------------------------------ Link

    def attach(self, station: Station) -> None:
        """Name the station to serve."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """What the station shows now."""
        self._put(lambda: self._machine.outputs(outputs, time.monotonic()))

    async def run(self) -> None:
        """Let time pass for it, until cancelled."""
        if self._station is None or self._nodes is None:
            raise RuntimeError("build the face and attach a station before run")
        self._station.link_changed(LinkState.UP, "methods of OPC 40100-1")
        try:
            while True:
                await self._due()
                self._put(lambda: self._machine.tick(time.monotonic()))
        finally:
            self._station.link_changed(LinkState.DOWN, "the OPC UA server stops")

    async def _due(self) -> None:
        self._wake.clear()
        due = self._machine.deadline()
        wait = TURN if due is None else min(TURN, max(0.0, due - time.monotonic()))
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    # ------------------------------------------------------------ Observer

    def driven(self, seat: Seat) -> None:
        """Who drives the station from now on."""
        self._put(lambda: self._machine.driven(seat, time.monotonic()))

    def outcome(self, outcome: Outcome) -> None:
        """Every inspection once, in order. Its result goes out before anything else is shown."""
        self._put(lambda: self._machine.outcome(outcome, time.monotonic()))

    def stale(self, stale: bool) -> None:
        """The control process is silent, or speaks again: what it said is not known to be true any more."""
        self._put(lambda: self._machine.silent(stale, time.monotonic()))

    # ------------------------------------------------------------ one thing after the other

    def _put(self, what: Callable[[], None]) -> None:
        """Do it after what is being done: a station may answer a command before that returns."""
        self._inbox.append(what)
        if self._busy:
            return
        self._busy = True
        try:
            while self._inbox:
                self._inbox.popleft()()
                self._flush()
        finally:
            self._busy = False
        self._wake.set()

    def _flush(self) -> None:
        """What the station is to do comes first: a part waits for it. All of it is one turn of the loop to clients."""
        if self._station is not None:
            for command in self._machine.take_commands():
                self._station.command(command)
        events = self._machine.take_events()
        for event in events:
            self._tell(event)
        if not all(map(may_wait, events)):
            compat.publish_now(self._server)
        self._show()

    # ------------------------------------------------------------ showing

    def _begin(self, nodes: SystemNodes, events: EventMaker, started: float) -> None:
        active = self._structures.configuration(configuration(self._facts), started)
        nodes.show("ConfigurationManagement/ActiveConfiguration", structure(active))
        nodes.show("SafetyStateManagement/VisionSafetyTriggered", scalar(False, V.Boolean))
        nodes.show("SafetyStateManagement/VisionSafetyInformation", scalar("", V.String))
        for grade in Grade:
            nodes.condition(grade, events.condition_fields(self._machine.conditions.shown(grade)))

    def _show(self) -> None:
        nodes, machine = self._nodes, self._machine
        if nodes is None:
            return
        nodes.states(machine.states)
        code = "Good" if machine.status is not None else "BadWaitingForInitialData"
        code = UNCERTAIN if machine.stale else code
        shown = (machine.system_state(time.monotonic()), machine.text, machine.seat, code)
        if shown == self._shown:
            return
        self._shown = shown
        nodes.show("SystemState", structure(self._structures.system_state(*shown[:2])), code)
        nodes.show("Driver", scalar(machine.seat.name, V.String), code)
        nodes.show("StatusText", scalar(machine.text, V.String))

    def _tell(self, event: Event) -> None:
        if isinstance(event, Told):
            if event.level in (None, Diagnostic.REFUSALS):
                self._on_event(Code.NONE, f"{self._facts.name}: {event.text}")
            if event.level is not None and event.level < self._level:
                return
        nodes, events = self._nodes, self._events
        if nodes is None or events is None:
            return
        if isinstance(event, SafetyReported):
            nodes.show("SafetyStateManagement/VisionSafetyTriggered", scalar(event.triggered, V.Boolean))
            nodes.show("SafetyStateManagement/VisionSafetyInformation", scalar(event.information, V.String))
        made = events.make(event)
        event_id = compat.emit(self._server, nodes.notifiers, made, wait=LINGER if may_wait(event) else 0.0)
        if isinstance(event, ConditionChanged) and self._methods is not None:
            shown = event.shown
            self._methods.remember(event_id, shown.grade, shown.serial)
            nodes.condition(shown.grade, events.condition_fields(shown), made)

    # ------------------------------------------------------------ clients

    def _set_level(self, who: Caller, value: ua.DataValue) -> ua.StatusCode:
        level = value.Value.Value if value.Value is not None else 0
        if level > MOST_SEVERE:
            return status("BadOutOfRange")
        self._level = int(level)
        self._on_event(Code.NONE, f"{self._facts.name}: DiagnosticLevel is {level}, set by {who.user}")
        return ua.StatusCode()

    def _session_closed(self, session: str) -> None:
        self._put(partial(self._machine.session_closed, session, time.monotonic()))
