"""The two type dictionaries, written from the tables, for clients older than the attribute DataTypeDefinition. Pure.

OPC 10000-3 Annex C (binary schema) and OPC 10000-6 §5.3.6 (XML schema). The fields of an optional structure begin with
one bit for each optional field, filled up to 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protocols.opcua.model.rows import NAMESPACE, SCHEMA, DataType, Field

_CORE = "http://opcfoundation.org/UA/"
_CORE_SCHEMA = "http://opcfoundation.org/UA/2008/02/Types.xsd"
_BINARY_SCHEMA = "http://opcfoundation.org/BinarySchema/"
_XML_SCHEMA = "http://www.w3.org/2001/XMLSchema"
_BINARY = {
    "Boolean": "opc:Boolean",
    "Int32": "opc:Int32",
    "UInt32": "opc:UInt32",
    "String": "opc:CharArray",
    "ByteString": "opc:ByteString",
    "Duration": "opc:Double",
    "UtcTime": "opc:DateTime",
    "LocalizedText": "ua:LocalizedText",
    "BaseDataType": "ua:Variant",
}
_XML = {
    "Boolean": "xs:boolean",
    "Int32": "xs:int",
    "UInt32": "xs:unsignedInt",
    "String": "xs:string",
    "ByteString": "xs:base64Binary",
    "Duration": "xs:double",
    "UtcTime": "xs:dateTime",
    "LocalizedText": "ua:LocalizedText",
    "BaseDataType": "ua:Variant",
}


def binary_schema(data_types: Sequence[DataType]) -> bytes:
    """The value of the binary type dictionary: an opc:TypeDictionary in UTF-8."""
    lines = [
        f'<opc:TypeDictionary xmlns:opc="{_BINARY_SCHEMA}" xmlns:ua="{_CORE}" xmlns:tns="{NAMESPACE}"',
        f'DefaultByteOrder="LittleEndian" TargetNamespace="{NAMESPACE}">',
        f'<opc:Import Namespace="{_CORE}"/>',
    ]
    plain = _plain(data_types, _BINARY)
    for found in data_types:
        if found.structure:
            lines += _binary_structure(found, plain)
        elif found.members:
            lines.append(f'<opc:EnumeratedType LengthInBits="32" Name="{found.name}">')
            lines += [f'<opc:EnumeratedValue Name="{one.name}" Value="{one.value}"/>' for one in found.members]
            lines.append("</opc:EnumeratedType>")
    return "\n".join([*lines, "</opc:TypeDictionary>"]).encode()


def xml_schema(data_types: Sequence[DataType]) -> bytes:
    """The value of the XML type dictionary: an XML schema in UTF-8."""
    lines = [
        f'<xs:schema xmlns:xs="{_XML_SCHEMA}" xmlns:ua="{_CORE_SCHEMA}" xmlns:tns="{SCHEMA}"',
        f'targetNamespace="{SCHEMA}" elementFormDefault="qualified">',
        f'<xs:import namespace="{_CORE_SCHEMA}"/>',
    ]
    plain = _plain(data_types, _XML)
    for found in data_types:
        if found.structure:
            lines += _xml_structure(found, plain)
        elif found.members:
            lines.append(f'<xs:simpleType name="{found.name}"><xs:restriction base="xs:string">')
            lines += [f'<xs:enumeration value="{one.name}_{one.value}"/>' for one in found.members]
            lines.append("</xs:restriction></xs:simpleType>")
        else:
            continue
        lines.append(f'<xs:element name="{found.name}" type="tns:{found.name}"/>')
    return "\n".join([*lines, "</xs:schema>"]).encode()


def _plain(data_types: Sequence[DataType], built_in: dict[str, str]) -> dict[str, str]:
    """The schema type of everything that may be a field."""
    return built_in | {
        found.name: f"tns:{found.name}" if found.structure or found.members else built_in[found.supertype]
        for found in data_types
    }


def _binary_structure(found: DataType, plain: dict[str, str]) -> Iterator[str]:
    base = "ua:ExtensionObject" if found.supertype == "Structure" else f"tns:{found.supertype}"
    yield f'<opc:StructuredType BaseType="{base}" Name="{found.name}">'
    optional = [field.name for field in found.fields if field.optional]
    yield from (f'<opc:Field Name="{name}Specified" TypeName="opc:Bit"/>' for name in optional)
    if optional:
        yield f'<opc:Field Name="Reserved1" TypeName="opc:Bit" Length="{32 - len(optional)}"/>'
    for field in found.fields:
        yield from _binary_field(field, plain[field.type])
    yield "</opc:StructuredType>"


def _binary_field(field: Field, type_name: str) -> Iterator[str]:
    switch = f' SwitchField="{field.name}Specified"' if field.optional else ""
    length = ""
    if field.array:
        yield f'<opc:Field Name="NoOf{field.name}" TypeName="opc:Int32"{switch}/>'
        length = f' LengthField="NoOf{field.name}"'
    yield f'<opc:Field Name="{field.name}" TypeName="{type_name}"{length}{switch}/>'


def _xml_structure(found: DataType, plain: dict[str, str]) -> Iterator[str]:
    yield f'<xs:complexType name="{found.name}"><xs:sequence>'
    if any(field.optional for field in found.fields):
        yield '<xs:element name="EncodingMask" type="xs:unsignedInt" minOccurs="0"/>'
    for field in found.fields:
        kind = f"ua:ListOf{plain[field.type].removeprefix('ua:')}" if field.array else plain[field.type]
        yield f'<xs:element name="{field.name}" type="{kind}" minOccurs="0" maxOccurs="1"/>'
    yield "</xs:sequence></xs:complexType>"
