"""What the OPC UA benchmarks need: papers, our server in a process of its own, node-opcua's client and server."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import native, rig
from tests.interop import node_opcua
from tests.interop.node_opcua import Certificates
from tests.interop.node_peer import Node, NodeError, node

HERE = Path(__file__).parent
CLIENT, PEER = HERE / "opcua_client.js", HERE / "opcua_peer.js"
USER, WORD = "bench", "of no account"
SYSTEM = "ns=2;s=cell1.MachineVision"
"""The vision system of a gateway's first station."""


def check() -> None:
    """MissingError without node-opcua."""
    if missing := node_opcua.missing():
        raise native.MissingError(missing)


def papers(place: Path) -> Certificates:
    """Certificates of server, client and peer, each trusted by the others."""
    made = Certificates(place)
    made.make("server", "client", "peer")
    trusted = place / "trust" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "client.pem").write_bytes(made.path("client").read_bytes())
    return made


def server_keys(made: Certificates, port: int, **changes: Any) -> dict[str, Any]:
    """Below `opcua:`: one operator, room for many clients, only what is encrypted."""
    from protocols.opcua.passwords import hashed

    return {
        "port": port,
        "names": ["127.0.0.1"],
        "application_uri": made.uri("server"),
        "certificate": str(made.path("server")),
        "key": str(made.key("server")),
        "trust": str(made.folder / "trust"),
        "users": [{"name": USER, "role": "operator", "password_hash": hashed(WORD)}],
        "limits": {"sessions": 200, "sessions_per_address": 200, "subscriptions_per_session": 20},
        **changes,
    }


def client_keys(made: Certificates, url: str, pki: str = "pki-client") -> dict[str, Any]:
    """How node-opcua's client comes in: Basic256Sha256, signed and encrypted, by password.

    Each process needs a folder `pki` of its own.
    """
    files = {"certificate": made.path("client"), "key": made.key("client"), "applicationUri": made.uri("client")}
    secure = {"policy": "Basic256Sha256", "mode": "SignAndEncrypt", "user": USER, "password": WORD}
    return {"url": url, "pki": made.folder / pki, **files, **secure}


@asynccontextmanager
async def client(made: Certificates, url: str, *, nice: int = 0, pki: str = "pki-client") -> AsyncIterator[Node]:
    """node-opcua's client with a session `main`, as soon as the server lets it in."""
    async with node(CLIENT, made.folder, nice=nice) as peer:
        async with asyncio.timeout(rig.PATIENCE):
            while True:
                try:
                    await peer.do("connect", **{"as": "main"}, **client_keys(made, url, pki))
                    break
                except NodeError:  # it does not listen yet
                    await asyncio.sleep(0.2)
        yield peer


@asynccontextmanager
async def node_server(made: Certificates) -> AsyncIterator[tuple[Node, str]]:
    """node-opcua's server with the same way in, and its URL."""
    async with node(PEER, made.folder) as peer:
        files = {"certificate": made.path("peer"), "key": made.key("peer"), "applicationUri": made.uri("peer")}
        found = await peer.do(
            "start", port=rig.free_port(), pki=made.folder / "pki-peer", policies=["Basic256Sha256"],
            users={USER: WORD}, trusted=[made.path("client")], nodesets=["machineVision"], **files,
        )  # fmt: skip
        yield peer, found["url"]


@dataclass(frozen=True)
class OurServer:
    """Our hardened server alone, in a process of its own."""

    url: str
    ids: list[str]
    """Variables that change while they are told to."""
    _lines: asyncio.StreamWriter

    async def change(self, on: bool) -> None:
        """From now on, or no longer."""
        self._lines.write(b"go\n" if on else b"rest\n")
        await self._lines.drain()


@asynccontextmanager
async def our_server(made: Certificates, stations: int, period: float) -> AsyncIterator[OurServer]:
    """With the plain face of so many stations, each with a new result every `period` seconds."""
    keys = server_keys(made, rig.free_port())
    arguments = json.dumps({"keys": keys, "stations": stations, "period": period, "data": str(made.folder / "data")})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.opcua_served", arguments, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=rig.ROOT, env=rig.environment(),
        limit=2**20,
    )  # fmt: skip
    try:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("no pipes")
        async with asyncio.timeout(rig.PATIENCE):
            told = json.loads(await process.stdout.readline())
        yield OurServer(told["url"], told["ids"], process.stdin)
    finally:
        process.kill()
        await process.wait()
