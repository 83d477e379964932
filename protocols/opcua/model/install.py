"""Puts the type model of OPC 40100-1 into an asyncua server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from asyncua import Node as UaNode
from asyncua import Server, ua
from asyncua.server.address_space import AddressSpace

from protocols.opcua.model.model_tables import ModelTables, Placed, tables
from protocols.opcua.model.rows import NAMESPACE, READ, DataType, EnumMember, Field, Kind, Node, Ref
from protocols.opcua.model.space import HAS_SUBTYPE, HAS_TYPE_DEFINITION, numbered, put, refer, valued
from protocols.opcua.model.structures import structures

_RULES = {"M": "Mandatory", "O": "Optional", "OP": "OptionalPlaceholder"}
_TYPES = (Kind.OBJECT_TYPE, Kind.VARIABLE_TYPE, Kind.REFERENCE_TYPE, Kind.DATA_TYPE)


@dataclass(frozen=True, slots=True)
class Model:
    """The type model as it stands in a server."""

    server: Server
    index: int
    """Of the namespace of OPC 40100-1 in this server."""
    structures: Mapping[str, type[Any]]

    def structure(self, name: str) -> type[Any]:
        """The class of a structure or an enumeration, for instance ResultDataType; optional fields are None."""
        return self.structures[name]

    def id(self, which: int | str) -> ua.NodeId:
        """The NodeId of a node by its number, of a type also by its name."""
        return numbered(which if isinstance(which, int) else tables().ids[which], self.index)

    def node(self, which: int | str) -> UaNode:
        """The node by its number, a type also by its name."""
        return self.server.get_node(self.id(which))


async def install(server: Server) -> Model:
    """All 790 nodes of the namespace, at the index that the server gives it; once per server, after Server.init."""
    index = await server.register_namespace(NAMESPACE)
    found = tables()
    build(server.iserver.aspace, index, found)
    return Model(server, index, structures(found.data_types, index))


def build(space: AddressSpace, index: int, found: ModelTables) -> None:
    """The nodes and references of the tables under a namespace index of which the space has no node yet."""
    _Builder(space, index, found).build()


class _Builder:
    """Writes the tables into the address space: nodes first, so that every reference finds both its ends."""

    def __init__(self, space: AddressSpace, index: int, found: ModelTables) -> None:
        self._space = space
        self._index = index
        self._tables = found
        self._types = {data_type.id: data_type for data_type in found.data_types}
        self._now = datetime.now(UTC)

    def build(self) -> None:
        for placed in self._tables.nodes:
            self._put(placed.node)
        # Before all other references: they quote the type of what they point at.
        for placed in self._tables.nodes:
            node = placed.node
            if node.kind in {Kind.OBJECT, Kind.VARIABLE}:
                kind = self._named(node.type)
                refer(self._space, numbered(node.id, self._index), HAS_TYPE_DEFINITION, kind, both=False)
        for placed in self._tables.nodes:
            self._place(placed)
        for link in self._tables.links:
            refer(self._space, self._id(link.source), self._named(link.type), self._id(link.target))

    def _id(self, ref: Ref) -> ua.NodeId:
        return numbered(ref.id, self._index if ref.own else 0)

    def _named(self, name: str) -> ua.NodeId:
        return self._id(self._tables.ref(name))

    def _put(self, node: Node) -> None:
        name = ua.QualifiedName(node.name, 0 if node.core_name else self._index)
        node_id = numbered(node.id, self._index)
        put(self._space, node_id, ua.NodeClass(node.kind), name, self._attributes(node))

    def _place(self, placed: Placed) -> None:
        node, node_id = placed.node, numbered(placed.node.id, self._index)
        if placed.parent is not None:
            kind = HAS_SUBTYPE if node.kind in _TYPES else self._named(node.link)
            refer(self._space, self._id(placed.parent), kind, node_id)
        if node.rule:
            rule = self._named(_RULES[node.rule])
            refer(self._space, node_id, self._named("HasModellingRule"), rule, both=False)

    def _attributes(self, node: Node) -> dict[ua.AttributeIds, Any]:
        attributes: dict[ua.AttributeIds, Any] = {}
        if node.kind in _TYPES:
            attributes[ua.AttributeIds.IsAbstract] = node.abstract
        match node.kind:
            case Kind.OBJECT:
                attributes[ua.AttributeIds.EventNotifier] = 0
            case Kind.METHOD:
                attributes |= {ua.AttributeIds.Executable: True, ua.AttributeIds.UserExecutable: True}
            case Kind.REFERENCE_TYPE:
                attributes[ua.AttributeIds.Symmetric] = False
            case Kind.DATA_TYPE if definition := self._definition(self._types[node.id]):
                attributes[ua.AttributeIds.DataTypeDefinition] = definition
            case Kind.VARIABLE_TYPE:
                attributes |= self._typed(node)
            case Kind.OBJECT_TYPE | Kind.DATA_TYPE:
                pass
            case Kind.VARIABLE:
                attributes |= self._typed(node)
                attributes[ua.AttributeIds.AccessLevel] = node.access
                # What a type declares is written by nobody; AccessLevel says what its instances may allow.
                attributes[ua.AttributeIds.UserAccessLevel] = READ
                attributes[ua.AttributeIds.Historizing] = False
        return attributes

    def _typed(self, node: Node) -> dict[ua.AttributeIds, Any]:
        attributes = {
            ua.AttributeIds.Value: valued(self._value(node), self._now),
            ua.AttributeIds.DataType: self._named(node.data_type),
            ua.AttributeIds.ValueRank: node.rank,
        }
        if node.dimensions:
            attributes[ua.AttributeIds.ArrayDimensions] = list(node.dimensions)
        return attributes

    def _value(self, node: Node) -> ua.Variant:
        match node.value:
            case None:
                return ua.Variant()
            case tuple() as values:
                made = [self._element(value) for value in values]
                kind = ua.VariantType.Int32 if node.data_type == "IdType" else ua.VariantType.ExtensionObject
                return ua.Variant(made, kind, is_array=True)
            case str() as text if node.data_type == "DateTime":
                return ua.Variant(datetime.fromisoformat(text), ua.VariantType.DateTime)
            case value:
                return ua.Variant(value, ua.VariantType[node.data_type])

    def _element(self, value: Field | EnumMember | int) -> Any:
        match value:
            case Field():
                return ua.Argument(Name=value.name, DataType=self._named(value.type), ValueRank=_rank(value))
            case EnumMember():
                return ua.EnumValueType(Value=value.value, DisplayName=ua.LocalizedText(value.name))
            case int():
                return value

    def _definition(self, found: DataType) -> ua.StructureDefinition | ua.EnumDefinition | None:
        if found.structure:
            return self._structure(found)
        fields = [
            ua.EnumField(Value=member.value, DisplayName=ua.LocalizedText(member.name), Name=member.name)
            for member in found.members
        ]
        return ua.EnumDefinition(fields) if fields else None

    def _structure(self, found: DataType) -> ua.StructureDefinition:
        optional = any(field.optional for field in found.fields)
        return ua.StructureDefinition(
            DefaultEncodingId=numbered(found.encodings[0], self._index),
            BaseDataType=self._named(found.supertype),
            StructureType=ua.StructureType.StructureWithOptionalFields if optional else ua.StructureType.Structure,
            Fields=[
                ua.StructureField(
                    Name=field.name,
                    DataType=self._named(field.type),
                    ValueRank=_rank(field),
                    ArrayDimensions=list(field.dimensions),
                    IsOptional=field.optional,
                )
                for field in found.fields
            ],
        )


def _rank(field: Field) -> int:
    return 1 if field.array else -1
