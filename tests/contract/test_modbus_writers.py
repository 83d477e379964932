"""Two masters that write one command block (C-15): the first holds it, the second is told to wait."""

from __future__ import annotations

import asyncio
import struct

import pytest

from protocols.faults import Code
from protocols.link import LinkState
from protocols.modbus.server import Rules
from tests.contract.masters import PLC, SCADA, STRANGER, Plant, write16
from tests.contract.test_links import until
from tests.contract.test_modbus_server import frame, read, write

BUSY = b"\x90\x06"


async def test_c15_the_second_writer_is_refused_counted_and_told_once() -> None:
    async with Plant().open() as plant, plant.master_at(PLC) as plc, plant.master_at(SCADA) as scada:
        assert await plc.ask(write16(1, 0, 1, 7)) == write16(1, 0, 1, 7)[7:12]
        for _ in range(3):
            assert await scada.ask(write16(2, 0, 9, 9)) == BUSY
        assert await scada.ask(frame(3, struct.pack(">BHH", 5, 0, 0))) == b"\x85\x06"
        assert await scada.ask(frame(3, struct.pack(">BHHHHBH", 23, 100, 1, 1, 1, 2, 9))) == b"\x97\x06"
        assert await scada.ask(read(4)) == b"\x04\x02\0\0"
        assert await scada.ask(frame(5, struct.pack(">BHH", 3, 0, 2))) == b"\x03\x04\0\1\0\7"
        assert await plc.ask(write(6, 1, 8)) == write(6, 1, 8)[7:]
        assert [(command.control, command.trigger_seq) for command in plant.station.commands] == [(1, 7), (1, 8)]
        assert plant.server.counters.busy == 5
    assert plant.codes == [Code.CLIENT_LIMIT]
    assert f"master {SCADA} may not write to unit 1" in plant.events[0][1]


async def test_c15_a_second_connection_of_the_holder_writes_and_the_hold_ends_with_its_last() -> None:
    async with Plant().open() as plant, plant.master_at(SCADA) as scada:
        async with plant.master_at(PLC) as one:
            async with plant.master_at(PLC) as two:
                await one.ask(write(1, 1, 7))
                assert await two.ask(write(2, 1, 8)) == write(2, 1, 8)[7:]
            assert await scada.ask(write(3, 1, 9)) == b"\x86\x06"
        await until(lambda: len(plant.server.connections) == 1)
        assert await scada.ask(write(4, 1, 9)) == write(4, 1, 9)[7:]
        async with plant.master_at(PLC) as again:
            assert await again.ask(write(5, 1, 10)) == b"\x86\x06"


async def test_c15_who_left_and_came_back_has_no_hold_until_it_writes() -> None:
    async with Plant().open() as plant, plant.master_at(SCADA) as scada:
        async with plant.master_at(PLC) as plc:
            await plc.ask(write(1, 1, 7))
        await until(lambda: len(plant.server.connections) == 1)
        async with plant.master_at(PLC) as again:
            await again.ask(read(1))
            assert await scada.ask(write(2, 1, 8)) == write(2, 1, 8)[7:]


async def test_c15_the_hold_ends_when_the_holder_writes_no_more() -> None:
    plant = Plant(rules=Rules(writer_silence=1.0))
    async with plant.open(), plant.master_at(PLC) as plc, plant.master_at(SCADA) as scada:
        await plc.ask(write(1, 1, 7))
        assert await scada.ask(write(1, 1, 9)) == b"\x86\x06"
        async with asyncio.timeout(10):
            while await scada.ask(write(2, 1, 9)) == b"\x86\x06":
                await plc.ask(read(2))  # a panel that only looks on keeps no hold
                await asyncio.sleep(0.02)
        assert await plc.ask(write(3, 1, 10)) == b"\x86\x06"


async def test_c15_a_configured_plc_takes_the_block_from_another_master() -> None:
    async with (
        Plant(access={"plc": (PLC,)}).open() as plant, plant.master_at(SCADA) as scada, plant.master_at(PLC) as plc,
    ):  # fmt: skip
        assert await scada.ask(write(1, 1, 7)) == write(1, 1, 7)[7:]
        assert await plc.ask(write(2, 1, 8)) == write(2, 1, 8)[7:]
        assert await scada.ask(write(3, 1, 9)) == b"\x86\x06"


async def test_c15_each_station_has_its_own_writer() -> None:
    plant = Plant()
    second = plant.server.unit(2)
    second.attach(plant.station)
    async with plant.open(), plant.master_at(PLC) as plc, plant.master_at(SCADA) as scada:
        await plc.ask(write(1, 1, 7))
        other = write(2, 1, 9)[:6] + b"\x02" + write(2, 1, 9)[7:]
        assert await scada.ask(other) == other[7:]
        assert await plc.ask(other) == b"\x86\x06"


@pytest.mark.parametrize("source", [PLC, SCADA, STRANGER])
async def test_without_a_time_all_may_write(source: str) -> None:
    async with Plant(rules=Rules(writer_silence=0)).open() as plant, plant.master_at(PLC) as plc:
        await plc.ask(write(1, 1, 7))
        async with plant.master_at(source) as other:
            assert await other.ask(write(2, 1, 8)) == write(2, 1, 8)[7:]


async def test_a_station_that_does_not_run_takes_no_write() -> None:
    plant = Plant()
    plant.server.unit(2)
    async with plant.open(), plant.master_at(PLC) as plc:
        assert await plc.ask(frame(1, write(1, 1, 7)[7:], 2)) == b"\x86\x04"
        assert await plc.ask(frame(2, read(1)[7:], 2)) == b"\x04\x02\0\0"
    assert plant.station.told == [LinkState.UP]
