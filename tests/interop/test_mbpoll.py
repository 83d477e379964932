"""The map as libmodbus sees it: mbpoll reads and writes the server."""

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest

from protocols.modbus.server import ModbusServer
from protocols.signals import Command, Outputs, Result, Status
from tests.contract.test_links import Recorder, running, until

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian: mbpoll)"),
]


class Cell:
    def __init__(self) -> None:
        self.server = ModbusServer("127.0.0.1", 0)
        self.link = self.server.unit(1)
        self.station = Recorder()
        self.link.attach(self.station)

    async def mbpoll(self, *arguments: str) -> str:
        """Run it once (`-0`: PDU addresses; `-t` 0 coils, 1 discrete, 3 input, 4 holding; `-B` ABCD)."""
        process = await asyncio.create_subprocess_exec(
            "mbpoll", "-m", "tcp", "-p", str(self.server.port), "-a", "1", "-1", "-0", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(10):
            output, _ = await process.communicate()
        return output.decode()


@pytest.fixture
async def cell() -> AsyncIterator[Cell]:
    cell = Cell()
    cell.link.publish(
        Outputs(Status(bits=3, heartbeat=77), Result(result_seq=5, part_id=305419896, score=0.25, bits=0x0102))
    )
    async with running(cell.server.run()):
        await cell.server.bound.wait()
        yield cell


def values(output: str) -> dict[int, str]:
    """`[100]: \t77` → {100: "77"}."""
    rows = (line.split(":", 1) for line in output.splitlines() if line.startswith("["))
    return {int(place.strip("[]")): value.split("(")[0].strip() for place, value in rows}


@pytest.mark.parametrize(("table", "base"), [("3", 0), ("4", 100)])
async def test_status_and_result_are_read(cell: Cell, table: str, base: int) -> None:
    words = values(await cell.mbpoll("-t", table, "-r", str(base), "-c", "74", "127.0.0.1"))
    assert len(words) == 74
    assert [words[base + n] for n in (0, 1, 15, 16, 21, 63, 64)] == ["3", "77", "1", "5", "258", "5", "4660"]


async def test_reals_and_longs_are_read_in_this_word_order(cell: Cell) -> None:
    reals = values(await cell.mbpoll("-t", "3:float", "-B", "-r", "67", "-c", "1", "127.0.0.1"))
    assert reals == {67: "123.456"}
    longs = values(await cell.mbpoll("-t", "3:int", "-B", "-r", "18", "-c", "1", "127.0.0.1"))
    assert longs == {18: "305419896"}


async def test_bits_are_read(cell: Cell) -> None:
    bits = values(await cell.mbpoll("-t", "1", "-r", "0", "-c", "32", "127.0.0.1"))
    assert [n for n, value in bits.items() if value == "1"] == [0, 1, 17, 24]


async def test_registers_and_coils_are_written(cell: Cell) -> None:
    assert "Written 2 references" in await cell.mbpoll("-t", "4", "-r", "0", "127.0.0.1", "1", "7")
    assert "Written 1 references" in await cell.mbpoll("-t", "0", "-r", "1", "127.0.0.1", "1")
    await until(lambda: len(cell.station.commands) == 2)
    assert cell.station.commands == [Command(control=1, trigger_seq=7), Command(control=3, trigger_seq=7)]


async def test_what_is_not_there_gets_its_exception(cell: Cell) -> None:
    assert "Illegal data address" in await cell.mbpoll("-t", "3", "-r", "74", "-c", "1", "127.0.0.1")
    assert "Illegal data address" in await cell.mbpoll("-t", "4", "-r", "100", "127.0.0.1", "1")
    assert cell.station.told == []
