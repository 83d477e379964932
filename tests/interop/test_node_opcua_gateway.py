"""A running gateway under node-opcua's client: both faces of one station, and who drives it beside a PLC on Modbus."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pymodbus.client import AsyncModbusTcpClient

from protocols.faults import Code
from protocols.opcua.passwords import hashed
from protocols.opcua.plain_map import node_id
from protocols.signals import Command, Control, StatusBit
from tests import models
from tests.contract.test_links import MasterPlc, shown
from tests.interop import node_opcua
from tests.interop.node_opcua import Certificates, Clients, Session
from tests.interop.node_peer import NodeError, node
from tests.interop.opcua_stand import SECURE, login
from tests.interop.vision_client import AUTOMATIC, MACHINE, System
from tests.scenario.stand import Stand, free_port

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]

STATION = "cell1"


@dataclass
class Line:
    """The gateway, its PLC's port, and clients of its server."""

    stand: Stand
    clients: Clients

    @asynccontextmanager
    async def modbus(self) -> AsyncIterator[MasterPlc]:
        client = AsyncModbusTcpClient("127.0.0.1", port=self.stand.port, timeout=5, retries=0, reconnect_delay=0)
        plc = MasterPlc(client)
        await plc.come_back()
        try:
            yield plc
        finally:
            await plc.write(Command())
            await plc.leave()

    def inspected(self, part: int) -> list[Any]:
        return [row for row in self.stand.history() if row.trigger.part_id == part]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Line]:
    folder = tmp_path_factory.mktemp("line")
    recipe = models.recipe(folder / "recipe", models.detector([(10, 10, 50, 50, 0.9, 0)]))
    certificates = Certificates(folder)
    certificates.make("server", "client")
    trusted = folder / "trust" / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "client.pem").write_bytes(certificates.path("client").read_bytes())
    link = {"kind": "modbus_server", "host": "127.0.0.1", "word_order": "CDAB", "string_order": "little"}
    times = {"deadline_ms": 5000, "grab_timeout_ms": 4000}
    stand = Stand(folder / "gateway", recipe, {"cycle": times, "link": {**link, "port": free_port()}})
    stand.port = int(stand.stations[0]["link"]["port"])
    port = free_port()
    stand.opcua = server_keys(certificates, port)
    stand.write_config(stand.config, stand.data_dir)
    await node_opcua.warm()
    async with node("node_opcua_client.js", folder) as peer:
        await stand.start()
        try:
            clients = Clients(peer, certificates, f"opc.tcp://127.0.0.1:{port}")
            await listening(clients)
            yield Line(stand, clients)
            assert await stand.stop() == 0, stand.log_text()
        finally:
            stand.close()


def server_keys(certificates: Certificates, port: int) -> dict[str, Any]:
    """What an integrator writes below `opcua:`."""
    roles = {"anna": "viewer", "otto": "operator", "emil": "engineer"}
    return {
        "port": port,
        "names": ["127.0.0.1"],
        "application_uri": certificates.uri("server"),
        "certificate": str(certificates.path("server")),
        "key": str(certificates.key("server")),
        "trust": str(certificates.folder / "trust"),
        "users": [
            {"name": name, "role": role, "password_hash": hashed(login(name)["password"])}
            for name, role in roles.items()
        ],
    }


async def listening(clients: Clients) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                await clients.endpoints()
            except NodeError:
                await asyncio.sleep(0.2)
            else:
                return


@pytest_asyncio.fixture(loop_scope="module")
async def otto(line: Line) -> AsyncIterator[Session]:
    async with line.clients.session("otto", **login("otto")) as session:
        yield session


def plain(path: str) -> str:
    return node_id(STATION, path)


async def result_of(session: Session) -> Any:
    """The whole of it; the camera is a simulated one, and that shows."""
    (found,) = await session.read(plain("ResultStructure"))
    assert found["status"] == "UncertainSimulatedValue"
    return found["value"]


async def test_everything_is_browsed_and_every_variable_of_ours_is_read(otto: Session) -> None:
    found = await otto.browse_all("i=85")
    ours = [id_ for id_, each in found.items() if id_.startswith("ns=2;") and each["class"] == "Variable"]
    assert len(ours) > 250
    values = await otto.read(*ours)
    assert "Opaque" not in str(values)
    statuses = {each["status"] for each in values}
    assert "Good" in statuses
    assert statuses <= {"Good", "BadStateNotActive", "BadNoData", "BadWaitingForInitialData", "UncertainSimulatedValue"}
    assert await otto.value(plain("Status.STATUS.ONLINE")) is True


