"""One connection for all who ask a device: in turns, at the device's pace, patient with one that is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from protocols.link import PeerError
from protocols.modbus.exchange import Exchange, RefusedByPeerError
from protocols.modbus.quirks import STANDARD, Quirks
from protocols.modbus.registers import Table

ACKNOWLEDGE, BUSY = 0x05, 0x06
"""Exceptions that mean later, not never (MODBUS Application Protocol Specification V1.1b3, §7)."""
BUSY_RETRIES = 5
BUSY_PAUSE = 0.05
"""Seconds; all retries together stay below the usual time-out of one request."""

T = TypeVar("T")


class LostByAnotherError(PeerError):
    """The shared connection ended by the request of somebody else: open again, and tell all that was told over it."""


class Connection:
    """An exchange with the turns taken on it; the owner keeps one for each device, and gives a Turn to each asker."""

    def __init__(self, exchange: Exchange, quirks: Quirks = STANDARD) -> None:
        self.name = exchange.name
        self.quirks = quirks
        self._exchange = exchange
        # asyncio's lock is first come, first served, and each asker waits for one thing at a time: who asks all the
        # time still gets only every other turn beside one who asks now and then.
        self._lock = asyncio.Lock()
        self._open: set[Turn] = set()
        self._free_at = 0.0

    def turn(self) -> Turn:
        """A view for one asker."""
        return Turn(self)

    async def join(self, turn: Turn) -> None:
        """Connect, if nobody has yet; raises PeerError."""
        async with self._lock:
            if not self._open:
                await self._exchange.open()
                self._rest(self.quirks.pause_after_connect_ms)
            self._open.add(turn)

    def leave(self, turn: Turn) -> None:
        """The last one to leave closes."""
        if turn in self._open:
            self._open.discard(turn)
            if not self._open:
                self._exchange.close()

    async def ask(self, turn: Turn, request: Callable[[Exchange], Awaitable[T]]) -> T:
        """One request in its turn; again, after a pause in which others have theirs, while the device says busy."""
        for _ in range(BUSY_RETRIES):
            try:
                return await self._once(turn, request)
            except RefusedByPeerError as refused:
                if refused.code not in (ACKNOWLEDGE, BUSY):
                    raise
            await asyncio.sleep(BUSY_PAUSE)
        return await self._once(turn, request)

    async def _once(self, turn: Turn, request: Callable[[Exchange], Awaitable[T]]) -> T:
        async with self._lock:
            if turn not in self._open:
                raise LostByAnotherError(f"{self.name}: the shared connection was lost while another used it")
            loop = asyncio.get_running_loop()
            if (pause := self._free_at - loop.time()) > 0:
                await asyncio.sleep(pause)
            try:
                return await request(self._exchange)
            except RefusedByPeerError:
                raise
            except (PeerError, asyncio.CancelledError):
                self._drop()
                raise
            finally:
                self._rest(self.quirks.pause_between_requests_ms)

    def _rest(self, milliseconds: float) -> None:
        self._free_at = asyncio.get_running_loop().time() + milliseconds / 1000

    def _drop(self) -> None:
        self._exchange.close()
        self._open.clear()


class Turn:
    """An Exchange for one asker, who asks one thing at a time; what the device cannot take at once is asked in pieces.

    Beside what an Exchange raises: LostByAnotherError.
    """

    def __init__(self, connection: Connection) -> None:
        self.name = connection.name
        self._connection = connection

    async def open(self) -> None:
        """Connect, or join those who have; raises PeerError."""
        await self._connection.join(self)

    async def read_registers(self, unit: int, table: Table, address: int, count: int) -> bytes:
        """FC3 or FC4."""
        return await self._connection.ask(self, lambda exchange: exchange.read_registers(unit, table, address, count))

    async def read_bits(self, unit: int, table: Table, address: int, count: int) -> tuple[bool, ...]:
        """FC1 or FC2."""
        return await self._connection.ask(self, lambda exchange: exchange.read_bits(unit, table, address, count))

    async def write_registers(self, unit: int, address: int, words: bytes) -> None:
        """FC16 or FC6; several requests, each in a turn of its own, where the device knows FC6 only."""
        step = len(words) if self._connection.quirks.fc16 else 2
        for first in range(0, len(words), step):
            await self._write_registers(unit, address + first // 2, words[first : first + step])

    async def _write_registers(self, unit: int, address: int, words: bytes) -> None:
        await self._connection.ask(self, lambda exchange: exchange.write_registers(unit, address, words))

    async def write_bits(self, unit: int, address: int, values: Sequence[bool]) -> None:
        """FC15 or FC5; several requests, each in a turn of its own, where the device knows FC5 only."""
        step = len(values) if self._connection.quirks.fc15 else 1
        for first in range(0, len(values), step):
            await self._write_bits(unit, address + first, values[first : first + step])

    async def _write_bits(self, unit: int, address: int, values: Sequence[bool]) -> None:
        await self._connection.ask(self, lambda exchange: exchange.write_bits(unit, address, values))

    def close(self) -> None:
        """Leave; the last one to leave closes the connection."""
        self._connection.leave(self)
