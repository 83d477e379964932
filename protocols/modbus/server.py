"""The Modbus TCP server: one listener, many masters, one or more stations by unit id."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from protocols.codec import Codec
from protocols.faults import Code
from protocols.link import LinkState, MapError, Station
from protocols.modbus import identification, listening
from protocols.modbus.admission import Door, TurnedAwayError, plain
from protocols.modbus.connection import Connection, ServerCounters, ServerLimits
from protocols.modbus.held import HeldAnswer
from protocols.modbus.identification import Identity
from protocols.modbus.pdu import ExceptionCode, Units
from protocols.modbus.registers import RegisterMap
from protocols.modbus.rights import Security
from protocols.modbus.writer import Writer
from protocols.signals import BLANK_COMMAND, Command, Outputs, Result

if TYPE_CHECKING:
    from protocols.modbus.secured import Channel, Handshakes

OnEvent = Callable[[int, str], None]
"""Told of what a person should know: a fault code and one sentence."""

LEAST_WAITING = 16
"""Peers that may be in their TLS handshake at once, or as many as there are connections."""
REMEMBERED = 1024
"""Kinds of refusal told apart; beyond that they are only counted, so that a scan cannot fill memory or log."""
WRITER_SILENCE = 5.0

_RESULT_BITS = slice(10, 12)
"""Of the result block: word 21, of which word 16 is the first."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one station's block may be written; seconds."""

    writer_silence: float = WRITER_SILENCE
    """Without a request of the address that writes; then another may. 0 = any may at any time."""
    held_reply: float = 0.0
    """How long an FC23 that triggers waits for its outcome at most; 0 = it is answered at once."""


