"""node-opcua, a second OPC UA stack beside asyncua, as client sessions that a test leads.

The package is fetched once into the build folder, in this version; it brings the official nodesets along:
npm install --prefix build/node --omit=optional --no-audit --no-fund --no-package-lock node-opcua@2.182.2
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway import certs
from gateway.certs import Made, Wish
from tests.interop import node_peer
from tests.interop.node_peer import Node, NodeError, Told

VERSION = re.search(r"node-opcua@(\S+)", __doc__ or "")[1]  # type: ignore[index]
NODESETS = node_peer.PACKAGES / "node-opcua-nodesets" / "nodesets"
POLICIES = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")


def missing() -> str:
    """Why node-opcua cannot be used; empty when it can."""
    return node_peer.missing(node_opcua=VERSION)


async def warm() -> None:
    """Let the loop start the threads that it resolves names with: one that lives on is not left behind by a test."""
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.02) for _ in range(3)))


@dataclass(frozen=True)
class Certificates:
    """NAME.pem and NAME.key in a folder, each with the application URI urn:test:NAME, each signed by itself."""

    folder: Path

    def make(self, *names: str, signer: Made | None = None, days: float = 30) -> None:
        """RSA as OPC UA's policies want it, for this computer."""
        for name in names:
            wish = Wish(name, ["127.0.0.1", "localhost"], uris=[self.uri(name)], key="rsa", days=days)
            certs.save(certs.make(wish, signer), self.folder)

    def uri(self, name: str) -> str:
        return f"urn:test:{name}"

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"


@dataclass
class Session:
    """One session of node-opcua's client."""

    node: Node
    name: str
    namespaces: list[str]
    timeout: float

    async def do(self, command: str, **arguments: Any) -> Any:
        """A request of this session; see node_opcua_client.js."""
        return await self.node.do(command, **{"as": self.name}, **arguments)

    def index(self, uri: str) -> int:
        return self.namespaces.index(uri)

    async def read(self, *ids: str, attribute: str = "Value") -> list[Told]:
        """For each {status, type, array, value, source, server}."""
        found: list[Told] = await self.do("read", nodes=ids, attribute=attribute)
        return found

    async def value(self, id_: str) -> Any:
        """A value that must be Good."""
        (found,) = await self.read(id_)
        assert found["status"] == "Good", (id_, found)
        return found["value"]

    async def write(self, *values: tuple[str, str, Any]) -> list[str]:
        """Id, type and value of each, all in one request; the names of the statuses."""
        nodes = [{"id": id_, "type": kind, "value": value} for id_, kind, value in values]
        statuses: list[str] = await self.do("write", nodes=nodes)
        return statuses

    async def call(self, target: str, method: str, *inputs: tuple[str, Any] | Told) -> Told:
        """Type and value of each input, or its whole description; {status, inputs, outputs}."""
        given = [each if isinstance(each, dict) else {"type": each[0], "value": each[1]} for each in inputs]
        answer: Told = await self.do("call", object=target, method=method, inputs=given)
        return answer

    async def browse_all(self, root: str, limit: int = 20_000) -> dict[str, Told]:
        """Everything below by its id; the whole of it."""
        found = await self.do("browseAll", root=root, limit=limit)
        assert found["whole"], f"more than {limit} nodes"
        return {each["id"]: each for each in found["nodes"]}

    async def data(self, *ids: str, interval: float = 20, seconds: float = 15.0) -> Data:
        """A subscription to these variables, with its first values."""
        since = len(self.node.told)
        made = await self.do("subscribe", nodes=ids, interval=interval)
        assert [item["status"] for item in made["items"]] == ["Good"] * len(ids), made
        data = Data(self, made["subscription"], made["interval"], since)
        await data.until(lambda values: len(values) == len(ids), seconds)
        return data

    async def events(self, notifier: str, fields: Iterable[str], **options: Any) -> Events:
        """A subscription to the events of this object; `fields` as node_opcua_client.js writes them."""
        since = len(self.node.told)
        made = await self.do("events", node=notifier, fields=list(fields), interval=20, **options)
        assert made["status"] == "Good", made
        return Events(self, made["subscription"], since)


@dataclass
class Data:
    """What a subscription has told of its variables."""

    session: Session
    subscription: int
    interval: float
    at: int
    """Number of the next of the program's messages to look at."""
    now: dict[str, Told] = field(default_factory=dict)
    """The last notification of each."""

    async def until(self, true: Callable[[dict[str, Any]], bool], seconds: float = 15.0) -> dict[str, Any]:
        """Take notification after notification until the values by their ids are so."""
        async with asyncio.timeout(seconds):
            while not true(values := {id_: told["value"] for id_, told in self.now.items()}):
                told = await self.session.node.tells(lambda _: True, seconds, self.at)
                self.at += 1
                if (told["told"], told.get("subscription")) == ("data", self.subscription):
                    self.now[told["id"]] = told
        return values

    async def shows(self, wanted: dict[str, Any], seconds: float = 15.0) -> None:
        """The same until these variables have these values."""
        await self.until(lambda values: all(values[id_] == value for id_, value in wanted.items()), seconds)


@dataclass
class Events:
    """What a subscription has told of events: the fields by their names, values alone."""

    session: Session
    subscription: int
    since: int

    def all(self) -> list[dict[str, Any]]:
        return [_fields(each) for each in self.session.node.told[self.since :] if self._mine(each)]

    async def seen(self, true: Callable[[dict[str, Any]], bool], seconds: float = 15.0) -> dict[str, Any]:
        """The first event that is so."""
        found = await self.session.node.tells(
            lambda each: self._mine(each) and true(_fields(each)), seconds, self.since
        )
        return _fields(found)

    def _mine(self, told: Told) -> bool:
        return (told["told"], told.get("subscription")) == ("event", self.subscription)


def _fields(told: Told) -> dict[str, Any]:
    return {name: field["value"] for name, field in told["fields"].items()}


@dataclass
class Clients:
    """node-opcua's client with a certificate of its own, towards one server."""

    node: Node
    certificates: Certificates
    url: str
    certificate: str = "client"

    @asynccontextmanager
    async def session(self, name: str = "main", /, **options: Any) -> AsyncIterator[Session]:
        """A session, closed at the end; NodeError with the server's status if it is refused.

        Options as `connect` of node_opcua_client.js has them: policy, mode, user, password, userCertificate, rude …
        """
        made = await self.node.do("connect", **{"as": name}, **self._settings(options))
        session = Session(self.node, name, made["namespaces"], made["timeout"])
        try:
            yield session
        finally:
            await session.do("disconnect")

    async def refused(self, **options: Any) -> str:
        """The status with which the server refuses a session; a session that opens is a failure."""
        try:
            async with self.session("refused", **options):
                pass
        except NodeError as error:
            return error.status or str(error)
        raise AssertionError(f"a session was opened with {options}")

    async def endpoints(self) -> list[Told]:
        found: list[Told] = await self.node.do("endpoints", **self._settings({}))
        return found

    def _settings(self, options: dict[str, Any]) -> dict[str, Any]:
        name = options.pop("certificate", self.certificate)
        files = {"certificate": self.certificates.path(name), "key": self.certificates.key(name)}
        here = {"url": self.url, "pki": self.certificates.folder / f"pki-{name}"}
        return {**here, **files, "applicationUri": self.certificates.uri(name), **options}
