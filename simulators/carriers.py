"""How the simulated PLC reaches a gateway: as Modbus master, or as Modbus slave that the gateway polls.

The master frames its requests itself and the slave is pymodbus, so that neither end of the wire shares code with the
gateway's end: a mistake in framing shows here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pymodbus.server import ModbusTcpServer

OUTPUT_WORDS = 64
COMMAND_WORDS = 32
SIGNATURE_WORDS = 10
OUTPUT_BYTES = 2 * OUTPUT_WORDS
COMMAND_BYTES = 2 * COMMAND_WORDS

READ_HOLDING, READ_INPUT, WRITE_MULTIPLE = 3, 4, 16

# MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §3.1.3: transaction, protocol 0, length, unit.
_HEADER = struct.Struct(">HHHB")
_REQUEST = struct.Struct(">BHH")
_WRITE = struct.Struct(">BHHB")

# What goes wrong is told by CarrierError; pymodbus would print it too.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)


class CarrierError(Exception):
    """The wire failed: one sentence with place and cause. Open again to go on."""


class Carrier(Protocol):
    """What the PLC's scan asks of its fieldbus; every call ends within the carrier's time-out."""

    name: str

    @property
    def connected(self) -> bool: ...

    async def open(self) -> None:
        """Be ready for exchanges; raises CarrierError."""

    async def read(self) -> bytes:
        """Status and result, 128 bytes as one moment; raises CarrierError."""

    async def write(self, block: bytes) -> None:
        """Give the gateway this command block of 64 bytes; raises CarrierError."""

    async def signature(self) -> bytes | None:
        """The signature block, 20 bytes; None where there is none to read."""

    async def close(self) -> None:
        """Leave nothing behind; `open` may follow."""


class ModbusMaster:
    """The PLC polls the gateway: one read of 64 registers, one write of 32, at every scan."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        unit: int = 1,
        command_address: int = 0,
        status_address: int = 0,
        read_function: int = READ_INPUT,
        timeout: float = 0.5,
    ) -> None:
        self.name = f"gateway at {host}:{port}, unit {unit}"
        self._host, self._port, self._unit = host, port, unit
        self._command, self._status = command_address, status_address
        self._function, self._timeout = read_function, timeout
        self._transaction = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def connected(self) -> bool:
        return self._streams is not None

    async def open(self) -> None:
        """Connect; raises CarrierError."""
        await self.close()
        try:
            async with asyncio.timeout(self._timeout):
                self._streams = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError) as error:
            raise CarrierError(f"{self.name}: no connection ({_cause(error)}); is it running?") from error

    async def read(self) -> bytes:
        """Words 0…63, 128 bytes; raises CarrierError."""
        return await self._registers(self._status, OUTPUT_WORDS)

    async def signature(self) -> bytes | None:
        """Words 64…73, 20 bytes; None when the gateway has none."""
        try:
            return await self._registers(self._status + OUTPUT_WORDS, SIGNATURE_WORDS)
        except _RefusedError:
            return None

    async def write(self, block: bytes) -> None:
        """Words 0…31 in one request; raises CarrierError."""
        words = len(block) // 2
        request = _WRITE.pack(WRITE_MULTIPLE, self._command, words, len(block)) + block
        answer = await self._ask(request)
        if answer != request[:5]:
            raise await self._broken(f"confirms another write than that of {words} words to {self._command}")

    async def close(self) -> None:
        """Close the connection, if there is one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(streams[1].wait_closed(), 1.0)

    async def _registers(self, address: int, words: int) -> bytes:
        answer = await self._ask(_REQUEST.pack(self._function, address, words))
        if len(answer) != 2 + 2 * words or answer[1] != 2 * words:
            raise await self._broken(f"sent {len(answer) - 2} bytes where {words} words were asked for")
        return answer[2:]

    async def _ask(self, pdu: bytes) -> bytes:
        """One request and its answer; a connection that failed once is closed, as what comes next cannot be trusted."""
        if self._streams is None:
            raise CarrierError(f"{self.name}: not connected")
        reader, writer = self._streams
        self._transaction = (self._transaction + 1) & 0xFFFF
        try:
            async with asyncio.timeout(self._timeout):
                writer.write(_HEADER.pack(self._transaction, 0, len(pdu) + 1, self._unit) + pdu)
                transaction, protocol, length, unit = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                answer = await reader.readexactly(max(0, length - 1))
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise await self._broken(f"no answer to function {pdu[0]} ({_cause(error)})") from error
        if (transaction, protocol, unit) != (self._transaction, 0, self._unit):
            raise await self._broken(f"answered transaction {self._transaction} with {transaction} of unit {unit}")
        if answer[:1] == bytes((pdu[0] | 0x80,)) and len(answer) == 2:
            raise _RefusedError(
                f"{self.name}: exception {answer[1]:02X} to function {pdu[0]}; are unit and addresses right?"
            )
        if answer[:1] != pdu[:1]:
            raise await self._broken(f"answered function {pdu[0]} with {answer[:1].hex() or 'nothing'}")
        return answer

    async def _broken(self, what: str) -> CarrierError:
        await self.close()
        return CarrierError(f"{self.name}: {what}")


class ModbusSlave:
    """The gateway polls the PLC: a Modbus server with the command block to read and room for status and result."""

    def __init__(
        self, host: str, port: int, *, unit: int = 1, command_address: int = 0, status_address: int = 100
    ) -> None:
        self.name = f"PLC's server at {host}:{port}, unit {unit}"
        self._address, self._unit = (host, port), unit
        self._command, self._status = command_address, status_address
        self._server: ModbusTcpServer | None = None
        self._peers = 0

    @property
    def connected(self) -> bool:
        return self._peers > 0

    @property
    def port(self) -> int:
        """The port in use; the system's choice once open when 0 was asked for."""
        server = self._server.transport if self._server is not None else None
        sockets = getattr(server, "sockets", None)
        return int(sockets[0].getsockname()[1]) if sockets else self._address[1]

    async def open(self) -> None:
        """Listen; raises CarrierError when the address cannot be had."""
        from pymodbus.server import ModbusTcpServer  # the other role does without
        from pymodbus.simulator import DataType, SimData, SimDevice

        await self.close()
        blocks = [
            SimData(self._command, count=COMMAND_WORDS, values=0, datatype=DataType.REGISTERS),
            SimData(self._status, count=OUTPUT_WORDS, values=0, datatype=DataType.REGISTERS),
        ]
        server = ModbusTcpServer(SimDevice(self._unit, blocks), address=self._address, trace_connect=self._peer_changed)
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
        self._peers = 0
        if server is not None:
            await server.shutdown()  # type: ignore[no-untyped-call]

    def _running(self) -> ModbusTcpServer:
        if self._server is None:
            raise CarrierError(f"{self.name}: not open")
        return self._server

    def _peer_changed(self, arrived: bool) -> None:
        self._peers = max(0, self._peers + (1 if arrived else -1))


class _RefusedError(CarrierError):
    """An exception answer: the connection is sound, the request is not."""


def _cause(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, asyncio.IncompleteReadError):
        return "connection closed"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    return str(error) or type(error).__name__
