"""The Modbus TCP client against PLCs that answer wrongly, late or not at all."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from protocols.link import LinkState
from protocols.modbus.client import ClientLink
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.signals import Outputs, Status
from tests.contract.scripted_plc import Answer, ScriptedPlc, exception
from tests.contract.test_links import Recorder, ignore, running, until


def link_to(plc: ScriptedPlc, **settings: object) -> ClientLink:
    """A link with the settings of the configuration file; a time-out of 0.2 s unless told otherwise."""
    told = {"host": "127.0.0.1", "port": plc.port, "timeout_ms": 200, **settings}
    link = ModbusClientConfig.model_validate(told).build(ignore)
    assert isinstance(link, ClientLink)
    return link


@asynccontextmanager
async def polled(plc: ScriptedPlc, **settings: object) -> AsyncIterator[tuple[Recorder, ClientLink]]:
    station, link = Recorder(), link_to(plc, **settings)
    link.attach(station)
    async with running(link.run()):
        yield station, link


def right(frame: bytes) -> bytes:
    """What a PLC with zeros everywhere says."""
    return ScriptedPlc().right(frame)


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
async def test_d18_a_wrong_answer_is_down_once_and_mends_itself(kind: str) -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc) as (station, _):
        await until(lambda: station.states == [LinkState.UP])
        plc.answer = WRONG[kind]
        await until(lambda: station.states[-1] is LinkState.DOWN)
        assert "127.0.0.1" in station.reasons[-1]
        delivered = len(station.told)
        await asyncio.sleep(0.5)
        assert len(station.told) == delivered
        plc.answer = right
        await until(lambda: station.states == [LinkState.UP, LinkState.DOWN, LinkState.UP])
        assert plc.connections >= 2


async def test_a_plc_that_refuses_the_write_never_comes_up() -> None:
    plc = ScriptedPlc()
    plc.answer = lambda frame: right(frame) if frame[7] == 3 else exception(frame)
    async with plc.open(), polled(plc) as (station, _):
        await until(lambda: plc.connections >= 2)
        assert station.told == [LinkState.DOWN]
        assert "write of 64 holding registers from 100" in station.reasons[0]


async def test_a_plc_that_is_not_there_is_told_once() -> None:
    plc = ScriptedPlc()
    async with plc.open():
        pass
    async with polled(plc) as (station, _):
        await until(lambda: bool(station.told))
        await asyncio.sleep(0.5)
        assert station.told == [LinkState.DOWN]
        async with plc.open():
            await until(lambda: station.states == [LinkState.DOWN, LinkState.UP])


async def test_only_functions_every_plc_has_and_writes_only_on_change() -> None:
    plc = ScriptedPlc()
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
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, scan_ms=10_000) as (station, link):
        await until(lambda: len(station.told) > 1)
        reads = [frame[7] for frame in plc.asked].count(3)
        link.publish(Outputs(Status(heartbeat=7)))
        await until(lambda: [frame[7] for frame in plc.asked].count(16) == 2)
        assert [frame[7] for frame in plc.asked].count(3) == reads


async def test_the_scan_rate_does_not_drift() -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, scan_ms=20) as (_, _link):
        await until(lambda: [frame[7] for frame in plc.asked].count(3) >= 50)
        reads = [at for at, frame in zip(plc.at, plc.asked, strict=True) if frame[7] == 3][1:]
    turns = (reads[-1] - reads[0]) / 0.02
    assert abs(turns - round(turns)) < 0.4  # on the grid still, turns left out or not
    assert turns >= len(reads) - 1.5


async def test_a_cancellation_in_the_same_turn_as_the_answer_is_obeyed() -> None:
    plc, station, loop = ScriptedPlc(), Recorder(), asyncio.get_running_loop()
    async with plc.open():
        for turn in range(30):
            link = link_to(plc, scan_ms=1)
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
