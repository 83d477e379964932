"""The simulated CNC under node-opcua's client: found by type, followed, limited, told whether a part is good."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from simulators.cnc import Cnc, Program, Rules
from simulators.cnc_nodes import CNC, DI, MACHINERY, SINUMERIK, TOOL
from simulators.cnc_server import CncServer, Limits
from tests.interop import node_opcua
from tests.interop.node_opcua import Certificates, Clients, Session
from tests.interop.node_peer import Node, NodeError, node

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

FAST = 20.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, Certificates]]:
    folder = tmp_path_factory.mktemp("node")
    certificates = Certificates(folder)
    certificates.make("client")
    await node_opcua.warm()
    async with node("node_opcua_client.js", folder) as peer:
        yield peer, certificates


@pytest_asyncio.fixture(loop_scope="module")
async def control() -> AsyncIterator[CncServer]:
    machine = Cnc(speed=FAST, rules=Rules(verdict_timeout=30, reset_after=0))
    async with CncServer(machine, limits=Limits(sessions=2)).open() as server:
        yield server


@pytest.fixture
def clients(program: tuple[Node, Certificates], control: CncServer) -> Clients:
    return Clients(*program, control.endpoint)


async def test_it_is_found_by_type_and_every_variable_is_readable(clients: Clients) -> None:
    async with clients.session() as session:
        found = await session.browse_all("i=85")
        cnc, tool = session.index(CNC), session.index(TOOL)
        kinds = [each["definition"] for each in found.values()]
        for number in (1002, 1004, 1005, 1007):
            assert f"ns={cnc};i={number}" in kinds
        machines = found[f"ns={session.index(MACHINERY)};i=1001"]
        assert machines["name"] == f"{session.index(MACHINERY)}:Machines"
        (machine,) = [each for each in found.values() if each["definition"] == f"ns={tool};i=13"]
        assert machine["parent"] == machines["id"]
        ours = [id_ for id_, each in found.items() if each["class"] == "Variable" and not id_.startswith("ns=0;")]
        statuses = {id_: value["status"] for id_, value in zip(ours, await session.read(*ours), strict=True)}
        bad = [id_ for id_, status in statuses.items() if status != "Good"]
        assert all("PosDirect" in id_ and not id_.endswith("ActPos") for id_ in bad), bad
        assert any(name == f"{session.index(DI)}:SerialNumber" for name in (each["name"] for each in found.values()))


async def test_a_part_is_made_asks_for_its_verdict_and_goes_on_when_it_is_good(
    control: CncServer, clients: Clients
) -> None:
    async with clients.session() as session:
        asked, answer = parameter(session, 20), parameter(session, 21)
        waits, parts = operand(session, "/Plc/M5.0"), operand(session, "/Channel/State/actParts[u1]")
        data = await session.data(asked, waits, parts, interval=100)
        for number in (1, 2):
            await data.shows({asked: number, waits: True})
            assert await session.write((answer, "Double", float(number))) == ["Good"]
            assert await session.value(answer) == number
            await data.shows({parts: number})
    assert control.machine.good == 2
    assert control.machine.state is not Program.INTERRUPTED


async def test_a_bad_part_stops_it_with_an_alarm(control: CncServer, clients: Clients) -> None:
    async with clients.session() as session:
        waits, alarms = operand(session, "/Plc/M5.0"), operand(session, "/Nck/State/numAlarms")
        data = await session.data(waits, alarms, interval=100)
        await data.shows({waits: True})
        assert await session.write((parameter(session, 21), "Double", -1.0)) == ["Good"]
        await data.shows({alarms: 1})
        assert await session.value(f"{channel(session)}/ActProgramStatus") == 3
    assert control.machine.bad == 1


async def test_writes_of_another_type_or_to_what_only_shows_are_refused(clients: Clients) -> None:
    async with clients.session() as session:
        status = operand(session, "/Channel/State/progStatus[u1]")
        wrong = (parameter(session, 21), "UInt16", 1)
        assert await session.write(wrong, (status, "UInt16", 3)) == ["BadTypeMismatch", "BadNotWritable"]


async def test_intervals_go_up_to_the_controls_steps_and_the_third_session_is_refused(clients: Clients) -> None:
    async with clients.session("one") as one, clients.session("two"):
        assert (await one.data(parameter(one, 20), interval=120)).interval == 250
        with pytest.raises(NodeError, match="BadTooManySessions"):
            async with clients.session("three"):
                pass


async def test_after_a_restart_with_other_indices_it_is_found_by_its_namespaces(
    control: CncServer, clients: Clients
) -> None:
    async with clients.session() as session:
        before = session.index(SINUMERIK)
    await control.restart(shift=True)
    async with clients.session() as session:
        assert session.index(SINUMERIK) == before + 1
        assert await session.value(operand(session, "/Bag/State/opMode[u1]")) == 2


def parameter(session: Session, number: int) -> str:
    return operand(session, f"/Channel/Parameter/R[u1,{number}]")


def operand(session: Session, path: str) -> str:
    return f"ns={session.index(SINUMERIK)};s={path}"


def channel(session: Session) -> str:
    own = session.namespaces.index("urn:vision-plc-gateway:simulators:cnc")
    return f"ns={own};s=Cnc/CncChannelList/Channel1"
