"""A nodeset file (OPC 10000-6 Annex F) and an address space, both told in the same plain words, so that `==` decides.

Nodes go by text: `i=58` of the OPC UA core, `own;i=1003` of the namespace that is looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from asyncua import ua
from asyncua.server.address_space import AddressSpace, NodeData

SCHEMA = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
TYPES = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"
OWN = "own;"
HAS_ENCODING, HAS_TYPE_DEFINITION, HAS_SUBTYPE, HAS_MODELLING_RULE = "i=38", "i=40", "i=45", "i=37"
ONE_WAY = {HAS_TYPE_DEFINITION, HAS_MODELLING_RULE}
"""Millions of nodes may name the same type or rule: these are not told backwards, by the file neither."""
CLASSES = {"Object": 1, "Variable": 2, "Method": 4, "ObjectType": 8, "VariableType": 16, "ReferenceType": 32}
CLASSES["DataType"] = 64
Reference = tuple[str, str, str]


@dataclass
class Told:
    """Nodes by id, each with its attributes by name, and references as (source, type, target)."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    forward: list[Reference] = field(default_factory=list)
    inverse: list[Reference] = field(default_factory=list)
    """References as the target tells them, written as (source, type, target) all the same."""


def differences(expected: Told, seen: Told) -> list[str]:
    """Everything in which two tellings differ, one line each; empty when they say the same."""
    found = [f"{one}: missing" for one in expected.nodes.keys() - seen.nodes.keys()]
    found += [f"{one}: too much" for one in seen.nodes.keys() - expected.nodes.keys()]
    for one, attributes in expected.nodes.items():
        other = seen.nodes.get(one, attributes)
        for name in attributes.keys() | other.keys():
            if attributes.get(name) != other.get(name):
                found.append(f"{one} {name}: expected {attributes.get(name)!r}, seen {other.get(name)!r}")
    for way, wanted, got in (
        ("forward", expected.forward, seen.forward),
        ("inverse", expected.inverse, seen.inverse),
    ):
        found += [f"{one}: reference missing ({way})" for one in set(wanted) - set(got)]
        found += [f"{one}: reference too much ({way})" for one in set(got) - set(wanted)]
        found += [f"{one}: reference twice ({way})" for one in set(got) if got.count(one) > 1]
    return sorted(found)


def from_file(path: Path) -> Told:
    """What a nodeset file says of the nodes of its first namespace, without descriptions and default structures."""
    return _File(ET.parse(path).getroot()).told()  # noqa: S314  # a file that the test itself has installed


def from_space(space: AddressSpace, index: int) -> Told:
    """What an address space says of the nodes of a namespace, the references of core nodes to them included."""
    return _Space(space, index).told()


