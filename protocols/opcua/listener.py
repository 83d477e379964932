"""The sockets of the OPC UA server and the connections on them: who comes in, who has to go."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from asyncua.common.connection import TransportLimits
from asyncua.server.internal_server import InternalServer

from protocols.faults import Code
from protocols.modbus import listening
from protocols.modbus.admission import Access, Door, TurnedAwayError, plain
from protocols.opcua.guard import Connection, Patience
from protocols.settings import OnEvent

SWEEP_S = 0.5
AGAIN_S = 60.0
"""Seconds after which the same thing about the same peer is told once more."""
TURN_S = 0.02
"""Seconds that the requests of all may take together, before other work has its turn."""
REMEMBERED = 1024
OF_ONE, OF_ALL = 10, 60
"""Different things of one kind told in a minute at most, of one client and of all."""


class Telling:
    """Tells each thing once a minute, and only so much of one client and of one kind. Pure but for its clock.

    So neither a scan from many addresses nor a user who tries every node can fill the log, or hide what others do.
    """

    def __init__(self, on_event: OnEvent, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._on_event = on_event
        self.name = name
        self._clock = clock
        self._told: dict[tuple[int, str, str], float] = {}
        self._began = -AGAIN_S
        self._counts: Counter[tuple[int, str]] = Counter()
        self.silent = 0
        """How often nothing was told."""

    def __call__(self, code: Code, peer: str, why: str, key: str = "") -> None:
        """Tell that this client does so; `key`: what makes it the same thing, `why` where it is left out."""
        now, what = self._clock(), (int(code), peer, key or why)
        if now - self._began >= AGAIN_S:
            self._began = now
            self._counts.clear()
        of_peer, of_kind = (int(code), peer), (int(code), "")
        known = now - self._told.get(what, -AGAIN_S) < AGAIN_S
        if known or self._counts[of_peer] >= OF_ONE or self._counts[of_kind] >= OF_ALL:
            self.silent += 1
            return
        self._counts.update((of_peer, of_kind))
        self._told.pop(what, None)
        self._told[what] = now
        while len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        self._on_event(code, f"{self.name}: client {peer} {why}")


class Listener:
    """One listening address of one asyncua server."""

    def __init__(
        self,
        place: tuple[str, int],
        access: Access,
        connections: int,
        patience: Patience,
        tell: Telling,
    ) -> None:
        self.host, self.port = place
        self.name = f"opcua server {self.host}:{self.port}"
        self.tell = tell
        self.door: Door[Connection] = Door(access, connections)
        self.clients: list[Any] = []
        self.closing: list[asyncio.Task[Any]] = []
        self.patience = patience
        self.swept: Callable[[], None] = lambda: None
        """Called at each sweep, after it."""
        self._spent = 0.0
        self._line: deque[asyncio.Future[None]] = deque()
        self._sockets: list[socket.socket] = []
        self._make: Callable[[str], Connection] | None = None

    async def bind(self, server: InternalServer, policies: list[Any], limits: TransportLimits) -> None:
        """Have the address; `port` is the real one from now on. Raises LinkError."""
        self._sockets = await listening.bound(self.host, self.port, self.name)
        self.port = int(self._sockets[0].getsockname()[1])
        self._make = partial(Connection, self, server, policies, limits)

    async def run(self) -> None:
        """Serve until cancelled, then close everything; after `bind`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for listener in self._sockets:
                    tasks.create_task(listening.accept(listener, partial(self._came, tasks), self._trouble))
                tasks.create_task(self._sweep_on())
        finally:
            await self.close()

    async def close(self) -> None:
        """Listen no more, and end all connections."""
        listening.close(self._sockets)
        for connection in tuple(self.door.members):
            connection.abort()
        for _ in range(10):  # the loop reports each closed connection within a few rounds
            if not self.door.members:
                break
            await asyncio.sleep(0)
        while self.closing:
            await asyncio.gather(*[self.closing.pop()], return_exceptions=True)

    async def turn(self) -> None:
        """Wait, behind those who came before, until there is time to serve one more request."""
        if self._spent > TURN_S or self._line:
            mine = asyncio.get_running_loop().create_future()
            self._line.append(mine)
            await mine

    def spent(self, seconds: float) -> None:
        """So long it took to serve one."""
        if not self._spent and not self._line:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._spent += seconds

    def _next_turn(self) -> None:
        """In each round of the loop one of those who wait, so that all else has its turn as well."""
        self._spent = 0.0
        while self._line:
            first = self._line.popleft()
            if not first.done():
                first.set_result(None)
                break
        if self._line:
            asyncio.get_running_loop().call_soon(self._next_turn)

    def forget(self, connection: Connection) -> None:
        """This connection has ended."""
        self.door.leave(connection)

    async def _sweep_on(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(SWEEP_S)
            self.closing[:] = [task for task in self.closing if not task.done()]
            now = clock()
            for connection in tuple(self.door.members):
                reason = connection.overdue(now, self.patience)
                if reason:
                    connection.turn_out(Code.CLIENT_LIMIT, "BadTimeout", reason)
            self.swept()

    def _came(self, tasks: asyncio.TaskGroup, sock: socket.socket, address: str) -> None:
        """A peer has connected: in, perhaps in place of one that asks nothing, or away before a byte of it is read."""
        peer, now = plain(address), asyncio.get_running_loop().time()
        try:
            self.door.knock(peer, now)
            gives_way = self.door.room(peer, now)
        except TurnedAwayError as error:
            self.tell(error.code, peer, f"is turned away: it {error.why}", error.why)
            listening.reset(sock)
            return
        if gives_way is not None:
            self.tell(Code.CLIENT_LIMIT, gives_way.peer, "gives way to others: all is taken, and it asks nothing")
            self.forget(gives_way)
            gives_way.abort()
        assert self._make is not None  # noqa: S101 - bind comes first
        newcomer = self._make(peer)
        self.door.enter(newcomer)
        tasks.create_task(self._open(sock, newcomer)).add_done_callback(lambda _: self._opened(sock, newcomer))

    async def _open(self, sock: socket.socket, newcomer: Connection) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: newcomer, sock)
        except Exception as error:  # noqa: BLE001 - this task's boundary: one peer must not end the listener
            self.tell(Code.CLIENT_LIMIT, newcomer.peer, f"could not be served: {error}")

    def _opened(self, sock: socket.socket, newcomer: Connection) -> None:
        if not newcomer.opened:  # it failed, or this was cancelled before it began
            self.forget(newcomer)
            sock.close()

    def _trouble(self, error: OSError) -> None:
        why = f"cannot be taken ({error.strerror}) and is tried again; raise the limit of open files (ulimit -n)"
        self.tell(Code.CLIENT_LIMIT, "?", why)
