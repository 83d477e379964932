"""A hardened OPC UA server with users of every role, and clients to try it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicy, SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

from protocols.opcua import compat
from protocols.opcua.compat import Caller, Role
from protocols.opcua.compat.names import named
from protocols.opcua.passwords import hashed
from protocols.opcua.server import STATIONS, HardenedServer
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.opcua.users import AT_ONCE
from tests.opcua_papers import URI, Paper, Papers

NODES = 2
PASSWORDS = {"anna": "viewer-pass", "otto": "operator-pass", "emil": "engineer-pass"}
ROLES = {"anna": "viewer", "otto": "operator", "emil": "engineer"}
_HASHES: dict[str, str] = {}


def users() -> list[dict[str, Any]]:
    """Three users with passwords; hashed once."""
    for name, password in PASSWORDS.items():
        _HASHES.setdefault(name, hashed(password))
    return [{"name": name, "role": ROLES[name], "password_hash": _HASHES[name]} for name in PASSWORDS]


async def until(met: Callable[[], bool], seconds: float = 15) -> None:
    """Neither asyncua nor a socket tells when it is done."""
    async with asyncio.timeout(seconds):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Rig:
    """The server, its nodes, and what it told."""

    def __init__(self, folder: Path, papers: Papers, clock: Callable[[], float] | None = None, **config: Any) -> None:
        self.papers = papers
        self.folder = folder
        self.events: list[tuple[int, str]] = []
        config = {"host": "127.0.0.1", "port": 0, "users": users(), **config}
        self.config = OpcUaServerConfig.model_validate(config)
        more: dict[str, Any] = {"clock": clock} if clock else {}
        self.hardened = HardenedServer(self.config, (STATIONS,), data=folder, on_event=self._event, **more)
        self.calls: list[Caller | None] = []
        self.written: list[Any] = []

    def _event(self, code: int, text: str) -> None:
        self.events.append((int(code), text))

    def told(self, code: int, part: str = "") -> list[str]:
        """What was told with this code and these words."""
        return [text for found, text in self.events if found == code and part in text]

    def forget(self) -> None:
        """As if a while had passed: everything is told again, and wrong passwords are forgotten."""
        self.hardened.tell._began = self.hardened.tell._clock() - 100
        self.hardened.tell._told.clear()
        self.hardened.users.attempts.succeeded("127.0.0.1")
        self.events.clear()

    @property
    def trust(self) -> Path:
        return self.config.trust or self.folder / "trust"

    async def fill(self) -> None:
        await self.hardened.prepare()
        server = self.hardened.server
        press = await server.nodes.objects.add_object(named("press", NODES), "press")
        self.trigger = await press.add_variable(named("press.Trigger", NODES), "Trigger", 0, ua.VariantType.UInt16)
        self.gain = await press.add_variable(named("press.Gain", NODES), "Gain", 1.0)
        self.result = await press.add_variable(named("press.Result", NODES), "Result", 0, ua.VariantType.UInt16)
        self.big = await press.add_variable(named("press.Big", NODES), "Big", bytes(200_000))
        self.start = await press.add_method(named("press.Start", NODES), "Start", lambda *_: None, [], [])
        self.press = press
        compat.bind_write(server, self.trigger, self._write, role=Role.OPERATOR)
        compat.bind_write(server, self.gain, self._write, role=Role.ENGINEER)
        compat.bind_method(server, self.start, self._start, role=Role.OPERATOR)

    def _write(self, _: Caller, value: ua.DataValue) -> ua.StatusCode:
        self.written.append(value.Value.Value if value.Value else None)
        return ua.StatusCode()

    def _start(self) -> ua.StatusCode:
        self.calls.append(compat.caller())
        return ua.StatusCode()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Rig]:
        await self.fill()
        self.papers.client.save(self.trust / "trusted", "client")
        try:
            await self.hardened.start()
            await self._threads()
            yield self
        finally:
            await self.hardened.stop()

    async def _threads(self) -> None:
        """Those that check passwords are there from the beginning: they are no leak of the test that comes first."""
        loop, pool = asyncio.get_running_loop(), self.hardened.users._pool
        await asyncio.gather(*[loop.run_in_executor(pool, time.sleep, 0.05) for _ in range(AT_ONCE)])

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.hardened.port}"

    async def plain(self, user: str = "") -> Client:
        """A client without security, not connected yet."""
        client = Client(self.url, timeout=20)
        client.application_uri = URI
        if user:
            client.set_user(user)
            client.set_password(PASSWORDS.get(user, ""))
        return client

    async def client(
        self,
        user: str = "anna",
        password: str | None = None,
        *,
        paper: Paper | None = None,
        policy: type[SecurityPolicy] = SecurityPolicyBasic256Sha256,
        mode: ua.MessageSecurityMode = ua.MessageSecurityMode.SignAndEncrypt,
    ) -> Client:
        """A client with security, not connected yet."""
        found = paper or self.papers.client
        client = Client(self.url, timeout=20)
        client.application_uri = URI
        server = CertProperties(self.hardened.security.own.path.read_bytes(), "pem")
        own, key = CertProperties(found.der, "der"), CertProperties(found.secret, "pem")
        await client.set_security(policy, own, key, server_certificate=server, mode=mode)
        if user:
            client.set_user(user)
            client.set_password(PASSWORDS.get(user, "") if password is None else password)
        return client

    async def gone(self) -> None:
        """Wait until the server has let go of every connection."""
        await until(lambda: not self.hardened.listener.door.members and not self.hardened.listener.clients)

    @asynccontextmanager
    async def session(self, user: str = "anna", **wish: Any) -> AsyncIterator[Client]:
        """A client that is logged in; leaves when the server has let go of it."""
        client = await self.client(user, **wish)
        async with client:
            yield client
        await self.gone()

    async def refused(self, client: Client) -> str:
        """The name of the status with which this client is turned away; fails if it is let in."""
        try:
            await client.connect()
        except ua.UaStatusCodeError as error:
            return ua.StatusCode(ua.UInt32(error.code)).name
        except (ConnectionError, TimeoutError, ua.UaError) as error:
            return type(error).__name__
        else:
            await client.disconnect()
            raise AssertionError("was let in")
        finally:
            await self.gone()
