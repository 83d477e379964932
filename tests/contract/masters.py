"""A Modbus server with one recording station, and masters at several addresses of this computer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from protocols.modbus.admission import Access
from protocols.modbus.connection import ServerLimits
from protocols.modbus.server import ModbusServer, Rules
from tests.contract.test_links import Recorder
from tests.contract.test_modbus_server import Cell, Master

LOCAL, PLC, SCADA, STRANGER = (f"127.0.0.{n}" for n in range(1, 5))
"""All of them this computer, as if they were four."""


class Plant(Cell):
    """A cell whose listener and station have settings."""

    def __init__(
        self, limits: dict[str, Any] | None = None, access: dict[str, Any] | None = None, rules: Rules | None = None
    ) -> None:
        self.events: list[tuple[int, str]] = []
        settings = ServerLimits(**limits or {}, access=Access(**access or {}))
        self.server = ModbusServer(LOCAL, 0, limits=settings, on_event=lambda *event: self.events.append(event))
        self.link = self.server.unit(1, rules=rules)
        self.station = Recorder()
        self.link.attach(self.station)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Plant]:
        async with super().open():
            yield self

    @property
    def codes(self) -> list[int]:
        return [code for code, _ in self.events]

    @asynccontextmanager
    async def master_at(self, source: str = LOCAL) -> AsyncIterator[Master]:
        """A master with this address."""
        reader, writer = await asyncio.open_connection(LOCAL, self.server.port, local_addr=(source, 0))
        try:
            yield Master(reader, writer)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


def write16(tid: int, address: int, *words: int) -> bytes:
    """A whole frame of function 16."""
    pdu = struct.pack(f">BHHB{len(words)}H", 16, address, len(words), 2 * len(words), *words)
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, 1) + pdu


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
