"""An OPC UA server that behaves as a S7-1500's: quoted ids, exact types, slow publishing, few sessions that live on.

On asyncua, with what real PLCs do put into it (sessions that outlive a lost client until their time-out, tokens nobody
can guess, intervals revised upward, nothing consistent across two values). Faults are switched on while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from asyncua import Node, Server, ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.uaprocessor import UaProcessor
from typing_extensions import override

from simulators import standard_space
from simulators.opcua_block import DB, MEMBERS

SIEMENS = "http://www.siemens.com/simatic-s7-opcua"
DEVICES = "http://opcfoundation.org/UA/DI/"
APPLICATION = "urn:SIMATIC.S7-1500.OPC-UA.Application:PLC_1"
DOWNLOADED = "urn:library-that-came-with-a-download"
"""The namespace that pushes the PLC's own to another index."""

Between = Callable[[], Awaitable[None]]

for _name in ("asyncua.server", "asyncua.common", "asyncua.crypto", "asyncua.uaprotocol"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Manners:
    """What the server grants and takes its time for; seconds."""

    sessions: int = 10
    publishing: float = 0.1
    """Least interval of publishing and sampling; what is asked for below is revised upward."""
    session_timeout: float = 30.0
    """Most that a session lives without its client."""
    user: str = ""
    password: str = ""
    """The only login; without a user anybody may come in."""
    certificate: Path | None = None
    key: Path | None = None
    policies: tuple[str, ...] = ("NoSecurity",)
    """Of asyncua's SecurityPolicyType."""


@dataclass(slots=True)
class Counts:
    """What a test wants to know."""

    sessions: int = 0
    """Created since the start."""
    closed: int = 0
    """Ended by their client."""
    refused: int = 0
    """Not created, as there were too many."""
    reads: int = 0
    writes: int = 0
    written: list[list[str]] = field(default_factory=list)
    """Node ids of the last write requests, request by request."""


class S7Server:
    """The server of one PLC with one data block. `start` and `stop` may follow each other; values do not survive."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        self.counts = Counts()
        self.host, self.port = host, port
        self.between: Between | None = None
        """Called between any two values that a request reads or writes."""
        self.moved = False
        """Whether the PLC's namespace has another index than usual."""
        self.types: dict[str, int] = {}
        """Member → another built-in type than it should have."""
        self.lengths: dict[str, int] = {}
        """Member → another length; 0 = no array."""
        self.restarting = False
        self.wrote_at = -1e9
        """When a client last wrote anything, by the monotonic clock."""
        self._server: Server | None = None
        self._nodes: dict[str, ua.NodeId] = {}

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"opc.tcp://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        return self._server is not None

    @property
    def sessions(self) -> int:
        """Sessions that live now, with or without their client."""
        return len(self._inside()._external_sessions)

    async def start(self) -> None:
        """Listen; OSError when the address cannot be had."""
        manners = self.manners
        inside = _Inside(self)
        server = Server(iserver=inside)
        await server.init()
        await server.set_application_uri(APPLICATION)
        server.set_server_name("SIMATIC.S7-1500.OPC-UA.Application:PLC_1")
        server.set_endpoint(f"opc.tcp://{self.host}:{self.port}")
        server.socket_address = (self.host, self.port)
        server.set_security_policy([getattr(ua.SecurityPolicyType, name) for name in manners.policies])
        if manners.certificate is not None and manners.key is not None:
            await server.load_certificate(manners.certificate, format="pem")
            await server.load_private_key(manners.key, format="pem")
        inside.max_session_timeout_ms = manners.session_timeout * 1000
        await self._build(server)
        try:
            await server.start()
        except OSError:
            await inside.isession.close_session()
            raise
        self._server = server
        if server.bserver is not None:
            self.port = server.bserver.port

    async def stop(self) -> None:
        """Break every connection, forget every session and value."""
        server, self._server = self._server, None
        if server is None:
            return
        for transport in list(server.iserver.asyncio_transports):
            transport.abort()
        for session in list(server.iserver._external_sessions.values()):
            await session.close_session(True)
        if server.iserver.time_task is not None:
            server.iserver.time_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await server.iserver.time_task
            server.iserver.time_task = None
        await server.stop()

    async def restart(self, *, move: bool = False) -> None:
        """As after a download; `move` gives the PLC's namespace another index."""
        self.restarting = True
        try:
            await self.stop()
            self.moved = self.moved != move
            await self.start()
        finally:
            self.restarting = False

    def cut(self) -> None:
        """Break every connection without a word; the sessions live on."""
        for transport in list(self._inside().asyncio_transports):
            transport.abort()

    def get(self, name: str) -> Any:
        """A value of the data block, by its name in MEMBERS."""
        found = self._inside().read_attribute_value(self._nodes[name])
        return found.Value.Value if found.Value is not None else None

    def image(self) -> dict[str, Any]:
        """All values, one after the other."""
        return {name: self.get(name) for name in MEMBERS}

    async def set(self, values: Mapping[str, Any]) -> None:
        """The PLC's program writes these, in this order."""
        for name, value in values.items():
            kind = ua.VariantType(self.types.get(name, MEMBERS[name].type))
            stamped = ua.DataValue(ua.Variant(value, kind))
            await self._inside().write_attribute_value(self._nodes[name], stamped)
            if self.between is not None:
                await asyncio.sleep(0)

    async def mark(self, name: str, status: int) -> None:
        """Give a value another status than Good; 0 makes it Good again."""
        value: Any = MEMBERS[name].zero
        if ua.StatusCode(ua.UInt32(status)).is_good():
            await self.set({name: value})
            return
        kind = ua.VariantType(MEMBERS[name].type)
        bad = ua.DataValue(ua.Variant(value, kind), StatusCode=ua.StatusCode(ua.UInt32(status)))
        await self._inside().write_attribute_value(self._nodes[name], bad)

    async def protect(self, name: str) -> None:
        """Take the right to write this value from all clients."""
        node = Node(self._inside().isession, self._nodes[name])
        await node.set_read_only()

    def _inside(self) -> InternalServer:
        if self._server is None:
            raise RuntimeError("the server does not run")
        return self._server.iserver

    def _zero(self, name: str) -> Any:
        """The value that a member has after a restart, with the type and length that it has now."""
        member = MEMBERS[name]
        changed = replace(member, type=self.types.get(name, member.type), length=self.lengths.get(name, member.length))
        return changed.zero

    async def _build(self, server: Server) -> None:
        await server.register_namespace(DEVICES)
        if self.moved:
            await server.register_namespace(DOWNLOADED)
        index = await server.register_namespace(SIEMENS)
        plc = await server.nodes.objects.add_object(_text_id("PLC", index), f"{index}:PLC_1")
        blocks = await plc.add_object(_text_id("DataBlocksGlobal", index), f"{index}:DataBlocksGlobal")
        block = await blocks.add_object(_text_id(f'"{DB}"', index), f"{index}:{DB}")
        structs = {
            name: await block.add_object(_text_id(f'"{DB}"."{name}"', index), f"{index}:{name}")
            for name in ("Cmd", "Sts", "Res")
        }
        for name, member in MEMBERS.items():
            kind = ua.VariantType(self.types.get(name, member.type))
            node = await structs[member.struct].add_variable(
                _text_id(member.node, index), f"{index}:{member.path}", ua.Variant(self._zero(name), kind)
            )
            if self.lengths.get(name, member.length):
                await node.write_value_rank(ua.ValueRank.OneDimension)
                await node.write_array_dimensions([member.length])  # type: ignore[arg-type] # asyncua declares one number
            await node.set_writable()
            self._nodes[name] = node.nodeid


def _text_id(text: str, index: int) -> ua.NodeId:
    return ua.NodeId(ua.String(text), ua.Int16(index))


class _Login:
    """asyncua's question who somebody is."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners

    def get_user(
        self, iserver: InternalServer, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        """The user, or None."""
        manners = self._manners
        if manners.user and (username, password) != (manners.user, manners.password):
            return None
        return User(role=UserRole.User, name=username or "anybody")


class _Inside(InternalServer):
    """asyncua's server with a PLC's manners."""

    def __init__(self, plc: S7Server) -> None:
        super().__init__(user_manager=_Login(plc.manners))  # type: ignore[arg-type]
        self.plc = plc
        subscriptions, create = self.subscription_service, self.subscription_service.create_subscription

        async def revised(params: ua.CreateSubscriptionParameters, *args: Any, **kwargs: Any) -> Any:
            least = plc.manners.publishing * 1000
            params.RequestedPublishingInterval = max(params.RequestedPublishingInterval, least)
            return await create(params, *args, **kwargs)

        subscriptions.create_subscription = revised  # type: ignore[method-assign]

    @override
    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        await standard_space.load(self, super().load_standard_address_space)

    @override
    def create_session(self, name: str, user: User | None = None, external: bool = False) -> InternalSession:
        plc = self.plc
        if external and len(self._external_sessions) >= plc.manners.sessions:
            plc.counts.refused += 1
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        session = _Session(self, self.aspace, self.subscription_service, name, user or User(), external=external)
        if external:
            plc.counts.sessions += 1
            self.unregister_external_session(session)
            session.auth_token = ua.NodeId(os.urandom(16), 0)  # type: ignore[arg-type]
            self.register_external_session(session)
        return session


class _Session(InternalSession):
    """A client's session: its requests touch the PLC's memory value by value."""

    iserver: _Inside

    @override
    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        plc = self.iserver.plc
        plc.counts.reads += 1
        found = []
        for wanted in params.NodesToRead:
            found += self.iserver.attribute_service.read(ua.ReadParameters(NodesToRead=[wanted]))
            if plc.between is not None:
                await plc.between()
        return found

    @override
    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        plc = self.iserver.plc
        plc.counts.writes += 1
        plc.wrote_at = time.monotonic()
        plc.counts.written = [*plc.counts.written[-99:], [str(one.NodeId.Identifier) for one in params.NodesToWrite]]
        results: list[ua.StatusCode] = []
        for wanted in params.NodesToWrite:
            if (refusal := self._refusal(wanted)) is not None:
                results.append(ua.StatusCode(ua.UInt32(refusal)))
                continue
            one = ua.WriteParameters(NodesToWrite=[wanted])
            results += await self.iserver.attribute_service.write(one, user=self.user)
            if plc.between is not None:
                await plc.between()
        return results

    @override
    async def close_session(self, delete_subs: bool = True) -> None:
        if self.external and self.is_activated():
            self.iserver.plc.counts.closed += 1
        await super().close_session(delete_subs)

    def _refusal(self, wanted: ua.WriteValue) -> int | None:
        """What a S7-1500 does not take: a timestamp, a status, an array of another length."""
        value = wanted.Value
        if value.SourceTimestamp is not None or value.ServerTimestamp is not None:
            return ua.StatusCodes.BadWriteNotSupported
        now = self.iserver.read_attribute_value(wanted.NodeId).Value
        held = now.Value if now is not None else None
        given = value.Value.Value if value.Value is not None else None
        if isinstance(held, list) != isinstance(given, list):
            return ua.StatusCodes.BadTypeMismatch
        if isinstance(held, list) and isinstance(given, list) and len(held) != len(given):
            return ua.StatusCodes.BadOutOfRange
        return None


_usual = UaProcessor._should_close_session_on_transport_loss


def _closes(processor: UaProcessor) -> bool:
    """A session here lives on without its client until its time-out, with subscriptions or without."""
    session = processor.session
    return not session.is_activated() if isinstance(session, _Session) else _usual(processor)


UaProcessor._should_close_session_on_transport_loss = _closes  # type: ignore[assignment,method-assign]
