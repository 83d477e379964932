"""The Modbus client: the gateway polls a PLC that is a server, over any carrier of Modbus."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

from protocols.codec import Codec
from protocols.faults import Code
from protocols.link import Backoff, LinkState, PeerError, Station
from protocols.modbus.client_map import ClientMap, starts
from protocols.modbus.exchange import DistrustError, Exchange
from protocols.modbus.planning import BIT_TABLES, Answer, Request
from protocols.modbus.turns import LostByAnotherError
from protocols.signals import BLANK_COMMAND, Command, Outputs

REREADS = 3
"""Tries to catch a command between two changes, in one scan; a PLC's program needs one scan of its own for each."""
STALE = 1.0
"""Seconds without an exchange after which even a fault of another on a shared connection is ours."""


class ClientLink:
    """One PLC polled: the command read each scan, status and result written when they changed, nothing else.

    Up after the first complete exchange, down with the first that fails; then a new connection, for ever.
    """

    def __init__(
        self,
        exchange: Exchange,
        plan: ClientMap,
        *,
        unit: int = 1,
        scan: float = 0.01,
        codec: Codec | None = None,
        on_event: Callable[[int, str], None] | None = None,
    ) -> None:
        self.name = f"{exchange.name} unit {unit}"
        self._exchange, self._plan, self._unit, self._scan = exchange, plan, unit, scan
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
        self._answered = -math.inf

    @property
    def age(self) -> float:
        """Seconds since the PLC last answered a request rightly; infinite before the first."""
        return time.monotonic() - self._answered

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
                except LostByAnotherError as error:
                    if self._state is LinkState.UP and self.age < STALE:
                        continue  # not this station's PLC is silent: connect again before anybody misses it
                    self._down(str(error))
                except DistrustError as error:
                    self._down(str(error), error.fault)
                except PeerError as error:
                    self._down(str(error))
                await asyncio.sleep(self._backoff.pause())
        finally:
            self._down(f"{self.name} has stopped")

    async def _poll(self) -> None:
        """One connection's life; ends only by PeerError or cancellation."""
        self._written = None
        try:
            await self._exchange.open()
            await self._begin()
            await self._cycle()
        finally:
            self._exchange.close()

    async def _begin(self) -> None:
        """The first exchange: only a PLC that lets itself be read and written is up."""
        block = await self._read()
        if block is None:
            raise PeerError(f"{self.name}: the command changes faster than it can be read")
        await self._write()
        self._backoff.reset()
        if self._state is not LinkState.UP:
            self._change(LinkState.UP, f"{self.name} answers")
        self._deliver(block)

    async def _cycle(self) -> None:
        """Read at a fixed rate; write whenever the outputs changed. A slow PLC makes turns be left out, not late."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._scan * max(1, math.ceil((loop.time() - due) / self._scan))
            await self._show_until(due)
            if (block := await self._read()) is not None:
                self._deliver(block)

    async def _show_until(self, due: float) -> None:
        try:
            async with asyncio.timeout_at(due) as turn:
                while True:
                    await self._fresh.wait()
                    turn.reschedule(None)  # a request once begun has its own time-out
                    await self._write()
                    turn.reschedule(due)
        except TimeoutError:
            return

    async def _read(self) -> bytes | None:
        """The command block, or None where it changed under every try to read it in several requests."""
        first, everything = self._plan.reads[: self._plan.first], self._plan.reads
        before = starts(self._block)
        for _ in range(REREADS):
            answers = await self._ask(everything)
            block = self._plan.command(answers)
            if len(everything) == 1 or (self._block and starts(block) == before):
                return block
            again = self._plan.command([*await self._ask(first), *answers[len(first) :]])
            if starts(again) == starts(block):
                return again
        return None

    async def _ask(self, requests: Sequence[Request]) -> list[Answer]:
        answers: list[Answer] = []
        for request in requests:
            read = self._exchange.read_bits if request.table in BIT_TABLES else self._exchange.read_registers
            answers.append(await read(self._unit, request.table, request.address, request.count))
            self._answered = time.monotonic()
        return answers

    async def _write(self) -> None:
        """What the PLC does not have yet, in the order of the plan."""
        self._fresh.clear()
        outputs = self._outputs
        block = self._codec.encode_status(outputs.status) + self._codec.encode_result(outputs.result)
        if block == self._written:
            return
        for write, data in self._plan.due(block, self._written):
            if isinstance(data, bytes):
                await self._exchange.write_registers(self._unit, write.request.address, data)
            else:
                await self._exchange.write_bits(self._unit, write.request.address, data)
            self._answered = time.monotonic()
        self._written = block

    def _deliver(self, block: bytes) -> None:
        if block != self._block:
            if any(self._block) and not any(block):  # a PLC that has just started has lost what was written too
                self._written = None
                self._fresh.set()
            self._block, self._command = block, self._codec.decode_command(block)
        if self._station is not None:
            self._station.command(self._command)

    def _down(self, reason: str, code: int = Code.LINK_LOST) -> None:
        """Tell the station once for each change; another reason while down, or another code, goes to the log."""
        first = self._state is not LinkState.DOWN
        if first:
            self._change(LinkState.DOWN, reason)
        if reason != self._reason and (code != Code.LINK_LOST or not first):
            self._on_event(code, reason)
        self._reason = reason

    def _change(self, state: LinkState, reason: str) -> None:
        self._state = state
        if self._station is not None:
            self._station.link_changed(state, reason)
