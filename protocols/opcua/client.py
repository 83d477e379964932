"""The OPC UA client link: the gateway reads a PLC's command from its nodes and writes status and result into them.

It polls with Read instead of subscribing: a PLC revises publishing upward to 100 ms and more, answers a read at once,
and every answer is evidence that it lives. Nothing it reads is one moment, so a command counts only after two reads of
all its nodes in a row have brought the same: at an instant between the two, everything stood like that.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua

from protocols.codec import Codec
from protocols.faults import Code
from protocols.link import Backoff, LinkError, LinkState, MapError, PeerError, Station
from protocols.modbus.client_map import COMMAND_BYTES, starts
from protocols.opcua.client_settings import OpcUaClientConfig
from protocols.opcua.connection import Connection
from protocols.opcua.dialer import Dialer
from protocols.opcua.failures import SLOW, ConnectionFailedError
from protocols.opcua.node_facts import learn, plain
from protocols.opcua.node_map import Entry, NodeMap
from protocols.opcua.node_values import Kind, check, note_shown, read_into, write_from
from protocols.settings import OnEvent
from protocols.signals import BLANK_COMMAND, Command, Outputs

REREADS = 5
"""Reads in one scan to catch a command between two changes; a PLC's program needs a cycle of its own for each."""
BACKOFF_LIMIT = 1.0
"""Seconds between two tries at most, so that a PLC that is back is found within two."""
_BEAT = slice(6, 8)
"""PLC_HEARTBEAT in the command block: it changes as it likes."""


class NodeTroubleError(PeerError):
    """The connection is sound, and a node is not: told, and tried again on the same connection."""

    def __init__(self, text: str, *, writable: bool = False) -> None:
        super().__init__(text)
        self.writable = writable
        """Only reading is in trouble: the PLC can still be shown that we are not ready, and why."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A mapped name on this connection."""

    entry: Entry
    node: ua.NodeId
    kind: Kind


