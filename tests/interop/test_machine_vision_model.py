"""The type model against the official nodeset of OPC 40100-1, node by node, as npm's node-opcua-nodesets carries it.

The package is fetched once into the build folder, in this version; nothing of it is ever run:
npm install --prefix build/node --omit=optional --no-audit --no-fund --no-package-lock node-opcua-nodesets@2.182.0
"""

import asyncio
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from asyncua import Server
from asyncua.server.address_space import AddressSpace

from protocols.opcua.model.data_types import DATA_TYPES
from protocols.opcua.model.install import build, install
from protocols.opcua.model.model_tables import OWN_TABLES, ModelTables
from tests.interop.nodeset import OWN, Told, differences, from_file, from_space

NODESET = (
    Path(__file__).parents[2] / "build/node/node_modules/node-opcua-nodesets/nodesets/Opc.Ua.MachineVision.NodeSet2.xml"
)
DICTIONARIES = (f"{OWN}i=6001", f"{OWN}i=6003")
BINARY = "{http://opcfoundation.org/BinarySchema/}"
XML = "{http://www.w3.org/2001/XMLSchema}"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not NODESET.exists(), reason=f"{NODESET.name} is not there; the head of this file says how"),
]


@pytest.fixture(scope="module")
def official() -> Told:
    return from_file(NODESET)


@pytest.fixture(scope="module")
def space() -> AddressSpace:
    async def started() -> AddressSpace:
        server = Server()
        await server.init()
        await server.register_namespace("urn:of-another-model")
        model = await install(server)
        assert model.index == 3
        return server.iserver.aspace

    return asyncio.run(started())


@pytest.fixture(scope="module")
def built(space: AddressSpace) -> Told:
    return from_space(space, 3)


def without_dictionaries(told: Told) -> Told:
    """Their values are compared by what they mean, in tests of their own."""
    nodes = {one: {**attributes} for one, attributes in told.nodes.items()}
    for one in DICTIONARIES:
        nodes[one].pop("value")
    return Told(nodes, told.forward, told.inverse)


def test_every_node_and_every_reference_is_that_of_the_official_nodeset(official: Told, built: Told) -> None:
    assert len(official.nodes) == 790
    assert differences(without_dictionaries(official), without_dictionaries(built)) == []


# One row of each table made wrong in one way; each must be seen, so that equality means something.
WRONG = {
    "another id": ("Sync() 7101 M", "Sync() 7999 M"),
    "a member less": ("    CausePath 6193 O . String\n", ""),
    "a copy less": ("        Recipes 5097\n", ""),
    "another rule": ("SystemState 6049 O", "SystemState 6049 M"),
    "no rule": ("Error 5107 6435 M", "Error 5107 6435"),
    "another type of object": ("Recipes 5005 O : RecipeFolderType", "Recipes 5005 O : ProductFolderType"),
    "another type of variable": ("6042 M = String", "6042 M = String : ResultType"),
    "another data type": ("Steps 6322 M . Int32", "Steps 6322 M . UInt32"),
    "no array": ("LinkedProducts 6018 O . ProductIdDataType[0]", "LinkedProducts 6018 O . ProductIdDataType"),
    "another dimension": ("ResultContent 6333 O = BaseDataType[1]", "ResultContent 6333 O = BaseDataType[0]"),
    "a component for a property": ("StopReaction 6293 M . Boolean", "StopReaction 6293 M = Boolean"),
    "not abstract": ("VisionEventType 1015 < BaseEventType abstract", "VisionEventType 1015 < BaseEventType"),
    "another supertype": ("ErrorEventType 1019 < TransitionEventType", "ErrorEventType 1019 < BaseEventType"),
    "an argument more": ("in 6217 ResultHandle Handle", "in 6217 ResultHandle Handle, More Int32"),
    "another argument type": ("out 6218 Error Int32", "out 6218 Error UInt32"),
    "an argument's name": ("in 6184 generateOptions", "in 6184 GenerateOptions"),
    "an argument's rank": ("ResultList ResultDataType[]", "ResultList ResultDataType"),
    "a transition's number": ("\n    340 Error", "\n    349 Error"),
    "a transition's end": ("\n    320 Error", "\n    310 Error"),
    "another cause": ("5032 6230 by Halt", "5032 6230 by Reset"),
    "an effect less": ("5034 6232 with Error", "5034 6232"),
    "states' numbers": ("2 Halted 5029 6227\n    3 Error 5030", "3 Halted 5029 6227\n    2 Error 5030"),
    "no initial state": ("5078 6309 initial", "5078 6309"),
    "a sub machine elsewhere": ("of Halted", "of Error"),
    "copies exchanged": ("Abort 7092 6405 6406", "Abort 7092 6406 6405"),
}  # fmt: skip


