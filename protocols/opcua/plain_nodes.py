"""Builds the nodes of a station's plain face in an address space, and the structured type of a whole result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from asyncua import Node, Server, ua
from asyncua.common.manage_nodes import create_encoding
from asyncua.common.structures104 import load_custom_struct

from protocols.opcua.compat.names import named, numeric
from protocols.opcua.plain_map import (
    FOLDERS,
    NAMESPACE,
    NAMESPACE_URI,
    ROOT,
    STRUCTURE,
    STRUCTURE_ENCODING_ID,
    STRUCTURE_FIELDS,
    STRUCTURE_ID,
    DataType,
    PlainNode,
    StructureField,
    identifier,
)
from protocols.opcua.plain_quality import Quality
from protocols.opcua.plain_values import Plain

STRUCTURE_NODE = numeric(STRUCTURE_ID, NAMESPACE)
_ENCODING_NODE = numeric(STRUCTURE_ENCODING_ID, NAMESPACE)
_FIRST: dict[DataType, Plain] = {
    DataType.BOOLEAN: False,
    DataType.UINT16: 0,
    DataType.UINT32: 0,
    DataType.FLOAT: math.nan,
    DataType.STRING: "",
    DataType.DATETIME: datetime(1601, 1, 1),  # noqa: DTZ001 - the earliest time of OPC UA (OPC 10000-6 §5.2.2.5)
}
_ONE_DIMENSION = 1
_NULL = ua.Variant(None, ua.VariantType.Null)
_KINDS = {kind: ua.VariantType(int(kind)) for kind in DataType}
_STATUS = {quality: ua.StatusCode(ua.UInt32(quality)) for quality in Quality}


def text_id(station: str, path: str = "") -> ua.NodeId:
    """The node id of a station, or of what lies below it."""
    return named(identifier(station, path), NAMESPACE)


def data_value(node: PlainNode, value: Any, quality: Quality, at: ua.DateTime) -> ua.DataValue:
    """A value with its status and time; with a Bad one there is no value (OPC 10000-4 §7.11)."""
    variant = _NULL
    if not quality.bad and value is not None:
        variant = ua.Variant(list(value) if node.length else value, _KINDS[node.type])
    return ua.DataValue(variant, _STATUS[quality], SourceTimestamp=at, ServerTimestamp=at)


async def build_station(server: Server, station: str, nodes: tuple[PlainNode, ...]) -> None:
    """Add the objects and variables of one station below Objects/Stations, all readable, none writable."""
    root = await _root(server)
    objects = {"": await root.add_object(text_id(station), ua.QualifiedName(station, NAMESPACE))}
    for path, text in FOLDERS:
        parent, name = path.rpartition(".")[0], path.rpartition(".")[2]
        below = await objects[parent].add_object(text_id(station, path), ua.QualifiedName(name, NAMESPACE))
        await _describe(server, below.nodeid, text)
        objects[path] = below
    for node in nodes:
        above = objects[node.parent]
        objects[node.path] = variable = await above.add_variable(
            text_id(station, node.path),
            ua.QualifiedName(node.name, NAMESPACE),
            _first(node),
            ua.VariantType(int(node.type)),
            STRUCTURE_NODE if node.type is DataType.STRUCTURE else numeric(int(node.type)),
        )
        await _shape(server, variable, node)


def _first(node: PlainNode) -> Any:
    if node.type is DataType.STRUCTURE:
        return ua.get_type(STRUCTURE_NODE)()
    return [_FIRST[node.type]] * node.length if node.length else _FIRST[node.type]


async def _shape(server: Server, variable: Node, node: PlainNode) -> None:
    await _describe(server, variable.nodeid, node.text)
    if node.length:
        rank = ua.Variant(_ONE_DIMENSION, ua.VariantType.Int32)
        await _write(server, variable.nodeid, ua.AttributeIds.ValueRank, rank)
        dimensions = ua.Variant([node.length], ua.VariantType.UInt32)
        await _write(server, variable.nodeid, ua.AttributeIds.ArrayDimensions, dimensions)


async def _describe(server: Server, node: ua.NodeId, text: str) -> None:
    await _write(server, node, ua.AttributeIds.Description, ua.Variant(ua.LocalizedText(text, "en")))


async def _write(server: Server, node: ua.NodeId, attribute: ua.AttributeIds, value: ua.Variant) -> None:
    await server.write_attribute_value(node, ua.DataValue(value), attribute)


async def _root(server: Server) -> Node:
    """The folder of all stations; the first station makes it, and with it the data type of a result."""
    node = server.get_node(named(ROOT, NAMESPACE))
    if node.nodeid in server.iserver.aspace:
        return node
    index = await server.register_namespace(NAMESPACE_URI)
    if index != NAMESPACE:
        raise ValueError(f"{NAMESPACE_URI} has index {index} in this server and must have {NAMESPACE}")
    await _structure(server)
    folder: Node = await server.nodes.objects.add_folder(node.nodeid, ua.QualifiedName(ROOT, NAMESPACE))
    return folder


async def _structure(server: Server) -> None:
    """The data type with its definition and binary encoding (OPC 10000-3 §5.8.4, §8.48)."""
    kind = await server.nodes.base_structure_type.add_data_type(
        STRUCTURE_NODE, ua.QualifiedName(STRUCTURE, NAMESPACE), "one inspection"
    )
    encoding = await create_encoding(kind, _ENCODING_NODE, ua.QualifiedName("Default Binary", 0))
    await encoding.add_reference(numeric(ua.ObjectIds.DataTypeEncodingType), numeric(ua.ObjectIds.HasTypeDefinition))
    definition = ua.StructureDefinition()
    definition.BaseDataType = server.nodes.base_structure_type.nodeid
    definition.StructureType = ua.StructureType.Structure
    definition.DefaultEncodingId = _ENCODING_NODE
    definition.Fields = [_field(field) for field in STRUCTURE_FIELDS]
    await kind.write_data_type_definition(definition)
    await load_custom_struct(kind)


def _field(field: StructureField) -> ua.StructureField:
    made = ua.StructureField()
    made.Name = field.name
    made.Description = ua.LocalizedText(field.text, "en")
    made.DataType = numeric(int(field.type))
    made.ValueRank = ua.Int32(1 if field.length else -1)
    made.ArrayDimensions = [ua.UInt32(field.length)] if field.length else []
    made.IsOptional = False
    return made


def structure(values: Mapping[str, Plain]) -> Any:
    """A whole result as one value of the structured type, which some `build_station` has made."""
    kind = ua.get_type(STRUCTURE_NODE)
    return kind(**{name: list(value) if isinstance(value, tuple) else value for name, value in values.items()})
