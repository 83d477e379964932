"""The simulated PLC as Modbus server that a gateway polls; pymodbus, with the limits of a family."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from simulators.carriers import COMMAND_WORDS, OUTPUT_WORDS, WRITE_MULTIPLE, CarrierError
from simulators.profiles import READ_HOLDING, Serving

if TYPE_CHECKING:
    from simulators.limited import LimitedServer


class ModbusSlave:
    """The gateway polls the PLC: a Modbus server with the command block to read and room for status and result."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        unit: int = 1,
        command_address: int = 0,
        status_address: int = 100,
        serving: Serving | None = None,
        scan: float = 0.01,
    ) -> None:
        self.name = f"PLC's server at {host}:{port}, unit {unit}"
        self._address, self._unit = (host, port), unit
        self._command, self._status = command_address, status_address
        self._serving, self._scan = serving or Serving(), scan
        self._server: LimitedServer | None = None

    @property
    def connected(self) -> bool:
        """A peer is there that has written: who only looks is no gateway."""
        return self._server is not None and bool(self._server.writers)

    @property
    def polls(self) -> int:
        """Reads of the command block since `open`."""
        return 0 if self._server is None else self._server.polls

    @property
    def refused(self) -> int:
        """Connections closed since `open` because there was no room."""
        return 0 if self._server is None else self._server.refused

    @property
    def denied(self) -> int:
        """Requests since `open` that this family cannot do."""
        return 0 if self._server is None else self._server.denied

    @property
    def port(self) -> int:
        """The port in use; the system's choice once open when 0 was asked for."""
        server = self._server.transport if self._server is not None else None
        sockets = getattr(server, "sockets", None)
        return int(sockets[0].getsockname()[1]) if sockets else self._address[1]

    async def open(self) -> None:
        """Listen; raises CarrierError when the address cannot be had."""
        from pymodbus.simulator import DataType, SimData, SimDevice  # the other role does without

        from simulators.limited import LimitedServer

        await self.close()
        blocks = [
            SimData(self._command, count=COMMAND_WORDS, values=0, datatype=DataType.REGISTERS),
            SimData(self._status, count=OUTPUT_WORDS, values=0, datatype=DataType.REGISTERS),
        ]
        device = SimDevice(self._unit, blocks)
        server = LimitedServer(device, self._address, self._serving, scan=self._scan, watched=self._command)
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise CarrierError(f"{self.name} cannot listen; does another program have the port?") from error
        self._server = server

    async def read(self) -> bytes:
        """What the gateway wrote last, 128 bytes."""
        words = await self._running().async_getValues(self._unit, READ_HOLDING, self._status, OUTPUT_WORDS)
        return struct.pack(f">{OUTPUT_WORDS}H", *words)

    async def signature(self) -> bytes | None:
        """None: in this role the gateway writes none."""
        return None

    async def write(self, block: bytes) -> None:
        """Put the command block where the gateway reads it, all words at once."""
        words = list(struct.unpack(f">{len(block) // 2}H", block))
        await self._running().async_setValues(self._unit, WRITE_MULTIPLE, self._command, words)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop()

    def _running(self) -> LimitedServer:
        if self._server is None:
            raise CarrierError(f"{self.name}: not open")
        return self._server
