"""The plain face as node-opcua sees it: its loader takes our NodeSet2 file, its client runs a cycle and is refused.

The head of node_opcua.py says in which version the package comes, and how.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua

from gateway.opcua.nodeset_process import written
from protocols.opcua import compat
from protocols.opcua.model.install import install
from protocols.opcua.plain_map import STRUCTURE_FIELDS, nodes_of
from tests.contract.opcua_plain import FACTS, served
from tests.contract.test_links import running
from tests.contract.vision import Vision
from tests.interop import node_opcua
from tests.interop.node_peer import environment

pytestmark = [pytest.mark.interop]
with_node = pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing())


async def node(script: str, argument: str, home: Path) -> Any:
    """What the script prints; what it writes lies below `home`."""
    process = await asyncio.create_subprocess_exec(
        "node", str(Path(__file__).with_name(script)), argument,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(home),
    )  # fmt: skip
    try:
        async with asyncio.timeout(50):
            out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return json.loads(next(line for line in out.splitlines() if line.startswith(b"{")))  # node-opcua may say more


@with_node
async def test_its_loader_takes_our_nodes(tmp_path: Path) -> None:
    file = tmp_path / "stations.NodeSet2.xml"
    file.write_text(await written([FACTS]), encoding="utf-8")
    saw = await node("opcua_nodeset.js", str(file), tmp_path)
    assert (saw["type"], saw["access"]) == ("ns=0;i=5", 3)
    assert saw["browseName"].endswith("TRIGGER_SEQ")
    assert saw["parent"].endswith("Command")
    assert (saw["stations"], "Stations" in saw["objects"]) == (["press-1"], True)
    assert (saw["rank"], saw["dimensions"]) == (1, [13])
    assert saw["fields"] == [field.name for field in STRUCTURE_FIELDS]
    # Besides the variables: the folder, the station, its five objects, the data type and its encoding.
    assert saw["nodes"] == len(nodes_of(FACTS)) + 9


async def test_asyncuas_loader_takes_our_nodes_and_they_are_the_same_each_time() -> None:
    first = await written([FACTS])
    assert first == await written([FACTS])
    compat.install()
    server = Server()
    await server.init()
    await install(server)
    nodes = await server.import_xml(xmlstring=first)
    assert len([node for node in nodes if ".MachineVision" not in str(node.Identifier)]) == len(nodes_of(FACTS)) + 9
    index = await server.get_namespace_index("urn:vision-plc-gateway:stations")
    value = server.get_node(f"ns={index};s=press-1.Result.VALUE")
    assert await value.read_value_rank() == 1
    assert await value.read_data_type() == ua.NodeId(ua.Int32(10))


@with_node
async def test_its_client_runs_a_cycle_and_is_refused_what_it_may_not(tmp_path: Path) -> None:
    async with served() as found:
        vision = Vision(found.face)
        async with running(vision.run()):
            saw = await node("opcua_plain_client.js", found.url, tmp_path)
            async with asyncio.timeout(20):
                while found.face.holder.session or len(found.connections):  # noqa: ASYNC110 - behind a wire
                    await asyncio.sleep(0.01)
    assert (saw["enabled"], saw["asked"]) == (["Good"], ["Good"] * 3)
    assert (saw["judgement"], saw["text"], saw["status"]) == (2, "NG", "Good")  # a multiple of 3
    assert saw["refused"] == ["BadTransactionFailed", "BadTypeMismatch", "BadUserAccessDenied"]
    assert saw["part"] == 65538
    assert saw["after"] == "UncertainLastUsableValue"
    whole = {name.upper(): value for name, value in saw["whole"].items()}
    assert (whole["TRIGGER_SEQ"], whole["PART_ID"], whole["JUDGEMENT"]) == (4711, 65538, 2)
    assert whole["RESULT_SEQ"] == whole["RESULT_SEQ_COPY"] == 1
    assert len(whole["VALUE"]) == 13
    assert [(request.trigger_seq, request.part_id, request.serial) for request in vision.accepted] == [
        (4711, 65538, "DMX-1")
    ]
