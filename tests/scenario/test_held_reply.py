"""A PLC with function 23 gets each result as the answer to its trigger, and the cycle beside it is the same."""

from __future__ import annotations

import asyncio
import struct
import time

import pytest

from protocols.signals import Control
from tests.scenario import wire
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import Observer, note, watched
from tests.scenario.oracle import Evidence
from tests.scenario.stand import Stand, until
from tests.scenario.wire import Block, Command, Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(90)]

MIRROR, WORDS = 100, 64


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The PLC's own time-out stands above the bound of the reply."""
    monkeypatch.setattr(wire, "REQUEST_TIMEOUT", 8.0)


class HoldingPlc:
    """Writes words 0 to 9 and reads the mirror, in one request."""

    def __init__(self, stand: Stand) -> None:
        self.master = Master(stand.port)
        self.evidence: Evidence = stand.evidence["cell1"]
        self.command = Command()

    async def start(self, observer: Observer) -> None:
        await self.master.open()
        await self.exchange(control=int(Control.ENABLE))
        await until(lambda: observer.block is not None and observer.block.ready, 30, "Ready")

    def request(self, **changes: int) -> bytes:
        before = self.command
        self.command = Command(**{name: getattr(before, name) for name in Command.__slots__} | changes)
        note(self.evidence, before, self.command, time.time())
        block = self.command.encode()[:20]
        return struct.pack(">BHHHHB", 23, MIRROR, WORDS, 0, 10, 20) + block

    async def exchange(self, **changes: int) -> Block:
        answer = await self.master._ask(self.request(**changes))
        assert answer[:2] == bytes((23, 2 * WORDS)), answer.hex()
        return wire.decode(answer[2:])


def held(stand: Stand, milliseconds: float) -> Stand:
    stand.stations[0]["link"]["held_reply_ms"] = milliseconds
    stand.write_config(stand.config, stand.data_dir)
    return stand


async def test_each_answer_is_the_result_of_its_trigger(new_stand: NewStand, bench: Bench) -> None:
    stand = held(new_stand({"cycle": {"deadline_ms": 2000, "grab_timeout_ms": 1500}}), 5000)
    await stand.start()
    plc = HoldingPlc(stand)
    async with watched(stand, Master(stand.port)) as observer:
        await plc.start(observer)
        taken = 0
        for part in range(1, 31):
            block = await plc.exchange(trigger_seq=part, part_id=part, result_ack_seq=taken)
            assert not block.torn
            assert (block.trigger_seq, block.part_id) == (part, part)
            assert block.judgement == bench.verdict(part)
            assert block.score == pytest.approx(bench.score(part), abs=0.002)
            await shown(observer, block.result_seq)
            taken = block.result_seq
        refused = await plc.exchange(control=0, trigger_seq=99, part_id=99, result_ack_seq=taken)
        assert (refused.trigger_seq_ack, refused.trigger_refused) == (99, 3009)
        await plc.master.close()
        assert await stand.stop() == 0
    assert [row.trigger.part_id for row in stand.history()] == list(range(1, 31))


async def test_a_bound_below_the_inspection_time_answers_early_and_the_result_is_polled(
    new_stand: NewStand, bench: Bench
) -> None:
    stand = held(new_stand({"camera": {"inject": {"slow_ms": 100}}, "cycle": {"deadline_ms": 3000}}), 20)
    await stand.start()
    plc = HoldingPlc(stand)
    async with watched(stand, Master(stand.port)) as observer:
        await plc.start(observer)
        taken = 0
        for part in range(1, 6):
            block = await plc.exchange(trigger_seq=part, part_id=part, result_ack_seq=taken)
            assert block.trigger_seq != part, "the answer did not wait"
            async with asyncio.timeout(10):
                while block.trigger_seq != part:
                    await asyncio.sleep(0.005)
                    block = await plc.exchange()
            assert block.judgement == bench.verdict(part)
            taken = block.result_seq
        await plc.exchange(result_ack_seq=taken)
        await plc.master.close()
        assert await stand.stop() == 0


async def test_a_plc_that_is_lost_while_it_waits_finds_its_result_later(new_stand: NewStand, bench: Bench) -> None:
    stand = held(new_stand({"camera": {"inject": {"slow_ms": 50}}, "cycle": {"deadline_ms": 3000}}), 5000)
    await stand.start()
    plc = HoldingPlc(stand)
    async with watched(stand, Master(stand.port)) as observer:
        await plc.start(observer)
        taken = 0
        for part in range(1, 11):
            streams = plc.master._streams
            assert streams is not None
            streams[1].write(plc.master._framed(plc.request(trigger_seq=part, part_id=part, result_ack_seq=taken)))
            await observer_sees(observer, part)
            await plc.master.close(reset=bool(part % 2))
            await plc.master.open()
            async with asyncio.timeout(10):
                while (block := await plc.exchange()).trigger_seq != part:  # noqa: ASYNC110 - behind a wire
                    await asyncio.sleep(0.005)
            assert block.judgement == bench.verdict(part)
            taken = block.result_seq
        await plc.exchange(result_ack_seq=taken)
        await plc.master.close()
        assert await stand.stop() == 0
    assert [row.trigger.part_id for row in stand.history()] == list(range(1, 11))


async def shown(observer: Observer, result_seq: int) -> None:
    """The observer has seen it too: such a cycle fits between two of its polls."""
    await until(
        lambda: observer.block is not None and observer.block.result_seq == result_seq, 10, "the result is seen"
    )


async def observer_sees(observer: Observer, seq: int) -> None:
    await until(lambda: observer.block is not None and observer.block.trigger_seq_ack == seq, 10, "the trigger is seen")
