"""The plain face in the server as it is delivered: certificates, passwords, roles, and nodes that cannot be written."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest_asyncio
from asyncua import Client, ua

from protocols.link import LinkState
from protocols.opcua.plain import PlainFace
from protocols.opcua.plain_map import NAMESPACE
from protocols.signals import Command
from protocols.station_view import Seat
from tests.contract.opcua_plain import FACTS, NODES, node, variant
from tests.contract.opcua_rig import Rig, until
from tests.contract.test_links import Recorder
from tests.contract.test_opcua_plain import SHOWN
from tests.opcua_papers import Papers


class Plant(Rig):
    """A hardened server with a station in it."""

    async def fill(self) -> None:
        await super().fill()
        self.face = PlainFace(self.hardened.server, FACTS, drives=Seat.VARIABLES, on_event=self._event)
        await self.face.build()
        self.station = Recorder()
        self.face.attach(self.station)
        self.face.publish(SHOWN)


@pytest_asyncio.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    found = Plant(tmp_path, Papers())
    async with found.running():
        yield found


@asynccontextmanager
async def session(plant: Plant, user: str) -> AsyncIterator[Client]:
    client = await plant.client(user)
    async with client:
        yield client


async def put(client: Client, path: str, value: object) -> str:
    nodes = [client.get_node(node(path))]
    (found,) = await client.write_values(nodes, [variant(NODES[path], value)], raise_on_partial_error=False)
    return str(found.name)


async def test_an_operator_commands_a_viewer_reads_and_nobody_writes_results(plant: Plant) -> None:
    async with session(plant, "anna") as viewer, session(plant, "otto") as operator:
        assert await viewer.get_namespace_index("urn:vision-plc-gateway:stations") == NAMESPACE
        assert await viewer.get_node(node("Result.PART_ID")).read_value() == 9
        assert await put(viewer, "Command.CONTROL", 1) == "BadUserAccessDenied"
        assert await put(operator, "Command.CONTROL", 1) == "Good"
        assert await put(operator, "Result.JUDGEMENT", 1) == "BadUserAccessDenied"
        assert await put(operator, "Command.SERIAL", "x" * 33) == "BadOutOfRange"
        level = await operator.get_node(node("Result.JUDGEMENT")).read_attribute(ua.AttributeIds.UserAccessLevel)
        assert level.Value is not None
        assert level.Value.Value == 1
    await until(lambda: not plant.face.holder.session)
    assert plant.station.told == [LinkState.UP, Command(control=1), LinkState.DOWN]
