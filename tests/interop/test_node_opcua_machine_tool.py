"""Our tags of a machine tool that node-opcua serves from the official nodesets: found by type over a secure channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.tags import Quality
from simulators.cnc_nodes import MACHINERY, TOOL
from tests.contract.test_links import until
from tests.contract.test_opcua_tag_source import watched
from tests.interop import node_opcua
from tests.interop.node_opcua import Certificates
from tests.interop.node_peer import Node, node
from tests.scenario.stand import free_port

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

PATIENCE = 30.0
NODESETS = ("di", "machinery", "ia", "isa95JobControl", "machineryJobs", "machineTool")
MONITORING = {"uri": TOOL, "in": ["mill", "Monitoring"]}
MACHINE = {
    "type": "MachineToolType",
    "uri": TOOL,
    "name": "Mill",
    "key": "mill",
    "below": {"uri": MACHINERY, "id": "i=1001"},
    "optionals": ["Production.Statistics", "Production.ProductionPlan", "Monitoring.MachineTool.FeedOverride"],
}
PARTS = (
    MACHINE,
    {**MONITORING, "type": "ChannelMonitoringType", "name": "Channel1", "key": "channel"},
    {**MONITORING, "type": "SpindleMonitoringType", "name": "Spindle1", "key": "spindle", "optionals": ["Override"]},
)
PROGRAM = "Production/ActiveProgram"
TAGS = [{"name": name} for name in ("program_name", "program_state", "channel_state", "operation_mode")]
TAGS += [{"name": "feed_override"}, {"name": "spindle_override"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, OpcUaDeviceConfig]]:
    folder = tmp_path_factory.mktemp("machine")
    certificates = Certificates(folder)
    certificates.make("machine", "gateway")
    await node_opcua.warm()
    async with node("node_opcua_server.js", folder) as server:
        port = free_port()
        own = {"certificate": certificates.path("machine"), "key": certificates.key("machine")}
        who = {"applicationUri": certificates.uri("machine"), "pki": folder / "pki", "anonymous": True}
        secure = {"policies": ["Basic256Sha256"], "trusted": [certificates.path("gateway")]}
        await server.do("start", port=port, nodesets=NODESETS, instances=PARTS, **own, **who, **secure)
        yield server, device(certificates, port)


def device(certificates: Certificates, port: int) -> OpcUaDeviceConfig:
    security = {"certificate": certificates.path("gateway"), "key": certificates.key("gateway")}
    link = {"kind": "opcua", "url": f"opc.tcp://127.0.0.1:{port}/UA/plc", "timeout_ms": 5000}
    return OpcUaDeviceConfig.model_validate({
        "name": "mill", "profile": "machinetool", "tags": TAGS, "sampling": {"default_ms": 100},
        "link": {**link, "security": {**security, "pinned": certificates.path("machine")}},
    })  # fmt: skip


async def show(server: Node, key: str, path: str, kind: str, value: Any, status: str = "Good") -> None:
    told = {"id": key, "path": path, "type": kind, "value": value, "status": status}
    await server.do("set", nodes=[told])


async def test_a_machine_tool_of_the_official_nodesets_is_found_by_its_types_and_watched(
    machine: tuple[Node, OpcUaDeviceConfig],
) -> None:
    server, config = machine
    await show(server, "mill", f"{PROGRAM}/Name", "String", "PART_7")
    await show(server, "mill", f"{PROGRAM}/State/CurrentState/Number", "UInt32", 1)
    await show(server, "mill", "Monitoring/MachineTool/OperationMode", "Int32", 1)
    await show(server, "channel", "ChannelState", "Int32", 0)
    await show(server, "channel", "FeedOverride", "Double", 80.0)
    await show(server, "spindle", "Override", "Double", 110.0)
    async with watched(config) as (book, _):
        await until(lambda: len(book.current) == len(TAGS), PATIENCE)
        await until(lambda: book.good("program_state") == "running", PATIENCE)
        assert {name: book.good(name) for name in ("program_name", "channel_state", "operation_mode")} == {
            "program_name": "PART_7",
            "channel_state": "active",
            "operation_mode": "automatic",
        }
        assert (book.good("feed_override"), book.good("spindle_override")) == (80.0, 110.0)
        await show(server, "mill", f"{PROGRAM}/State/CurrentState/Number", "UInt32", 2)
        await until(lambda: book.good("program_state") == "ended", PATIENCE)
        await show(server, "channel", "FeedOverride", "Double", 0.0, "BadSensorFailure")
        await until(lambda: book.current["feed_override"].quality is Quality.BAD, PATIENCE)
        assert book.good("program_state") == "ended"
