"""One connection to an OPC UA server that is not ours: a session, its requests and its subscriptions.

It is used once: after any failure it is closed, and the next one begins with a fresh asyncua client (see `dialer`).
Everything that a caller asks for ends within its time-out, and `close` never hangs and leaves no task behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from asyncua import Client, ua

from protocols.link import PeerError
from protocols.opcua.failures import ConnectionFailedError, guarded
from protocols.opcua.nodes import ROOTS, Node, Path, Reference
from protocols.opcua.peer_settings import OpcUaPeer
from protocols.opcua.subscription import Item, OnNews, Subscription, Watcher

T = TypeVar("T")

CLOSING = 1.0
"""Seconds that a server gets to take leave; then the socket is aborted."""

_NAMESPACES = ua.ObjectIds.Server_NamespaceArray
_MAX_READ = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead
_MAX_WRITE = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerWrite
_MAX_PATHS = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds
_MAX_ITEMS = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
_LIMITS = (_MAX_READ, _MAX_WRITE, _MAX_PATHS, _MAX_ITEMS)
_MOST_REFERENCES = 10_000


class Connection:
    """A session on one connection; every call ends within its time-out, by an answer or ConnectionFailedError."""

    def __init__(self, name: str, peer: OpcUaPeer, client: Client) -> None:
        self.name = name
        self.namespaces: list[str] = []
        self.watcher = Watcher()
        self._client, self._peer = client, peer
        self._timeout = peer.timeout_ms / 1000
        self._answered = time.monotonic()
        self._renewing: asyncio.Task[None] | None = None
        self._limits: dict[int, int] = {}
        self._subscriptions: list[Subscription] = []

    @property
    def age(self) -> float:
        """Seconds since the server last answered a request or sent a notification."""
        return time.monotonic() - max(self._answered, *(one.heard for one in self._subscriptions), 0.0)

    async def begin(self) -> None:
        """Learn the namespaces and limits of this server, as they are now."""
        wanted = [standard(number) for number in (_NAMESPACES, *_LIMITS)]
        session = self._client.uaclient.session
        array, *limits = await self._ask(session.read_attributes(wanted, ua.AttributeIds.Value), "its namespaces")
        found = array.Value.Value if array.Value is not None else None
        if not isinstance(found, list) or not all(isinstance(uri, str) for uri in found):
            raise ConnectionFailedError(f"{self.name} tells no namespaces (i=2255); is it an OPC UA server?")
        self.namespaces = list(found)
        for number, limit in zip(_LIMITS, limits, strict=True):
            value = limit.Value.Value if limit.Value is not None else None
            if isinstance(value, int) and value > 0:
                self._limits[number] = value
        self._renewing = asyncio.create_task(self._renew(), name=f"{self.name}: renewal of the channel")

    async def locate(self, references: Sequence[Reference]) -> list[ua.NodeId]:
        """Where these nodes are on this connection; raises NamespaceMissingError, PeerError for a path to nowhere."""
        placed = [reference.at(self.namespaces) for reference in references]
        placed = [Node(0, ROOTS[one.root]) if isinstance(one, Path) and not one.steps else one for one in placed]
        found = iter(await self._walk([one for one in placed if isinstance(one, Path)]))
        return [next(found) if isinstance(one, Path) else node_id(one) for one in placed]

    async def read(
        self, nodes: Sequence[ua.NodeId], attribute: ua.AttributeIds = ua.AttributeIds.Value
    ) -> list[ua.DataValue]:
        """One value for each node, in order, with its own status; in as few requests as the server allows."""
        found: list[ua.DataValue] = []
        for part in _parts(nodes, self._limits.get(_MAX_READ)):
            wanted = [ua.ReadValueId(NodeId=node, AttributeId=attribute) for node in part]
            asked = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Source, NodesToRead=wanted)
            answers = await self._ask(self._client.uaclient.session.read(asked), f"{len(part)} values")
            if len(answers) != len(part):
                raise ConnectionFailedError(f"{self.name} sent {len(answers)} values where {len(part)} were asked for")
            found += answers
        return found

    async def write(self, values: Sequence[tuple[ua.NodeId, ua.Variant]]) -> list[ua.StatusCode]:
        """One status for each; without timestamps, which PLCs do not take. As few requests as the server allows."""
        found: list[ua.StatusCode] = []
        for part in _parts(values, self._limits.get(_MAX_WRITE)):
            # An explicit status or time makes many servers refuse (Bad_WriteNotSupported, OPC 10000-4 §5.11.4).
            written = [ua.DataValue(value, StatusCode=None) for _, value in part]
            asked = self._client.uaclient.session.write_attributes([node for node, _ in part], written)
            answers = await self._ask(asked, f"the write of {len(part)} values")
            if len(answers) != len(part):
                raise ConnectionFailedError(f"{self.name} confirms {len(answers)} of {len(part)} values written")
            found += answers
        return found

    async def subscribe(
        self,
        items: Sequence[Item],
        period: float,
        *,
        queue: int = 1000,
        age: float = 1.0,
        on_news: OnNews | None = None,
    ) -> Subscription:
        """News of these items each `period` seconds or as fast as the server can, into a queue or to `on_news`.

        The server's clock is watched beside them: after `age` seconds (or three revised periods, if they are longer)
        without any notification `Subscription.news` and `Subscription.watch` raise ConnectionFailedError.
        """
        made = Subscription(self.name, self._client, self.watcher, queue, on_news)
        asked = made.create(items, period, age, self._limits.get(_MAX_ITEMS))
        await self._ask(asked, "a subscription", self._peer.connect_timeout_s)
        self._subscriptions.append(made)
        return made

    async def browse(self, node: ua.NodeId) -> list[ua.ReferenceDescription]:
        """All that a node refers to in the hierarchy downwards."""
        wanted = ua.BrowseDescription(
            NodeId=node,
            BrowseDirection=ua.BrowseDirection.Forward,
            ReferenceTypeId=standard(ua.ObjectIds.HierarchicalReferences),
            IncludeSubtypes=True,
            NodeClassMask=ua.NodeClass.Unspecified,
            ResultMask=ua.BrowseResultMask.All,
        )
        session = self._client.uaclient.session
        asked = ua.BrowseParameters(RequestedMaxReferencesPerNode=1000, NodesToBrowse=[wanted])
        (result,) = await self._ask(session.browse(asked), "the references of a node")
        found = list(result.References or ())
        while result.ContinuationPoint and len(found) < _MOST_REFERENCES:
            more = ua.BrowseNextParameters(
                ReleaseContinuationPoints=False, ContinuationPoints=[result.ContinuationPoint]
            )
            (result,) = await self._ask(session.browse_next(more), "more references of a node")
            found += result.References or ()
        return found

    async def close(self) -> bool:
        """Take leave within CLOSING seconds, or abort; True when the server has confirmed that the session ended."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        uaclient = self._client.uaclient
        sound = uaclient.protocol is not None and not uaclient.protocol.is_closed
        try:
            # Asked for even where nobody is there: it is what ends asyncua's publishing.
            await guarded(uaclient.close_session(True), self.name, "leave", CLOSING)
            if sound:
                await guarded(uaclient.close_secure_channel(), self.name, "leave", CLOSING)
        except ConnectionFailedError:
            sound = False
        finally:
            abort(self._client)
            await asyncio.sleep(0)
        return sound

    async def _ask(self, work: Awaitable[T], what: str, seconds: float | None = None) -> T:
        answer = await guarded(work, self.name, what, seconds or self._timeout)
        self._answered = time.monotonic()
        return answer

    async def _walk(self, paths: Sequence[Path]) -> list[ua.NodeId]:
        found: list[ua.NodeId] = []
        for part in _parts(paths, self._limits.get(_MAX_PATHS)):
            asked = self._client.uaclient.session.translate_browsepaths_to_nodeids(
                [_browse_path(path) for path in part]
            )
            for path, result in zip(part, await self._ask(asked, "nodes by their paths"), strict=True):
                if not result.StatusCode.is_good() or not result.Targets:
                    raise PeerError(
                        f"{self.name} has no node {path} ({result.StatusCode.name}); compare each name with its browser"
                    )
                found.append(result.Targets[0].TargetId)
        return found

    async def _renew(self) -> None:
        """A new token after 75 % of its lifetime (OPC 10000-4 §5.5.2.1); a failure shows at the next request."""
        while True:
            await asyncio.sleep(self._client.secure_channel_timeout * 0.75 / 1000)
            with contextlib.suppress(ConnectionFailedError):
                await self._ask(
                    self._client.open_secure_channel(renew=True), "a new token", self._peer.connect_timeout_s
                )
                self._client.uaclient.revolve_security_token()