class _File:
    def __init__(self, root: ET.Element) -> None:
        self._root = root
        self._aliases = {one.attrib["Alias"]: one.text or "" for one in root.iter(f"{SCHEMA}Alias")}
        self._elements = [one for one in root if one.tag.startswith(f"{SCHEMA}UA")]
        self._by_id = {self._id(one.attrib["NodeId"]): one for one in self._elements}
        self._told = Told()

    def told(self) -> Told:
        references = set()
        for element in self._elements:
            references |= set(self._references(element))
        self._told.forward = sorted(references)
        self._told.inverse = sorted(one for one in references if one[1] not in ONE_WAY)
        for element in self._elements:
            self._told.nodes[self._id(element.attrib["NodeId"])] = self._attributes(element)
        return self._told

    def _id(self, text: str | None) -> str:
        return self._aliases.get(text or "", text or "").replace("ns=1;", OWN)

    def _references(self, element: ET.Element) -> Iterator[Reference]:
        one = self._id(element.attrib["NodeId"])
        for reference in element.iter(f"{SCHEMA}Reference"):
            kind, other = self._id(reference.attrib["ReferenceType"]), self._id(reference.text)
            yield (one, kind, other) if reference.get("IsForward", "true") == "true" else (other, kind, one)

    def _attributes(self, element: ET.Element) -> dict[str, Any]:
        get = element.attrib.get
        node_class = element.tag.removeprefix(f"{SCHEMA}UA")
        found: dict[str, Any] = {
            "class": CLASSES[node_class],
            "browse name": _name(get("BrowseName", "")),
            "display name": element.findtext(f"{SCHEMA}DisplayName"),
        }
        if node_class.endswith("Type"):
            found["abstract"] = get("IsAbstract", "false") == "true"
        match node_class:
            case "Object":
                found["event notifier"] = int(get("EventNotifier", "0"))
            case "Method":
                found["executable"] = get("Executable", "true") == "true"
            case "ReferenceType":
                found["symmetric"] = get("Symmetric", "false") == "true"
            case "DataType":
                found["definition"] = self._definition(element)
            case "Variable" | "VariableType":
                found |= {
                    "data type": self._id(get("DataType", "i=24")),
                    "rank": int(get("ValueRank", "-1")),
                    "dimensions": [int(one) for one in get("ArrayDimensions", "").split(",") if one],
                    "value": self._value(element.find(f"{SCHEMA}Value")),
                }
            case _:
                assert node_class == "ObjectType"
        if node_class == "Variable":
            found |= {"access": int(get("AccessLevel", "1")), "historizing": get("Historizing", "false") == "true"}
        return found

    def _definition(self, element: ET.Element) -> Any:
        fields = list(element.iter(f"{SCHEMA}Field"))
        if fields and "Value" in fields[0].attrib:
            return [(one.attrib["Name"], int(one.attrib["Value"])) for one in fields]
        told = [
            (
                one.attrib["Name"],
                self._id(one.get("DataType", "i=24")),
                int(one.get("ValueRank", "-1")),
                [int(size) for size in one.get("ArrayDimensions", "").split(",") if size],
                one.get("IsOptional", "false") == "true",
            )
            for one in fields
        ]
        node = self._id(element.attrib["NodeId"])
        encodings = [target for source, kind, target in self._told.forward if (source, kind) == (node, HAS_ENCODING)]
        if not encodings:
            return None
        (base,) = [source for source, kind, target in self._told.forward if (kind, target) == (HAS_SUBTYPE, node)]
        (binary,) = [one for one in encodings if self._by_id[one].attrib["BrowseName"] == "Default Binary"]
        if base in self._by_id:
            told = [*self._definition(self._by_id[base])["fields"], *told]
        # OPC 10000-3 §8.48: 0 a structure, 1 one with optional fields
        return {"encoding": binary, "base": base, "type": int(any(one[-1] for one in told)), "fields": told}

    def _value(self, element: ET.Element | None) -> Any:
        if element is None:
            return None
        (value,) = element
        text = value.text or ""
        # A kind of value that is new to this test is a KeyError.
        read: dict[str, Callable[[], Any]] = {
            "ListOfExtensionObject": lambda: [self._extension(one) for one in value],
            "ListOfInt32": lambda: [int(one.text or "") for one in value],
            "UInt32": lambda: int(text),
            "Boolean": lambda: text == "true",
            "ByteString": lambda: base64.b64decode(text),
            "String": lambda: text,
            "DateTime": lambda: text,
            "ExtensionObject": lambda: None,  # a structure with nothing in it
        }
        return read[value.tag.removeprefix(TYPES)]()

    def _extension(self, element: ET.Element) -> Any:
        body = element.find(f"{TYPES}Body")
        assert body is not None
        (one,) = body
        if one.tag == f"{TYPES}Argument":
            dimensions = one.find(f"{TYPES}ArrayDimensions")
            return (
                one.findtext(f"{TYPES}Name"),
                self._id(one.findtext(f"{TYPES}DataType/{TYPES}Identifier")),
                int(one.findtext(f"{TYPES}ValueRank") or ""),
                [] if dimensions is None else [int(size.text or "") for size in dimensions],
            )
        return int(one.findtext(f"{TYPES}Value") or ""), one.findtext(f"{TYPES}DisplayName/{TYPES}Text")


