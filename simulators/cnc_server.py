"""The CNC on the network: an OPC UA server with the limits of a real control, and with its faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AttributeService
from asyncua.server.internal_server import InternalServer
from asyncua.server.subscription_service import SubscriptionService
from asyncua.server.user_managers import UserManager
from typing_extensions import override

from simulators import standard_space
from simulators.carriers import CarrierError
from simulators.cnc import Cnc
from simulators.cnc_nodes import OBJECTS, OWN, SINUMERIK, TYPES, UA, Id, Node, nodes

TICK = 0.02
"""Seconds between two looks at the machine."""
STEPS = (100, 250, 500, 1000, 2500, 5000)
"""Sampling and publishing intervals of the control, in milliseconds; what is asked for goes up to the next one."""
_NOBODY, _ADMIN = User(role=UserRole.Anonymous), User(role=UserRole.Admin)
FILLER = "urn:vision-plc-gateway:simulators:cnc:option"
"""Namespaces that a restart with other options puts before the others."""


@dataclass(slots=True)
class Faults:
    """What the control does wrong from now on; change it at any time."""

    bad: set[str] = field(default_factory=set)
    """Paths (or string ids) whose values are Bad; "*" means all."""
    refuse_writes: bool = False
    no_read_back: bool = False
    """Writes are answered Good and then forgotten."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the control allows at most."""

    sessions: int = 5
    subscriptions: int = 5
    """Of all sessions."""
    samples: float = 500.0
    """A second, of all items."""
    steps: tuple[int, ...] = STEPS


class CncServer:
    """The machine and its address space. `async with server.open():` keeps both running."""

    def __init__(
        self, machine: Cnc, host: str = "127.0.0.1", port: int = 0, *, channels: int = 1, limits: Limits | None = None
    ) -> None:
        self.machine = machine
        self.limits = limits or Limits()
        self.faults = Faults()
        self.frozen = False
        """Values stand still, though the server answers."""
        self.port = port
        self.writes: list[tuple[str, Any]] = []
        """What clients wrote and the machine took: path or string id, value."""
        self._host, self._channels = host, channels
        self._nodes = nodes(channels)
        self._shown: dict[ua.NodeId, Any] = {}
        self._ids: dict[ua.NodeId, Node] = {}
        self._server: Server | None = None
        self._fillers = 0

    @property
    def endpoint(self) -> str:
        """The URL to connect to."""
        return f"opc.tcp://{self._host}:{self.port}"

    @contextlib.asynccontextmanager
    async def open(self, tell: Callable[[str], None] = lambda text: None) -> AsyncIterator[Self]:
        """Serve, and let the machine run; CarrierError when the address cannot be had."""
        await self._start()
        running = asyncio.create_task(self._run(tell), name="machine tool")
        try:
            yield self
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            await self.stop()

    async def stop(self) -> None:
        """Be gone from the network; the machine goes on."""
        if self._server is not None:
            server, self._server = self._server, None
            # asyncua lets sessions whose clients were cut off live on, and what they subscribed to with them.
            sessions = list(server.iserver._external_sessions.values())
            await server.stop()
            for session in sessions:
                await session.close_session(True)

    async def restart(self, *, shift: bool = False) -> None:
        """Go and come again at the same port, on request with other namespace indices."""
        await self.stop()
        self._fillers += shift
        await self._start()

    @property
    def sessions(self) -> int:
        """Open ones of clients."""
        return 0 if self._server is None else len(self._server.iserver._external_sessions)

    def node_id(self, name: str) -> ua.NodeId:
        """Of a path or a string id."""
        return next(id_ for id_, node in self._ids.items() if name in (node.path, node.id))

    # ------------------------------------------------------------ the address space

    async def _start(self) -> None:
        inner = _Control(self)
        server = Server(iserver=inner)
        await server.init()
        server.set_endpoint(f"opc.tcp://{self._host}:{self.port}")
        server.set_server_name("Simulated CNC")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await server.set_application_uri("urn:vision-plc-gateway:simulators:cnc:server")
        for n in range(self._fillers):
            await server.register_namespace(f"{FILLER}:{n}")
        # Sinumerik's own namespace is the first after the application's, as on the control.
        uris = [SINUMERIK, OWN, *dict.fromkeys(kind.id[0] for kind in TYPES), *(node.uri for node in self._nodes)]
        index = {UA: 0}
        for uri in uris:
            if uri not in index:
                index[uri] = await server.register_namespace(uri)
        self._shown, self._ids = {}, {}
        _fill(server, index, self._nodes, self._ids)
        await self._show(server)
        try:
            await server.start()
        except OSError as error:
            text = f"{self._host}:{self.port} cannot listen; does another program have the port?"
            raise CarrierError(text) from error
        self._server = server
        listener: Any = server.bserver
        self.port = int(listener._server.sockets[0].getsockname()[1])

    async def _run(self, tell: Callable[[str], None]) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            self.machine.advance(now - before)
            before = now
            while self.machine.told:
                tell(self.machine.told.popleft())
            if self._server is not None and not self.frozen:
                await self._show(self._server)

    async def _show(self, server: Server) -> None:
        """Write what has changed since the last look."""
        now = _now()
        for id_, node in self._ids.items():
            if node.read is None:
                continue
            bad = "*" in self.faults.bad or node.path in self.faults.bad or node.id in self.faults.bad
            value = None if bad else node.read(self.machine)
            if id_ in self._shown and self._shown[id_] == value:
                continue
            self._shown[id_] = value
            if bad:
                status = _status(ua.StatusCodes.BadDeviceFailure)
                data = ua.DataValue(ua.Variant(None), status, now, now)
            else:
                data = ua.DataValue(_variant(node, value, server), ua.StatusCode(), now, now)
            await server.write_attribute_value(id_, data)

    # ------------------------------------------------------------ what clients do

    def write(self, id_: ua.NodeId, value: Any) -> int:
        """A client writes; the status code. What is taken is in the machine at once."""
        node = self._ids.get(id_)
        if node is None or node.write is None:
            return int(ua.StatusCodes.BadNotWritable)
        if self.faults.refuse_writes:
            return int(ua.StatusCodes.BadUserAccessDenied)
        if self.faults.no_read_back:
            return int(ua.StatusCodes.Good)
        where, key = node.write
        match where:
            case "r":
                self.machine.r[int(key)] = float(value)
            case "gud":
                self.machine.gud[str(key)] = float(value)
            case _:
                self.machine.quality = int(value)
        self.writes.append((node.id if isinstance(node.id, str) else node.path, value))
        self._shown[id_] = None if node.read is None else node.read(self.machine)
        return int(ua.StatusCodes.Good)


