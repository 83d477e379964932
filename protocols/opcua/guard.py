"""The door of the OPC UA server: who may connect, how much may come in before it is known who sends it, and how long.

asyncua 2.1 buffers whatever length a header claims, waits 30 s for silent peers, and has no bound for one address.
Source: OPC UA Part 6 §6.7.2 (MessageChunk), §7.1.2 (message structure), §7.1.5 (error handling).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.server.binary_server_asyncio import OPCUAProtocol
from asyncua.server.internal_server import InternalServer
from asyncua.ua.ua_binary import header_from_binary

from protocols.faults import Code
from protocols.opcua.compat.processor import Processor, error_message

if TYPE_CHECKING:
    from protocols.opcua.listener import Listener

HEADER = 8
LARGEST_HELLO = 8_192
LARGEST_OPEN = 16_384
"""Bytes of the first chunks, as long as nobody knows who sends them; a chain of certificates has 8 KiB."""
WAITING, RESUME = 32, 8
"""Chunks that wait to be served; beyond it the connection is not read."""
UNREAD_HIGH, UNREAD_MOST = 1 << 20, 16 << 20
"""Bytes of answers that the peer did not read: then it is not served; then its connection ends."""
SOON, LATER = 1.0, 5.0
"""Seconds after which a peer that opens no channel, or no session, gives way to others."""
_FIRST = {b"HEL": LARGEST_HELLO, b"OPN": LARGEST_OPEN}
_KINDS = frozenset((b"HEL", b"OPN", b"MSG", b"CLO"))
_CHUNKS = b"FCA"


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    hello: float = 5.0
    session: float = 30.0
    frame: float = 10.0


class Framing(Exception):  # noqa: N818 - it is an answer, with the status that the peer is told
    """What comes in is no OPC UA: the status for the peer, and why."""


def frame_size(head: bytes, largest: int) -> int:
    """Bytes of the chunk whose first eight are `head`; raises Framing(status, why) for what cannot be one. Pure."""
    kind, chunk, size = head[:3], head[3:4], int.from_bytes(head[4:8], "little")
    if kind not in _KINDS:
        raise Framing("BadTcpMessageTypeInvalid", f"sends {head[:4]!r}, which is no OPC UA")
    if chunk not in _CHUNKS or (kind != b"MSG" and chunk != b"F"):
        raise Framing("BadTcpMessageTypeInvalid", f"sends {head[:4]!r}, which is no chunk")
    if size > min(largest, _FIRST.get(kind, largest)):
        raise Framing("BadTcpMessageTooLarge", f"announces a chunk of {size} bytes")
    if size < HEADER + (4 if kind != b"HEL" else 0):
        raise Framing("BadTcpMessageTypeInvalid", f"announces a chunk of {size} bytes")
    return size


class Connection(OPCUAProtocol):
    """One client's connection, framed strictly and bounded in every direction."""

    def __init__(
        self, listener: Listener, server: InternalServer, policies: list[Any], limits: TransportLimits, peer: str
    ) -> None:
        super().__init__(server, policies, listener.clients, listener.closing, limits)
        self.peer = peer
        self._listener = listener
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self._in = bytearray()
        self._largest = limits.max_recv_buffer
        self.messages = asyncio.Queue()  # bounded by not reading
        self._writable = asyncio.Event()
        self._writable.set()
        self._reading = True
        self.born = self._heard = self._alone = self._clock()
        self._since: float | None = None
        self._stuck: float | None = None
        self.opened = False

    # ── asyncio's calls ──────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.opened = True
        made: Any = transport  # uvloop's is no subclass of asyncio's
        made.set_write_buffer_limits(UNREAD_HIGH)

    def connection_lost(self, ex: BaseException | None) -> None:
        self._listener.forget(self)
        super().connection_lost(ex)

    def pause_writing(self) -> None:
        """The peer does not read: it is not served until it does."""
        self._writable.clear()
        self._stuck = self._clock()

    def resume_writing(self) -> None:
        """It has read."""
        self._writable.set()
        self._stuck = None
        self._since = self._clock() if self._in else None

    def data_received(self, data: bytes) -> None:
        """Queue whole chunks; the first that cannot be one ends the connection."""
        if self.transport is None or self._closing():
            return
        self._in += data
        self._heard = self._clock()
        try:
            while len(self._in) >= HEADER:
                size = frame_size(bytes(self._in[:HEADER]), self._largest)
                if len(self._in) < size:
                    break
                frame = Buffer(bytes(self._in[:size]))
                del self._in[:size]
                self.messages.put_nowait((header_from_binary(frame), frame))
                self._since = None
        except Framing as wrong:
            status, why = wrong.args
            self.turn_out(Code.FRAMING, status, why)
            return
        if self._in and self._since is None:
            self._since = self._heard
        elif not self._in:
            self._since = None
        self._throttle()

    # ── asyncua's calls ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _process_received_message_loop(self) -> None:
        while True:
            header, body = await self.messages.get()
            await self._writable.wait()
            await self._listener.turn()
            began = self._clock()
            if header is None or not await self._process_one_msg(header, body):
                break
            self._listener.spent(self._clock() - began)
            self._throttle()
            await asyncio.sleep(0)  # a client with a full queue leaves the others their turn

    # ── the listener's calls ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def certificates(self) -> bytes:
        """What the client sent when it opened its channel; empty without security."""
        served = self._served
        return served.channel.chain if served is not None and served.channel.secure else b""

    def idle(self, now: float) -> bool:
        """Whether it has asked nothing yet, or leaves its session waiting: then it gives way when all is taken."""
        served = self._served
        if served is None or not served.channel.greeted:
            return True
        if not served.channel.is_open():
            return now - self._heard > SOON
        return not self._in_session() and now - self._heard > LATER

    def overdue(self, now: float, patience: Patience) -> str:
        """Why it has to end, "" if it need not."""
        served = self._served
        if self._in_session():
            self._alone = now
        if (self._stuck is not None and now - self._stuck > patience.frame) or self._unread() > UNREAD_MOST:
            return "does not read its answers"
        if self._closing():  # it has logged out, or was turned out: only what it does not fetch can keep it
            return "does not read its answers" if now - self._heard > patience.frame else ""
        read = self._reading and self._stuck is None
        if read and self._since is not None and now - self._since > patience.frame:
            return f"did not end a message within {patience.frame:g} s"
        if served is None or not served.channel.greeted:
            return f"did not say hello within {patience.hello:g} s" if now - self.born > patience.hello else ""
        if not served.channel.is_open():
            late = now - self.born > 2 * patience.hello
            return f"did not open a channel within {2 * patience.hello:g} s" if late else ""
        return f"had no session for {patience.session:g} s" if now - self._alone > patience.session else ""

    def turn_out(self, code: Code, status: str, why: str) -> None:
        """Say why, and end it."""
        self._listener.tell(code, self.peer, why)
        transport = self.transport
        if transport is None:
            return
        self._in.clear()
        if not transport.is_closing():
            transport.write(error_message(status))
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def _served(self) -> Processor | None:
        return self.processor if isinstance(self.processor, Processor) else None

    def _in_session(self) -> bool:
        served = self._served
        return served is not None and served.session is not None and served.session.is_activated()

    def _closing(self) -> bool:
        return self.transport is not None and self.transport.is_closing()

    def _unread(self) -> int:
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def _throttle(self) -> None:
        """Read on only as fast as it is served."""
        waiting, transport = self.messages.qsize(), self.transport
        if transport is None or transport.is_closing():
            return
        if self._reading and waiting > WAITING:
            transport.pause_reading()
            self._reading = False
        elif not self._reading and waiting < RESUME:
            transport.resume_reading()
            self._reading = True
            self._since = self._clock() if self._in else None
