"""Our OPC UA server in this process, hardened and with all its faces, in front of two played stations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from protocols.opcua.compat import Role
from protocols.opcua.machine_vision import MachineVisionFace
from protocols.opcua.model.install import install
from protocols.opcua.passwords import hashed
from protocols.opcua.plain import PlainFace
from protocols.opcua.plain_map import NAMESPACE_URI, node_id
from protocols.opcua.server import HardenedServer
from protocols.opcua.server_settings import OpcUaServerConfig, OpcUaUser
from protocols.station_view import RecipeFacts, Seat, StationFacts
from tests import vision_station
from tests.contract.machine_vision_rig import SETTINGS, Joint
from tests.contract.test_links import running
from tests.contract.vision import Vision
from tests.interop import node_opcua
from tests.interop.node_opcua import Certificates, Clients
from tests.interop.node_peer import node

STATION = "cell-1"
FACTS = StationFacts(  # of the station that shows its plain face; the vision system is that of tests.vision_station
    STATION,
    (
        RecipeFacts(1, "bracket", digest=b"\x01" * 32, values=("width",), checks=("hole",), codes=((7, "gap"),)),
        RecipeFacts(2, "lid", digest=b"\x02" * 32, values=("width",)),
    ),
    boot_id=7,
    config_crc=99,
)
ROLES = {"anna": Role.VIEWER, "otto": Role.OPERATOR, "emil": Role.ENGINEER}
"""Users with a password."""
MACHINE_VISION = "http://opcfoundation.org/UA/MachineVision"
CARD = "karla"
"""An operator who shows a certificate instead."""
VISION = "press-1.MachineVision"
"""String id of the vision system."""
SECURE = {"policy": "Basic256Sha256", "mode": "SignAndEncrypt"}


def login(user: str) -> dict[str, str]:
    """What a client says to come in as this user, over an encrypted channel."""
    return {**SECURE, "user": user, "password": f"{user} knows it"}


def plain(path: str) -> str:
    """A node of the plain face."""
    return node_id(STATION, path)


@dataclass
class Stand:
    """What a test sees of it."""

    clients: Clients
    vision: Vision
    """Behind the plain face."""
    joint: Joint
    """Behind the face of OPC 40100-1."""
    folder: Path
    events: list[tuple[int, str]] = field(default_factory=list)
    """What people were told: code and text."""


@asynccontextmanager
async def stand(folder: Path) -> AsyncIterator[Stand]:
    """The server, and node-opcua's client with a certificate that it trusts; until the end of the block."""
    certificates = Certificates(folder)
    certificates.make("server", "client", "stranger", CARD)
    trusted = folder / "trust" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "client.pem").write_bytes(certificates.path("client").read_bytes())
    events: list[tuple[int, str]] = []
    async with AsyncExitStack() as stack:
        await node_opcua.warm()
        program = await stack.enter_async_context(node("node_opcua_client.js", folder))
        server = HardenedServer(
            config(certificates),
            (NAMESPACE_URI, MACHINE_VISION),
            data=folder / "data",
            on_event=lambda code, text: events.append((code, text)),
        )
        await server.prepare()
        face = PlainFace(server.server, FACTS, drives=Seat.VARIABLES, on_event=lambda code, text: None)
        await face.build()
        vision = Vision(face)
        face.driven(Seat.VARIABLES)
        model = await install(server.server)
        system = MachineVisionFace(server.server, model, vision_station.FACTS, settings=SETTINGS)
        await system.build()
        joint = Joint(system)
        await server.start()
        stack.push_async_callback(server.stop)
        for work in (vision.run(), system.run(), joint.run()):
            await stack.enter_async_context(running(work))
        clients = Clients(program, certificates, server.url)
        await wake(clients)
        yield Stand(clients, vision, joint, folder, events)


def config(certificates: Certificates) -> OpcUaServerConfig:
    """As an integrator would write it."""
    return OpcUaServerConfig(
        port=0,
        names=("127.0.0.1",),
        application_uri=certificates.uri("server"),
        certificate=certificates.path("server"),
        key=certificates.key("server"),
        trust=certificates.folder / "trust",
        users=tuple(users(certificates)),
    )


def users(certificates: Certificates) -> Iterator[OpcUaUser]:
    """All who may log in."""
    for name, role in ROLES.items():
        yield OpcUaUser(name=name, role=role.name.lower(), password_hash=hashed(login(name)["password"]))  # type: ignore[arg-type]
    yield OpcUaUser(name=CARD, role="operator", certificate=certificates.path(CARD))


async def wake(clients: Clients) -> None:
    """Two logins at once, so that the threads that check passwords are there before any test."""

    async def once(name: str) -> None:
        async with clients.session(name, **login("anna")):
            pass

    await asyncio.gather(once("first"), once("second"))