class OpcUaClientLink:
    """One PLC: up after the first complete exchange, down with the first that fails; then tried again, for ever."""

    def __init__(self, dialer: Dialer, plan: NodeMap, on_event: OnEvent, *, scan: float = 0.02) -> None:
        self.name = dialer.name
        self._dialer, self._plan, self._scan = dialer, plan, scan
        self._on_event = on_event
        self._codec = Codec()
        self._backoff = Backoff(limit=BACKOFF_LIMIT)
        self._station: Station | None = None
        self._state: LinkState | None = None
        self._reason = ""
        self._outputs = Outputs()
        self._fresh = asyncio.Event()
        self._written: bytes | None = None
        self._block = b""
        self._command: Command = BLANK_COMMAND
        self._read_at = -math.inf
        self._asked: tuple[_Placed, ...] = ()
        self._shown: dict[str, _Placed] = {}

    @property
    def age(self) -> float:
        """Seconds since all command nodes were last read and good; infinite before the first time."""
        return time.monotonic() - self._read_at

    def attach(self, station: Station) -> None:
        """Name the station to serve; once, before `run`."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """Write these outputs at once, or behind the request now under way; a newer call replaces an older one."""
        self._outputs = outputs
        self._fresh.set()

    async def run(self) -> None:
        """Serve until cancelled; what the PLC does wrong, or a PLC that is not there, never ends it."""
        try:
            while True:
                pause = 0.0
                try:
                    async with self._dialer.connection() as connection:
                        await self._serve(connection)
                except ConnectionFailedError as error:
                    self._down(str(error), error.fault)
                    pause = error.pause
                except PeerError as error:
                    self._down(str(error))
                except LinkError as error:
                    self._down(str(error), Code.CONFIG_INVALID)
                    pause = SLOW
                await asyncio.sleep(max(pause, self._backoff.pause()))
        finally:
            self._down(f"{self.name} is not asked any more")

    async def _serve(self, connection: Connection) -> None:
        """One connection's life; ends by ConnectionFailedError or cancellation. Trouble with a node does not end it."""
        patience = Backoff(limit=BACKOFF_LIMIT)
        self._written = None
        while True:
            try:
                await self._place(connection)
                await self._begin(connection)
                patience.reset()
                await self._cycle(connection)
            except MapError as error:
                self._down(str(error), Code.CONFIG_INVALID)
                await asyncio.sleep(patience.pause())  # a PLC that is being loaded has not all its nodes yet
            except NodeTroubleError as error:
                self._down(str(error))
                until = asyncio.get_running_loop().time() + patience.pause()
                if error.writable and self._shows:
                    await self._show_until(connection, until)
                else:
                    await asyncio.sleep(until - asyncio.get_running_loop().time())

    @property
    def _shows(self) -> bool:
        """Whether it is known what the PLC has of us."""
        return self._written is not None

    # ------------------------------------------------------------ where the fields are

    async def _place(self, connection: Connection) -> None:
        """Find every node and learn its type, as they are on this connection; raises MapError for an unsuitable one."""
        places = [("command", entry) for entry in self._plan.command]
        places += [("outputs", entry) for entry in self._plan.outputs]
        nodes = await connection.locate([entry.node for _, entry in places])
        found: list[_Placed] = []
        facts = await learn(connection, nodes)
        for (where, entry), node, fact in zip(places, nodes, facts, strict=True):
            kind = fact.kind(f"{self.name}: {where}.{entry.name}: {entry.node}")
            check(entry, kind, where)
            fact.check_access(where == "outputs", f"{self.name}: {where}.{entry.name}: {entry.node}")
            found.append(_Placed(entry, node, kind))
        split = len(self._plan.command)
        self._asked = tuple(found[:split])
        self._shown = {placed.entry.name: placed for placed in found[split:]}

    # ------------------------------------------------------------ the exchange

    async def _begin(self, connection: Connection) -> None:
        """The first exchange: only a PLC that lets itself be read and written is up; what it shows is a baseline."""
        self._block = b""
        block = await self._read(connection)
        if block is None:
            raise NodeTroubleError(f"{self.name}: the command changes faster than it can be read")
        self._written = None
        await self._write(connection)
        self._backoff.reset()
        if self._state is not LinkState.UP:
            self._change(LinkState.UP, f"{self.name} answers")
        self._deliver(block)

    async def _cycle(self, connection: Connection) -> None:
        """Read at a fixed rate; write whenever the outputs changed. A slow PLC makes turns be left out, not late."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self._scan * max(1, math.ceil((loop.time() - due) / self._scan))
            await self._show_until(connection, due)
            if (block := await self._read(connection)) is not None:
                self._deliver(block)

    async def _show_until(self, connection: Connection, due: float) -> None:
        try:
            async with asyncio.timeout_at(due) as turn:
                while True:
                    await self._fresh.wait()
                    turn.reschedule(None)  # a request once begun has its own time-out
                    await self._write(connection)
                    turn.reschedule(due)
        except TimeoutError:
            return

    async def _read(self, connection: Connection) -> bytes | None:
        """The command as it stood at one instant, or None where it changed under every try to catch it."""
        block = await self._collect(connection)
        if self._block and starts(block) == starts(self._block):
            return block  # nothing begins, so nothing can belong together wrongly
        for _ in range(REREADS):
            again = await self._collect(connection)
            if _steady(again) == _steady(block):
                return again
            block = again
        return None

    async def _collect(self, connection: Connection) -> bytes:
        """All command nodes once; a value that is not Good is none."""
        values = await connection.read([placed.node for placed in self._asked])
        block = bytearray(COMMAND_BYTES)
        for placed, value in zip(self._asked, values, strict=True):
            status = value.StatusCode
            if status is not None and not status.is_good():
                text = f"{self.name}: command.{placed.entry.name}: {placed.entry.node} is {status.name}"
                raise NodeTroubleError(text, writable=True)
            try:
                read_into(block, placed.entry, placed.kind, plain(value))
            except PeerError as error:
                raise NodeTroubleError(f"{self.name}: command.{error}", writable=True) from error
        self._read_at = time.monotonic()
        return bytes(block)

    async def _write(self, connection: Connection) -> None:
        """What the PLC does not have yet, request by request in the order of the map."""
        self._fresh.clear()
        outputs = self._outputs
        block = self._codec.encode_status(outputs.status) + self._codec.encode_result(outputs.result)
        if self._written is None:
            self._written = await self._there(connection, block)
        if block == self._written:
            return
        for entries, source in self._plan.steps(block, self._written):
            await self._send(connection, entries, source)
        self._written = block

    async def _there(self, connection: Connection, block: bytes) -> bytes | None:
        """What the PLC has of us already, as a block that differs from `block` where it has something else.

        So a result that waits to be taken goes on being shown after a reconnect, and is no second one. None where that
        cannot be read.
        """
        shown = list(self._shown.values())
        values = await connection.read([placed.node for placed in shown])
        if any(value.StatusCode is not None and not value.StatusCode.is_good() for value in values):
            return None
        found = bytearray(block)
        for placed, value in zip(shown, values, strict=True):
            note_shown(found, placed.entry, placed.kind, plain(value))
        return bytes(found)

    async def _send(self, connection: Connection, entries: Sequence[Entry], block: bytes) -> None:
        placed = [self._shown[entry.name] for entry in entries]
        values = [
            (one.node, ua.Variant(write_from(block, one.entry, one.kind), ua.VariantType(one.kind.type)))
            for one in placed
        ]
        for one, status in zip(placed, await connection.write(values), strict=True):
            if not status.is_good():
                raise NodeTroubleError(
                    f"{self.name}: outputs.{one.entry.name}: {one.entry.node} cannot be written ({status.name})"
                )

    def _deliver(self, block: bytes) -> None:
        if block != self._block:
            if any(self._block) and not any(block):  # a PLC that has just started has lost what was written too
                self._written = None
                self._fresh.set()
            self._block, self._command = block, self._codec.decode_command(block)
        if self._station is not None:
            self._station.command(self._command)

    # ------------------------------------------------------------ telling

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


def _steady(block: bytes) -> bytes:
    return block[: _BEAT.start] + block[_BEAT.stop :]


def build(config: OpcUaClientConfig, on_event: OnEvent) -> OpcUaClientLink:
    """The link of one station, to be run where asyncua may be."""
    return OpcUaClientLink(Dialer(config, on_event), config.node_map(), on_event, scan=config.scan_ms / 1000)
