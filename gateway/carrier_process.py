"""A carrier process kept alive: watched by what it says, killed when it hangs, started anew for ever.

Whatever it does, it takes nothing with it but its own seats and devices: `run` never raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from gateway.board import BoardWriter
from gateway.carrier_child import CarrierChild, Doorbell
from gateway.opcua import wire
from protocols.carried import Process
from protocols.faults import Code
from protocols.link import Backoff, LinkState, Station
from protocols.settings import OnEvent
from protocols.signals import Command
from protocols.station_view import Seat

MODULES: dict[Process, str] = {"server": "gateway.opcua.server_process", "client": "gateway.opcua.client_process"}
HEAD_START = 0.1
"""Seconds in which the rest of the gateway starts: the PLC's port opens first."""
WATCH = 0.1
"""Seconds between two looks at a carrier, and between two signs of life to it."""
SILENT, HUNG = 1.0, 3.0
"""Seconds without a word after which its seats are down, and after which it is killed."""
START_WAIT = 60.0
"""Seconds until it must serve."""
STOP_WAIT = 0.5
STEADY = 60.0
"""A carrier that served for so long is started anew with the shortest pause again."""

log = structlog.get_logger("carrier")


class Device(Protocol):
    """The control side of a device in a carrier process."""

    name: str

    def begin(self, send: Callable[[wire.ToCarrier], None]) -> None:
        """The carrier serves: tell it what is wanted."""

    def heard(self, message: wire.Readings | wire.DeviceLinked | wire.Written) -> None:
        """The carrier says something of this device."""

    def lost(self, reason: str) -> None:
        """The carrier is gone."""


class _Port:
    """A seat of a station as a carrier fills it."""

    def __init__(self, seat: Seat, station: Station) -> None:
        self._seat, self._station = seat, station
        self._said: LinkState | None = None
        self._used = False
        """The carrier has said something for this seat that counts still."""
        self._silent = False
        self._missed: Command | None = None

    def command(self, command: Command) -> None:
        if self._silent:
            self._missed = command
            return
        self._used = True
        self._station.command(command)

    def linked(self, state: LinkState, reason: str) -> None:
        self._said, self._used = state, True
        if not self._silent:
            self._station.link_changed(state, reason)

    def silent(self, reason: str) -> None:
        """Nothing is heard of the carrier."""
        self._silent, self._missed = True, None
        self._down(reason)

    def back(self, reason: str) -> None:
        """It is heard again, the same process; what its link said meanwhile is its baseline, a claim it is not."""
        self._silent = False
        if self._used:
            self._station.link_changed(self._said or LinkState.UP, reason)
        if self._missed is not None and self._seat is Seat.LINK:
            self._station.command(self._missed)

    def gone(self, reason: str) -> None:
        """The process has ended: what it said counts no more."""
        if not self._silent:
            self._down(reason)
        self._said, self._used, self._silent, self._missed = None, False, False, None

    def _down(self, reason: str) -> None:
        if self._used and self._said is not LinkState.DOWN:
            self._station.link_changed(LinkState.DOWN, reason)


