"""The plain face behind a bare OPC UA server, and a PLC that reads and writes its variables as asyncua's client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence, Sized
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncua import Client, Server, ua
from asyncua.crypto.permission_rules import User

from protocols.opcua import compat
from protocols.opcua.compat import LoggedIn, Role
from protocols.opcua.compat.names import named
from protocols.opcua.plain import PlainFace
from protocols.opcua.plain_command import command_values
from protocols.opcua.plain_map import NAMESPACE, PlainNode, nodes_of
from protocols.signals import VALUES, Command, Outputs, Result, Status
from protocols.station_view import RecipeFacts, Seat, StationFacts

STATION = "press-1"
FACTS = StationFacts(
    STATION,
    (
        RecipeFacts(1, "caps", values=("width", "x.pos"), checks=("scratch", "burr"), codes=((7, "burred"),)),
        RecipeFacts(2, "lids", values=("height",), checks=("dent",)),
    ),
    boot_id=7,
)
ROLES = {"viewer": Role.VIEWER, "plc": Role.OPERATOR, "plc2": Role.OPERATOR, "engineer": Role.ENGINEER}
NODES = {node.path: node for node in nodes_of(FACTS)}
PARAMETERS_LAST = ("Command.CONTROL", "Command.TRIGGER_SEQ", "Command.COMMAND_SEQ", "Command.RESULT_ACK_SEQ")
"""What makes the station act: written after all that it acts upon."""


class Users:
    """Everybody who is known needs no password; who says no name reads."""

    def get_user(self, _: Any, username: str | None = None, **__: Any) -> User | None:
        if username is None:
            return LoggedIn(name="", may=Role.VIEWER)
        return LoggedIn(name=username, may=ROLES[username]) if username in ROLES else None


@dataclass(frozen=True)
class Served:
    """A face, where it is, and the connections of its server."""

    face: PlainFace
    url: str
    connections: Sized

    @asynccontextmanager
    async def plc(self, user: str = "plc", *, apart: bool = False) -> AsyncIterator[OpcuaPlc]:
        """A PLC that is connected; it has left when the server has let go of it."""
        before = len(self.connections)
        plc = OpcuaPlc(self.url, user=user, apart=apart)
        await plc.come_back()
        try:
            yield plc
        finally:
            await plc.leave()
            async with asyncio.timeout(20):
                while len(self.connections) > before or self.face.holder.user == user:  # noqa: ASYNC110 - behind a wire
                    await asyncio.sleep(0.005)


@asynccontextmanager
async def served(
    facts: StationFacts = FACTS,
    *,
    drives: Seat = Seat.LINK,
    on_event: Callable[[int, str], None] | None = None,
    certificate: tuple[Path, Path] | None = None,
) -> AsyncIterator[Served]:
    """A face in a server on a free port of this computer; with a certificate and key it is secure."""
    compat.install()
    server = Server(user_manager=Users())  # type: ignore[arg-type]
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    if certificate is not None:
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.load_certificate(certificate[0])
        await server.load_private_key(certificate[1], format="pem")
    face = PlainFace(server, facts, drives=drives, on_event=on_event or (lambda code, text: None))
    await face.build()
    await server.start()
    assert server.bserver is not None
    try:
        yield Served(face, f"opc.tcp://127.0.0.1:{server.bserver.port}", server.bserver.clients)
    finally:
        await server.stop()


def node(path: str, station: str = STATION) -> ua.NodeId:
    return named(f"{station}.{path}", NAMESPACE)


def variant(plain: PlainNode, value: Any) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, ua.VariantType(int(plain.type))))


class OpcuaPlc:
    """A PLC that drives the plain face; `apart`: what it acts upon and what makes it act go in two requests."""

    def __init__(self, url: str, *, user: str = "plc", apart: bool = False) -> None:
        self.url, self.user, self.apart = url, user, apart
        self.client = self._new()

    def _new(self) -> Client:
        client = Client(self.url, timeout=20)
        client.set_user(self.user)
        return client

    async def write(self, command: Command) -> None:
        assert await self.offer(command)

    async def offer(self, command: Command) -> bool:
        """Write it; False when any of it was refused."""
        writes = [(path, value) for path, value in command_values(command) if path.count(".") == 1]
        first = [write for write in writes if write[0] not in PARAMETERS_LAST]
        last = [write for write in writes if write[0] in PARAMETERS_LAST]
        parts = (first, last) if self.apart else (first + last,)
        answers = [status for part in parts for status in await self.put(part)]
        return all(status.is_good() for status in answers)

    async def put(self, writes: Sequence[tuple[str, Any]]) -> list[ua.StatusCode]:
        """Write these variables (path, value) in one request."""
        return await self.put_values([(path, variant(NODES[path], value)) for path, value in writes])

    async def put_values(self, writes: Sequence[tuple[str, ua.DataValue]]) -> list[ua.StatusCode]:
        nodes = [self.client.get_node(node(path)) for path, _ in writes]
        found: list[ua.StatusCode] = await self.client.write_values(
            nodes, [value for _, value in writes], raise_on_partial_error=False
        )
        return found

    async def get(self, *paths: str) -> list[ua.DataValue]:
        """Read these variables in one request."""
        reads = [self.client.get_node(node(path)).nodeid for path in paths]
        found: list[ua.DataValue] = await self.client.uaclient.read_attributes(reads, ua.AttributeIds.Value)
        return found

    async def read(self) -> Outputs:
        """All outputs of one moment; what has no value counts as none."""
        paths = [path for path in NODES if path.startswith(("Status.", "Result.")) and path.count(".") == 1]
        return outputs_of(dict(zip(paths, await self.get(*paths), strict=True)))

    async def leave(self) -> None:
        await self.client.disconnect()

    async def come_back(self) -> None:
        self.client = self._new()
        await self.client.connect()


_STATUS = {"bits": "STATUS"}
_RESULT = {"bits": "RESULT_BITS"}


def outputs_of(shown: dict[str, ua.DataValue]) -> Outputs:
    """The records of the contract from what was read."""
    plain = {path: value.Value.Value for path, value in shown.items() if value.Value and value.Value.Value is not None}
    status = {name: plain.get(f"Status.{_STATUS.get(name, name.upper())}", 0) for name in Status.__slots__}
    result = {
        name: plain.get(f"Result.{_RESULT.get(name, name.upper())}", 0) for name in Result.__slots__ if name != "values"
    }
    values = tuple(plain.get(f"Result.VALUE_{number}", math.nan) for number in range(VALUES))
    assert plain.get("Result.RESULT_SEQ") == plain.get("Result.RESULT_SEQ_COPY")
    return Outputs(Status(**status), Result(**result, values=values))
