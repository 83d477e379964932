"""Modbus TCP and Modbus/TCP Security as a master: pymodbus asks, and each answer is judged before it is believed."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from protocols.link import MapError, PeerError
from protocols.modbus.answers import Expected, refusal
from protocols.modbus.exchange import DistrustError, RefusedByPeerError
from protocols.modbus.quirks import STANDARD, Quirks
from protocols.modbus.registers import ADDRESSES, Table
from protocols.modbus.requests import COIL_OFF, COIL_ON, MAX_READ_BITS, MAX_READ_WORDS, MAX_WRITE_BITS, MAX_WRITE_WORDS

if TYPE_CHECKING:
    import ssl

    from pymodbus.client import AsyncModbusTcpClient
    from pymodbus.pdu import ModbusPDU

    Ask = Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]

# Every failure is raised as a sentence; pymodbus would log each of them again, at every attempt.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)

_UNSEEN = 1 << 20
"""pymodbus drops what is longer without showing it to anybody; above what one read of a socket brings."""

_READS = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
_NAMES = {
    Table.COIL: "coils",
    Table.DISCRETE: "discrete inputs",
    Table.INPUT: "input registers",
    Table.HOLDING: "holding registers",
}


class TcpExchange:
    """One connection to host:port, with TLS where a context is given. One request at a time: callers take turns.

    After a PeerError that is no RefusedByPeerError nothing more that comes on the connection is believed: every
    further request fails at once until `open` was called again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 0.5,
        context: ssl.SSLContext | None = None,
        quirks: Quirks = STANDARD,
    ) -> None:
        # Imported now and not in `open`: it takes a tenth of a second, in which no station could be served.
        from pymodbus.client import AsyncModbusTcpClient
        from pymodbus.exceptions import ModbusException

        self.name = f"modbus {'tls' if context else 'tcp'} {host}:{port}"
        self._host, self._port, self._timeout, self._context = host, port, timeout, context
        self._quirks = quirks
        self._make = AsyncModbusTcpClient
        self._troubles: tuple[type[Exception], ...] = (ModbusException, OSError, TimeoutError, UnicodeError)
        self._client: AsyncModbusTcpClient | None = None
        self._expected: Expected | None = None
        self._transaction = 0
        self._spoiled = "is not connected"

    async def open(self) -> None:
        """Connect within twice the time-out, names resolved and TLS agreed; raises PeerError with the cause."""
        self.close()
        client = self._client = self._make(
            self._host,
            port=self._port,
            timeout=self._timeout,
            retries=0,
            reconnect_delay=0,
            name=self.name,
            trace_packet=self._seen,
            trace_connect=self._connected,
        )
        cause: list[Exception] = []
        client.ctx.call_create = partial(self._create, client, cause)
        client.ctx.max_buffer_size = _UNSEEN
        try:
            async with asyncio.timeout(2 * self._timeout):
                connected = await client.connect()
                obey_cancellation()
        except self._troubles as error:
            self.close()
            raise self._error(f"no connection ({str(error) or 'timed out'})") from error
        except BaseException:
            self.close()
            raise
        if not connected:
            self.close()
            why = (str(cause[0]) or type(cause[0]).__name__) if cause else f"nothing within {self._timeout:g} s"
            raise self._error(f"no connection ({why}); is the PLC on, and its Modbus server enabled?")
        self._spoiled = ""

    async def _create(
        self, client: AsyncModbusTcpClient, cause: list[Exception]
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """Connect in pymodbus's stead: its own TLS client breaks on split frames and swallows the cause."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_connection(
                client.ctx.handle_new_connection, self._host, self._port, ssl=self._context
            )
        except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one
            cause.append(error)
            raise

    async def read_registers(self, unit: int, table: Table, address: int, count: int) -> bytes:
        """FC3 (HOLDING) or FC4 (INPUT): `2 * count` bytes, big-endian words as on the wire."""
        what = _what("read", table, address, count, MAX_READ_WORDS)
        expected = Expected.words(_READS[table], unit, count, what)
        if table is Table.HOLDING:
            reply = await self._ask(
                lambda client: client.read_holding_registers(address, count=count, device_id=unit), expected
            )
        elif table is Table.INPUT:
            reply = await self._ask(
                lambda client: client.read_input_registers(address, count=count, device_id=unit), expected
            )
        else:
            raise MapError(f"{what}: they hold bits; ask for bits")
        return struct.pack(f">{count}H", *reply.registers)

    async def read_bits(self, unit: int, table: Table, address: int, count: int) -> tuple[bool, ...]:
        """FC1 (COIL) or FC2 (DISCRETE): `count` values."""
        what = _what("read", table, address, count, MAX_READ_BITS)
        expected = Expected.bits(_READS[table], unit, count, what)
        if table is Table.COIL:
            reply = await self._ask(lambda client: client.read_coils(address, count=count, device_id=unit), expected)
        elif table is Table.DISCRETE:
            reply = await self._ask(
                lambda client: client.read_discrete_inputs(address, count=count, device_id=unit), expected
            )
        else:
            raise MapError(f"{what}: they hold words; ask for registers")
        return tuple(reply.bits[:count])

    async def write_registers(self, unit: int, address: int, words: bytes) -> None:
        """FC16, or FC6 for a single one; where the device lacks FC16, one FC6 after the other in ascending order."""
        numbers = list(struct.unpack(f">{len(words) // 2}H", words))
        what = _what("write", Table.HOLDING, address, len(numbers), MAX_WRITE_WORDS)
        if self._quirks.fc16 and (len(numbers) > 1 or not self._quirks.fc6):
            expected = Expected.echo(16, unit, (address, len(numbers)), what)
            await self._ask(lambda client: client.write_registers(address, numbers, device_id=unit), expected)
            return
        for place, number in enumerate(numbers, address):
            expected = Expected.echo(6, unit, (place, number), what)
            await self._ask(partial(_write_register, place, number, unit), expected)

    async def write_bits(self, unit: int, address: int, values: Sequence[bool]) -> None:
        """FC15, or FC5 for a single one; where the device lacks FC15, one FC5 after the other in ascending order."""
        bits = list(values)
        what = _what("write", Table.COIL, address, len(bits), MAX_WRITE_BITS)
        if self._quirks.fc15 and (len(bits) > 1 or not self._quirks.fc5):
            expected = Expected.echo(15, unit, (address, len(bits)), what)
            await self._ask(lambda client: client.write_coils(address, bits, device_id=unit), expected)
            return
        for place, bit in enumerate(bits, address):
            expected = Expected.echo(5, unit, (place, COIL_ON if bit else COIL_OFF), what)
            await self._ask(partial(_write_coil, place, bit, unit), expected)

    def close(self) -> None:
        """Leave nothing behind; `open` may follow."""
        client, self._client = self._client, None
        self._expected, self._spoiled = None, "is not connected"
        if client is not None:
            _abort(client)
            client.close()

    async def _ask(self, request: Ask, expected: Expected) -> ModbusPDU:
        if self._spoiled or self._client is None:
            raise self._error(self._spoiled)
        self._expected = expected
        try:
            reply = await request(self._client)  # a connection lost meanwhile is reported by the call
            obey_cancellation()
        except self._troubles as error:
            self._spoil(f"did not answer the {expected.what} within {self._timeout:g} s")
            raise self._error(self._spoiled) from error
        except asyncio.CancelledError:
            self._spoiled = f"was left while it answered the {expected.what}"
            raise
        finally:
            self._expected = None
        if reply.isError():
            code = int(getattr(reply, "exception_code", 0))
            raise RefusedByPeerError(f"{self.name}: {refusal(expected.what, code)}", code)
        return reply

    def _error(self, reason: str) -> PeerError:
        """What to raise; where TLS says why, that is the reason, and none that only follows from it."""
        if refusal := getattr(self._context, "refusal", ""):  # a ClientContext knows
            return DistrustError(f"{self.name}: no connection: {refusal}", getattr(self._context, "fault", 0))
        return PeerError(f"{self.name}: {reason}")

    def _seen(self, sending: bool, packet: bytes) -> bytes:
        """What goes out, and all that came in since; what cannot be the answer is not shown to pymodbus."""
        if sending:
            self._transaction = int.from_bytes(packet[:2], "big")
            return packet
        if self._expected is None:
            self._spoil("sent bytes that nobody asked for")
            return b""
        if objection := self._expected.objection(self._transaction, packet):
            self._spoil(f"the answer to the {self._expected.what} {objection}")
            return b""
        return packet

    def _connected(self, connected: bool) -> None:
        if not connected:
            self._spoil("the connection was lost")

    def _spoil(self, reason: str) -> None:
        """Nothing more of this connection is believed; who waits for an answer need not wait for its time-out."""
        self._spoiled = self._spoiled or reason
        if self._client is None:
            return
        waiting = self._client.ctx.response_future
        if self._expected is not None and not waiting.done():
            waiting.set_exception(ConnectionResetError(reason))
        _abort(self._client)


def _abort(client: AsyncModbusTcpClient) -> None:
    """Close without a goodbye: a plain close waits for a peer that may never read it."""
    transport: Any = client.ctx.transport  # uvloop's is no subclass of asyncio's
    if transport is not None:
        transport.abort()


def _write_register(address: int, value: int, unit: int, client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
    return client.write_register(address, value, device_id=unit)


def _write_coil(address: int, value: bool, unit: int, client: AsyncModbusTcpClient) -> Awaitable[ModbusPDU]:
    return client.write_coil(address, value, device_id=unit)


def _what(verb: str, table: Table, address: int, count: int, most: int) -> str:
    what = f"{verb} of {count} {_NAMES[table]} from {address}"
    if not (1 <= count <= most and 0 <= address <= ADDRESSES - count):
        raise MapError(f"{what}: one request carries 1 to {most}, at addresses 0 to {ADDRESSES - 1}")
    return what


def obey_cancellation() -> None:
    """Raise CancelledError if this task was cancelled and does not know it.

    pymodbus waits by asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes in the same turn
    of the loop as the answer (CPython gh-86296): the link could not be stopped.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
