"""FC23 whose answer waits for the result of its trigger: over real sockets, on both loops."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from protocols.modbus.connection import HELD_BYTES
from protocols.modbus.server import Rules
from protocols.signals import Command, Outputs, Result, Status, StatusBit
from tests.contract.masters import PLC, SCADA, Plant
from tests.contract.test_links import until
from tests.contract.test_modbus_server import Master, frame, read, write

LONG = Rules(held_reply=30.0)


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    runner: Callable[[Coroutine[Any, Any, None]], None] = request.param
    return runner


def trigger(tid: int, seq: int, part: int = 5) -> bytes:
    """Words 1 to 9 written, the whole mirror read."""
    words = (seq, 0, 0, 0, 0, 0, 0, part >> 16, part & 0xFFFF)
    return frame(tid, struct.pack(">BHHHHB9H", 23, 100, 64, 1, 9, 18, *words))


def busy(plant: Plant) -> None:
    """The station takes each trigger at once."""
    plant.station.answer = lambda command: plant.link.publish(
        Outputs(Status(trigger_seq_ack=command.trigger_seq, bits=StatusBit.BUSY))
    )


def finish(plant: Plant, seq: int, part: int = 5) -> None:
    result = Result(result_seq=seq + 100, trigger_seq=seq, part_id=part, judgement=1)
    plant.link.publish(Outputs(Status(trigger_seq_ack=seq), result))


def judgement(answer: bytes) -> tuple[int, int, int]:
    """TRIGGER_SEQ, RESULT_SEQ, JUDGEMENT of the answer to `trigger`."""
    assert answer[:2] == b"\x17\x80", answer.hex()
    words = struct.unpack(">64H", answer[2:])
    assert words[16] == words[63]
    return words[17], words[16], words[20]


async def taken(plant: Plant, seq: int) -> None:
    await until(lambda: bool(plant.station.commands) and plant.station.commands[-1].trigger_seq == seq)


def test_the_answer_is_the_result_and_others_do_not_wait(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        async with Plant(rules=LONG).open() as plant, plant.master_at(PLC) as plc, plant.master_at(SCADA) as other:
            busy(plant)
            for seq in (1, 2, 3):
                plc.send(trigger(seq, seq))
                await taken(plant, seq)
                for _ in range(3):
                    assert (await other.ask(read(1, 2, 1)))[2:] == struct.pack(">H", seq)
                finish(plant, seq)
                tid, answer = await plc.answer()
                assert (tid, judgement(answer)) == (seq, (seq, seq + 100, 1))
            assert plant.server.counters.held == 3

    run(main())


def test_requests_behind_it_wait_in_their_order(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        async with Plant(rules=LONG).open() as plant, plant.master_at(PLC) as plc:
            busy(plant)
            plc.send(read(1), trigger(2, 7), read(3), write(4, 10, 4))
            assert (await plc.answer())[0] == 1
            await taken(plant, 7)
            plc.send(read(5), trigger(6, 8), read(7)[:5])
            await asyncio.sleep(0.02)
            assert [command.trigger_seq for command in plant.station.commands] == [7]
            finish(plant, 7)
            assert [(await plc.answer())[0] for _ in range(4)] == [2, 3, 4, 5]
            await taken(plant, 8)
            plc.send(read(7)[5:])
            finish(plant, 8)
            tid, answer = await plc.answer()
            assert (tid, judgement(answer)[0]) == (6, 8)
            assert (await plc.answer())[0] == 7
            assert await plc.ask(read(8)) == b"\x04\x02\0\0"

    run(main())


def test_at_its_bound_it_is_answered_all_the_same() -> None:
    async def main() -> None:
        async with Plant(rules=Rules(held_reply=0.1)).open() as plant, plant.master_at(PLC) as plc:
            busy(plant)
            assert judgement(await plc.ask(trigger(1, 7))) == (0, 0, 0)
            plant.station.answer = lambda command: None
            finish(plant, 7)
            assert judgement(await plc.ask(trigger(2, 7))) == (7, 107, 1)

    uvloop.run(main())


def test_a_flood_behind_it_is_bounded_and_served_later(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        async with Plant(rules=LONG).open() as plant, plant.master_at(PLC) as plc:
            busy(plant)
            plc.send(trigger(0xFFFF, 7))
            await taken(plant, 7)
            requests = 100_000
            reading = asyncio.create_task(all_answers(plc, requests + 1))
            flood = b"".join(read(tid & 0xFFFF) for tid in range(requests))
            plc.send(flood)
            (connection,) = plant.server.connections
            await until(lambda: connection._framer.pending > HELD_BYTES)
            for _ in range(20):
                await asyncio.sleep(0.005)
                assert connection._framer.pending <= HELD_BYTES + 2**18
            finish(plant, 7)
            tids = await reading
            assert tids == [0xFFFF, *(tid & 0xFFFF for tid in range(requests))]

    run(main())


async def all_answers(plc: Master, count: int) -> list[int]:
    """The transactions of so many answers."""
    tids = []
    async with asyncio.timeout(40):
        for _ in range(count):
            head = await plc.reader.readexactly(6)
            await plc.reader.readexactly(struct.unpack(">H", head[4:])[0])
            tids.append(struct.unpack(">H", head[:2])[0])
    return tids


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_master_that_leaves_meanwhile_leaves_nothing(run: Callable[[Any], None], how: str) -> None:
    async def main() -> None:
        async with Plant(rules=LONG).open() as plant:
            busy(plant)
            for seq in range(1, 30):
                async with plant.master_at(PLC) as plc:
                    plc.send(trigger(1, seq))
                    await taken(plant, seq)
                    getattr(plc.writer if how == "close" else plc.writer.transport, how)()
                    await until(lambda: not plant.server.connections)
            finish(plant, 29)
            assert plant.link._image._held == []
            assert plant.events == []

    run(main())


def test_stopping_does_not_wait_for_it(run: Callable[[Any], None]) -> None:
    async def main() -> None:
        plant = Plant(rules=LONG)
        async with plant.open():
            busy(plant)
            reader, writer = await asyncio.open_connection("127.0.0.1", plant.server.port)
            plc = Master(reader, writer)
            plc.send(trigger(1, 7))
            await taken(plant, 7)
        assert not plant.server.connections
        assert await plc.closed()
        writer.close()
        finish(plant, 7)

    run(main())


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"frame_timeout": 0.1}, "begun and not finished"), ({"frame_timeout": 0.4, "idle_timeout": 0.1}, "no request")],
)
def test_a_master_that_waits_is_neither_silent_nor_late(limits: dict[str, float], why: str) -> None:
    async def main() -> None:
        plant = Plant(limits, rules=Rules(writer_silence=0.1, held_reply=30))
        async with plant.open(), plant.master_at(PLC) as plc, plant.master_at(SCADA) as other:
            busy(plant)
            plc.send(trigger(1, 7), read(2)[:5])
            await taken(plant, 7)
            for tid in range(20):
                await asyncio.sleep(0.02)
                assert await other.ask(write(tid, 1, 9)) == b"\x86\x06"
            finish(plant, 7)
            assert judgement((await plc.answer())[1])[0] == 7
            assert await plc.closed(), "the request begun behind it is late from now on"
            assert any(f"{PLC} was disconnected" in text and why in text for _, text in plant.events)

    uvloop.run(main())


def test_the_classic_cycle_is_unchanged_beside_it() -> None:
    async def main() -> None:
        async with Plant(rules=LONG).open() as plant, plant.master_at(PLC) as plc:
            busy(plant)
            assert await plc.ask(write(1, 1, 7)) == write(1, 1, 7)[7:]
            assert judgement(await plc.ask(trigger(2, 7, part=0))) == (0, 0, 0), "the same number triggers nothing"
            finish(plant, 7, part=0)
            assert (await plc.ask(read(3, 17, 1)))[2:] == b"\0\7"
            assert plant.server.counters.held == 0
            assert plant.station.commands == [Command(trigger_seq=7)]

    uvloop.run(main())
