"""Our OPC UA server in this process, in front of a vision station of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User

from protocols.opcua import compat
from protocols.opcua.compat import LoggedIn, Role
from protocols.opcua.plain import PlainFace
from protocols.opcua.plain_map import node_id
from protocols.station_view import RecipeFacts, Seat, StationFacts
from tests.contract.test_links import running
from tests.contract.vision import Vision

STATION = "press-1"
FACTS = StationFacts(
    STATION,
    (
        RecipeFacts(
            1, "bracket", digest=b"\x01" * 32, values=("width", "score"), checks=("hole",), codes=((7, "gap"),)
        ),
        RecipeFacts(2, "lid", digest=b"\x02" * 32, values=("width",)),
    ),
    boot_id=7,
    config_crc=99,
)
ROLES = {"anna": Role.VIEWER, "otto": Role.OPERATOR, "emil": Role.ENGINEER}


def login(user: str) -> dict[str, str]:
    """What a client says to come in as this user."""
    return {"user": user, "password": f"{user} knows it"}


def plain(path: str) -> str:
    """A node of the plain face."""
    return node_id(STATION, path)


@dataclass
class Stand:
    """What a test sees of it."""

    url: str
    vision: Vision
    events: list[tuple[int, str]]


class _Users:
    def get_user(self, _: Any, username: str | None = None, **__: Any) -> User | None:
        return LoggedIn(name=username, may=ROLES[username]) if username in ROLES else None


@asynccontextmanager
async def stand() -> AsyncIterator[Stand]:
    """The server with all faces of one station; until the end of the block."""
    compat.install()
    server = Server(user_manager=_Users())  # type: ignore[arg-type]
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace("urn:vision-plc-gateway:stations")
    events: list[tuple[int, str]] = []
    face = PlainFace(server, FACTS, drives=Seat.VARIABLES, on_event=lambda code, text: events.append((code, text)))
    await face.build()
    vision = Vision(face)
    face.driven(Seat.VARIABLES)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        await stack.enter_async_context(running(vision.run()))
        assert server.bserver is not None
        yield Stand(f"opc.tcp://127.0.0.1:{server.bserver.port}", vision, events)
        await asyncio.sleep(0)
