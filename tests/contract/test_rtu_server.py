"""The Modbus RTU server on a line of pseudo-terminals, with others talking on it."""

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from protocols.faults import Code
from protocols.link import LinkState
from protocols.modbus.rtu import framed
from protocols.modbus.rtu_server import RtuServer
from protocols.modbus.serial_port import Direction, Line, PortError, SerialPort, opened
from protocols.signals import Command, Outputs, Status
from tests.bus import Bus, joined
from tests.contract.test_links import Recorder, running, until

BAUD = 115200


class Device:
    """Anybody on the line who can talk and listen; frames are checked by hand."""

    def __init__(self, port: SerialPort, heard: bytearray) -> None:
        self.port, self.heard = port, heard

    def say(self, frame: bytes) -> None:
        assert self.port.write(frame)

    async def hears(self, frame: bytes, within: float = 20.0) -> None:
        """Exactly this, and nothing before it."""
        await until(lambda: len(self.heard) >= len(frame), within)
        got = bytes(self.heard[: len(frame)])
        del self.heard[: len(frame)]
        assert got == frame, got.hex(" ")

    async def ask(self, unit: int, request: str, answer: str) -> None:
        self.say(framed(unit, bytes.fromhex(request)))
        await self.hears(framed(unit, bytes.fromhex(answer)))


@asynccontextmanager
async def device(path: str) -> AsyncIterator[Device]:
    heard = bytearray()
    port = await opened(Line(path, BAUD), heard.extend, lambda reason: None)
    try:
        yield Device(port, heard)
    finally:
        port.close()


class Cell:
    """A server with stations 1 and 7 on a line with a master."""

    def __init__(self, bus: Bus, *, echo: bool = False, told: bool = True) -> None:
        self.bus = bus
        self.events: list[tuple[int, str]] = []
        line = Line(bus.tap("gateway", echo=echo), BAUD, echo=echo and told)
        self.server = RtuServer(line, on_event=lambda *event: self.events.append(event))
        self.stations = {unit: Recorder() for unit in (1, 7)}
        for unit, station in self.stations.items():
            link = self.server.unit(unit)
            link.attach(station)
            link.publish(Outputs(Status(bits=unit, heartbeat=0x1234)))

    @property
    def answers(self) -> bytes:
        """All that the gateway has said."""
        return self.bus.taps["gateway"].said

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Device]:
        path = self.bus.tap("master")
        async with running(self.server.run()), device(path) as master:
            await self.server.bound.wait()
            yield master


@asynccontextmanager
async def working(folder: Path, **how: bool) -> AsyncIterator[tuple[Cell, Device]]:
    async with joined(folder) as bus:
        cell = Cell(bus, **how)
        async with cell.open() as master:
            yield cell, master


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[tuple[Cell, Device]]:
    async with working(tmp_path) as both:
        yield both


Rig = tuple[Cell, Device]
HEARTBEAT = ("04 0001 0001", "04 02 1234")


async def test_several_stations_on_one_line(rig: Rig) -> None:
    cell, master = rig
    await master.ask(1, "04 0000 0002", "04 04 0001 1234")
    await master.ask(7, "04 0000 0002", "04 04 0007 1234")
    await master.ask(7, "10 0000 0002 04 0001 0009", "10 0000 0002")
    await master.ask(1, "03 0000 0002", "03 04 0000 0000")
    assert cell.stations[7].told == [LinkState.UP, Command(control=1, trigger_seq=9)]
    assert cell.stations[1].told == [LinkState.UP]


async def test_exceptions_are_answered_and_told_once(rig: Rig) -> None:
    cell, master = rig
    for _ in range(3):
        await master.ask(1, "04 00C8 0001", "84 02")
        await master.ask(1, "41 01", "C1 01")
    assert [code for code, _ in cell.events] == [Code.REQUEST_REFUSED] * 2
    assert "unit 1, function 4, address 200" in cell.events[0][1]


async def test_others_on_the_line_are_neither_answered_nor_harmed(rig: Rig) -> None:
    cell, master = rig
    async with device(cell.bus.tap("drive")) as drive:
        inside = framed(1, bytes.fromhex("06 0001 0063"))  # a request for us, as data of somebody else
        words = inside + bytes(2)
        answer = framed(1, bytes.fromhex(HEARTBEAT[1]))
        for number in range(20):
            request = framed(2, bytes((0x10, 0, number, 0, 5, 10)) + words)
            master.say(request)
            await drive.hears(request)
            drive.say(framed(2, bytes((0x10, 0, number, 0, 5))))
            await master.hears(framed(2, bytes((0x10, 0, number, 0, 5))))
            asked = framed(2, struct.pack(">BHH", 3, number, 5))
            master.say(asked)
            await drive.hears(asked)
            drive.say(framed(2, bytes((3, 10)) + words))
            await master.hears(framed(2, bytes((3, 10)) + words))
            await master.ask(1, *HEARTBEAT)
            await drive.hears(framed(1, bytes.fromhex(HEARTBEAT[0])) + answer)
        assert cell.answers == answer * 20
    assert cell.server.heard.foreign == 80
    assert cell.server.heard.broken == 0
    assert cell.stations[1].told == [LinkState.UP]


