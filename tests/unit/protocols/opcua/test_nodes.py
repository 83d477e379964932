"""References to nodes: every written form, what is refused, and where a moved namespace leads."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.link import MapError, PeerError
from protocols.opcua.nodes import STANDARD, NamespaceMissingError, Node, NodeTextError, Path, Step, check_aliases, parse

SIEMENS = "http://www.siemens.com/simatic-s7-opcua"
ALIASES = {"plc": SIEMENS}
GUID = uuid.UUID("09087e75-8e5e-499b-954f-f2a9603db28a")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('ns=3;s="VisionDB"."Cmd"."Trigger"', Node(3, '"VisionDB"."Cmd"."Trigger"')),
        ("ns=2;s=/Channel/Parameter/R[u1,10]", Node(2, "/Channel/Parameter/R[u1,10]")),
        ("ns=3;s=a;b=c", Node(3, "a;b=c")),
        ("ns=4;i=1001", Node(4, 1001)),
        ("i=2258", Node(0, 2258)),
        ("s=alone", Node(0, "alone")),
        (f"ns=1;g={GUID}", Node(1, GUID)),
        ("ns=1;b=M/RbKBsRVkePCePcx24oRA==", Node(1, bytes.fromhex("33f45b281b1156478f09e3dcc76e2844"))),
        (f"nsu={SIEMENS};s=x", Node(SIEMENS, "x")),
        ("nsu=urn:a%3Bb%25;i=1", Node("urn:a;b%", 1)),
        (f"nsu={STANDARD};i=85", Node(0, 85)),
        ("ns=plc;s=x", Node(SIEMENS, "x")),
        ("/Objects", Path("Objects", ())),
        ("/Objects/3:PLC_1/plc:DB", Path("Objects", (Step(3, "PLC_1"), Step(SIEMENS, "DB")))),
        ("/Objects/Server", Path("Objects", (Step(0, "Server"),))),
        ("/Objects/1:a&/b&:c&&", Path("Objects", (Step(1, "a/b:c&"),))),
    ],
)
def test_every_written_form_is_understood(text: str, meant: Node | Path) -> None:
    assert parse(text, ALIASES) == meant


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "missing"),
        ("VisionDB.Trigger", "does not say which node"),
        ("ns=3", "no node in it"),
        ("ns=3;", "does not say which node"),
        ("ns=3;x=1", "does not say which node"),
        ("ns=70000;i=1", "neither the index"),
        ("ns=-1;i=1", "neither the index"),
        ("ns=siemens;i=1", "(plc)"),
        ("ns=3;i=abc", "write s="),
        ("ns=3;i=4294967296", "write s="),
        ("ns=3;g=12", "no GUID"),
        ("ns=3;b=@@", "no base64"),
        ("nsu=;s=x", "empty namespace URI"),
        ("nsu=urn:50%;s=x", "%25"),
        ("/Objects//x", "empty name"),
        ("/3:PLC_1", "begins with"),
        ("/Objects/4711x:a", "neither the index"),
        ("/Objects/1:a&", "ends with &"),
        ("ns=3;s=" + "x" * 4097, "4096"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_cause(text: str, cause: str) -> None:
    with pytest.raises(NodeTextError) as told:
        parse(text, ALIASES)
    assert cause in str(told.value)
    assert isinstance(told.value, MapError)
    assert isinstance(told.value, ValueError)


def test_a_uri_follows_its_namespace_and_an_index_stays() -> None:
    before, after = [STANDARD, "urn:app", "urn:di", SIEMENS], [STANDARD, "urn:app", SIEMENS]
    by_uri, by_index = parse(f"nsu={SIEMENS};s=x"), parse("ns=2;s=x")
    assert (by_uri.at(before), by_uri.at(after)) == (Node(3, "x"), Node(2, "x"))
    assert (by_index.at(before), by_index.at(after)) == (Node(2, "x"), Node(2, "x"))
    path = parse("/Objects/plc:PLC_1", ALIASES)
    assert path.at(after) == Path("Objects", (Step(2, "PLC_1"),))


@pytest.mark.parametrize("text", [f"nsu={SIEMENS};s=x", "ns=7;s=x", "/Objects/plc:PLC_1"])
def test_a_missing_namespace_is_told_with_those_that_are_there(text: str) -> None:
    with pytest.raises(NamespaceMissingError, match=r"it has 0 http://opcfoundation\.org/UA/, 1 urn:app") as told:
        parse(text, ALIASES).at([STANDARD, "urn:app"])
    assert isinstance(told.value, PeerError)


def test_aliases_are_names_for_uris() -> None:
    check_aliases(ALIASES)
    with pytest.raises(NodeTextError, match="no name"):
        check_aliases({"3": SIEMENS})
    with pytest.raises(NodeTextError, match="no URI"):
        check_aliases({"plc": "siemens"})


spaces = st.integers(0, 65535) | st.text(min_size=1).map(lambda text: "urn:" + text)
nodes = st.builds(
    Node, spaces, st.integers(0, 2**32 - 1) | st.text(min_size=1, max_size=50) | st.uuids() | st.binary(min_size=1)
)
steps = st.builds(Step, st.integers(0, 65535), st.text(min_size=1))
paths = st.builds(Path, st.just("Objects"), st.lists(steps).map(tuple))


@given(nodes | paths)
def test_what_is_printed_is_read_back(reference: Node | Path) -> None:
    assert parse(str(reference)) == reference
