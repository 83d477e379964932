"""One connection after the other to one OPC UA server that is not ours, each with a fresh asyncua client.

asyncua's own reconnecting is not used: a subscription can come out of it empty and still be called connected. What is
needed of the address space is made anew from the configuration after every connection.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from asyncua import Client, ua
from asyncua.client.ua_client import UASocketProtocol
from asyncua.ua.uaerrors import UaError
from typing_extensions import override

from protocols.faults import Code
from protocols.opcua import decoding, login
from protocols.opcua.connection import Connection, abort
from protocols.opcua.failures import SLOW, ConnectionFailedError, guarded
from protocols.opcua.login import Identity
from protocols.opcua.peer_settings import OpcUaPeer
from protocols.settings import OnEvent

T = TypeVar("T")

LARGEST = 4 << 20
"""Bytes of one answer at most; a thousand tags have a hundredth of it."""
CHUNK = 1 << 16
"""Bytes of one chunk at most, as we say in our Hello (OPC 10000-6 §7.1.2.3)."""
APPLICATION = "urn:vision-plc-gateway"
"""What we call ourselves without a certificate."""
_OPAQUE = (ua.NodeIdType.ByteString, ua.NodeIdType.Guid, ua.NodeIdType.String)


class Dialer:
    """Opens connections to one server, one at a time; knows what the last one has left behind there."""

    def __init__(self, peer: OpcUaPeer, on_event: OnEvent) -> None:
        decoding.install()
        self.name = f"OPC UA server {peer.place}"
        self.peer = peer
        self._on_event = on_event
        self._left: _Leftover | None = None
        self._warned = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A new connection, closed at the end; raises ConnectionFailedError, or LinkError for files of ours."""
        self._warn()
        identity = await self._identify()
        client = self._client()
        opened = Connection(self.name, self.peer, client)
        try:
            await self._open(client, identity, opened)
            self._left = None
            await opened.begin()
            yield opened
        finally:
            left = _Leftover.of(client, time.monotonic() + self.peer.session_timeout_s)
            if not await opened.close() and left is not None:
                self._left = left

    def _warn(self) -> None:
        if self.peer.security == "none" and not self._warned:
            self._warned = True
            self._on_event(
                Code.PEER_REFUSED,
                f"{self.name}: security none is set, so anybody on the network can read and change it",
            )

    def _client(self) -> Client:
        client = Client(self.peer.url, timeout=self.peer.connect_timeout_s)
        client.name = client.description = "vision-plc-gateway"
        client.application_uri = APPLICATION
        client.session_timeout = int(self.peer.session_timeout_s * 1000)
        uaclient = client.uaclient

        def bounded() -> UASocketProtocol:
            uaclient.protocol = _Bounded(self.peer.connect_timeout_s, security_policy=uaclient.security_policy)
            uaclient.protocol.on_connection_lost = uaclient._on_transport_lost
            uaclient.protocol.is_session_closing = uaclient._is_session_closing
            return uaclient.protocol

        uaclient._make_protocol = bounded  # type: ignore[method-assign]
        return client

    async def _identify(self) -> Identity | None:
        """Ask in clear what the server offers, and accept one endpoint of it, or none; None without security."""
        if self.peer.security == "none":
            return None
        client = self._client()
        try:
            await self._reach(client)
            endpoints = await self._step(client.get_endpoints(), "the list of its endpoints")
            with contextlib.suppress(OSError, UaError):
                await client.close_secure_channel()
        finally:
            abort(client)
        try:
            return login.choose(endpoints, self.peer)
        except login.RefusedError as error:
            raise ConnectionFailedError(f"{self.name} {error}", error.fault, SLOW) from error

    async def _reach(self, client: Client) -> None:
        """Up to an open channel; the first two steps need nothing but a network and get half a request's time each."""
        quick = self.peer.timeout_ms / 2000
        await self._step(client.connect_socket(), "a connection", quick)
        await self._step(client.send_hello(), "its greeting", quick)
        if isinstance(client.uaclient.protocol, _Bounded):
            client.uaclient.protocol.limit()
        await self._step(client.open_secure_channel(), "a secure channel")

    async def _open(self, client: Client, identity: Identity | None, opened: Connection) -> None:
        if identity is not None:
            login.protect(client, identity)
        await self._reach(client)
        if self._left is not None:
            await self._give_back(client, self._left)
        await self._step(client.create_session(), "a session")
        try:
            login.prepare(client, self.peer)
        except login.RefusedError as error:
            raise ConnectionFailedError(f"{self.name} {error}", error.fault, SLOW) from error
        await self._step(login.activate(client), "a login")
        client.uaclient.observer = opened.watcher

    async def _give_back(self, client: Client, left: _Leftover) -> None:
        """End the session of a connection that was cut: it would hold one of the server's few places for a while."""
        if time.monotonic() > left.until:
            self._left = None
            return
        session = client.uaclient.session
        try:
            left.adopt(client)
            await self._step(login.activate(client), "the former session")
            await self._step(client.uaclient.close_session(True), "the former session's end")
        except ConnectionFailedError as error:
            if not error.status:
                raise
        self._left = None
        session.reset_authentication_token()

    async def _step(self, work: Awaitable[T], what: str, seconds: float | None = None) -> T:
        return await guarded(work, self.name, what, seconds or self.peer.connect_timeout_s)


class _Bounded(UASocketProtocol):
    """asyncua's client end of a connection, with a bound on what a server may make us hold."""

    def limit(self) -> None:
        """Behind the greeting, in which the server has set its own limits."""
        limits = self._connection._limits
        limits.max_message_size = min(limits.max_message_size or LARGEST, LARGEST)
        limits.max_chunk_count = min(limits.max_chunk_count or LARGEST // 1024, LARGEST // 1024)

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.receive_buffer is not None and len(self.receive_buffer) > CHUNK and self.transport is not None:
            self.transport.abort()


@dataclass(frozen=True, slots=True)
class _Leftover:
    """A session that may still live on the server, and until when."""

    token: ua.NodeId
    nonce: bytes | None
    policies: list[ua.UserTokenPolicy]
    until: float

    @classmethod
    def of(cls, client: Client, until: float) -> _Leftover | None:
        """That of this client, unless its token is a number: those can be another's after the server's restart."""
        session = client.uaclient.session
        if not session.has_session or session.authentication_token.NodeIdType not in _OPAQUE:
            return None
        return cls(session.authentication_token, client._server_nonce, client._policy_ids, until)

    def adopt(self, client: Client) -> None:
        """Let this client speak for the session."""
        client.uaclient.session.restore_authentication_token(self.token)
        client._server_nonce = self.nonce  # type: ignore[assignment] # asyncua declares None only
        client._policy_ids = self.policies
