"""The map over a serial line as other people's masters see it: libmodbus (mbpoll) and pymodbus."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusSerialClient

from protocols.modbus.rtu_server import RtuServer
from protocols.modbus.serial_port import Line
from protocols.signals import Command, Outputs, Result, Status
from tests.bus import joined
from tests.contract.test_links import Recorder, running, until
from tests.interop.test_mbpoll import values

pytestmark = pytest.mark.interop

BAUD = 115200


class Cell:
    """Stations 1 and 7 on a line, and the place of a master on it."""

    def __init__(self, server: RtuServer, master: str) -> None:
        self.server, self.path = server, master
        self.stations = {unit: Recorder() for unit in (1, 7)}
        for unit, station in self.stations.items():
            link = server.unit(unit)
            link.attach(station)
            result = Result(result_seq=5, part_id=305419896, score=0.25, bits=0x0102)
            link.publish(Outputs(Status(bits=3, heartbeat=70 + unit), result))

    async def mbpoll(self, unit: int, *arguments: str) -> str:
        """Run it once, as a master of the line; see test_mbpoll."""
        process = await asyncio.create_subprocess_exec(
            "mbpoll", "-m", "rtu", "-b", str(BAUD), "-P", "even", "-a", str(unit), "-1", "-0", "-o", "3", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(20):
            output, _ = await process.communicate()
        return output.decode()


@pytest.fixture
async def cell(tmp_path: Path) -> AsyncIterator[Cell]:
    async with joined(tmp_path) as bus:
        server = RtuServer(Line(bus.tap("gateway"), BAUD))
        cell = Cell(server, bus.tap("master"))
        async with running(server.run()):
            await server.bound.wait()
            yield cell


with_mbpoll = pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian: mbpoll)")


@with_mbpoll
@pytest.mark.parametrize(("table", "base"), [("3", 0), ("4", 100)])
async def test_mbpoll_reads_status_and_result(cell: Cell, table: str, base: int) -> None:
    for unit in (1, 7):
        words = values(await cell.mbpoll(unit, "-t", table, "-r", str(base), "-c", "74", cell.path))
        assert len(words) == 74
        wanted = ["3", str(70 + unit), "1", "5", "258", "5", "4660"]
        assert [words[base + n] for n in (0, 1, 15, 16, 21, 63, 64)] == wanted


@with_mbpoll
async def test_mbpoll_reads_bits_and_writes(cell: Cell) -> None:
    bits = values(await cell.mbpoll(1, "-t", "1", "-r", "0", "-c", "32", cell.path))
    assert [n for n, value in bits.items() if value == "1"] == [0, 1, 17, 24]
    assert "Written 2 references" in await cell.mbpoll(7, "-t", "4", "-r", "0", cell.path, "1", "7")
    assert "Written 1 references" in await cell.mbpoll(7, "-t", "0", "-r", "1", cell.path, "1")
    await until(lambda: len(cell.stations[7].commands) == 2)
    assert cell.stations[7].commands == [Command(control=1, trigger_seq=7), Command(control=3, trigger_seq=7)]
    assert cell.stations[1].commands == []


@with_mbpoll
async def test_mbpoll_gets_exceptions_and_the_silence_of_units_that_are_not_ours(cell: Cell) -> None:
    assert "Illegal data address" in await cell.mbpoll(1, "-t", "3", "-r", "74", "-c", "1", cell.path)
    assert "timed out" in await cell.mbpoll(2, "-o", "0.3", "-t", "3", "-r", "0", "-c", "1", cell.path)
    assert cell.server.heard.foreign == 1


async def test_pymodbus_reads_and_writes(cell: Cell) -> None:
    # A pseudo-terminal has no parity, and pymodbus sets its line up twice, of which the second fails with one.
    client = AsyncModbusSerialClient(cell.path, baudrate=BAUD, timeout=3, retries=0, reconnect_delay=0)
    assert await client.connect()
    try:
        for unit in (1, 7):
            shown = (await client.read_input_registers(0, count=74, device_id=unit)).registers
            assert shown == (await client.read_holding_registers(100, count=74, device_id=unit)).registers
            assert (shown[0], shown[1], shown[16], shown[63]) == (3, 70 + unit, 5, 5)
        assert not (await client.write_registers(0, [1, 7, 0], device_id=1)).isError()
        assert not (await client.write_register(3, 42, device_id=1)).isError()
        assert not (await client.write_coil(1, True, device_id=1)).isError()
        assert not (await client.write_coils(8, [True, False, True], device_id=1)).isError()
        assert not (await client.mask_write_register(address=0, and_mask=0xFFFE, or_mask=0, device_id=1)).isError()
        assert (await client.read_holding_registers(0, count=4, device_id=1)).registers == [0x0502, 7, 0, 42]
        both = await client.readwrite_registers(read_address=0, read_count=2, write_address=1, values=[8], device_id=1)
        assert both.registers == [0x0502, 8]
        assert (await client.read_input_registers(74, count=1, device_id=1)).exception_code == 2
        assert (await client.read_holding_registers(0, count=4, device_id=7)).registers == [0, 0, 0, 0]
    finally:
        client.close()
