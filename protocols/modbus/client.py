"""The Modbus TCP client: the gateway polls a PLC that is a server."""

from __future__ import annotations

import asyncio
import logging
import math
import struct
from collections.abc import Awaitable, Callable

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from protocols.codec import Codec
from protocols.faults import Code
from protocols.link import Backoff, LinkState, PeerError, Station
from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS
from protocols.signals import BLANK_COMMAND, Command, Outputs

_READ = struct.Struct(f">{COMMAND_WORDS}H")
_WRITE = struct.Struct(f">{OUTPUT_WORDS}H")

# Every failure reaches the station as a reason; pymodbus would log each of them again, at every attempt.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)


class ClientLink:
    """One PLC polled: one FC3 for the command block, one FC16 for status and result, nothing else.

    Up after the first complete exchange, down with the first that fails; then a new connection, for ever.
    """

    def __init__(  # noqa: PLR0913 - an address and two places in the PLC
        self,
        host: str,
        port: int,
        *,
        unit: int = 1,
        command_address: int = 0,
        status_address: int = 100,
        scan: float = 0.01,
        timeout: float = 0.5,
        codec: Codec | None = None,
        on_event: Callable[[int, str], None] | None = None,
    ) -> None:
        self.name = f"modbus client {host}:{port} unit {unit}"
        self._host, self._port, self._unit = host, port, unit
        self._command_address, self._status_address = command_address, status_address
        self._scan, self._timeout = scan, timeout
        self._codec = codec or Codec()
        self._on_event = on_event or (lambda code, text: None)
        self._backoff = Backoff()
        self._station: Station | None = None
        self._state: LinkState | None = None
        self._reason = ""
        self._outputs = Outputs()
        self._fresh = asyncio.Event()
        self._written: bytes | None = None
        self._block = b""
        self._command: Command = BLANK_COMMAND

    def attach(self, station: Station) -> None:
        """Name the station to serve; once, before `run`."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """Write these outputs at once, or behind the request now under way; a newer call replaces an older one."""
        self._outputs = outputs
        self._fresh.set()

    async def run(self) -> None:
        """Poll until cancelled; what the PLC does wrong, or a PLC that is not there, never ends it."""
        try:
            while True:
                try:
                    await self._poll()
                except PeerError as error:
                    self._down(str(error))
                _obey_cancellation()
                await asyncio.sleep(self._backoff.pause())
        finally:
            self._down(f"{self.name} has stopped")

    async def _poll(self) -> None:
        """One connection's life; ends only by PeerError or cancellation."""
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._timeout, retries=0, reconnect_delay=0, name=self.name
        )
        self._written = None
        try:
            await self._connect(client)
            await self._begin(client)
            await self._cycle(client)
        finally:
            client.close()

    async def _connect(self, client: AsyncModbusTcpClient) -> None:
        try:
            async with asyncio.timeout(2 * self._timeout):  # names are resolved in it too
                connected = await client.connect()
                _obey_cancellation()
        except (OSError, TimeoutError, ModbusException) as error:
            raise PeerError(f"{self.name}: no connection ({str(error) or 'timed out'})") from error
        if not connected:
            raise PeerError(f"{self.name}: no connection; is the PLC on, and its Modbus server enabled?")

    async def _begin(self, client: AsyncModbusTcpClient) -> None:
        """The first exchange: only a PLC that lets itself be read and written is up."""
        block = await self._read(client)
        await self._write(client)
        self._backoff.reset()
        self._change(LinkState.UP, f"{self.name} answers")
        self._deliver(block)

    async def _cycle(self, client: AsyncModbusTcpClient) -> None:
        """Read at a fixed rate; write whenever the outputs changed. A slow PLC makes turns be left out, not late."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._scan * max(1, math.ceil((loop.time() - due) / self._scan))
            await self._show_until(due, client)
            self._deliver(await self._read(client))

    async def _show_until(self, due: float, client: AsyncModbusTcpClient) -> None:
        try:
            async with asyncio.timeout_at(due) as turn:
                while True:
                    await self._fresh.wait()
                    turn.reschedule(None)  # a request once begun has its own time-out
                    await self._write(client)
                    turn.reschedule(due)
        except TimeoutError:
            return

    async def _read(self, client: AsyncModbusTcpClient) -> bytes:
        reply = await self._ask(
            lambda: client.read_holding_registers(self._command_address, count=COMMAND_WORDS, device_id=self._unit),
            client,
            f"read of {COMMAND_WORDS} holding registers from {self._command_address}",
        )
        if len(reply.registers) != COMMAND_WORDS:
            raise PeerError(f"{self.name}: {len(reply.registers)} registers came where {COMMAND_WORDS} were asked for")
        return _READ.pack(*reply.registers)

    async def _write(self, client: AsyncModbusTcpClient) -> None:
        """Status and result in one request, when they differ from what the PLC has."""
        self._fresh.clear()
        outputs = self._outputs
        block = self._codec.encode_status(outputs.status) + self._codec.encode_result(outputs.result)
        if block == self._written:
            return
        words = list(_WRITE.unpack(block))
        reply = await self._ask(
            lambda: client.write_registers(self._status_address, words, device_id=self._unit),
            client,
            f"write of {OUTPUT_WORDS} holding registers from {self._status_address}",
        )
        if (reply.address, reply.count) != (self._status_address, OUTPUT_WORDS):
            raise PeerError(f"{self.name}: confirms another write than was asked for")
        self._written = block

    async def _ask(
        self, request: Callable[[], Awaitable[ModbusPDU]], client: AsyncModbusTcpClient, what: str
    ) -> ModbusPDU:
        try:
            reply = await request()  # a connection lost meanwhile is reported by the call, not by its result
        except (ModbusException, OSError) as error:
            raise PeerError(f"{self.name}: no valid answer to the {what} within {self._timeout:g} s") from error
        _obey_cancellation()
        if isinstance(reply, ExceptionResponse):
            raise PeerError(
                f"{self.name}: exception {reply.exception_code:02X} to the {what}; does the PLC have them all?"
            )
        if reply.isError() or reply.transaction_id != client.ctx.request_transaction_id:
            raise PeerError(f"{self.name}: the answer to the {what} does not belong to it")
        return reply

    def _deliver(self, block: bytes) -> None:
        if block != self._block:
            self._block, self._command = block, self._codec.decode_command(block)
        if self._station is not None:
            self._station.command(self._command)

    def _down(self, reason: str) -> None:
        """Tell the station once for each change; another reason while down goes to the log only."""
        if self._state is not LinkState.DOWN:
            self._change(LinkState.DOWN, reason)
        elif reason != self._reason:
            self._on_event(Code.LINK_LOST, reason)
        self._reason = reason

    def _change(self, state: LinkState, reason: str) -> None:
        self._state = state
        if self._station is not None:
            self._station.link_changed(state, reason)


def _obey_cancellation() -> None:
    """Raise CancelledError if this task was cancelled and does not know it.

    pymodbus waits by asyncio.wait_for, which before Python 3.12 swallows a cancellation that comes in the same turn
    of the loop as the answer (CPython gh-86296): the link could not be stopped.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
