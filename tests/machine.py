"""A machine beside the line as other people's software plays it: a pymodbus server with registers and coils."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

SIZE = 100


class Machine:
    """Holding registers and coils 0…99 of unit 1; may be slow, deaf, or refuse addresses."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.words = [0] * SIZE
        self.coils = [False] * SIZE
        self.slow = 0.0
        """Seconds each answer takes."""
        self.refused: set[int] = set()
        """Register addresses that do not exist."""
        self.deny_writes = False
        self.asked: list[tuple[int, int, int]] = []
        """Function, address and count of each request."""
        self.writes: list[tuple[float, int, list[int]]] = []
        """When, where and what was written."""
        self.connections = 0
        self._server: ModbusTcpServer | None = None
        self._closing = asyncio.Event()

    def put(self, address: int, form: str, value: float) -> None:
        """Big-endian words of a value (`form` as in struct)."""
        raw = struct.pack(f">{form}", value)
        self.words[address : address + len(raw) // 2] = struct.unpack(f">{len(raw) // 2}H", raw)

    def values(self, address: int) -> list[int]:
        """All that was written there, in order, without repeats."""
        told: list[int] = []
        for _, at, values in self.writes:
            if at == address and (not told or told[-1] != values[0]):
                told.append(values[0])
        return told

    async def _act(
        self, function: int, start: int, address: int, count: int, current: list[int], given: Any
    ) -> ExcCodes | None:
        self.asked.append((function, address, count))
        if self.slow:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.slow):
                    await self._closing.wait()
        bits = function in (1, 5, 15)
        store: list[Any] = self.coils if bits else self.words
        missing = not bits and self.refused & set(range(address, address + count))
        if missing or (self.deny_writes and given is not None):
            return ExcCodes.ILLEGAL_ADDRESS
        if given is not None:
            self.writes.append((time.monotonic(), address, [int(value) for value in given]))
            store[address : address + len(given)] = list(given)
        if bits:  # pymodbus keeps them by sixteen in words
            current[:] = [
                sum(bit << n for n, bit in enumerate(store[16 * w : 16 * w + 16])) for w in range(len(current))
            ]
        else:
            current[address - start : address - start + count] = store[address : address + count]
        return None

    async def open(self) -> None:
        self._closing.clear()
        block = [SimData(0, values=[0] * SIZE, datatype=DataType.REGISTERS)]
        bits = [SimData(0, values=[False] * SIZE, datatype=DataType.BITS)]
        device = SimDevice(1, simdata=(bits, bits, block, block), action=self._act)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port), trace_connect=self._connected)
        await self._server.serve_forever(background=True)
        transport: Any = self._server.transport
        self.port = int(transport.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._closing.set()
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call]

    def _connected(self, arrived: bool) -> None:
        self.connections += arrived


@asynccontextmanager
async def machine(port: int = 0) -> AsyncIterator[Machine]:
    """A machine that serves until the end of the block."""
    one = Machine(port)
    await one.open()
    try:
        yield one
    finally:
        await one.close()
