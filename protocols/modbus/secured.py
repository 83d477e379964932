"""TLS on the listener's side: who is in the handshake, and the channel of those that were let in.

asyncio's own TLS tells nobody which peer it refused and why, and drops the fatal alert that the peer is owed (R-10), so
the handshake is carried here, on ssl.MemoryBIO. What is inside the channel is a Modbus TCP connection like any other.
Source: MODBUS/TCP Security Protocol Specification V36 §8.2 (R-06 to R-11), RFC 8446 §6.1 (closure alerts).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from typing_extensions import override

from protocols.faults import Code
from protocols.modbus.admission import plain
from protocols.modbus.rights import Security

RECORD = 16384
"""Bytes in one TLS record at most (RFC 8446 §5.1), which is all that one read gives."""


class Tell(Protocol):
    """Report once for each code and key."""

    def __call__(self, code: Code, key: tuple[object, ...], text: Callable[[], str]) -> None: ...


Inside = Callable[[str], asyncio.Protocol | None]
"""Makes the connection of a peer whose handshake has ended; given its address, None when there is no room for it."""


class Handshakes:
    """Peers in their handshake: at most `places`, each for a limited time; the oldest gives way to the next.

    They hold no connection of the listener yet, so that strangers displace nobody who has shown a certificate.
    """

    def __init__(self, security: Security, inside: Inside, places: int, tell: Tell) -> None:
        self.security = security
        self.inside = inside
        self.waiting: dict[Channel, None] = {}
        self.refused = 0
        """Handshakes that failed, were given up or gave way."""
        self._places = places
        self._tell = tell

    def __call__(self) -> Channel:
        """The protocol of the next connection, as `create_server` wants it."""
        return Channel(self)

    def enter(self, channel: Channel) -> None:
        """A new peer; when all places are taken the one that waits longest loses its own."""
        if len(self.waiting) >= self._places:
            oldest = next(iter(self.waiting))
            text = f"{self._places} others were in their TLS handshake at once"
            self.refuse(oldest, Code.CLIENT_LIMIT, text)
            oldest.abort()
        self.waiting[channel] = None

    def leave(self, channel: Channel) -> None:
        """Its handshake is over, well or not."""
        self.waiting.pop(channel, None)

    def refuse(self, channel: Channel, code: Code, why: str) -> None:
        """Report a refused peer: once for each peer and reason."""
        self.leave(channel)
        self.refused += 1
        self.tell(channel, code, f"was refused: {why}")

    def tell(self, channel: Channel, code: Code, what: str) -> None:
        """Report what a peer did: once for each peer and kind."""
        peer = channel.peer
        self._tell(code, (peer, what), lambda: f"master {peer} {what}")

    def close(self) -> None:
        """Turn away whoever waits."""
        for channel in tuple(self.waiting):
            channel.abort()


class Channel(asyncio.Transport, asyncio.Protocol):
    """One peer: a protocol to the socket and, once the handshake has ended, a transport to the connection inside."""

    def __init__(self, handshakes: Handshakes) -> None:
        super().__init__()
        self.peer = "?"
        self._handshakes = handshakes
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = handshakes.security.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw: asyncio.Transport | None = None
        self._inside: asyncio.Protocol | None = None
        self._deadline: asyncio.Handle | None = None
        self._closing = False

    @property
    def open(self) -> bool:
        """Whether it has been made and not yet lost."""
        return self._raw is not None

    # ── towards the socket ───────────────────────────────────────────────────────────────────────────────────────────

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.peer = plain(str(address[0])) if address else "?"
        self._handshakes.enter(self)
        self._deadline = asyncio.get_running_loop().call_later(self._handshakes.security.handshake_timeout, self._late)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._raw is not None and self._inside is None and not self._closing:
            self._handshakes.refuse(self, Code.PEER_REFUSED, "it left during the TLS handshake")
        self._closing, self._raw = True, None
        self._stop_clock()
        self._handshakes.leave(self)
        if self._inside is not None:
            self._inside.connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._incoming.write(data)
        if self._inside is not None or self._shake():
            self._read()

    @override
    def pause_writing(self) -> None:
        if self._inside is not None:
            self._inside.pause_writing()

    @override
    def resume_writing(self) -> None:
        if self._inside is not None:
            self._inside.resume_writing()

    def _shake(self) -> bool:
        """One step of the handshake; whether a connection stands."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._flush()  # the alert
            self._refuse(*self._handshakes.security.explain(error))
            return False
        self._flush()
        self._stop_clock()
        self._handshakes.leave(self)
        self._inside = self._handshakes.inside(self.peer)
        if self._inside is None:
            self.close()
            return False
        self._inside.connection_made(self)
        return True

    def _read(self) -> None:
        """Hand on all that has come. The last read of each turn would only raise, so it is spared where it can be."""
        chunks: list[bytes] = []
        ended = False
        try:
            while not ended and (self._incoming.pending or self._tls.pending()):
                chunk = self._tls.read(RECORD)
                ended = not chunk
                chunks.append(chunk)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:  # nothing more can be answered, so nothing of this turn takes effect
            self._broken(error)
            return
        if self._outgoing.pending:
            self._flush()
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if data and self._inside is not None and not self._closing:
            self._inside.data_received(data)
        if ended:
            self.close()

    def _broken(self, error: ssl.SSLError) -> None:
        """An alert of the peer, such as one that refuses our certificate, or a record that is none."""
        code, why = self._handshakes.security.explain(error)
        self._handshakes.tell(self, code, f"lost its TLS connection: {why}")
        self._flush()  # our own alert
        self._hang_up()

    def _late(self) -> None:
        self._deadline = None
        limit = self._handshakes.security.handshake_timeout
        self._refuse(Code.CLIENT_LIMIT, f"its TLS handshake was not finished within {limit:g} s")

    def _refuse(self, code: Code, why: str) -> None:
        self._handshakes.refuse(self, code, why)
        self._stop_clock()
        self._hang_up()

    def _hang_up(self) -> None:
        self._closing = True
        if self._raw is not None:
            self._raw.close()

    def _flush(self) -> None:
        if self._raw is not None and self._outgoing.pending and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # ── towards the connection ───────────────────────────────────────────────────────────────────────────────────────

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; lost when the channel is closing, as on any transport."""
        if self._closing:
            return
        rest = memoryview(data)
        try:
            while rest:  # it may take less than all
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError:
            self.abort()
        self._flush()

    @override
    def close(self) -> None:
        """Say good-bye and close behind what was written; nobody waits for the peer's good-bye (RFC 8446 §6.1)."""
        if self._closing:
            return
        with contextlib.suppress(ssl.SSLError):  # it wants the peer's
            self._tls.unwrap()
        self._flush()
        self._hang_up()

    @override
    def abort(self) -> None:
        self._closing = True
        if self._raw is not None:
            self._raw.abort()

    @override
    def is_closing(self) -> bool:
        return self._closing or self._raw is None or self._raw.is_closing()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    @override
    def pause_reading(self) -> None:
        if self._raw is not None:
            self._raw.pause_reading()

    @override
    def resume_reading(self) -> None:
        if self._raw is not None:
            self._raw.resume_reading()

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    @override
    def get_write_buffer_size(self) -> int:
        return 0 if self._raw is None else self._raw.get_write_buffer_size()