def _fill(server: Server, index: dict[str, int], rows: tuple[Node, ...], ids: dict[ua.NodeId, Node]) -> None:
    """Add the types and the nodes; `ids` takes the nodes."""
    service = server.iserver.node_mgt_service

    def at(id_: Id) -> ua.NodeId:
        return _node(id_[1], index[id_[0]])

    def add(item: ua.AddNodesItem) -> None:
        service.add_nodes([item])[0].StatusCode.check()

    for kind in TYPES:
        name = (index[kind.id[0]], kind.name)
        add(_item(at(kind.id), at(kind.base), ua.ObjectIds.HasSubtype, name, _CLASSES[kind.kind]))
    by_path: dict[str, ua.NodeId] = {"": at(OBJECTS)}
    for node in rows:
        if isinstance(node.id, tuple):
            id_ = at(node.id)
        else:
            id_ = _node(node.id or node.path, index[SINUMERIK if node.id else OWN])
        by_path[node.path] = id_
        ids[id_] = node
        add(_instance(node, id_, by_path, at, index))


def _item(
    id_: ua.NodeId, parent: ua.NodeId, reference: int, name: tuple[int, str], node_class: ua.NodeClass
) -> ua.AddNodesItem:
    attributes: Any = _ATTRIBUTES[node_class]()
    attributes.DisplayName = ua.LocalizedText(name[1])
    attributes.Description = ua.LocalizedText("")
    item = ua.AddNodesItem()
    item.RequestedNewNodeId, item.ParentNodeId = id_, parent
    item.ReferenceTypeId = _node(reference)
    item.BrowseName = ua.QualifiedName(name[1], name[0])
    item.NodeClass, item.NodeAttributes = node_class, attributes
    return item


def _instance(
    node: Node, id_: ua.NodeId, by_path: dict[str, ua.NodeId], at: Callable[[Id], ua.NodeId], index: dict[str, int]
) -> ua.AddNodesItem:
    parent = by_path["Machines" if node.path == "Machine" else node.parent]
    node_class = ua.NodeClass.Object if node.data is None else ua.NodeClass.Variable
    item = _item(id_, parent, _reference(node), (index[node.uri], node.name), node_class)
    item.TypeDefinition = at(node.type)
    if node.data is not None:
        level = 3 if node.write else 1
        attributes = item.NodeAttributes
        attributes.DataType = at(node.data)
        attributes.ValueRank = ua.ValueRank.OneDimension if node.array else ua.ValueRank.Scalar
        attributes.AccessLevel = attributes.UserAccessLevel = level
        attributes.Value = ua.Variant(None)
        attributes.MinimumSamplingInterval = 0.0
    return item


def _reference(node: Node) -> int:
    if node.path in ("Cnc", "Sinumerik", "Machines", "Machine"):
        return int(ua.ObjectIds.Organizes)
    return int(ua.ObjectIds.HasProperty if node.type == (UA, 68) else ua.ObjectIds.HasComponent)


_ATTRIBUTES: dict[ua.NodeClass, Callable[[], Any]] = {
    ua.NodeClass.Object: ua.ObjectAttributes,
    ua.NodeClass.Variable: ua.VariableAttributes,
    ua.NodeClass.ObjectType: ua.ObjectTypeAttributes,
    ua.NodeClass.VariableType: ua.VariableTypeAttributes,
    ua.NodeClass.DataType: ua.DataTypeAttributes,
}


