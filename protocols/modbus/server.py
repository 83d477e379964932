"""The Modbus TCP server: one listener, many masters, one or more stations by unit id."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

from protocols.codec import Codec
from protocols.faults import Code
from protocols.link import LinkError, LinkState, MapError, Station
from protocols.modbus.connection import Connection, ServerCounters, ServerLimits
from protocols.modbus.pdu import ExceptionCode, Units
from protocols.modbus.registers import RegisterMap
from protocols.modbus.rights import Security
from protocols.modbus.secured import Handshakes
from protocols.signals import BLANK_COMMAND, Command, Outputs, Result

OnEvent = Callable[[int, str], None]
"""Told of what a person should know: a fault code and one sentence."""

GIVES_WAY = 10.0
"""Seconds without a request after which a connection gives way to a new one when all are taken."""
LEAST_WAITING = 16
"""Peers that may be in their TLS handshake at once, or as many as there are connections."""
REMEMBERED = 1024
"""Kinds of refusal told apart; beyond that they are only counted, so that a scan cannot fill memory or log."""


_RESULT_BITS = slice(10, 12)
"""Of the result block: word 21, of which word 16 is the first."""


class ServerLink:
    """The link of one station on a shared listener: up as long as it listens.

    Masters come and go, some with a connection for each request; whether the PLC lives is told by its heartbeat.
    """

    def __init__(self, server: ModbusServer, unit: int, codec: Codec, registers: RegisterMap) -> None:
        self.unit = unit
        self.name = f"modbus unit {unit}"
        self._server = server
        self._codec = codec
        self._station: Station | None = None
        self._block = b""
        self._command: Command = BLANK_COMMAND
        self._result: Result | None = None
        self._result_block = b""
        self._image = server.units.add(unit, registers, codec.encode_signature(), self._written)
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
        security: Security | None = None,
    ) -> None:
        if not 0 <= port <= 65535:  # uvloop would wait for ever
            raise MapError(f"modbus server {host}: port {port} does not exist; give one from 1 to 65535")
        self.host = host
        self.port = port
        """As configured; with 0, the real one once `bound` is set."""
        self.name = f"modbus server {host}:{port}"
        self.limits = limits or ServerLimits()
        self.security = security
        """Set: Modbus/TCP Security, and never plain Modbus TCP."""
        self.handshakes: Handshakes | None = None
        """Where peers are while they are in their TLS handshake; set by `run`."""
        self.counters = ServerCounters()
        self.bound = asyncio.Event()
        self.units = Units(self._refused)
        self.links: dict[int, ServerLink] = {}
        self.connections: dict[Connection, None] = {}
        """Open connections, oldest first."""
        self._on_event = on_event or (lambda code, text: None)
        self._told: dict[Code, set[tuple[object, ...]]] = {}

    def unit(self, unit: int, codec: Codec | None = None, registers: RegisterMap | None = None) -> ServerLink:
        """The link of the station with this unit id (1…247); raises MapError when the id is taken or wrong."""
        if not 1 <= unit <= 247:
            raise MapError(f"{self.name}: unit {unit} does not exist; give one from 1 to 247")
        if unit in self.links:
            raise MapError(f"{self.name}: unit {unit} is given to two stations; give each its own")
        self.links[unit] = link = ServerLink(self, unit, codec or Codec(), registers or RegisterMap())
        return link

    async def run(self) -> None:
        """Listen until cancelled, then close everything; raises LinkError when the address cannot be had."""
        server = await self._listen()
        try:
            self.port = server.sockets[0].getsockname()[1]
            self.bound.set()
            limits = self.limits
            period = min(1.0, limits.frame_timeout / 4, limits.idle_timeout / 4 or 1.0)
            while True:
                await asyncio.sleep(period)
                self._sweep()
        finally:
            self.bound.clear()
            server.close()
            if self.handshakes is not None:
                self.handshakes.close()
            await self._close_all()

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(self._entrance(loop), self.host, self.port, backlog=128)
        except (OSError, UnicodeError) as error:
            raise LinkError(f"{self.name} cannot listen: {_explain(error, self.port)}") from error

    def _entrance(self, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Protocol]:
        """What makes the protocol of each new connection."""

        if self.security is None:
            return lambda: Connection(self, loop)
        places = max(LEAST_WAITING, self.limits.connections)
        self.handshakes = Handshakes(self.security, lambda peer: Connection(self, loop), places, self.tell)
        return self.handshakes

    async def _close_all(self) -> None:
        for connection in tuple(self.connections):
            connection.close()
        for _ in range(10):  # the loop reports each closed connection within a few rounds
            if not self.connections and not (self.handshakes and self.handshakes.waiting):
                break
            await asyncio.sleep(0)

    def _sweep(self) -> None:
        if self.security is not None:
            self.security.look()
        now = asyncio.get_running_loop().time()
        for connection in tuple(self.connections):
            reason = connection.overdue(now)
            if reason:
                self.counters.timed_out += 1
                connection.turn_out(Code.CLIENT_LIMIT, reason)

    def admit(self, newcomer: Connection) -> bool:
        """Room for one more? At the limit the oldest connection that never asked anything gives way."""
        self.counters.accepted += 1
        if len(self.connections) < self.limits.connections:
            self.connections[newcomer] = None
            return True
        self.counters.refused += 1
        now = asyncio.get_running_loop().time()
        silent = next((c for c in self.connections if not c.asked or c.silent_for(now) > GIVES_WAY), None)
        self.tell(
            Code.CLIENT_LIMIT,
            (newcomer.peer, silent is None),
            lambda: (
                f"{self.name}: all {self.limits.connections} connections are taken, "
                f"{'a silent one gave way to' if silent else 'refused'} {newcomer}"
            ),
        )
        if silent is None:
            return False
        self.forget(silent)
        silent.close()
        self.connections[newcomer] = None
        return True

    def forget(self, connection: Connection) -> None:
        """This connection has ended."""
        self.connections.pop(connection, None)

    def tell(self, code: Code, key: tuple[object, ...], text: Callable[[], str]) -> None:
        """Report once for each code and key: a peer that repeats itself at every poll is told of once."""
        told = self._told.setdefault(code, set())
        if key not in told and len(told) < REMEMBERED:
            told.add(key)
            self._on_event(code, text())

    def _refused(self, source: object, unit: int, pdu: bytes, code: ExceptionCode) -> None:
        self.counters.exceptions += 1
        function, address = pdu[0], int.from_bytes(pdu[1:3], "big")
        self.tell(
            Code.REQUEST_REFUSED,
            (str(source), unit, function, address),
            lambda: (
                f"{source} got exception {code:02X} ({code.name.lower().replace('_', ' ')}) from {self.name}: "
                f"unit {unit}, function {function}, address {address}"
            ),
        )


def _explain(error: OSError | UnicodeError, port: int) -> str:
    """Cause and remedy in one sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "another program has this port; stop it or give another port"
    if number in (errno.EACCES, errno.EPERM):
        return f"port {port} needs a privilege; give a port above 1023, such as 5020, or grant CAP_NET_BIND_SERVICE"
    if number == errno.EADDRNOTAVAIL:
        return "this computer does not have this address; give one of its own, or 0.0.0.0 for all"
    return f"{error}; give a host name or address of this computer and a free port"
