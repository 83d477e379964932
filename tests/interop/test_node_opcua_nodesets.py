"""What the simulated CNC shows, beside the official nodesets as the package of node-opcua carries them."""

from __future__ import annotations

import re

import pytest

from simulators.cnc_nodes import CNC, TOOL, TYPES, UA
from tests.interop import node_opcua
from tests.interop.node_opcua import NODESETS

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
]

FILES = {CNC: "Opc.Ua.CNC.NodeSet.xml", TOOL: "Opc.Ua.MachineTool.NodeSet2.xml"}
TYPE = re.compile(r'<UA(?:Object|Variable|Data)Type NodeId="ns=(\d+);i=(\d+)" BrowseName="\d+:(\w+)"')
URI = re.compile(r"<NamespaceUris>(.*?)</NamespaceUris>", re.DOTALL)


def test_its_types_bear_the_names_and_numbers_of_the_official_nodesets() -> None:
    official: dict[tuple[str, int], str] = {}
    for uri, file in FILES.items():
        text = (NODESETS / file).read_text(encoding="utf-8")
        uris = [UA, *re.findall(r"<Uri>(.*?)</Uri>", URI.search(text)[1])]  # type: ignore[index]
        own = uris.index(uri)
        official |= {(uri, int(i)): name for ns, i, name in TYPE.findall(text) if int(ns) == own}
    assert {kind.id: kind.name for kind in TYPES} == {kind.id: official.get(kind.id) for kind in TYPES}
