"""One master's connection to the Modbus TCP server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, cast

from typing_extensions import override

from protocols.faults import Code
from protocols.modbus.mbap import Framer, FramingError
from protocols.modbus.pdu import ExceptionCode, Units
from protocols.modbus.rights import EVERYTHING, Rights, Security

BURST = 64
"""Requests of one connection served in a row before the others have their turn: about 0.2 ms."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one listener grants its peers; seconds, bytes and numbers."""

    connections: int = 64
    frame_timeout: float = 10.0
    """From the first byte of a frame to its last; then the connection is closed."""
    idle_timeout: float = 0.0
    """Without any request; 0 = for ever, as PLCs connect and stay silent (keep-alive finds the dead ones)."""
    unread_bytes: int = 65536
    """Answers the peer has not read; beyond that the connection is closed."""


@dataclass(slots=True)
class ServerCounters:
    """Totals since start, for metrics."""

    accepted: int = 0
    requests: int = 0
    exceptions: int = 0
    framing_errors: int = 0
    refused: int = 0
    """Connections turned away, or dropped for a newer one, at the limit."""
    timed_out: int = 0
    overflowed: int = 0


class Listener(Protocol):
    """What a connection sees of the server it belongs to."""

    limits: ServerLimits
    counters: ServerCounters
    units: Units
    security: Security | None

    def admit(self, newcomer: Connection) -> bool:
        """Room for one more?"""

    def forget(self, connection: Connection) -> None:
        """This connection has ended."""

    def tell(self, code: Code, key: tuple[object, ...], text: Callable[[], str]) -> None:
        """Report once for each code and key."""


class Connection(asyncio.Protocol):
    """One master's connection."""

    def __init__(self, server: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self.asked = 0
        """Chunks of requests answered."""
        self.peer = "?"
        self._server = server
        self._loop = loop
        self.rights = EVERYTHING
        self._memo = server.units.memo
        self._answer = server.units.answer
        self._counters = server.counters
        self._framer = Framer()
        self._frame_since: float | None = None
        """When the bytes now held began to wait; None while none are held."""
        self._seen = 0
        self._seen_at = loop.time()
        self._transport: asyncio.Transport | None = None
        self._next: asyncio.Handle | None = None

    @override
    def __str__(self) -> str:
        return f"master {self.peer}"

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else "?"
        self._transport.set_write_buffer_limits(high=self._server.limits.unread_bytes)
        _watch_peer(transport.get_extra_info("socket"))
        if (security := self._server.security) is not None:
            self._restrict(security.rights(self._transport))
        if not self._server.admit(self):
            self._transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._next is not None:
            self._next.cancel()
        self._server.forget(self)

    @override
    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        # What a master asks at every poll: one request in its segment, the same as before. A hit proves the frame.
        if len(data) == 12 and self._frame_since is None and (tail := self._memo.get(data[2:])) is not None:
            self.asked += 1
            self._counters.requests += 1
            transport.write(data[:2] + tail)
        else:
            self._serve(data, transport)

    def _serve(self, data: bytes, transport: asyncio.Transport) -> None:
        """Answer at most BURST requests with one write; the others' turn comes before the rest."""
        answers: list[bytes] = []
        broken = ""
        answer, frames = self._answer, self._framer.feed(data)
        try:
            for frame in islice(frames, BURST):
                answers.append(answer(frame, self))
        except FramingError as error:
            broken = str(error)
        frames.close()
        if answers:
            self.asked += 1
            self._counters.requests += len(answers)
            transport.write(b"".join(answers))
        if broken:
            self._broken(broken)
        elif not transport.is_closing():
            self._wait(transport, progress=bool(answers), more=len(answers) == BURST)

    def _restrict(self, rights: Rights) -> None:
        """From now on only what these rights allow."""
        self.rights = rights
        if not rights.read:
            self._memo = {}  # what others have read is not for this one
        if not (rights.read and rights.write):
            self._answer = self._answer_within_rights

    def _answer_within_rights(self, frame: bytes, source: object) -> bytes:
        """Exception 01 for what the role may not do (MODBUS/TCP Security Protocol Specification V36, R-31)."""
        unit, function = frame[6], frame[7]
        if self.rights.allow(function):
            return self._server.units.answer(frame, source)
        self._counters.exceptions += 1
        address, role = int.from_bytes(frame[8:10], "big"), self.rights.role
        self._server.tell(
            Code.PEER_REFUSED,
            (self.peer, role, unit, function, address),
            lambda: (
                f"{self} with role {role} may not do this and got exception 01: "
                f"unit {unit}, function {function}, address {address}"
            ),
        )
        return frame[:4] + bytes((0, 3, unit, function | 0x80, ExceptionCode.ILLEGAL_FUNCTION))

    def _wait(self, transport: asyncio.Transport, *, progress: bool, more: bool) -> None:
        """Note whether bytes are held, and come back for them when they hold whole requests."""
        if not self._framer.pending:
            self._frame_since = None
            return
        if progress or self._frame_since is None:
            self._frame_since = self._loop.time()
        if more:
            transport.pause_reading()
            self._next = self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._next = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._serve(b"", self._transport)

    def _broken(self, why: str) -> None:
        self._counters.framing_errors += 1
        self.turn_out(Code.FRAMING, why)

    @override
    def pause_writing(self) -> None:
        """The peer does not read what it asks for."""
        self._counters.overflowed += 1
        self.turn_out(Code.CLIENT_LIMIT, "it does not read its answers")

    def overdue(self, now: float) -> str:
        """Why this connection must be closed for its silence, or nothing."""
        limits = self._server.limits
        if self._frame_since is not None and now - self._frame_since > limits.frame_timeout:
            return f"a request was begun and not finished within {limits.frame_timeout:g} s"
        if self.asked != self._seen:
            self._seen, self._seen_at = self.asked, now
        elif 0 < limits.idle_timeout < now - self._seen_at:
            return f"no request for {limits.idle_timeout:g} s"
        return ""

    def silent_for(self, now: float) -> float:
        """Seconds without a request, as far as the sweeps have seen."""
        return 0.0 if self.asked != self._seen else now - self._seen_at

    def turn_out(self, code: Code, reason: str) -> None:
        """Close at once and report why: once for each peer and kind of offence."""
        kind = "" if code is Code.FRAMING else reason
        self._server.tell(code, (self.peer, kind), lambda: f"{self} was disconnected: {reason}")
        self.close(flush=code is Code.FRAMING)

    def close(self, *, flush: bool = False) -> None:
        """Close; answers already given are sent if `flush`, else dropped when the peer has not taken them."""
        if self._transport is None:
            return
        if flush or not self._transport.get_write_buffer_size():
            self._transport.close()
        else:
            self._transport.abort()


# A peer whose cable was pulled is found within 10 s: a silent one by keep-alive, one owed an answer by the user
# time-out (RFC 5482; tcp(7)).
_PEER_OPTIONS = (
    ("SOL_SOCKET", "SO_KEEPALIVE", 1),
    ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 5),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 2),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 3),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 9000),
)


def _watch_peer(sock: socket.socket | None) -> None:
    if sock is None:
        return
    for level, option, value in _PEER_OPTIONS:
        if hasattr(socket, option):  # the last ones are Linux's
            with contextlib.suppress(OSError):  # the peer may be gone already
                sock.setsockopt(getattr(socket, level), getattr(socket, option), value)
