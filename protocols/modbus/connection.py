"""One master's connection to the Modbus TCP server."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol, cast

from typing_extensions import override

from protocols.faults import Code
from protocols.modbus.admission import Access
from protocols.modbus.held import HeldAnswer
from protocols.modbus.mbap import Framer, FramingError
from protocols.modbus.pdu import ExceptionCode, Units
from protocols.modbus.requests import framed
from protocols.modbus.rights import EVERYTHING, Rights, Security

BURST = 64
"""Requests of one connection served in a row before the others have their turn: about 0.2 ms."""
GIVES_WAY = 10.0
"""Seconds without a request after which a connection gives way to a new one when all are taken."""
HELD_BYTES = 4096
"""Requests behind a held answer: beyond that the connection is not read until it is given."""


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
    silent: bool = False
    """Requests to an unknown unit get no answer instead of exception 0B."""
    access: Access = field(default_factory=Access)


@dataclass(slots=True)
class ServerCounters:
    """Totals since start, for metrics."""

    accepted: int = 0
    requests: int = 0
    exceptions: int = 0
    framing_errors: int = 0
    refused: int = 0
    """Connections turned away, or dropped for a newer one at the limit."""
    busy: int = 0
    """Writes refused because another address holds the command block."""
    held: int = 0
    """Answers held until the outcome of their trigger."""
    timed_out: int = 0
    overflowed: int = 0


class Listener(Protocol):
    """What a connection sees of the server it belongs to."""

    limits: ServerLimits
    counters: ServerCounters
    units: Units
    security: Security | None

    def forget(self, connection: Connection) -> None:
        """This connection has ended."""

    def tell(self, code: Code, key: tuple[object, ...], text: Callable[[], str]) -> None:
        """Report once for each code and key."""


class Connection(asyncio.Protocol):
    """One master's connection."""

    def __init__(self, server: Listener, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        self.asked = 0
        """Chunks of requests answered."""
        self.peer = peer
        self._server = server
        self._loop = loop
        self.rights = EVERYTHING
        self._memo = server.units.memo
        self._answer = server.units.answer
        self._counters = server.counters
        self._framer = Framer()
        self._frame_since: float | None = None
        """When the bytes now held began to wait; None while none are held, infinite behind a held answer."""
        self._seen = 0
        self._seen_at = loop.time()
        self._transport: asyncio.Transport | None = None
        self._unwanted = False
        """Closed before it was made."""
        self._next: asyncio.Handle | None = None
        self._held: HeldAnswer | None = None
        self._held_head = b""
        """Of the request whose answer is held: the header up to the unit."""
        self._bound: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether it has been made and not yet lost."""
        return self._transport is not None

    @override
    def __str__(self) -> str:
        return f"master {self.peer}"

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._unwanted:
            cast(asyncio.Transport, transport).abort()
            return
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._server.limits.unread_bytes)
        _watch_peer(transport.get_extra_info("socket"))
        if (security := self._server.security) is not None:
            self._restrict(security.rights(self._transport))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._next is not None:
            self._next.cancel()
        if self._held is not None:
            self._held.drop()
            self._release()
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
        if self._waits():
            self._keep(data, transport)
            return
        answers: list[bytes] = []
        broken = ""
        answer, frames = self._answer, self._framer.feed(data)
        try:
            for frame in islice(frames, BURST):
                answers.append(answer(frame, self))
                if not answers[-1] and self._waits():
                    self._held_head = frame[:7]
                    break
        except FramingError as error:
            broken = str(error)
        frames.close()
        if answers:
            self.asked += 1
            self._counters.requests += len(answers)
            transport.write(b"".join(answers))
        if broken:
            self._broken(broken)
        elif not self._waits() and not transport.is_closing():
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

    def hold(self, held: HeldAnswer, seconds: float) -> None:
        """Give this answer when it is due, or after so long; requests behind it wait."""
        self._counters.held += 1
        self._held = held
        self._frame_since = math.inf
        self._bound = self._loop.call_later(seconds, held.release)
        held.wait(self._give)

    def _waits(self) -> bool:
        return self._held is not None

    def _keep(self, data: bytes, transport: asyncio.Transport) -> None:
        self._framer.keep(data)
        if self._framer.pending > HELD_BYTES:
            transport.pause_reading()

    def _give(self, answer: bytes) -> None:
        """The held answer, then what waited behind it."""
        self._release()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self.asked += 1
        self._frame_since = self._loop.time()
        transport.write(self._held_head[:2] + framed(self._held_head[6], answer))
        self._next = self._loop.call_soon(self._go_on)

    def _release(self) -> None:
        self._held = None
        if self._bound is not None:
            self._bound.cancel()

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
        if self._held is not None:
            return ""
        if self._frame_since is not None and now - self._frame_since > limits.frame_timeout:
            return f"a request was begun and not finished within {limits.frame_timeout:g} s"
        if self.asked != self._seen:
            self._seen, self._seen_at = self.asked, now
        elif 0 < limits.idle_timeout < now - self._seen_at:
            return f"no request for {limits.idle_timeout:g} s"
        return ""

    @property
    def held(self) -> bool:
        """Whether an answer to it is held back."""
        return self._held is not None

    @property
    def now(self) -> float:
        """Monotonic seconds of the loop it lives on."""
        return self._loop.time()

    def silent_for(self, now: float) -> float:
        """Seconds without a request, as far as the sweeps have seen."""
        return 0.0 if self.asked != self._seen or self._held is not None else now - self._seen_at

    def idle(self, now: float) -> bool:
        """Whether it has asked nothing yet, or nothing for a while."""
        return not self.asked or self.silent_for(now) > GIVES_WAY

    def turn_out(self, code: Code, reason: str) -> None:
        """Close at once and report why: once for each peer and kind of offence."""
        kind = "" if code is Code.FRAMING else reason
        self._server.tell(code, (self.peer, kind), lambda: f"{self} was disconnected: {reason}")
        self.close(flush=code is Code.FRAMING)

    def close(self, *, flush: bool = False) -> None:
        """Close; answers already given are sent if `flush`, else dropped when the peer has not taken them."""
        if self._transport is None:
            self._unwanted = True
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