class ServerLink:
    """The link of one station on a shared listener: up as long as it listens.

    Masters come and go, some with a connection for each request; whether the PLC lives is told by its heartbeat.
    """

    def __init__(self, server: ModbusServer, unit: int, codec: Codec, registers: RegisterMap, rules: Rules) -> None:
        self.unit = unit
        self.name = f"modbus unit {unit}"
        self._server = server
        self._codec = codec
        self._station: Station | None = None
        self._block = b""
        self._command: Command = BLANK_COMMAND
        self._result: Result | None = None
        self._result_block = b""
        self._held_reply = rules.held_reply
        self.writer = Writer(rules.writer_silence, server.door.configured, server.waits)
        self._image = server.units.add(unit, registers, codec.encode_signature(), self._written)
        self._image.identity = server.identity
        self._image.permit = self._permit
        if rules.held_reply:
            self._image.hold = self._hold
        self.publish(Outputs())

    def attach(self, station: Station) -> None:
        """Name the station to serve; once, before `run`."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """Show these outputs: every request from now on sees all of them."""
        result = outputs.result
        if result is not self._result:
            self._result, self._result_block = result, self._codec.encode_result(result)
        status = self._codec.encode_status(outputs.status)
        bits = self._result_block[_RESULT_BITS] + status[:2]
        self._image.show(status + self._result_block, int.from_bytes(bits, "big"))

    async def run(self) -> None:
        """Say that the link is up, then wait until cancelled: the listener, a service of its own, does the work."""
        await self._server.bound.wait()
        if self._station is not None:
            self._station.link_changed(LinkState.UP, f"{self._server.name}, unit {self.unit}")
        await asyncio.get_running_loop().create_future()

    def _permit(self, source: object) -> ExceptionCode | None:
        """Nothing that reads the block: the write has failed; another master holds it: it must wait."""
        if self._station is None:
            return ExceptionCode.SERVER_DEVICE_FAILURE
        if isinstance(source, Connection) and not self.writer.may(source.peer, source.now):
            return ExceptionCode.SERVER_DEVICE_BUSY
        return None

    def _hold(self, held: HeldAnswer, source: object) -> bool:
        if not isinstance(source, Connection):
            return False
        source.hold(held, self._held_reply)
        return True

    def _written(self, block: bytes, _source: object) -> None:
        if self._station is None:
            return
        if block != self._block:
            self._block, self._command = block, self._codec.decode_command(block)
        self._station.command(self._command)


class ModbusServer:
    """One listening address; stations are added by `unit` before `run`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: ServerLimits | None = None,
        on_event: OnEvent | None = None,
        identity: Identity | None = None,
        security: Security | None = None,
    ) -> None:
        if not 0 <= port <= 65535:
            raise MapError(f"modbus server {host}: port {port} does not exist; give one from 1 to 65535")
        self.host = host
        self.port = port
        """As configured; with 0, the real one once `bound` is set."""
        self.name = f"modbus server {host}:{port}"
        self.limits = limits or ServerLimits()
        self.identity = identity or identification.identity("0")
        self.security = security
        """Set: Modbus/TCP Security, and never plain Modbus TCP."""
        self.handshakes: Handshakes | None = None
        """Where peers are while they are in their TLS handshake."""
        if security is not None:
            from protocols.modbus.secured import Handshakes  # with ssl, which a plain listener does without

            places = max(LEAST_WAITING, self.limits.connections)
            self.handshakes = Handshakes(security, self._inside, places, self.tell)
        self.counters = ServerCounters()
        self.bound = asyncio.Event()
        self.units = Units(self._refused, silent=self.limits.silent)
        self.links: list[ServerLink] = []
        self.door: Door[Connection] = Door(self.limits.access, self.limits.connections)
        self._on_event = on_event or (lambda code, text: None)
        self._told: dict[Code, set[tuple[object, ...]]] = {}

    @property
    def connections(self) -> dict[Connection, None]:
        """Open connections, oldest first."""
        return self.door.members

    def unit(
        self, unit: int, codec: Codec | None = None, registers: RegisterMap | None = None, rules: Rules | None = None
    ) -> ServerLink:
        """The link of one station with this unit id (1…247).

        Raises MapError when the id is wrong, or the station overlaps another one of this id.
        """
        if not 1 <= unit <= 247:
            raise MapError(f"{self.name}: unit {unit} does not exist; give one from 1 to 247")
        link = ServerLink(self, unit, codec or Codec(), registers or RegisterMap(), rules or Rules())
        self.links.append(link)
        return link

    async def run(self) -> None:
        """Listen until cancelled, then close everything; raises LinkError when the address cannot be had."""
        sockets = await listening.bound(self.host, self.port, self.name)
        try:
            self.port = sockets[0].getsockname()[1]
            self.bound.set()
            async with asyncio.TaskGroup() as tasks:
                for listener in sockets:
                    tasks.create_task(listening.accept(listener, partial(self._came, tasks), self._trouble))
                tasks.create_task(self._sweep_on())
        finally:
            self.bound.clear()
            listening.close(sockets)
            if self.handshakes is not None:
                self.handshakes.close()
            await self._close_all()

    async def _close_all(self) -> None:
        for connection in tuple(self.connections):
            connection.close()
        for _ in range(10):  # the loop reports each closed connection within a few rounds
            if not self.connections and not (self.handshakes and self.handshakes.waiting):
                break
            await asyncio.sleep(0)

    async def _sweep_on(self) -> None:
        limits, clock = self.limits, asyncio.get_running_loop().time
        period = min(1.0, limits.frame_timeout / 4, limits.idle_timeout / 4 or 1.0)
        while True:
            await asyncio.sleep(period)
            if self.security is not None:
                self.security.look()
            now = clock()
            for connection in tuple(self.connections):
                reason = connection.overdue(now)
                if reason:
                    self.counters.timed_out += 1
                    connection.turn_out(Code.CLIENT_LIMIT, reason)

    def _came(self, tasks: asyncio.TaskGroup, sock: socket.socket, address: str) -> None:
        """A peer has connected: in, perhaps in place of another one, or away before a byte of it is read."""
        peer = plain(address)
        self.counters.accepted += 1
        try:
            self.door.knock(peer, asyncio.get_running_loop().time())
            newcomer = self._enter(peer) if self.handshakes is None else self.handshakes()
        except TurnedAwayError as error:
            self._turned_away(peer, error)
            listening.reset(sock)
            return
        tasks.create_task(self._open(sock, newcomer)).add_done_callback(lambda _: self._opened(sock, newcomer))

    def _enter(self, peer: str) -> Connection:
        """A connection among the others, perhaps in place of one; raises TurnedAwayError."""
        loop = asyncio.get_running_loop()
        gives_way = self.door.room(peer, loop.time())
        if gives_way is not None:
            self._drop(gives_way, peer)
        connection = Connection(self, loop, peer)
        self.door.enter(connection)
        return connection

    def _inside(self, peer: str) -> Connection | None:
        """The connection of a peer whose TLS handshake has ended; None when there is no room for it."""
        try:
            return self._enter(peer)
        except TurnedAwayError as error:
            self._turned_away(peer, error)
            return None

    def _turned_away(self, peer: str, error: TurnedAwayError) -> None:
        self.counters.refused += 1
        text = f"{self.name} turned away master {peer}: it {error.why}"
        self.tell(error.code, (peer, error.why), lambda: text)

    def _drop(self, silent: Connection, newcomer: str) -> None:
        self.counters.refused += 1
        self.tell(
            Code.CLIENT_LIMIT,
            (newcomer, "room"),
            lambda: f"{self.name} is full: a silent connection of {silent} gave way to master {newcomer}",
        )
        self.forget(silent)
        silent.close()

    async def _open(self, sock: socket.socket, newcomer: Connection | Channel) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: newcomer, sock)
        except Exception as error:  # noqa: BLE001 - this task's boundary: one peer's connection must not end the listener
            text = f"{self.name} could not serve master {newcomer.peer}: {error}"
            self.tell(Code.CLIENT_LIMIT, (newcomer.peer, "open"), lambda: text)

    def _opened(self, sock: socket.socket, newcomer: Connection | Channel) -> None:
        if newcomer.open:
            return
        if isinstance(newcomer, Connection):  # it failed, or this was cancelled before it began
            self.forget(newcomer)
        sock.close()

    def _trouble(self, error: OSError) -> None:
        self.tell(
            Code.CLIENT_LIMIT,
            (error.errno,),
            lambda: (
                f"{self.name} cannot take a connection ({error.strerror}) and tries again; raise the limit of "
                "open files (ulimit -n), or see which program holds so many"
            ),
        )

    def forget(self, connection: Connection) -> None:
        """This connection has ended."""
        if self.door.leave(connection):
            for link in self.links:
                link.writer.left(connection.peer)

    def waits(self, peer: str) -> bool:
        """Whether an answer to this address is held back."""
        return any(connection.held for connection in self.door.of(peer))

    def tell(self, code: Code, key: tuple[object, ...], text: Callable[[], str]) -> None:
        """Report once for each code and key: a peer that repeats itself at every poll is told of once."""
        told = self._told.setdefault(code, set())
        if key not in told and len(told) < REMEMBERED:
            told.add(key)
            self._on_event(code, text())

    def _refused(self, source: object, unit: int, pdu: bytes, code: ExceptionCode) -> None:
        self.counters.exceptions += 1
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        if code is ExceptionCode.SERVER_DEVICE_BUSY:
            self._second_writer(source, unit)
            return
        self.tell(
            Code.REQUEST_REFUSED,
            (str(source), unit, function, address),
            lambda: (
                f"{source} got exception {code:02X} ({code.name.lower().replace('_', ' ')}) from {self.name}: "
                f"unit {unit}, function {function}, address {address}"
            ),
        )

    def _second_writer(self, source: object, unit: int) -> None:
        self.counters.busy += 1
        self.tell(
            Code.CLIENT_LIMIT,
            (str(source), unit, "writer"),
            lambda: (
                f"{source} may not write to unit {unit} of {self.name}, as another master does; it got exception 06"
            ),
        )