class CarrierProcess:
    """The service that keeps one carrier process. Name all its ports and devices before `run`."""

    def __init__(self, process: Process, boards: Sequence[BoardWriter], on_event: OnEvent, module: str = "") -> None:
        self.process = process
        self.name = f"opcua {process}"
        self.bell = Doorbell()
        self.starts = 0
        self.child: CarrierChild | None = None
        self._module = module or MODULES[process]
        self._boards = tuple(boards)
        self._on_event = on_event
        self.start = wire.Start()
        self._ports: dict[tuple[int, Seat], _Port] = {}
        self._devices: dict[str, Device] = {}
        self._serving = self._silent = False
        self._words = ""

    def tell(self, start: wire.Start) -> None:
        """What each process is told at its start."""
        self.start = start

    def add_port(self, number: int, seat: Seat, station: Station) -> None:
        """For this seat of the station with this number in the start message the carrier may speak."""
        self._ports[number, seat] = _Port(seat, station)

    def add_device(self, device: Device) -> None:
        """This device is reached by the carrier."""
        self._devices[device.name] = device

    async def run(self) -> None:
        """Keep a process until cancelled."""
        backoff = Backoff(first=0.2, limit=30.0)
        await asyncio.sleep(HEAD_START)
        while True:
            began = time.monotonic()
            try:
                reason = await self._life()
            except Exception as error:  # the task's boundary: nothing that a carrier does may end the gateway
                log.exception("carrier_watch", process=self.process)
                reason = f"{type(error).__name__}: {error}"
            log.error("carrier_ended", process=self.process, code=int(Code.INTERNAL), reason=reason)
            if time.monotonic() - began > STEADY:
                backoff.reset()
            await asyncio.sleep(backoff.pause())

    def close(self) -> None:
        """Give the doorbell back; to be called when nothing runs any more."""
        self.bell.close()

    async def _life(self) -> str:
        """Start one process and keep it until it is of no use; why it was not."""
        descriptors = [self.bell.theirs, *(board.descriptor for board in self._boards)]
        self._serving = self._silent = False
        self._words = ""
        try:
            child = CarrierChild(self._module, self.start, descriptors, self._received)
        except OSError as error:
            return f"it cannot be started: {error}"
        self.child, self.starts = child, self.starts + 1
        how = ""
        try:
            await self._watch(child)
        except asyncio.CancelledError:
            child.send(wire.Stop())
            raise
        finally:
            self._gone(child.reason or "the gateway stops")
            how = await child.end(STOP_WAIT)
            self.child = None
        return f"{self._words or child.reason} ({how})"

    async def _watch(self, child: CarrierChild) -> None:
        began = last = time.monotonic()
        while not child.ended.is_set():
            try:
                async with asyncio.timeout(WATCH):
                    await child.ended.wait()
            except TimeoutError:
                pass
            for board in self._boards:
                board.touch()
            now = time.monotonic()
            if now - last > SILENT / 2:
                child.heard = now  # not the carrier was held up, but this process
            last = now
            self._judge(child, now - child.heard, now - began)

    def _judge(self, child: CarrierChild, silence: float, age: float) -> None:
        if child.ended.is_set():
            return
        if not self._serving:
            if age > START_WAIT:
                child.kill(f"it did not serve within {START_WAIT:.0f} s")
        elif silence > HUNG:
            child.kill(f"it said nothing for {HUNG:.0f} s")
        elif (silence > SILENT) is not self._silent:
            self._silent = not self._silent
            log.warning("carrier", process=self.process, state="silent" if self._silent else "back")
            for port in self._ports.values():
                if self._silent:
                    port.silent(f"the {self.name} process said nothing for {SILENT:g} s")
                else:
                    port.back(f"the {self.name} process is back")

    def _gone(self, reason: str) -> None:
        for port in self._ports.values():
            port.gone(f"the {self.name} process ended: {reason}")
        for device in self._devices.values():
            device.lost(f"the {self.name} process ended: {reason}")

    # ------------------------------------------------------------ what it says

    def _received(self, message: wire.FromCarrier) -> None:
        match message:
            case wire.Alive():
                pass
            case wire.Commanded(station, seat, command):
                self._port(station, seat).command(command)
            case wire.Linked(station, seat, state, reason):
                self._port(station, seat).linked(state, reason)
            case wire.Readings() | wire.DeviceLinked() | wire.Written():
                if message.device not in self._devices:
                    raise wire.WireError(f"a message of device {message.device!r}, which it was not given")
                self._devices[message.device].heard(message)
            case wire.Event(code, text):
                self._on_event(code, text)
            case wire.Failed(code, text):
                self._words = text
                self._on_event(code, text)
            case wire.Ready(text):
                self._ready(text)

    def _ready(self, text: str) -> None:
        self._serving = True
        log.info("carrier", process=self.process, state="ready", where=text, starts=self.starts)
        for device in self._devices.values():
            if self.child is not None:
                device.begin(self.child.send)

    def _port(self, station: int, seat: Seat) -> _Port:
        port = self._ports.get((station, seat))
        if port is None:
            raise wire.WireError(f"a message for station {station}, seat {seat.name}, which it was not given")
        return port
