"""What both carrier processes do alike: start, watch the boards, keep their links running, say that they live.

The links in here are ordinary links that know nothing of processes. The control process starts a carrier, and kills it
when it falls silent; a carrier ends when the control process does.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gateway import child, loop
from gateway.board import BoardReader
from gateway.opcua import wire
from gateway.opcua.channel import Channel, Doorbell, SinkProxy, StationProxy, receive_start
from gateway.opcua.watched import Carried, WatchedBoard
from protocols.faults import Code
from protocols.link import Backoff, LinkError, LinkState
from protocols.tags import Value

ALIVE = 0.2
LOOK = 0.1
"""Seconds between two looks at the boards without a ring."""
LOOK_AGAIN = 0.002
"""Seconds until the next look at a board that was torn."""
PAUSE_FIRST, PAUSE_LIMIT = 1.0, 30.0
"""Seconds until a link or device that failed is tried again."""


class Source(Protocol):
    """A device whose tags are read and written in this process."""

    async def run(self) -> None:
        """Read and write until cancelled."""

    def want(self, name: str, value: Value) -> None:
        """Have this output at this value from now on."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a carrier process runs. `text` says where it serves."""

    carried: Sequence[Carried] = ()
    services: Sequence[Callable[[], Awaitable[None]]] = ()
    """Without one of these the process is of no use: when it ends, so does the process."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    text: str = ""


class Outside:
    """What the builders of a carrier process are given."""

    def __init__(self, start: wire.Start, channel: Channel) -> None:
        self.start = start
        self._channel = channel

    def event(self, code: int, text: str) -> None:
        """Tell a person: a fault code and one sentence."""
        try:
            known = Code(code)
        except ValueError:
            known = Code.INTERNAL
        self._channel.send(wire.Event(known, text))

    def sink(self, device: str) -> SinkProxy:
        """Where the readings of this device go."""
        return SinkProxy(self._channel, device)


Build = Callable[[Outside], Awaitable[Built]]


def main(arguments: Sequence[str], build: Build) -> None:
    """Serve the control process whose socket and process id the arguments name, until it is gone."""
    faulthandler.enable()
    connection, parent = (int(argument) for argument in arguments)
    child.die_with(parent)
    control = socket.socket(fileno=connection)
    with contextlib.suppress(EOFError, ConnectionError):
        start, (bell, *boards) = receive_start(control)
        child.give_way(start.nice)
        child.limit_memory(start.memory_mb)
        loop.run(Carrier(start, boards).serve(control, bell, build))
    os._exit(0)  # nobody waits for what libraries would tidy up


class Carrier:
    """One carrier process at work."""

    def __init__(self, start: wire.Start, boards: Sequence[int]) -> None:
        self._start = start
        self._readers = [BoardReader(descriptor) for descriptor in boards]
        self._watched: list[WatchedBoard] = []
        self._sources: Mapping[str, Source] = {}
        self._channel: Channel
        self._again: asyncio.TimerHandle | None = None

    async def serve(self, control: socket.socket, bell: int, build: Build) -> None:
        """Build, run, and return when the control process is gone or nothing can be served."""
        self._channel = channel = Channel(control, self._received)
        outside = Outside(self._start, channel)
        try:
            built = await build(outside)
        except LinkError as error:
            channel.send(wire.Failed(Code.CONFIG_INVALID, str(error)))
            return
        self._sources = built.sources
        for number, reader in enumerate(self._readers):
            mine = [carried for carried in built.carried if carried.station == number]
            self._watched.append(WatchedBoard(reader, mine, self._trouble))
        for carried in built.carried:
            carried.link.attach(StationProxy(channel, carried.station, carried.seat))
        self._look()  # what is shown first is true
        doorbell = Doorbell(bell, self._look)
        child.settle()
        try:
            await self._run(built)
        except* LinkError as errors:
            channel.send(wire.Failed(Code.CONFIG_INVALID, str(errors.exceptions[0])))
        finally:
            doorbell.close()
            channel.close()

    async def _run(self, built: Built) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._service(run)) for run in built.services]
            running += [tasks.create_task(self._keep_link(carried)) for carried in built.carried]
            running += [tasks.create_task(self._keep(name, s.run)) for name, s in built.sources.items()]
            running += [tasks.create_task(self._live()), tasks.create_task(self._look_often())]
            self._channel.send(wire.Ready(built.text))
            await self._channel.gone.wait()
            for task in running:
                task.cancel()

    async def _service(self, run: Callable[[], Awaitable[None]]) -> None:
        await run()
        raise LinkError("the OPC UA service ended by itself")

    async def _keep_link(self, carried: Carried) -> None:
        name = self._start.stations[carried.station].facts.name

        def down(reason: str) -> None:
            self._channel.send(wire.Linked(carried.station, carried.seat, LinkState.DOWN, reason))

        await self._keep(f"{name}, {carried.seat.name}", carried.link.run, down)

    async def _keep(
        self, name: str, run: Callable[[], Awaitable[None]], down: Callable[[str], None] = lambda _: None
    ) -> None:
        """Run a link or device for ever; what it cannot mend itself is told, and tried again after a pause."""
        backoff = Backoff(first=PAUSE_FIRST, limit=PAUSE_LIMIT)
        while True:
            try:
                await run()
                reason = "it ended by itself"
            except LinkError as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - the task's boundary: one that fails must not end the others
                reason = f"{type(error).__name__}: {error}"
            self._trouble(f"{name}: {reason}")
            down(reason)
            await asyncio.sleep(backoff.pause())

    async def _live(self) -> None:
        while True:
            self._channel.send(wire.Alive())
            await asyncio.sleep(ALIVE)

    async def _look_often(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        torn = [not watched.look(now) for watched in self._watched]
        if any(torn) and self._again is None:
            self._again = asyncio.get_running_loop().call_later(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        self._look()

    def _received(self, message: wire.ToCarrier) -> None:
        if isinstance(message, wire.Want) and message.device in self._sources:
            self._sources[message.device].want(message.name, message.value)

    def _trouble(self, text: str) -> None:
        self._channel.send(wire.Event(Code.INTERNAL, text))