async def test_a_unit_that_is_not_there_is_silence(rig: Rig) -> None:
    cell, master = rig
    for unit in (2, 247, 248, 255):
        master.say(framed(unit, bytes.fromhex(HEARTBEAT[0])))
        await until(lambda wanted=unit: cell.server.heard.foreign > 0)  # type: ignore[misc]
    await master.ask(1, *HEARTBEAT)
    assert cell.answers == framed(1, bytes.fromhex(HEARTBEAT[1]))


async def test_a_broadcast_is_carried_out_by_all_and_answered_by_none(rig: Rig) -> None:
    cell, master = rig
    master.say(framed(0, bytes.fromhex("10 0000 0002 04 0001 0005")))
    for station in cell.stations.values():
        await until(lambda station=station: Command(control=1, trigger_seq=5) in station.told)  # type: ignore[misc]
    master.say(framed(0, bytes.fromhex(HEARTBEAT[0])))
    await until(lambda: cell.server.heard.requests == 2)
    await master.ask(7, "03 0001 0001", "03 02 0005")
    assert cell.answers == framed(7, bytes.fromhex("03 02 0005"))


async def test_broadcasts_can_be_left_to_others(tmp_path: Path) -> None:
    async with joined(tmp_path) as bus:
        server = RtuServer(Line(bus.tap("gateway"), BAUD), broadcast=False)
        station = Recorder()
        server.unit(1).attach(station)
        async with running(server.run()), device(bus.tap("master")) as master:
            await server.bound.wait()
            master.say(framed(0, bytes.fromhex("06 0001 0005")))
            await until(lambda: server.heard.requests == 1)
            await master.ask(1, "03 0001 0001", "03 02 0000")
        assert Command(trigger_seq=5) not in station.told


async def test_a_bad_checksum_is_silence_and_the_repeat_is_answered(rig: Rig) -> None:
    cell, master = rig
    frame = framed(1, bytes.fromhex("06 0001 0009"))
    master.say(frame[:-1] + bytes((frame[-1] ^ 0x80,)))
    await until(lambda: cell.server.heard.broken == 1)
    await asyncio.sleep(0.05)
    assert cell.answers == b""
    assert cell.stations[1].told == [LinkState.UP]
    master.say(frame)
    await master.hears(frame)
    assert cell.stations[1].told[-1] == Command(trigger_seq=9)


async def test_noise_and_unfinished_frames_are_forgotten_by_silence(rig: Rig) -> None:
    cell, master = rig
    for noise in (bytes.fromhex("01 10 0000 0020 40 0001"), b"\x55" * 700, bytes(3), framed(2, b"\x41")[:-1]):
        cell.bus.carry(noise)
        await asyncio.sleep(0.06)
        master.heard.clear()
        await master.ask(1, *HEARTBEAT)
    assert cell.stations[1].told == [LinkState.UP]


async def test_a_request_after_which_the_line_goes_on_is_served_but_not_answered(rig: Rig) -> None:
    cell, master = rig
    master.say(framed(1, bytes.fromhex("06 0001 0009")) + framed(2, bytes.fromhex("03 0000 0001")))
    await until(lambda: cell.server.unanswered == 1)
    assert cell.stations[1].told[-1] == Command(trigger_seq=9)
    await master.ask(1, *HEARTBEAT)
    assert cell.answers == framed(1, bytes.fromhex(HEARTBEAT[1]))


async def test_a_line_set_up_wrongly_is_told_of_in_one_sentence(rig: Rig) -> None:
    cell, _ = rig
    for _ in range(8):
        cell.bus.carry(b"\x9c\xe7\x31\x18\xff\x63\xce\x00\x5a\x11\x92")
        await asyncio.sleep(0.06)
    assert [code for code, _ in cell.events] == [Code.FRAMING]
    assert "check baud rate, parity" in cell.events[0][1]


@pytest.mark.parametrize("told", [True, False])
async def test_an_adapter_that_hears_itself(tmp_path: Path, told: bool) -> None:
    async with working(tmp_path, echo=True, told=told) as (cell, master):
        for seq in range(1, 6):
            await master.ask(1, f"10 0001 0001 02 {seq:04x}", "10 0001 0001")
            await master.ask(1, "03 0001 0001", f"03 02 {seq:04x}")
            if told:
                await master.ask(1, f"06 0001 {seq:04x}", f"06 0001 {seq:04x}")
        assert cell.server.heard.requests == (15 if told else 10)
        assert ["set `echo: true`" in text for _, text in cell.events] == ([] if told else [True])


