"""The nodes that follow from the rest: metadata of the namespace, type dictionaries, the values of enums. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from protocols.opcua.model.rows import NAMESPACE, PUBLISHED, SCHEMA, VERSION, DataType, Kind, Node, Value
from protocols.opcua.model.type_dictionary import binary_schema, xml_schema


def namespace_metadata() -> tuple[Node, str]:
    """Object Server/Namespaces/… of OPC 10000-5 §6.3.13: numeric ids of this namespace are the same everywhere."""
    found = Node(NAMESPACE, Kind.OBJECT, 5009, type="NamespaceMetadataType")
    found.below = [
        _property("IsNamespaceSubset", 6549, "Boolean", False),
        _property("NamespacePublicationDate", 6552, "DateTime", PUBLISHED),
        _property("NamespaceUri", 6553, "String", NAMESPACE),
        _property("NamespaceVersion", 6554, "String", VERSION),
        _property("StaticNodeIdTypes", 6556, "IdType", (0,), rank=1, dimensions=(1,)),
        _property("StaticNumericNodeIdRange", 6558, "NumericRange", None, rank=1),
        _property("StaticStringNodeIdPattern", 6559, "String", None),
    ]
    return found, "Namespaces"


def dictionaries(data_types: tuple[DataType, ...]) -> Iterator[tuple[Node, str]]:
    """The type dictionaries (OPC 10000-5 Annex D), for clients that do not know the attribute DataTypeDefinition."""
    structures = [found for found in data_types if found.structure]
    yield _dictionary(6001, 6002, NAMESPACE, binary_schema(data_types), _binary_entries(structures)), "OPC Binary"
    yield _dictionary(6003, 6020, SCHEMA, xml_schema(data_types), _xml_entries(structures)), "XML Schema"


def values_property(found: DataType) -> Node:
    """EnumValues of an enumeration."""
    size = (len(found.members),)
    return _property("EnumValues", found.values_id, "EnumValueType", found.members, rule="M", rank=1, dimensions=size)


def _property(
    name: str,
    number: int,
    data_type: str,
    value: Value,
    *,
    rule: str = "",
    rank: int = -1,
    dimensions: tuple[int, ...] = (),
) -> Node:
    return Node(
        name,
        Kind.VARIABLE,
        number,
        core_name=True,
        type="PropertyType",
        link="HasProperty",
        rule=rule,
        data_type=data_type,
        rank=rank,
        dimensions=dimensions,
        value=value,
    )


def _dictionary(number: int, uri_number: int, uri: str, value: bytes, entries: list[Node]) -> Node:
    found = Node(
        "TypeDictionary", Kind.VARIABLE, number, type="DataTypeDictionaryType", data_type="ByteString", value=value
    )
    found.below = [_property("NamespaceUri", uri_number, "String", uri), *entries]
    return found


def _binary_entries(structures: list[DataType]) -> list[Node]:
    return [_entry(found, found.descriptions[0], found.name) for found in structures]


def _xml_entries(structures: list[DataType]) -> list[Node]:
    return [_entry(found, found.descriptions[1], f"//xs:element[@name='{found.name}']") for found in structures]


def _entry(found: DataType, number: int, value: str) -> Node:
    return Node(found.name, Kind.VARIABLE, number, type="DataTypeDescriptionType", data_type="String", value=value)