class _Space:
    def __init__(self, space: AddressSpace, index: int) -> None:
        self._space = space
        self._index = index

    def told(self) -> Told:
        told = Told()
        for node_id in list(self._space.keys()):
            data = self._space[node_id]
            own = node_id.NamespaceIndex == self._index
            if own:
                told.nodes[self._id(node_id)] = self._attributes(data)
            for reference in data.references:
                if not own and reference.NodeId.NamespaceIndex != self._index:
                    continue
                kind, other = self._id(reference.ReferenceTypeId), self._id(reference.NodeId)
                if reference.IsForward:
                    told.forward.append((self._id(node_id), kind, other))
                else:
                    told.inverse.append((other, kind, self._id(node_id)))
        return told

    def _id(self, node_id: ua.NodeId) -> str:
        return f"{OWN if node_id.NamespaceIndex == self._index else ''}i={node_id.Identifier!s}"

    def _attributes(self, data: NodeData) -> dict[str, Any]:
        def get(which: ua.AttributeIds) -> Any:
            value = self._space.read_attribute_value(data.nodeid, which).Value
            return None if value is None else value.Value

        name = get(ua.AttributeIds.BrowseName)
        found: dict[str, Any] = {
            "class": int(get(ua.AttributeIds.NodeClass)),
            "browse name": (name.NamespaceIndex == self._index, name.Name),
            "display name": get(ua.AttributeIds.DisplayName).Text,
        }
        if found["class"] >= CLASSES["ObjectType"]:
            found["abstract"] = get(ua.AttributeIds.IsAbstract)
        match found["class"]:
            case 1:
                found["event notifier"] = get(ua.AttributeIds.EventNotifier)
            case 4:
                found["executable"] = get(ua.AttributeIds.Executable)
            case 32:
                found["symmetric"] = get(ua.AttributeIds.Symmetric)
            case 64:
                found["definition"] = self._definition(get(ua.AttributeIds.DataTypeDefinition))
            case 2 | 16:
                found |= {
                    "data type": self._id(get(ua.AttributeIds.DataType)),
                    "rank": get(ua.AttributeIds.ValueRank),
                    "dimensions": list(get(ua.AttributeIds.ArrayDimensions) or []),
                    "value": self._value(get(ua.AttributeIds.Value)),
                }
            case _:
                assert found["class"] == CLASSES["ObjectType"]
        if found["class"] == CLASSES["Variable"]:
            found |= {"access": get(ua.AttributeIds.AccessLevel), "historizing": get(ua.AttributeIds.Historizing)}
        return found

    def _definition(self, definition: Any) -> Any:
        if definition is None:
            return None
        if isinstance(definition, ua.EnumDefinition):
            return [(one.Name, one.Value) for one in definition.Fields]
        fields = [
            (one.Name, self._id(one.DataType), one.ValueRank, list(one.ArrayDimensions or []), one.IsOptional)
            for one in definition.Fields
        ]
        return {
            "encoding": self._id(definition.DefaultEncodingId),
            "base": self._id(definition.BaseDataType),
            "type": int(definition.StructureType),
            "fields": fields,
        }

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(one) for one in value]
        if isinstance(value, ua.Argument):
            return value.Name, self._id(value.DataType), value.ValueRank, list(value.ArrayDimensions or [])
        if isinstance(value, ua.EnumValueType):
            return value.Value, value.DisplayName.Text
        if hasattr(value, "isoformat"):
            return value.isoformat().replace("+00:00", "Z")
        return value


def _name(text: str) -> tuple[bool, str]:
    own, colon, name = text.partition(":")
    return (True, name) if colon and own == "1" else (False, text)