async def test_an_echo_nobody_told_of_is_not_answered_for_ever(tmp_path: Path) -> None:
    async with working(tmp_path, echo=True, told=False) as (cell, master):
        write = framed(1, bytes.fromhex("06 0001 0007"))
        master.say(write)
        await until(lambda: cell.server.heard.echoes == 1)
        await asyncio.sleep(0.1)
        assert len(cell.answers) <= 10 * len(write)
        assert "set `echo: true`" in cell.events[0][1]


# ------------------------------------------------------------ the line itself


async def test_a_line_that_vanishes_is_down_and_comes_back_by_itself(rig: Rig) -> None:
    cell, master = rig
    await master.ask(1, "06 0001 0009", "06 0001 0009")
    for _ in range(2):
        cell.bus.taps["gateway"].cut()
        await until(lambda: cell.stations[1].states[-1] is LinkState.DOWN)
        assert "was lost" in cell.stations[1].reasons[-1]
        assert cell.stations[7].states[-1] is LinkState.DOWN
        await until(lambda: any("no such device" in text for _, text in cell.events))
        cell.bus.taps["gateway"].mend()
        await until(lambda: cell.stations[1].states[-1] is LinkState.UP, 10)
        await master.ask(1, *HEARTBEAT)
    assert cell.stations[1].states == [LinkState.UP, *(LinkState.DOWN, LinkState.UP) * 2]


async def test_a_line_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    async with joined(tmp_path) as bus:
        cell = Cell(bus)
        bus.taps["gateway"].cut()
        async with running(cell.server.run()), device(bus.tap("master")) as master:
            await until(lambda: cell.stations[1].states == [LinkState.DOWN])
            assert "no such device" in cell.stations[1].reasons[0]
            bus.taps["gateway"].mend()
            await until(lambda: LinkState.UP in cell.stations[1].states, 10)
            await master.ask(1, *HEARTBEAT)


async def test_a_line_somebody_else_has_ends_the_start_with_one_sentence(rig: Rig) -> None:
    cell, master = rig
    second = RtuServer(Line(str(cell.bus.taps["gateway"].path), BAUD))
    with pytest.raises(PortError, match="another program has this line; stop it"):
        await second.run()
    await master.ask(1, *HEARTBEAT)


@pytest.mark.parametrize(
    ("device", "told"), [("none", "no such device"), (".", "this is no device"), ("/dev/null", "is no serial line")]
)
async def test_what_is_no_line_is_explained(tmp_path: Path, device: str, told: str) -> None:
    with pytest.raises(PortError, match=told):
        await opened(Line(str(tmp_path / device), BAUD), lambda data: None, lambda reason: None)


async def test_a_driver_without_rs485_says_so_and_leaves_the_line(tmp_path: Path) -> None:
    async with joined(tmp_path) as bus:
        path = bus.tap("one")
        with pytest.raises(PortError, match="its driver has no RS-485 mode; leave out rs485") as caught:
            await opened(Line(path, BAUD, rs485=Direction()), lambda data: None, lambda reason: None)
        assert caught.value.lasting
        (await opened(Line(path, BAUD), lambda data: None, lambda reason: None)).close()


async def test_what_is_not_taken_is_dropped_for_what_is_newer(tmp_path: Path) -> None:
    far, near = os.openpty()
    port = await opened(Line(os.ttyname(near), BAUD), lambda data: None, lambda reason: None)
    try:
        taken = 0
        while port.write(b"\x55" * 256):
            taken += 1
            assert taken < 1000
        port.write(b"newest")
        os.set_blocking(far, False)
        got = b""
        async with asyncio.timeout(3):
            while not got.endswith(b"newest"):
                with contextlib.suppress(BlockingIOError):
                    got += os.read(far, 65536)
                await asyncio.sleep(0.005)
        assert len(got) < 256 * taken, "old bytes were not dropped"
    finally:
        port.close()
        os.close(far)
        os.close(near)


async def test_a_line_can_be_opened_again_and_again(tmp_path: Path) -> None:
    async with joined(tmp_path) as bus:
        path = bus.tap("one")
        for _ in range(3):
            (await opened(Line(path, BAUD), lambda data: None, lambda reason: None)).close()


async def test_nothing_stays_open(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with working(tmp_path) as (_, master):
        await master.ask(1, *HEARTBEAT)
    before = descriptors()
    for _ in range(5):
        folder = tmp_path / str(before + _)
        folder.mkdir()
        async with working(folder) as (_cell, master):
            await master.ask(1, *HEARTBEAT)
    assert descriptors() == before


def test_the_same_on_uvloop(tmp_path: Path) -> None:
    async def main() -> None:
        async with working(tmp_path) as (cell, master):
            for seq in range(1, 20):
                await master.ask(1, f"06 0001 {seq:04x}", f"06 0001 {seq:04x}")
            cell.bus.taps["gateway"].cut()
            await until(lambda: cell.stations[1].states[-1] is LinkState.DOWN)

    uvloop.run(main())
