"""The Modbus TCP client against PLCs that answer wrongly, late or not at all."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from protocols.link import LinkState
from protocols.modbus.client import ClientLink
from protocols.signals import Outputs, Status
from tests.contract.test_links import Recorder, running, until

Answer = Callable[[bytes], bytes | None]
"""Frame asked → bytes sent back; None = silence."""


def right(frame: bytes) -> bytes:
    """What a PLC with zeros everywhere says."""
    pdu = b"\x03\x40" + bytes(64) if frame[7] == 3 else frame[7:12]
    return frame[:4] + struct.pack(">HB", len(pdu) + 1, frame[6]) + pdu


class Plc:
    """A scripted PLC: `answer` may be changed at any moment."""

    def __init__(self) -> None:
        self.answer: Answer = right
        self.asked: list[bytes] = []
        self.at: list[float] = []
        self.connections = 0
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readexactly(6)
                frame = head + await reader.readexactly(int.from_bytes(head[4:], "big"))
                self.asked.append(frame)
                self.at.append(time.monotonic())
                if (reply := self.answer(frame)) is not None:
                    writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield
            for writer in tuple(self._writers):
                writer.transport.abort()
            while self._writers:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@asynccontextmanager
async def polled(plc: Plc, *, patience: float = 0.2, scan: float = 0.01) -> AsyncIterator[tuple[Recorder, ClientLink]]:
    station = Recorder()
    link = ClientLink("127.0.0.1", plc.port, timeout=patience, scan=scan)
    link.attach(station)
    async with running(link.run()):
        yield station, link


def exception(frame: bytes) -> bytes:
    return frame[:4] + struct.pack(">HBBB", 3, frame[6], frame[7] | 0x80, 2)


WRONG: dict[str, Answer] = {
    "silence": lambda frame: None,
    "exception": exception,
    "wrong transaction": lambda frame: bytes((frame[0] ^ 0x40, frame[1])) + right(frame)[2:],
    "transaction 0": lambda frame: b"\0\0" + right(frame)[2:],
    "wrong unit": lambda frame: right(frame)[:6] + b"\x09" + right(frame)[7:],
    "short": lambda frame: right(frame)[:-10],
    "fewer registers": lambda frame: frame[:4] + struct.pack(">HBBB", 7, frame[6], 3, 4) + bytes(4),
    "another function": lambda frame: frame[:4] + struct.pack(">HBBB", 5, frame[6], 4, 2) + bytes(2),
    "garbage": lambda frame: b"\xff" * 300,
    "text": lambda frame: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_answer_is_down_once_and_mends_itself(kind: str) -> None:
    plc = Plc()
    async with plc.open(), polled(plc) as (station, _):
        await until(lambda: station.states == [LinkState.UP])
        plc.answer = WRONG[kind]
        changed = time.monotonic()
        await until(lambda: station.states[-1] is LinkState.DOWN)
        assert time.monotonic() - changed < 0.2 + 0.3  # the time-out, and the slack of a busy computer
        assert "127.0.0.1" in station.reasons[-1]
        delivered = len(station.told)
        await asyncio.sleep(0.5)
        assert len(station.told) == delivered
        plc.answer = right
        await until(lambda: station.states == [LinkState.UP, LinkState.DOWN, LinkState.UP])
        assert plc.connections >= 2


async def test_a_plc_that_refuses_the_write_never_comes_up() -> None:
    plc = Plc()
    plc.answer = lambda frame: right(frame) if frame[7] == 3 else exception(frame)
    async with plc.open(), polled(plc) as (station, _):
        await until(lambda: plc.connections >= 2)
        assert station.told == [LinkState.DOWN]
        assert "write of 64 holding registers from 100" in station.reasons[0]


async def test_a_plc_that_is_not_there_is_told_once() -> None:
    plc = Plc()
    async with plc.open():
        pass
    async with polled(plc) as (station, _):
        await until(lambda: bool(station.told))
        await asyncio.sleep(0.5)
        assert station.told == [LinkState.DOWN]
        async with plc.open():
            await until(lambda: station.states == [LinkState.DOWN, LinkState.UP])


async def test_only_functions_every_plc_has_and_writes_only_on_change() -> None:
    plc = Plc()
    async with plc.open(), polled(plc) as (station, link):
        await until(lambda: len(plc.asked) > 20)
        assert {frame[7] for frame in plc.asked} == {3, 16}
        assert [frame[7] for frame in plc.asked].count(16) == 1
        link.publish(Outputs())
        link.publish(Outputs(Status(heartbeat=1)))
        await until(lambda: [frame[7] for frame in plc.asked].count(16) == 2)
        assert {frame[8:12] for frame in plc.asked if frame[7] == 3} == {bytes.fromhex("0000 0020")}
        assert {frame[8:12] for frame in plc.asked if frame[7] == 16} == {bytes.fromhex("0064 0040")}
        assert station.states == [LinkState.UP]


async def test_outputs_do_not_wait_for_the_next_scan() -> None:
    plc = Plc()
    async with plc.open(), polled(plc, scan=0.5) as (station, link):
        await until(lambda: len(station.told) > 1)
        published = time.monotonic()
        link.publish(Outputs(Status(heartbeat=7)))
        await until(lambda: [frame[7] for frame in plc.asked].count(16) == 2)
        assert time.monotonic() - published < 0.25


async def test_the_scan_rate_does_not_drift() -> None:
    plc = Plc()
    async with plc.open(), polled(plc, scan=0.02) as (_, _link):
        await until(lambda: [frame[7] for frame in plc.asked].count(3) >= 50)
        reads = [at for at, frame in zip(plc.at, plc.asked, strict=True) if frame[7] == 3][1:]
    turns = (reads[-1] - reads[0]) / 0.02
    assert abs(turns - round(turns)) < 0.4  # on the grid still, turns left out or not
    assert turns >= len(reads) - 1.5


async def test_a_cancellation_in_the_same_turn_as_the_answer_is_obeyed() -> None:
    plc, station, loop = Plc(), Recorder(), asyncio.get_running_loop()
    async with plc.open():
        for turn in range(30):
            link = ClientLink("127.0.0.1", plc.port, timeout=0.2, scan=0.001)
            link.attach(station)
            task = asyncio.create_task(link.run())
            before = len(plc.asked)

            def answer(frame: bytes, task: asyncio.Task[None] = task, last: int = before + 2 + turn % 5) -> bytes:
                if len(plc.asked) >= last:
                    loop.call_soon(lambda: loop.call_soon(task.cancel))
                return right(frame)

            plc.answer = answer
            await asyncio.wait([task], timeout=2)
            assert task.cancelled()
            plc.answer = right
