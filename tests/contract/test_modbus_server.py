"""The Modbus TCP server against rude peers: raw sockets."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop

from protocols.faults import Code
from protocols.link import LinkError, LinkState
from protocols.modbus.connection import ServerLimits
from protocols.modbus.server import ModbusServer
from protocols.signals import Command, Outputs, Status
from tests.contract.test_links import Recorder, running, until


class Cell:
    """A server with one station, and what it reported."""

    def __init__(self, limits: ServerLimits) -> None:
        self.events: list[tuple[int, str]] = []
        self.server = ModbusServer("127.0.0.1", 0, limits=limits, on_event=lambda *event: self.events.append(event))
        self.link = self.server.unit(1)
        self.station = Recorder()
        self.link.attach(self.station)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Cell"]:
        async with running(self.server.run()), running(self.link.run()):
            await until(lambda: bool(self.station.told))
            yield self

    @asynccontextmanager
    async def master(self) -> AsyncIterator["Master"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield Master(reader, writer)
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)


class Master:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(3):
            tid, _, length, _ = struct.unpack(">HHHB", await self.reader.readexactly(7))
            return tid, await self.reader.readexactly(length - 1)

    async def ask(self, frame: bytes) -> bytes:
        self.send(frame)
        return (await self.answer())[1]

    async def closed(self) -> bool:
        """Whether the server closes, and sends nothing before."""
        async with asyncio.timeout(3):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


def frame(tid: int, pdu: bytes, unit: int = 1) -> bytes:
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1, unit) + pdu


def read(tid: int, address: int = 0, count: int = 1) -> bytes:
    return frame(tid, struct.pack(">BHH", 4, address, count))


def write(tid: int, address: int, value: int) -> bytes:
    return frame(tid, struct.pack(">BHH", 6, address, value))


@pytest.fixture
async def cell(request: pytest.FixtureRequest) -> AsyncIterator[Cell]:
    marker = request.node.get_closest_marker("parametrize")
    limits = request.param if marker and hasattr(request, "param") else ServerLimits()
    async with Cell(limits).open() as cell:
        yield cell


def limited(**limits: float) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("cell", [ServerLimits(**limits)], indirect=True)  # type: ignore[arg-type]


async def test_requests_merged_in_one_segment_are_all_served_in_order(cell: Cell) -> None:
    cell.station.answer = lambda command: cell.link.publish(Outputs(Status(bits=command.trigger_seq)))
    async with cell.master() as master:
        master.send(read(1), write(2, 1, 7), read(3), write(4, 1, 8), write(5, 1, 9), read(6))
        answers = [await master.answer() for _ in range(6)]
    assert [tid for tid, _ in answers] == [1, 2, 3, 4, 5, 6]
    assert [answers[n][1] for n in (0, 2, 5)] == [bytes((4, 2, 0, seq)) for seq in (0, 7, 9)]
    assert [command.trigger_seq for command in cell.station.commands] == [7, 8, 9]


async def test_more_requests_at_once_than_a_burst(cell: Cell) -> None:
    async with cell.master() as master:
        master.send(*(read(tid) for tid in range(500)), read(500)[:7])
        assert [(await master.answer())[0] for tid in range(500)] == list(range(500))
        master.send(read(500)[7:])
        assert (await master.answer())[0] == 500


async def test_a_request_byte_by_byte(cell: Cell) -> None:
    async with cell.master() as master:
        for byte in read(9, 64, 1):
            master.send(bytes((byte,)))
            await master.writer.drain()
            await asyncio.sleep(0.001)
        assert await master.answer() == (9, bytes.fromhex("04 02 1234"))


@pytest.mark.parametrize("garbage", ["0001 0001 0006 01", "0001 0000 0000 01", "0001 0000 FFFF 01", "4745 5420 2F20"])
async def test_what_is_not_modbus_is_answered_so_far_and_closed_and_others_go_on(cell: Cell, garbage: str) -> None:
    async with cell.master() as other, cell.master() as master:
        master.send(read(1), bytes.fromhex(garbage), read(2))
        assert (await master.answer())[0] == 1
        assert await master.closed()
        assert await other.ask(read(1)) == b"\x04\x02\0\0"
    assert cell.server.counters.framing_errors == 1
    assert [code for code, _ in cell.events] == [Code.FRAMING]


async def test_a_peer_that_offends_at_every_poll_is_reported_once(cell: Cell) -> None:
    for _ in range(3):
        async with cell.master() as master:
            for _ in range(3):
                assert await master.ask(read(1, 200)) == b"\x84\x02"
            assert await master.ask(read(1, 201)) == b"\x84\x02"
    assert [code for code, _ in cell.events] == [Code.REQUEST_REFUSED] * 2
    assert "exception 02 (illegal data address)" in cell.events[0][1]
    assert "unit 1, function 4, address 200" in cell.events[0][1]
    assert cell.server.counters.exceptions == 12


@limited(connections=4)
async def test_idle_connections_do_not_lock_a_plc_out(cell: Cell) -> None:
    async with cell.master() as plc:
        await plc.ask(read(1))
        idle = [await asyncio.open_connection("127.0.0.1", cell.server.port) for _ in range(40)]
        await until(lambda: cell.server.counters.accepted == 41)
        assert await plc.ask(read(2)) == b"\x04\x02\0\0"
        async with cell.master() as second:
            assert await second.ask(read(1)) == b"\x04\x02\0\0"
        assert len(cell.server.connections) <= 4
        for _, writer in idle:
            writer.transport.abort()
    assert {code for code, _ in cell.events} == {Code.CLIENT_LIMIT}
    assert len(cell.events) == 1


@limited(connections=2)
async def test_when_all_connections_are_used_the_next_is_refused(cell: Cell) -> None:
    async with cell.master() as one, cell.master() as two:
        await one.ask(read(1))
        await two.ask(read(1))
        async with cell.master() as third:
            assert await third.closed()
        assert await one.ask(read(2)) == b"\x04\x02\0\0"
    assert cell.server.counters.refused == 1
    await until(lambda: not cell.server.connections)
    async with cell.master() as again:
        assert await again.ask(read(1)) == b"\x04\x02\0\0"


@limited(frame_timeout=0.2)
async def test_a_request_that_is_never_finished_is_closed_and_silence_is_not(cell: Cell) -> None:
    async with cell.master() as silent, cell.master() as slow:
        await silent.ask(read(1))
        slow.send(read(1)[:7])
        assert await slow.closed()
        assert await silent.ask(read(2)) == b"\x04\x02\0\0"
    assert cell.server.counters.timed_out == 1
    assert [code for code, _ in cell.events] == [Code.CLIENT_LIMIT]


@limited(idle_timeout=0.2)
async def test_idle_connections_are_closed_when_asked_for(cell: Cell) -> None:
    async with cell.master() as silent, cell.master() as busy:
        for tid in range(10):
            await busy.ask(read(tid))
            await asyncio.sleep(0.05)
        assert await silent.closed()
        assert await busy.ask(read(11)) == b"\x04\x02\0\0"


@limited(unread_bytes=4096)
async def test_a_peer_that_does_not_read_is_closed(cell: Cell) -> None:
    async with cell.master() as master:
        master.writer.transport.pause_reading()  # type: ignore[attr-defined]
        flood = b"".join(read(tid, 0, 74) for tid in range(5000))
        for _ in range(100):
            master.send(flood)
            await asyncio.sleep(0.005)
            if cell.server.counters.overflowed:
                break
        assert cell.server.counters.overflowed == 1
    assert [code for code, _ in cell.events] == [Code.CLIENT_LIMIT]


async def test_masters_come_and_go_without_moving_the_link(cell: Cell) -> None:
    for seq in (1, 2, 3):
        async with cell.master() as master:
            await master.ask(write(seq, 1, seq))
        await until(lambda: not cell.server.connections)
    assert cell.station.told == [LinkState.UP, *(Command(trigger_seq=seq) for seq in (1, 2, 3))]


async def test_stopping_closes_all() -> None:
    cell = Cell(ServerLimits())
    async with cell.open():
        reader, writer = await asyncio.open_connection("127.0.0.1", cell.server.port)
        plc = Master(reader, writer)
        await plc.ask(write(1, 0, 1))
    assert not cell.server.connections
    assert await plc.closed()
    writer.close()


async def test_a_port_in_use_is_one_sentence(cell: Cell) -> None:
    with pytest.raises(LinkError, match=r"127\.0\.0\.1:\d+ cannot listen: another program has this port"):
        await ModbusServer("127.0.0.1", cell.server.port).run()


def test_the_same_on_uvloop() -> None:
    async def main() -> None:
        async with Cell(ServerLimits()).open() as cell, cell.master() as master:
            cell.station.answer = lambda command: cell.link.publish(Outputs(Status(bits=command.trigger_seq)))
            master.send(*(read(tid) for tid in range(200)), write(200, 1, 7), read(201), b"\0\1\0\1\0\6\1")
            answers = [await master.answer() for _ in range(202)]
            assert [tid for tid, _ in answers] == list(range(202))
            assert answers[-1][1] == bytes((4, 2, 0, 7))
            assert await master.closed()

    uvloop.run(main())
