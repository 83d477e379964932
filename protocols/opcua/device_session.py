"""A device's side of one connection: where its tags are, what type its outputs have, what it shows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from asyncua import ua

from protocols.link import PeerError
from protocols.opcua.cnc import TypeId
from protocols.opcua.cnc_search import Choice, Seen, catalogue, kinds, locate
from protocols.opcua.connection import Connection, node_id, standard
from protocols.opcua.device_settings import OpcUaDeviceConfig, OpcUaTagConfig
from protocols.opcua.failures import ConnectionFailedError, guarded
from protocols.opcua.nodes import Node
from protocols.opcua.tag_subscription import OnMoment, TagSubscription

_CLASSES = ua.NodeClass.Object | ua.NodeClass.Variable


class AddressSpace:
    """A server's address space for `cnc_search`, over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._namespaces = connection.namespaces

    @property
    def objects(self) -> Hashable:
        """The Objects folder."""
        return standard(ua.ObjectIds.ObjectsFolder)

    async def children(self, nodes: Sequence[Hashable]) -> list[list[Seen]]:
        """The objects and variables below each of these nodes."""
        found = []
        for node in nodes:
            rows = await self._connection.browse(node)  # type: ignore[arg-type]
            found.append([self._seen(row) for row in rows if row.NodeClass & _CLASSES])
        return found

    async def subtypes(self, type_: TypeId) -> list[TypeId]:
        """The types derived directly from this one."""
        if type_[0] not in self._namespaces:
            return []
        node = node_id(Node(self._namespaces.index(type_[0]), type_[1]))
        rows = await self._connection.browse(node)
        derived = (row for row in rows if row.ReferenceTypeId == standard(ua.ObjectIds.HasSubtype))
        return [id_ for row in derived if (id_ := self._type(row.NodeId)) is not None]

    def _seen(self, row: ua.ReferenceDescription) -> Seen:
        name = row.BrowseName
        number = int(name.NamespaceIndex or 0)
        uri = self._namespaces[number] if number < len(self._namespaces) else ""
        node = ua.NodeId(row.NodeId.Identifier, row.NodeId.NamespaceIndex)
        return Seen(node, (uri, name.Name or ""), self._type(row.TypeDefinition), row.NodeClass == ua.NodeClass.Object)

    def _type(self, id_: ua.NodeId | None) -> TypeId | None:
        if id_ is None or not isinstance(id_.Identifier, int) or id_.NamespaceIndex >= len(self._namespaces):
            return None
        return self._namespaces[id_.NamespaceIndex], id_.Identifier


class Placed:
    """Where a device's tags are on this connection."""

    def __init__(self) -> None:
        self.nodes: dict[str, ua.NodeId] = {}
        self.missing: dict[str, str] = {}
        """Tags that are nowhere, and why."""
        self.notes: list[str] = []
        """What was found by type, for the log."""


async def place(connection: Connection, device: OpcUaDeviceConfig) -> Placed:
    """Find all tags; what is not there spoils its own tag only. Raises ConnectionFailedError."""
    placed = Placed()
    searched: list[OpcUaTagConfig] = []
    for tag in device.tags:
        reference = device.reference(tag)
        if reference is None:
            searched.append(tag)
            continue
        try:
            (placed.nodes[tag.name],) = await connection.locate([reference])
        except ConnectionFailedError:
            raise
        except PeerError as error:
            placed.missing[tag.name] = str(error)
    if searched:
        await _search(connection, device, searched, placed)
    return placed


async def _search(
    connection: Connection, device: OpcUaDeviceConfig, tags: Sequence[OpcUaTagConfig], placed: Placed
) -> None:
    space = AddressSpace(connection)
    found = {tag.name: row for tag in tags if (row := device.found(tag)) is not None}
    book = await catalogue(space, device.profile, kinds(found.values()))
    for tag in tags:
        located = await locate(space, book, found[tag.name], Choice(device.choice()), tag.axis)
        if located.node is None:
            placed.missing[tag.name] = f"{tag.meant} is not found: {located.note}"
            continue
        placed.nodes[tag.name] = located.node  # type: ignore[assignment]
        placed.notes.append(f"{tag.name} is {located.node.to_string()}")  # type: ignore[attr-defined]
        if located.note and located.note not in placed.notes:
            placed.notes.append(located.note)


async def wires(connection: Connection, nodes: Mapping[str, ua.NodeId]) -> dict[str, str]:
    """The built-in types of these nodes, by name; "" for one that tells none, as it may have no value yet."""
    names = list(nodes)
    values = await connection.read([nodes[name] for name in names])
    types = dict(zip(names, (_wire(value) for value in values), strict=True))
    if unknown := [name for name, wire in types.items() if not wire]:
        answers = await connection.read([nodes[name] for name in unknown], ua.AttributeIds.DataType)
        for name, answer in zip(unknown, answers, strict=True):
            types[name] = _built_in(answer)
    return types


def _wire(value: ua.DataValue) -> str:
    if value.Value is None or value.Value.VariantType in (None, ua.VariantType.Null):
        return ""
    return str(value.Value.VariantType.name)


def _built_in(answer: ua.DataValue) -> str:
    """Of a data type of namespace 0; all others of controls are enumerations, which travel as Int32."""
    id_ = answer.Value.Value if answer.Value is not None else None
    if not isinstance(id_, ua.NodeId):
        return ""
    if id_.NamespaceIndex == 0 and isinstance(id_.Identifier, int) and 0 < id_.Identifier <= 25:
        return str(ua.VariantType(id_.Identifier).name)
    return "Int32"


def variant(value: Any, wire: str) -> ua.Variant:
    """A value in the server's type."""
    return ua.Variant(value, ua.VariantType[wire])


async def subscribe(
    connection: Connection, nodes: Sequence[ua.NodeId], interval: float, seconds: float, on_moment: OnMoment
) -> TagSubscription:
    """Watch these nodes; raises ConnectionFailedError."""
    made = TagSubscription(nodes, interval, on_moment)
    session = connection._client.uaclient.session
    await guarded(made.create(session), connection.name, "a subscription", seconds)
    return made