@pytest.mark.parametrize("row", WRONG)
def test_a_wrong_row_is_seen(official: Told, space: AddressSpace, row: str) -> None:
    right, wrong = WRONG[row]
    assert right in OWN_TABLES
    assert differences_with(official, space, ModelTables(OWN_TABLES.replace(right, wrong), DATA_TYPES))


WRONG_TYPES = {
    "a field less": ("    Version? TrimmedString\n", ""),
    "a field not optional": ("IsSimulated? Boolean", "IsSimulated Boolean"),
    "another type": ("ResultState ResultStateDataType", "ResultState Int32"),
    "no array": ("ResultContent? BaseDataType[1]", "ResultContent? BaseDataType"),
    "another encoding": ("5268 5269", "5999 5269"),
    "the encoding of another": ("5002 5003", "5003 5002"),
    "another value of an enumeration": ("NST_6 6", "NST_6 7"),
    "another supertype": ("Handle 3018 < UInt32", "Handle 3018 < Int32"),
    "not abstract": (" abstract", ""),
}


@pytest.mark.parametrize("row", WRONG_TYPES)
def test_a_wrong_row_of_the_data_types_is_seen(official: Told, space: AddressSpace, row: str) -> None:
    right, wrong = WRONG_TYPES[row]
    assert right in DATA_TYPES
    assert differences_with(official, space, ModelTables(OWN_TABLES, DATA_TYPES.replace(right, wrong)))


def differences_with(official: Told, space: AddressSpace, tables: ModelTables) -> list[str]:
    """Of a model of other tables, built beside the right one."""
    index = 1 + max(node_id.NamespaceIndex for node_id in list(space.keys()))
    build(space, index, tables)
    return differences(without_dictionaries(official), without_dictionaries(from_space(space, index)))


def test_references_quote_name_class_and_type_of_what_they_point_at(space: AddressSpace, built: Told) -> None:
    for node_id in list(space.keys()):
        for reference in space[node_id].references:
            if reference.NodeId.NamespaceIndex != 3:
                continue
            quoted = built.nodes[f"{OWN}i={reference.NodeId.Identifier}"]
            assert reference.BrowseName.Name == quoted["browse name"][1] == reference.DisplayName.Text
            assert reference.NodeClass == quoted["class"]
            assert reference.TypeDefinition.is_null() == (quoted["class"] not in {1, 2})


def test_the_binary_type_dictionary_says_what_the_official_one_says(official: Told, built: Told) -> None:
    kept = ("Name", "TypeName", "SwitchField", "LengthField", "Length", "Value")

    def read(text: bytes) -> dict[str, object]:
        return {
            one.attrib["Name"]: (
                one.get("BaseType"),
                [[field.get(name) for name in kept] for field in one],
            )
            for one in ET.fromstring(text)  # noqa: S314  # ours, and the one that the test has installed
            if one.tag in {f"{BINARY}StructuredType", f"{BINARY}EnumeratedType"}
        }

    ours, theirs = (read(told.nodes[DICTIONARIES[0]]["value"]) for told in (built, official))
    assert ours == theirs


def test_the_xml_type_dictionary_names_every_type_and_every_field(official: Told, built: Told) -> None:
    def read(text: bytes) -> dict[str, list[tuple[str | None, str | None]]]:
        root = ET.fromstring(text)  # noqa: S314  # as above
        return {
            one.attrib["name"]: [
                (child.get("name") or child.get("value"), child.get("type"))
                for child in one.iter()
                if child.tag in {f"{XML}element", f"{XML}enumeration"}
            ]
            for one in [*root.iter(f"{XML}complexType"), *root.iter(f"{XML}simpleType")]
            if not one.attrib["name"].startswith("ListOf")
        }

    ours, theirs = (read(told.nodes[DICTIONARIES[1]]["value"]) for told in (built, official))
    for name in theirs:
        if not theirs[name]:  # an extension of its base without fields; ours lists what it inherits
            theirs[name] = theirs["BinaryIdBaseDataType"]
    assert ours == theirs
