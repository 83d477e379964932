"""The simulated CNC, and where we look for values, as the official nodesets have them (npm: node-opcua-nodesets)."""

from __future__ import annotations

import functools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from protocols.opcua import cnc
from simulators import cnc_nodes
from simulators.cnc_nodes import CNC, DI, MACHINERY, OWN, TOOL, TYPES, UA, Id, Node, nodes

FOLDER = Path(__file__).parents[2] / "build/node/node_modules/node-opcua-nodesets/nodesets"
FILES = {
    CNC: "Opc.Ua.CNC.NodeSet.xml",
    TOOL: "Opc.Ua.MachineTool.NodeSet2.xml",
    MACHINERY: "Opc.Ua.Machinery.NodeSet2.xml",
    DI: "Opc.Ua.Di.NodeSet2.xml",
    UA: "Opc.Ua.NodeSet2.xml",
}
TAG = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="node-opcua-nodesets is not installed in build/node")


class Official:
    """One nodeset: names, types and subtypes by id."""

    def __init__(self, uri: str) -> None:
        root = ET.parse(FOLDER / FILES[uri]).getroot()  # noqa: S314 - a file of the test environment
        uris = root.find(f"{TAG}NamespaceUris")
        self.uris = [UA, *(row.text or "" for row in uris)] if uris is not None else [UA]
        aliases = root.find(f"{TAG}Aliases")
        self.aliases = {row.get("Alias"): row.text for row in aliases} if aliases is not None else {}
        self.rows = {self.id(node.get("NodeId")): node for node in root if node.get("NodeId")}

    def id(self, text: str | None) -> Id:
        found = re.fullmatch(r"(?:ns=(\d+);)?i=(\d+)", self.aliases.get(text) or text or "")
        return (self.uris[int(found[1] or 0)], int(found[2])) if found else ("", 0)

    def name(self, id_: Id) -> tuple[str, str]:
        index, _, name = (self.rows[id_].get("BrowseName") or "").rpartition(":")
        return self.uris[int(index or 0)], name

    def refers(self, id_: Id, kinds: tuple[str, ...], *, forward: bool = True) -> list[Id]:
        return [
            self.id(reference.text)
            for reference in self.rows[id_].iter(f"{TAG}Reference")
            if reference.get("ReferenceType") in kinds and (reference.get("IsForward", "true") == "true") is forward
        ]

    def parts(self, id_: Id) -> dict[tuple[str, str], Id]:
        """What a type has, with what it inherits."""
        found: dict[tuple[str, str], Id] = {}
        for base in self.refers(id_, ("HasSubtype", "i=45"), forward=False):
            if base in self.rows:
                found |= self.parts(base)
        ways = ("HasComponent", "HasProperty", "Organizes", "i=47", "i=46", "i=35", "HasAddIn")
        for child, row in self.rows.items():
            if id_ in self.refers(child, ways, forward=False) or self.id(row.get("ParentNodeId")) == id_:
                found[self.name(child)] = child
        return found | {self.name(child): child for child in self.refers(id_, ways) if child in self.rows}


@functools.cache
def official(uri: str) -> Official:
    return Official(uri)


@pytest.mark.parametrize("row", TYPES, ids=lambda row: row.name)
def test_a_type_has_the_official_id_name_and_base(row: cnc_nodes.Type) -> None:
    book = official(row.id[0])
    assert book.name(row.id) == (row.id[0], row.name)
    assert book.refers(row.id, ("HasSubtype", "i=45"), forward=False) == [row.base]


BY_PATH = {node.path: node for node in nodes()}


def declared(node: Node) -> tuple[Official, Id] | None:
    """The declaration of a node in the type of the object it is in, or in one above it."""
    way, parent = [(node.uri, node.name)], BY_PATH.get(node.parent)
    while parent is not None and parent.type not in {row.id for row in TYPES}:
        way.insert(0, (parent.uri, parent.name))
        parent = BY_PATH.get(parent.parent)
    if parent is None:
        return None
    book = official(parent.type[0])
    id_ = parent.type
    for name in way:
        row = book.parts(id_).get(name)
        if row is None:
            return None
        id_ = row
        if name is not way[-1] and (types := book.refers(id_, ("HasTypeDefinition", "i=40"))) and types[0] in book.rows:
            id_ = row if book.parts(row) else types[0]
    return book, id_


OFFICIAL = [node for node in nodes() if node.uri in (CNC, TOOL) and node.parent]


@pytest.mark.parametrize("node", OFFICIAL, ids=lambda node: node.path)
def test_a_node_has_the_official_name_type_and_data_type(node: Node) -> None:
    found = declared(node)
    assert found is not None, "no such part of the type of the object that it is in"
    book, id_ = found
    assert book.refers(id_, ("HasTypeDefinition", "i=40")) == [node.type]
    if node.data is not None:
        assert book.id(book.rows[id_].get("DataType")) == node.data
        assert (book.rows[id_].get("ValueRank") == "1") is node.array


def test_the_states_are_those_of_the_state_machine() -> None:
    book = official(TOOL)
    for state, id_ in cnc_nodes._STATE_IDS.items():
        assert book.name(id_) == (TOOL, state.name.capitalize())


def test_our_own_names_are_in_namespaces_of_ours() -> None:
    assert {node.uri for node in nodes()} <= {CNC, TOOL, DI, MACHINERY, UA, OWN, cnc_nodes.SINUMERIK}


@pytest.mark.parametrize(
    ("profile", "name", "place"),
    [
        pytest.param(profile, name, place, id=f"{profile.value}-{name}-{place.kind.value}")
        for profile, rows in cnc.PLACES.items()
        for name, row in rows.items()
        for place in row.places
    ],
)
def test_where_we_look_for_a_value_is_where_the_specification_has_it(
    profile: cnc.Profile, name: str, place: cnc.Place
) -> None:
    type_ = cnc.TYPES[profile, place.kind]
    book, id_ = official(type_[0]), type_
    for step in place.path:
        parts = book.parts(id_)
        if step not in parts and (types := book.refers(id_, ("HasTypeDefinition", "i=40"))):
            parts = book.parts(types[0]) if types[0] in book.rows else {}
        if step not in parts and step[1] in ("CurrentState", "Number"):
            return  # of the standard's own state machine
        assert step in parts, f"{name}: {step}"
        id_ = parts[step]


ENUMERATIONS = {
    (cnc.Profile.CNC, "program_state"): (CNC, 3002),
    (cnc.Profile.CNC, "channel_state"): (CNC, 3003),
    (cnc.Profile.CNC, "operation_mode"): (CNC, 3006),
    (cnc.Profile.MACHINETOOL, "channel_state"): (TOOL, 64),
    (cnc.Profile.MACHINETOOL, "operation_mode"): (TOOL, 65),
    (cnc.Profile.MACHINETOOL, "part_quality"): (TOOL, 63),
}


@pytest.mark.parametrize(("key", "id_"), ENUMERATIONS.items(), ids=lambda value: str(value[1]))
def test_every_number_of_an_enumeration_has_a_word(key: tuple[cnc.Profile, str], id_: Id) -> None:
    row = official(id_[0]).rows[id_]
    numbers = {int(field.get("Value") or 0): field.get("Name") or "" for field in row.iter(f"{TAG}Field")}
    words = cnc.PLACES[key[0]][key[1]].words
    assert set(words) == set(numbers)
    ours = {"mdi": "mda", "aborted": "canceled"}
    other = {"AutoWithManualIntervention", "CapabilityUnavailable"}
    for number, official_name in numbers.items():
        plain = words[number].replace("_", "")
        assert official_name in other or ours.get(plain, plain) in official_name.lower()
