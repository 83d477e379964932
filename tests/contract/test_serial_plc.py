"""The simulated PLC on a serial line, against the gateway's server and against mistakes."""

import asyncio
from pathlib import Path

import pytest

from protocols.modbus.rtu_server import RtuServer
from protocols.modbus.serial_port import Line, opened
from protocols.signals import Command, Outputs, Status
from simulators.carriers import CarrierError
from simulators.serial_master import RtuMaster, checksum
from tests.bus import joined
from tests.contract.test_links import CODEC, Recorder, running

BAUD = 115200


@pytest.mark.parametrize("text", ["01 03 00 00 00 0A C5 CD", "11 03 06 AE 41 56 52 43 40 49 AD"])
def test_its_checksum_is_its_own_and_everybody_s(text: str) -> None:
    frame = bytes.fromhex(text)
    assert checksum(frame[:-2]) == frame[-2:]


async def test_it_reads_and_writes_the_blocks(tmp_path: Path) -> None:
    async with joined(tmp_path) as bus:
        server = RtuServer(Line(bus.tap("gateway"), BAUD))
        link, station = server.unit(3, CODEC), Recorder()
        link.attach(station)
        link.publish(Outputs(Status(bits=1, heartbeat=7)))
        plc = RtuMaster(bus.tap("plc"), baud=BAUD, unit=3, timeout=3)
        async with running(server.run()):
            await server.bound.wait()
            await plc.open()
            assert plc.connected is True
            command = Command(control=1, trigger_seq=9, part_id=70_000, serial="A-1")
            await plc.write(CODEC.encode_command(command))
            assert station.told[-1] == command
            assert CODEC.decode_status((await plc.read())[:32]).heartbeat == 7
            signature, _ = await asyncio.gather(plc.signature(), plc.read())
            assert signature == CODEC.encode_signature()
            bus.taps["plc"].cut()
            with pytest.raises(CarrierError):
                await plc.read()
            assert bool(plc.connected) is False
            await plc.close()
            with pytest.raises(CarrierError, match="cannot be opened"):
                await plc.open()


async def test_it_refuses_what_is_not_its_answer(tmp_path: Path) -> None:
    async with joined(tmp_path) as bus:
        plc = RtuMaster(bus.tap("plc"), baud=BAUD, timeout=0.2)
        await plc.open()
        answers = iter((b"", bytes(133), bytes.fromhex("01 84 02 C2 C1"), bytes.fromhex("02 84 02 32 C1")))
        device = await opened(Line(bus.tap("slave"), BAUD), lambda data: device.write(next(answers)), lambda _: None)
        for why in ("timed out", "was answered by", "exception 02", "was answered by"):
            with pytest.raises(CarrierError, match=why):
                await plc.read()
        device.close()
        await plc.close()
