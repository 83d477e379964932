"""A TCP man in the middle that breaks what passes: by a script on the command line, or by methods in a test."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Self

from simulators.faults import Conditions, Direction, Fault, Lane, Piece, Weather, When

CHUNK = 4096
"""Bytes read at once."""
WAITING = 256
"""Pieces that one direction holds back at most; then it reads no more, and TCP slows the sender down."""
CONNECTIONS = 64
"""Connections at once; more are closed."""
CONNECT_TIMEOUT = 5.0

Listener = Callable[[str], None]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ProxyError(Exception):
    """One sentence with place, cause and remedy."""


class FaultProxy:
    """Listens, connects onward, and passes bytes on until told otherwise. `async with proxy.open():`, then its methods.

    `seed` decides delays and flipped bits; `tell` gets one line for each fault.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        seed: int = 0,
        tell: Listener | None = None,
    ) -> None:
        self.target = (host, port)
        self.connections = 0
        """Accepted so far."""
        self.faults: Counter[str] = Counter()
        self.passed: Counter[Direction] = Counter()
        """Bytes delivered."""
        self._listen, self._seed, self._tell = listen, seed, tell or (lambda text: None)
        self._weather = {direction: Weather() for direction in Direction}
        self._refusing = False
        self._open: list[Connection] = []
        self._connected = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._began = time.monotonic()

    @property
    def port(self) -> int:
        """Where it listens; the system's choice once open when 0 was asked for."""
        sockets = self._server.sockets if self._server is not None else ()
        return int(sockets[0].getsockname()[1]) if sockets else self._listen[1]

    @property
    def alive(self) -> int:
        """Connections that are there, dropped ones included."""
        return len(self._open)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Listen; ProxyError when the address cannot be had. At the end nothing is left."""
        self._began = time.monotonic()
        try:
            self._server = await asyncio.start_server(self._accept, *self._listen, limit=2 * CHUNK)
        except OSError as error:
            host, port = self._listen
            raise ProxyError(f"{host}:{port} cannot listen: {_cause(error)}; is another program there?") from error
        try:
            yield self
        finally:
            self._server.close()
            tasks = [connection.task for connection in self._open]
            for connection in tuple(self._open):
                connection.end(reset=True)
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._server.wait_closed()

    # ------------------------------------------------------------ faults

    def fin(self) -> None:
        """Close the connections that are there, in order."""
        self._strike("fin")
        for connection in tuple(self._open):
            connection.end(reset=False)

    def rst(self) -> None:
        """Reset the connections that are there, both ways."""
        self._strike("rst")
        for connection in tuple(self._open):
            connection.end(reset=True)

    def drop(self, direction: Direction | None = None) -> None:
        """Swallow what the connections that are there send from now on; nobody is told. New ones work."""
        self._strike(f"drop{_suffix(direction)}")
        for connection in self._open:
            connection.silent |= set(_both(direction))

    def refuse(self, on: bool = True) -> None:
        """Close new connections at once, or take them again."""
        self._strike("refuse" if on else "refuse ends")
        self._refusing = on

    def set(self, direction: Direction | None = None, *, once: bool = False, **conditions: float) -> None:
        """Change conditions (fields of `faults.Conditions`) for good, or for the next piece alone."""
        told = ", ".join(f"{name} {value:g}" for name, value in conditions.items())
        self._strike(f"{told}{_suffix(direction)}", "+".join(conditions))
        for one in _both(direction):
            weather = self._weather[one]
            if once:
                weather.once.update(conditions)
            else:
                weather.lasting = replace(weather.lasting, **conditions)

    def clear(self) -> None:
        """A good wire again: no condition lasts. What was dropped stays dropped."""
        self._strike("clear")
        self._refusing = False
        for weather in self._weather.values():
            weather.lasting = Conditions()
            weather.once.clear()

    def _strike(self, text: str, name: str = "") -> None:
        self.faults[name or text] += 1
        self.say(f"{text} ({len(self._open)} connections)")

    def turned(self, bits: int, direction: Direction) -> None:
        """So many bits were turned in one piece."""
        if bits:
            self.faults["flipped"] += bits
            self.say(f"{bits} bits turned {direction.value}")

    def say(self, text: str) -> None:
        """One line of the log, with the time since the start."""
        self._tell(f"{time.monotonic() - self._began:9.3f} s  {text}")

    # ------------------------------------------------------------ the script

    async def play(self, script: Iterable[Fault]) -> None:
        """Make these faults happen, for ever; one that is over undoes itself."""
        order = itertools.count()
        began = time.monotonic()
        due: list[tuple[float, int, Fault, bool]] = []
        waiting = [fault for fault in script if fault.when is When.AFTER]
        for fault in script:
            if fault.when is not When.AFTER:
                heapq.heappush(due, (began + fault.moment, next(order), fault, True))
        while True:
            self._connected.clear()
            for fault in [fault for fault in waiting if self.connections >= fault.moment]:
                waiting.remove(fault)
                heapq.heappush(due, (time.monotonic(), next(order), fault, True))
            while due and due[0][0] <= time.monotonic():
                at, _, fault, begins = heapq.heappop(due)
                self._happen(fault, begins)
                if begins and fault.lasts is not None:
                    heapq.heappush(due, (at + fault.lasts, next(order), fault, False))
                if begins and fault.when is When.EVERY:
                    heapq.heappush(due, (at + fault.moment, next(order), fault, True))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due[0][0] - time.monotonic() if due else None):
                    await self._connected.wait()

    def _happen(self, fault: Fault, begins: bool) -> None:
        if fault.what == "refuse":
            self.refuse(begins)
        elif fault.what == "drop":
            self.drop(fault.direction)
        elif fault.what in ("fin", "rst", "clear"):
            {"fin": self.fin, "rst": self.rst, "clear": self.clear}[fault.what]()
        else:
            once = begins and fault.when is When.EVERY and fault.lasts is None
            values = fault.values if begins else dict.fromkeys(fault.values, 0.0)
            self.set(fault.direction, once=once, **values)

    # ------------------------------------------------------------ connections

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self.connections += 1
        self._connected.set()
        if self._refusing or len(self._open) >= CONNECTIONS or task is None:
            _abort(writer)
            return
        connection = Connection(self, task, (reader, writer))
        self._open.append(connection)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                connection.onward = onward = await asyncio.open_connection(*self.target, limit=2 * CHUNK)
            await connection.carry(onward, self.connections)
        except (OSError, TimeoutError) as error:
            self.say(f"{self.target[0]}:{self.target[1]} cannot be reached: {_cause(error)}")
            connection.reset = True
        except asyncio.CancelledError:
            pass  # by `fin`, `rst` or the end of `open`: what is to do then stands below
        finally:
            self._open.remove(connection)
            connection.close()

    def lane(self, direction: Direction, number: int) -> Lane:
        """One direction of the connection of this number."""
        return Lane(self._weather[direction], f"{self._seed}/{number}/{direction.value}")


class Connection:
    """The two sockets of one connection, and what was done to it."""

    def __init__(self, proxy: FaultProxy, task: asyncio.Task[None], caller: Streams) -> None:
        self.proxy, self.task, self.caller = proxy, task, caller
        self.onward: Streams | None = None
        self.silent: set[Direction] = set()
        """Directions that are swallowed."""
        self.reset = False

    async def carry(self, onward: Streams, number: int) -> None:
        """Pass bytes on until both directions have ended, or the connection breaks."""
        async with asyncio.TaskGroup() as tasks:
            for direction, source, sink in (
                (Direction.UP, self.caller[0], onward[1]),
                (Direction.DOWN, onward[0], self.caller[1]),
            ):
                pump = Pump(self, direction, self.proxy.lane(direction, number))
                tasks.create_task(pump.read(source))
                tasks.create_task(pump.write(sink))

    def end(self, *, reset: bool) -> None:
        """Close or reset it at once, whatever is still held back."""
        self.reset = reset
        self.task.cancel()

    def close(self) -> None:
        """Close both sockets in order, or reset them."""
        for _, writer in (self.caller, *([self.onward] if self.onward else [])):
            if self.reset:
                _abort(writer)
            else:
                writer.close()


class Pump:
    """One direction of one connection: reads, lets its lane spoil it, writes when it is due."""

    def __init__(self, connection: Connection, direction: Direction, lane: Lane) -> None:
        self._connection, self._direction, self._lane = connection, direction, lane
        self._proxy = connection.proxy
        self._queue: asyncio.Queue[Piece | None] = asyncio.Queue(WAITING)
        self._ahead: list[Piece | None] = []
        """Taken from the queue and not due yet, one at most."""

    @property
    def _silent(self) -> bool:
        return self._direction in self._connection.silent

    async def read(self, source: asyncio.StreamReader) -> None:
        """Until its end; a broken connection breaks the other side too, unless nobody is to be told."""
        try:
            while data := await source.read(CHUNK):
                before = self._lane.flipped
                for piece in () if self._silent else self._lane.carry(data, time.monotonic()):
                    await self._queue.put(piece)
                self._proxy.turned(self._lane.flipped - before, self._direction)
        except OSError:
            if not self._silent:
                self._connection.end(reset=True)
        await self._queue.put(None)

    async def write(self, sink: asyncio.StreamWriter) -> None:
        """Each piece when it is due; then the end, when there is anybody to be told."""
        while (piece := await self._taken()) is not None:
            if (pause := piece.due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            data = self._joined(piece)
            if not self._silent:
                await self._send(sink, data)
        if not self._silent:
            with contextlib.suppress(OSError, RuntimeError):
                sink.write_eof()

    async def _taken(self) -> Piece | None:
        return self._ahead.pop() if self._ahead else await self._queue.get()

    def _joined(self, piece: Piece) -> bytes:
        """With all that is due at the very same moment, where that was asked for."""
        data = piece.data
        while piece.joins and not self._queue.empty():
            following = self._queue.get_nowait()
            if following is None or following.due != piece.due:
                self._ahead.append(following)
                break
            data += following.data
        return data

    async def _send(self, sink: asyncio.StreamWriter, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):  # who reads there tells of it
            sink.write(data)
            await sink.drain()
            await asyncio.sleep(0)  # a segment of its own: whoever receives it is let to
            self._proxy.passed[self._direction] += len(data)


def _both(direction: Direction | None) -> tuple[Direction, ...]:
    return tuple(Direction) if direction is None else (direction,)


def _suffix(direction: Direction | None) -> str:
    return "" if direction is None else f" {direction.value}"


def _abort(writer: asyncio.StreamWriter) -> None:
    """RST: to linger for no time means that (RFC 9293 §3.9.1 ABORT)."""
    with contextlib.suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def _cause(error: OSError | TimeoutError) -> str:
    return os.strerror(error.errno) if error.errno else "timed out"
