"""The plain face of a station as node-opcua's client sees it: every variable, who may write, whole trigger cycles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from protocols.opcua.plain_map import DataType, nodes_of
from tests.interop import node_opcua
from tests.interop.node_opcua import Data, Session
from tests.interop.node_peer import Told
from tests.interop.opcua_stand import FACTS, Stand, login, plain, stand

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with stand(tmp_path_factory.mktemp("cell")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def otto(cell: Stand) -> AsyncIterator[Session]:
    """A PLC's session: it may write commands."""
    async with cell.clients.session("plc", **login("otto")) as session:
        yield session


async def test_every_variable_is_found_and_read_as_what_it_is(otto: Session) -> None:
    found = await otto.browse_all(plain(""))
    wanted = {plain(each.path): each for each in nodes_of(FACTS)}
    variables = {id_ for id_, each in found.items() if each["class"] == "Variable"}
    assert variables == set(wanted)
    values = dict(zip(wanted, await otto.read(*wanted), strict=True))
    for id_, each in wanted.items():
        assert found[id_]["name"].partition(":")[2] == each.name
        if values[id_]["status"] == "Good":
            kind = "ExtensionObject" if each.path == "ResultStructure" else each.type.text
            assert (values[id_]["type"], values[id_]["array"]) == (kind, bool(each.length)), id_
        else:
            assert values[id_]["value"] is None, id_
    assert plain("Status.BOOT_ID") in [id_ for id_ in wanted if values[id_]["status"] == "Good"]


class Plc:
    """A PLC's program over the plain face: subscribes to what it waits for, writes each step in one request."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.data: Data

    async def begin(self) -> None:
        self.data = await self.session.data(*map(plain, WATCHED))
        await self.write(("CONTROL.ENABLE", "Boolean", True))
        await self.sees(READY=True)

    async def write(self, *values: tuple[str, str, Any]) -> None:
        told = [(plain(f"Command.{path}"), kind, value) for path, kind, value in values]
        assert await self.session.write(*told) == ["Good"] * len(values)

    async def sees(self, **wanted: Any) -> None:
        paths = {name: next(path for path in WATCHED if path.endswith(f".{name}")) for name in wanted}
        await self.data.shows({plain(paths[name]): value for name, value in wanted.items()})

    async def result(self) -> Told:
        """In one request, as a structure."""
        found: Told = await self.session.value(plain("ResultStructure"))
        return found

    async def end(self) -> None:
        await self.write(("CONTROL", "UInt16", 0))
        await self.sees(READY=False)


WATCHED = (
    "Status.STATUS.READY",
    "Status.STATUS.TRIGGER_ACK",
    "Status.STATUS.RESULT_VALID",
    "Status.TRIGGER_SEQ_ACK",
    "Status.PENDING",
)


async def test_cycles_in_sequence_style(cell: Stand, otto: Session) -> None:
    plc = Plc(otto)
    await plc.begin()
    for number in (3, 4, 5):
        part = 65_536 + number
        await plc.write(("PART_ID", "UInt32", part), ("SERIAL", "String", "DMX"), ("TRIGGER_SEQ", "UInt16", number))
        await plc.sees(TRIGGER_SEQ_ACK=number, RESULT_VALID=True)
        result = await plc.result()
        assert (result["TRIGGER_SEQ"], result["PART_ID"]) == (number, part)
        assert result["JUDGEMENT"] == (2 if part % 3 == 0 else 1)
        assert result["RESULT_SEQ"] == result["RESULT_SEQ_COPY"] == await otto.value(plain("Result.RESULT_SEQ"))
        await plc.write(("RESULT_ACK_SEQ", "UInt16", result["RESULT_SEQ"]))
        await plc.sees(RESULT_VALID=False, PENDING=0)
    await plc.end()
    assert [each.part_id for each in cell.vision.accepted] == [65_539, 65_540, 65_541]
    assert cell.vision.accepted[-1].serial == "DMX"


async def test_cycles_in_bit_style(cell: Stand, otto: Session) -> None:
    plc = Plc(otto)
    await plc.begin()
    for part in (5, 6, 7):
        await plc.write(("PART_ID", "UInt32", part), ("CONTROL.TRIGGER", "Boolean", True))
        await plc.sees(TRIGGER_ACK=True)
        await plc.write(("CONTROL.TRIGGER", "Boolean", False))
        await plc.sees(TRIGGER_ACK=False, RESULT_VALID=True)
        found = await otto.read(*map(plain, ("Result.PART_ID", "Result.JUDGEMENT", "Result.RESULT_BITS.NG")))
        assert [each["value"] for each in found] == [part, 2 if part == 6 else 1, part == 6]
        await plc.write(("CONTROL.RESULT_ACK", "Boolean", True))
        await plc.sees(RESULT_VALID=False)
        await plc.write(("CONTROL.RESULT_ACK", "Boolean", False))
    await plc.end()
    assert [each.part_id for each in cell.vision.accepted[-3:]] == [5, 6, 7]


async def test_a_viewer_reads_all_and_writes_nothing(cell: Stand) -> None:
    async with cell.clients.session("viewer", **login("anna")) as viewer:
        (found,) = await viewer.read(plain("Command.CONTROL"))
        assert found["status"] == "Good"
        assert await viewer.write((plain("Command.CONTROL"), "UInt16", 1)) == ["BadUserAccessDenied"]


async def test_what_the_gateway_writes_is_not_writable(otto: Session) -> None:
    shown = [each for each in nodes_of(FACTS) if not each.writable and not each.length]
    values = [(plain(each.path), each.type.text, AN_EXAMPLE[each.type]) for each in shown if each.type in AN_EXAMPLE]
    statuses = await otto.write(*values)
    assert len(statuses) > 70
    assert set(statuses) <= {"BadNotWritable", "BadUserAccessDenied"}


async def test_a_write_of_another_type_is_refused(otto: Session) -> None:
    assert await otto.write((plain("Command.TRIGGER_SEQ"), "UInt32", 9)) == ["BadTypeMismatch"]
    assert await otto.write((plain("Command.TRIGGER_SEQ"), "UInt16", [9])) == ["BadTypeMismatch"]


async def test_a_second_plc_is_told_that_the_place_is_taken(cell: Stand, otto: Session) -> None:
    plc = Plc(otto)
    await plc.begin()
    async with cell.clients.session("second", **login("emil")) as second:
        assert await second.write((plain("Command.TRIGGER_SEQ"), "UInt16", 77)) == ["BadInvalidState"]
        assert await second.value(plain("Writer")) == "otto"
    await plc.end()


AN_EXAMPLE = {
    DataType.BOOLEAN: True,
    DataType.UINT16: 1,
    DataType.UINT32: 1,
    DataType.FLOAT: 1.0,
    DataType.STRING: "x",
    DataType.DATETIME: "2026-01-01T00:00:00Z",
}