async def test_a_job_is_done_and_recorded_and_the_plc_is_told_who_drives(line: Line, otto: Session) -> None:
    system = System(otto, f"{STATION}.MachineVision")
    async with line.modbus() as plc, system.events() as events:
        assert await system.call(f"{MACHINE}/SelectModeAutomatic") == [0]
        await events.first("StateChanged", 15.0, **{"ToState/Id": system.type(READY)})
        seen = await plc.read()
        assert seen.status.not_ready_reason == Code.DRIVEN_BY_OTHER
        job, error = await system.call(f"{AUTOMATIC}/StartSingleJob", *system.job(meas="M-7", part="4711"))
        assert error == 0
        result = await events.first("ResultReady", JobId=job)
        assert (result["MeasId"]["id"], result["PartId"]["id"], result["IsSimulated"]) == ("M-7", "4711", True)
        await events.first("Ready", JobId=job)
        whole = await system.call(
            "ResultManagement/GetResultById", system.make("Result", result["ResultId"]["id"]), ("Int32", 0)
        )
        assert whole[1]["jobId"] == job
        assert (await plc.read()).result.result_seq == 0, "the PLC was shown another driver's result"
        assert await system.call(f"{MACHINE}/Halt", ("Int32", 0), ("String", "")) == [0]
        await events.first("StateChanged", 15.0, **{"ToState/Id": system.type(HALTED)})
        assert await system.call(f"{MACHINE}/Reset", ("Int32", 0), ("String", "")) == [0]
        await shown(plc, lambda outputs: outputs.status.not_ready_reason != Code.DRIVEN_BY_OTHER, 15)
    assert len(line.inspected(4711)) == 1


READY, HALTED = 5031, 5029


async def test_what_the_plc_does_is_shown_and_nobody_else_drives_meanwhile(line: Line, otto: Session) -> None:
    system = System(otto, f"{STATION}.MachineVision")
    async with line.modbus() as plc, system.events() as events:
        await plc.write(Command(control=int(Control.ENABLE)))
        await shown(plc, lambda outputs: bool(outputs.status.bits & StatusBit.READY), 15)
        refused = await system.ask(f"{MACHINE}/SelectModeAutomatic")
        assert refused["status"] == "BadInvalidState"
        await plc.write(Command(control=int(Control.ENABLE), trigger_seq=5, part_id=77))
        await shown(plc, lambda outputs: outputs.result.trigger_seq == 5, 15)
        result = await events.first("ResultReady")
        assert result["PartId"]["id"] == "77"
        assert await otto.value(plain("Driver")) == "LINK"
        structure = await result_of(otto)
        assert (structure["PART_ID"], structure["TRIGGER_SEQ"]) == (77, 5)
    assert len(line.inspected(77)) == 1


async def test_the_variables_drive_where_no_plc_does(line: Line, otto: Session) -> None:
    ready, ack, valid = (plain(f"Status.{name}") for name in ("STATUS.READY", "TRIGGER_SEQ_ACK", "STATUS.RESULT_VALID"))
    data = await otto.data(ready, ack, valid)
    assert await otto.write((plain("Command.CONTROL.ENABLE"), "Boolean", True)) == ["Good"]
    await data.shows({ready: True})
    assert await otto.value(plain("Driver")) == "VARIABLES"
    trigger = (plain("Command.TRIGGER_SEQ"), "UInt16", 31)
    assert await otto.write((plain("Command.PART_ID"), "UInt32", 88), trigger) == ["Good", "Good"]
    await data.shows({ack: 31, valid: True})
    structure = await result_of(otto)
    assert (structure["PART_ID"], structure["TRIGGER_SEQ"]) == (88, 31)
    assert await otto.write((plain("Command.RESULT_ACK_SEQ"), "UInt16", structure["RESULT_SEQ"])) == ["Good"]
    await data.shows({valid: False})
    assert await otto.write((plain("Command.CONTROL"), "UInt16", 0)) == ["Good"]
    await data.shows({ready: False})
    assert len(line.inspected(88)) == 1


async def test_who_must_stay_out_does(line: Line) -> None:
    assert (await line.clients.refused(**SECURE, rude=True)).startswith("Bad")
    assert (await line.clients.refused(policy="None", mode="None", rude=True)).startswith("Bad")
    assert (await line.clients.refused(**{**login("otto"), "password": "a guess"})).startswith("Bad")
    async with line.clients.session("anna", **login("anna")) as anna:
        assert await anna.write((plain("Command.CONTROL"), "UInt16", 1)) == ["BadUserAccessDenied"]
        viewer = System(anna, f"{STATION}.MachineVision")
        assert (await viewer.ask(f"{MACHINE}/SelectModeAutomatic"))["status"] == "BadUserAccessDenied"


async def test_the_exported_nodes_are_those_of_the_running_server(line: Line, otto: Session, tmp_path: Path) -> None:
    from tests.interop.test_node_opcua_export import gateway

    file = tmp_path / "own.NodeSet2.xml"
    await gateway("opcua", "export", str(line.stand.config), "--out", str(file))
    found = await otto.browse_all("i=85")
    live = {id_.removeprefix("ns=2;") for id_ in found if id_.startswith("ns=2;")}
    uri = "urn:vision-plc-gateway:stations"
    exported = await otto.node.do("loadNodeset", file=file, uri=uri, needs=["machineVision"])
    assert live == {each["id"] for each in exported if each["class"] in ("Object", "Variable", "Method")} - {"i=5001"}