def standard(number: int) -> ua.NodeId:
    """A node of namespace 0 by its number."""
    return ua.NodeId(ua.Int32(number))


def node_id(node: Node) -> ua.NodeId:
    """As asyncua wants it; the namespace is an index by now."""
    return ua.NodeId(node.identifier, node.namespace)  # type: ignore[arg-type]


def _browse_path(path: Path) -> ua.BrowsePath:
    elements = [
        ua.RelativePathElement(
            ReferenceTypeId=standard(ua.ObjectIds.HierarchicalReferences),
            IsInverse=False,  # type: ignore[arg-type] # asyncua declares a class of its own, and True as default
            IncludeSubtypes=True,  # type: ignore[arg-type]
            TargetName=ua.QualifiedName(step.name, step.namespace),  # type: ignore[arg-type]
        )
        for step in path.steps
    ]
    return ua.BrowsePath(standard(ROOTS[path.root]), ua.RelativePath(elements))


def _parts(values: Sequence[T], most: int | None) -> list[Sequence[T]]:
    most = most or max(1, len(values))
    return [values[at : at + most] for at in range(0, len(values), most)]


def abort(client: Client) -> None:
    """Close its socket at once, with a reset if need be."""
    protocol = client.uaclient.protocol
    if protocol is not None and protocol.transport is not None:
        protocol.transport.abort()
