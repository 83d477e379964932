"""A Modbus server with the limits of a PLC family, on pymodbus: importing this costs what pymodbus costs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ExceptionResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import SimDevice

from simulators.profiles import Serving

READS, WRITES = frozenset({1, 2, 3, 4}), frozenset({5, 6, 15, 16, 22, 23})


class LimitedServer(ModbusTcpServer):
    """Serves one device as `serving` allows; counts what an acceptance test wants to know."""

    def __init__(
        self, device: SimDevice, address: tuple[str, int], serving: Serving, *, scan: float, watched: int = 0
    ) -> None:
        super().__init__(device, address=address)
        self.grants, self.scan = serving, scan
        self.watched = watched
        """Reads that begin at this register are counted."""
        self.peers: list[Conversation] = []
        self.writers: set[Conversation] = set()
        """Connections that have written something."""
        self.refused = self.polls = self.denied = 0
        self.waiting: set[asyncio.Task[Any]] = set()
        """Requests that wait for the end of the PLC's scan."""

    def callback_new_connection(self) -> Conversation:
        return Conversation(self)

    def forbids(self, function: int, count: int) -> ExcCodes | None:
        """The exception with which a request is answered that this family cannot do."""
        grants = self.grants
        if function not in grants.functions:
            return ExcCodes.ILLEGAL_FUNCTION
        most = grants.max_read if function in (3, 4) else grants.max_write if function == 16 else count
        return ExcCodes.ILLEGAL_VALUE if count > most else None

    async def stop(self) -> None:
        """Stop listening, close every connection, forget what waits."""
        for task in tuple(self.waiting):
            task.cancel()
        await asyncio.gather(*self.waiting, return_exceptions=True)
        await self.shutdown()  # type: ignore[no-untyped-call]
        self.peers.clear()
        self.writers.clear()


class Conversation(ServerRequestHandler):
    """One connection of the server."""

    def __init__(self, owner: LimitedServer) -> None:
        super().__init__(owner, owner.trace_packet, owner.trace_pdu, owner.trace_connect)  # type: ignore[no-untyped-call]
        self.owner = owner

    def callback_connected(self) -> None:
        super().callback_connected()
        owner = self.owner
        if owner.grants.connections and len(owner.peers) >= owner.grants.connections:
            owner.refused += 1
            self.close()
        else:
            owner.peers.append(self)

    def callback_disconnected(self, exc: Exception | None) -> None:
        super().callback_disconnected(exc)
        if self in self.owner.peers:
            self.owner.peers.remove(self)
        self.owner.writers.discard(self)

    async def handle_request(self) -> None:
        """As pymodbus, but for what this family cannot do, and not before its scan has ended."""
        request, owner = self.last_pdu, self.owner
        if request is None:
            return
        if owner.grants.once_a_scan:
            await self._end_of_scan()
        function = request.function_code
        denied = owner.forbids(function, getattr(request, "count", 0))
        if denied is not None:
            owner.denied += 1
            refusal = ExceptionResponse(function, denied, transaction=request.transaction_id, device_id=request.dev_id)
            self.server_send(refusal, self.last_addr)  # type: ignore[no-untyped-call]
            return
        owner.polls += function in READS and getattr(request, "address", None) == owner.watched
        if function in WRITES:
            owner.writers.add(self)
        if self.transport is not None:
            await super().handle_request()  # type: ignore[no-untyped-call]

    async def _end_of_scan(self) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self.owner.waiting.add(task)
        try:
            await asyncio.sleep(self.owner.scan - time.monotonic() % self.owner.scan)
        finally:
            self.owner.waiting.discard(task)
