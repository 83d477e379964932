"""A TLS client in the test's hands: it decides which bytes go into which segment."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocols.faults import Code
from protocols.modbus.connection import ServerLimits
from protocols.modbus.security import ServerSecurity
from protocols.modbus.security_settings import ServerTls
from protocols.modbus.server import ModbusServer
from tests.contract.test_links import Recorder, running, until


class Peer:
    """One connection of a TLS client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self.reader, self.writer = reader, writer
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.context = context
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")

    def resume(self, session: ssl.SSLSession | None) -> None:
        self.tls = self.context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1", session=session)

    async def handshake(self, *requests: bytes) -> None:
        """Shake hands; what is given goes into the segment of our last handshake message."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                await self._more()
            except ssl.SSLError:
                self.flush()  # our alert
                raise
            else:
                break
        for request in requests:
            self.tls.write(request)
        self.flush()

    async def _more(self) -> None:
        async with asyncio.timeout(10):
            data = await self.reader.read(65536)
        if not data:
            self.incoming.write_eof()
        self.incoming.write(data)

    def flush(self) -> None:
        if self.outgoing.pending:
            self.writer.write(self.outgoing.read())

    def send(self, *requests: bytes) -> None:
        """Each in a record of its own, all in one segment."""
        for request in requests:
            self.tls.write(request)
        self.flush()

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes from inside; raises EOFError or ssl.SSLError when they do not come."""
        data = b""
        while len(data) < size:
            try:
                piece = self.tls.read(size - len(data))
            except ssl.SSLWantReadError:
                await self._more()
                continue
            if not piece:
                raise EOFError
            data += piece
        return data

    async def leave(self) -> None:
        """Say good-bye and wait for the server's: a session is kept for resuming only so."""
        while True:
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                self.flush()
                await self._more()
            else:
                return

    async def answer(self) -> tuple[int, bytes]:
        tid, _, length, _ = struct.unpack(">HHHB", await self.read(7))
        return tid, await self.read(length - 1)

    async def ask(self, frame: bytes) -> bytes:
        self.send(frame)
        return (await self.answer())[1]


class SecureCell:
    """A server with TLS and one station, and what it reported."""

    def __init__(self, settings: ServerTls, limits: ServerLimits | None = None) -> None:
        self.events: list[tuple[int, str]] = []
        self.security = ServerSecurity(settings, self._told, "modbus server x")
        self.server = ModbusServer("127.0.0.1", 0, limits=limits, on_event=self._told, security=self.security)
        self.link = self.server.unit(1)
        self.station = Recorder()
        self.link.attach(self.station)

    def _told(self, code: int, text: str) -> None:
        self.events.append((code, text))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SecureCell]:
        """Served; whatever the loop had to complain of fails the test."""
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
        async with running(self.server.run()), running(self.link.run()):
            await until(lambda: bool(self.station.told))
            yield self
        assert complaints == []

    @asynccontextmanager
    async def peer(self, context: ssl.SSLContext) -> AsyncIterator[Peer]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield Peer(reader, writer, context)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)

    @asynccontextmanager
    async def master(self, context: ssl.SSLContext) -> AsyncIterator[Peer]:
        async with self.peer(context) as peer:
            await peer.handshake()
            yield peer

    async def told(self, code: Code, *words: str) -> None:
        """Wait for an event with all these words."""
        await until(lambda: any(told == code and all(word in text for word in words) for told, text in self.events), 10)
