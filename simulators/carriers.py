"""How the simulated PLC reaches a gateway: here as Modbus master; `slave` is the other role.

The master frames its requests itself and the slave is pymodbus, so that neither end of the wire shares code with the
gateway's end: a mistake in framing shows here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from typing import Protocol

from simulators.profiles import READ_HOLDING, Asking

OUTPUT_WORDS = 64
COMMAND_WORDS = 32
SIGNATURE_WORDS = 10
OUTPUT_BYTES = 2 * OUTPUT_WORDS
COMMAND_BYTES = 2 * COMMAND_WORDS

READ_DISCRETE, WRITE_COILS, WRITE_MULTIPLE = 2, 15, 16
NOWHERE = 4000
"""A register that no map has."""
NOWHERE_EVERY = 10
"""Polls."""

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
    """The PLC polls the gateway: one read of 64 registers, one write of 32, at every scan; `asking` may differ."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        unit: int = 1,
        command_address: int = 0,
        status_address: int = 0,
        asking: Asking | None = None,
        timeout: float = 0.5,
    ) -> None:
        self.name = f"gateway at {host}:{port}, unit {unit}"
        self._host, self._port, self._unit = host, port, unit
        self._command, self._status = command_address, status_address
        self.reopened = 0
        """Connections closed because of an exception answer."""
        self._asking, self._timeout = asking or Asking(), timeout
        self._transaction = self._polls = 0
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
        asking = self._asking
        self._polls += 1
        if asking.reopens and self._polls % NOWHERE_EVERY == 0:
            await self._ask_nowhere()
        if asking.separate:
            await self._ask(_REQUEST.pack(READ_DISCRETE, 0, 16))
        block = b""
        while (done := len(block) // 2) < OUTPUT_WORDS:
            block += await self._registers(self._status + done, min(asking.max_read, OUTPUT_WORDS - done))
        if asking.separate:
            await self._registers(self._command, COMMAND_WORDS, READ_HOLDING)
        return block

    async def signature(self) -> bytes | None:
        """Words 64…73, 20 bytes; None when the gateway has none."""
        try:
            return await self._registers(self._status + OUTPUT_WORDS, SIGNATURE_WORDS)
        except _RefusedError:
            return None

    async def write(self, block: bytes) -> None:
        """Words 0…31, in one request unless `asking` says otherwise; raises CarrierError."""
        if not self._asking.separate:
            await self._write_registers(self._command, block)
            return
        await self._write_registers(self._command + 1, block[2:])
        coils = _WRITE.pack(WRITE_COILS, self._command, 16, 2) + block[1::-1]  # coil 0 is bit 0 of the first byte
        if await self._ask(coils) != coils[:5]:
            raise await self._broken(f"confirms another write than that of 16 coils to {self._command}")

    async def close(self) -> None:
        """Close the connection, if there is one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(streams[1].wait_closed(), 1.0)

    async def _write_registers(self, address: int, block: bytes) -> None:
        words = len(block) // 2
        request = _WRITE.pack(WRITE_MULTIPLE, address, words, len(block)) + block
        if await self._ask(request) != request[:5]:
            raise await self._broken(f"confirms another write than that of {words} words to {address}")

    async def _ask_nowhere(self) -> None:
        """Ask for what is not there, and take the exception as some masters do: as the end of the connection."""
        try:
            await self._registers(NOWHERE, 1)
        except _RefusedError:
            self.reopened += 1
            await self.open()

    async def _registers(self, address: int, words: int, function: int = 0) -> bytes:
        answer = await self._ask(_REQUEST.pack(function or self._asking.function, address, words))
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
