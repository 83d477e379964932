"""Our nodes as a NodeSet2 file, loaded by node-opcua as a SCADA system would import it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gateway import config
from gateway.facts import station_facts
from protocols.opcua.plain_map import FOLDERS, NAMESPACE_URI, STRUCTURE_ID, DataType, PlainNode, nodes_of
from tests.interop import node_opcua
from tests.interop.node_peer import node

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
]

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"
READ, READ_WRITE = 1, 3


async def test_the_exported_nodes_are_all_there_with_their_types(tmp_path: Path) -> None:
    file = tmp_path / "stations.NodeSet2.xml"
    await gateway("opcua", "export", str(DEMO), "--out", str(file))
    async with node("node_opcua_client.js", tmp_path) as peer:
        found = await peer.do("loadNodeset", file=file, uri=NAMESPACE_URI, needs=["machineVision"])
    nodes = {each["id"]: each for each in found}
    loaded = config.read(DEMO)
    for station in loaded.config.stations:
        facts = station_facts(station.name, loaded.recipes[station.name])
        for folder in ("", *(path for path, _ in FOLDERS)):
            assert nodes[f"s={facts.name}{'.' * bool(folder)}{folder}"]["class"] == "Object"
        for wanted in nodes_of(facts):
            here = nodes[f"s={facts.name}.{wanted.path}"]
            assert (here["class"], here["name"], here["rank"]) == ("Variable", wanted.name, 1 if wanted.length else -1)
            assert here["dataType"] == data_type(wanted, here["dataType"]), wanted.path
            assert here["access"] == (READ_WRITE if wanted.writable else READ), wanted.path
    assert nodes[f"i={STRUCTURE_ID}"]["class"] == "DataType"
    assert [id_ for id_, each in nodes.items() if each["class"] == "Object" and not each["definition"]] == []


def data_type(wanted: PlainNode, found: str) -> str:
    """Of a structure the namespace's index is that of the loading program."""
    if wanted.type is not DataType.STRUCTURE:
        return f"ns=0;i={int(wanted.type)}"
    return f"{found.partition(';')[0]};i={STRUCTURE_ID}"


async def gateway(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(50):
            told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, told.decode()