_CLASSES = {
    "object": ua.NodeClass.ObjectType,
    "variable": ua.NodeClass.VariableType,
    "data": ua.NodeClass.DataType,
}


def _variant(node: Node, value: Any, server: Server) -> ua.Variant:
    kind = ua.VariantType((node.wire or node.data or (UA, 0))[1])
    if kind is ua.VariantType.LocalizedText:
        value = ua.LocalizedText(value)
    elif kind is ua.VariantType.NodeId:
        uri, number = value
        value = _node(number, _index(server, uri))
    return ua.Variant(value, kind, is_array=node.array)


def _index(server: Server, uri: str) -> int:
    array = server.read_attribute_value(_node(ua.ObjectIds.Server_NamespaceArray))
    return list(array.Value.Value if array.Value is not None else ()).index(uri)


class _Everybody(UserManager):
    """The simulated control asks for no name; nobody is its administrator."""

    @override
    def get_user(self, *args: Any, **more: Any) -> User:
        return User(role=UserRole.User)


class _Control(InternalServer):
    """asyncua's server with the control's limits. Its own internal session is none of the clients'."""

    def __init__(self, owner: CncServer) -> None:
        super().__init__(user_manager=_Everybody())
        self.owner = owner
        self.subscription_service = _Subscriptions(self.aspace, self)
        self.isession.subscription_service = self.subscription_service
        self.attribute_service = _Attributes(self.aspace, owner)

    @override
    def create_session(self, name: str, user: User = _NOBODY, external: bool = False) -> Any:
        if external and len(self._external_sessions) >= self.owner.limits.sessions:
            raise ua.uaerrors.BadTooManySessions
        return super().create_session(name, user, external)

    @override
    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        await standard_space.load(self, super().load_standard_address_space)


class _Subscriptions(SubscriptionService):
    """Revises intervals upward to the control's steps, and refuses what would be too much."""

    def __init__(self, space: Any, control: _Control) -> None:
        super().__init__(space, control)
        self._limits = control.owner.limits

    @override
    async def create_subscription(self, params: Any, *args: Any, **more: Any) -> Any:
        if len(self.subscriptions) >= self._limits.subscriptions:
            raise ua.uaerrors.BadTooManySubscriptions
        asked = params.RequestedPublishingInterval
        params.RequestedPublishingInterval = float(
            next((step for step in self._limits.steps if step >= asked), self._limits.steps[-1])
        )
        return await super().create_subscription(params, *args, **more)

    def _samples(self) -> float:
        """A second, of all subscriptions."""
        each = [
            len(sub.monitored_item_srv._monitored_items) * 1000 / max(1.0, sub.data.RevisedPublishingInterval)
            for sub in self.subscriptions.values()
        ]
        return float(sum(each))

    @override
    async def create_monitored_items(self, params: Any) -> Any:
        sub = self.subscriptions.get(params.SubscriptionId)
        interval = 1.0 if sub is None else max(1.0, sub.data.RevisedPublishingInterval)
        room = int((self._limits.samples - self._samples()) * interval / 1000 + 1e-6)
        items = params.ItemsToCreate
        params.ItemsToCreate = items[: max(0, room)]
        results = await super().create_monitored_items(params)
        refused = ua.MonitoredItemCreateResult(StatusCode=_status(ua.StatusCodes.BadTooManyMonitoredItems))
        return [*results, *(refused for _ in items[len(results) :])]


class _Attributes(AttributeService):
    """Lets the machine have its say about every write of a client."""

    def __init__(self, space: Any, owner: CncServer) -> None:
        super().__init__(space)
        self._owner = owner

    @override
    async def write(self, params: Any, user: User = _ADMIN) -> Any:
        if user.role == UserRole.Admin:
            return await super().write(params, user)
        results = []
        for row in params.NodesToWrite:
            results.append(await self._one(params, row, user))
        return results

    async def _one(self, params: Any, row: Any, user: User) -> Any:
        current = self._aspace.read_attribute_value(row.NodeId, ua.AttributeIds.Value)
        value = row.Value.Value
        if current.Value is not None and value is not None and value.VariantType != current.Value.VariantType:
            return _status(ua.StatusCodes.BadTypeMismatch)
        status = _status(self._owner.write(row.NodeId, None if value is None else value.Value))
        if not status.is_good() or self._owner.faults.no_read_back:
            return status
        one = ua.WriteParameters()
        one.NodesToWrite = [row]
        row.Value.SourceTimestamp = row.Value.ServerTimestamp = _now()
        return (await super().write(one, user))[0]


def _now() -> Any:
    """asyncua's types want a subclass of datetime where its code takes any."""
    return datetime.now(UTC)


def _node(identifier: Any, namespace: Any = 0) -> ua.NodeId:
    return ua.NodeId(identifier, namespace)


def _status(code: Any) -> ua.StatusCode:
    return ua.StatusCode(code)
