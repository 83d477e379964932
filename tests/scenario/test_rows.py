"""What a PLC may do wrong within one connection, row by row of docs/fault-matrix.md; in both Modbus roles."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocols.faults import Code
from protocols.signals import Judgement, next_seq
from tests.scenario import wire
from tests.scenario.conftest import KNOWN, Bench
from tests.scenario.roles import ROLES, Cell, Plant, at_work, begun, planted
from tests.scenario.stand import until
from tests.scenario.wire import WireError

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(40)]

STATION: dict[str, Any] = {
    "camera": {"inject": {"late_at": list(range(1, KNOWN + 1)), "late_ms": 40}, "frozen_check": False},
    "cycle": {"ack_timeout_s": 0.6},
}
STORM_S = 2.0
STANDS = 1.0
"""Seconds for which the gateway's loop stands."""


@pytest.fixture(scope="module", params=ROLES)
def plant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> Iterator[Plant]:
    """One gateway for all rows of a role: what one has wedged, the next one shows."""
    yield from planted(request.param, tmp_path_factory.mktemp("rows"), bench.recipe, STATION)


@asynccontextmanager
async def ready(plant: Plant) -> AsyncIterator[Cell]:
    """A PLC that is enabled, with nothing left from the row before."""
    async with at_work(plant) as cell:
        await cell.plc.ready()
        await begun(cell.plc)
        yield cell


async def one_good_part(cell: Cell, bench: Bench, part: int) -> None:
    """Whatever has gone before: the next part has its own verdict."""
    block = await cell.plc.inspect(part)
    assert block.judgement == bench.verdict(part), block


async def test_c03_a_result_that_is_not_acknowledged_in_time_is_told_and_waits(plant: Plant, bench: Bench) -> None:
    async with ready(plant) as cell:
        plc = cell.plc
        seq = await plc.trigger(1)
        shown = await plc.see(lambda b: b.valid and b.trigger_seq == seq, 3, "the result")
        late = await plc.see(lambda b: b.bit(wire.DEGRADED), 3, "Degraded: 3005")
        assert late.result == shown.result
        assert not late.bit(wire.BUSY)
        assert late.ready
        assert cell.stand.told("condition", code=int(Code.ACK_TIMEOUT), active=True)
        await plc.write(result_ack_seq=shown.result_seq)
        await plc.see(lambda b: not b.valid and not b.bit(wire.DEGRADED), 3, "the ack mends it")
        await one_good_part(cell, bench, 2)


async def test_c04_an_ack_of_another_number_changes_nothing(plant: Plant, bench: Bench) -> None:
    async with ready(plant) as cell:
        plc = cell.plc
        seq = await plc.trigger(3)
        shown = await plc.see(lambda b: b.valid and b.trigger_seq == seq, 3, "the result")
        before = len(cell.stand.told("ack_ignored"))
        for wrong in (shown.result_seq - 1 or 65535, next_seq(shown.result_seq), 0, 40000):
            await plc.write(result_ack_seq=wrong)
            block = await plc.read()
            assert (block.valid, block.result, block.pending) == (True, shown.result, 1)
        assert len(cell.stand.told("ack_ignored")) + len(cell.stand.told("repeated", what="ack_ignored")) > before
        await plc.write(result_ack_seq=shown.result_seq)
        await plc.see(lambda b: not b.valid, 3, "the right one is taken")
        await one_good_part(cell, bench, 4)


@pytest.mark.parametrize("late", [False, True], ids=["while it is inspected", "after its result"])
async def test_c07_a_number_repeated_after_a_reconnect_is_one_inspection(
    plant: Plant, bench: Bench, late: bool
) -> None:
    async with ready(plant) as cell:
        plc, rows = cell.plc, cell.stand.inspected()
        seq = await plc.trigger(6)
        if late:
            await plc.see(lambda b: b.valid and b.trigger_seq == seq, 3, "the result")
        else:
            await plc.see(lambda b: b.trigger_seq_ack == seq, 3, "it is accepted")
        await plc.cut("rst")
        await plc.connect()
        await plc.write(trigger_seq=0)
        await plc.write(trigger_seq=seq)
        block = await plc.take(seq)
        assert block.judgement == bench.verdict(6)
        await one_good_part(cell, bench, 7)
        assert cell.stand.inspected() == rows + 2


async def test_c08_a_skipped_number_is_accepted_and_the_gap_told(plant: Plant, bench: Bench) -> None:
    async with ready(plant) as cell:
        plc = cell.plc
        block = await plc.inspect(8)
        seq = (block.trigger_seq + 5) % 65535 + 1
        await plc.write(part_id=9, trigger_seq=seq)
        block = await plc.take(seq)
        assert (block.part_id, block.judgement) == (9, bench.verdict(9))
        assert cell.stand.told("trigger_skipped", trigger_seq=seq, missing=5)


async def test_c10_one_cycle_for_each_edge_however_long_the_bit_stays(plant: Plant, bench: Bench) -> None:
    async with ready(plant) as cell:
        plc, rows = cell.plc, cell.stand.inspected()
        await plc.write(part_id=10, trigger=True)
        await plc.see(lambda b: b.valid and b.part_id == 10, 3, "the result")
        await plc.cut("fin")
        await plc.connect()  # and Trigger is still 1
        await plc.write(result_ack=True)
        await plc.see(lambda b: not b.valid, 3, "it is taken")
        await plc.write(result_ack=False)
        for _ in range(20):
            await plc.write()
            assert not (await plc.read()).bit(wire.BUSY)
        assert cell.stand.inspected() <= rows + 1, "a held Trigger is no second one"
        await plc.write(trigger=False)
        await begun(plc)
        await one_good_part(cell, bench, 11)
        assert cell.stand.inspected() == rows + 2


async def test_c10_a_trigger_that_bounces_is_one_cycle(plant: Plant, bench: Bench) -> None:
    async with ready(plant) as cell:
        plc, rows = cell.plc, cell.stand.inspected()
        for level in (True, False, True, False, True):
            await plc.rush(part_id=12, trigger=level)
        await plc.connect()
        await plc.see(lambda b: b.valid and b.part_id == 12, 3, "the result")
        await plc.write(trigger=False)
        await plc.write(result_ack=True)
        await plc.see(lambda b: not b.valid, 3, "it is taken")
        await plc.write(result_ack=False)
        await begun(plc)
        assert cell.stand.inspected() == rows + 1


@pytest.mark.parametrize("stuck", [0, 65535])
async def test_c11_a_plc_whose_heartbeat_stops_starts_nothing(plant: Plant, bench: Bench, stuck: int) -> None:
    async with ready(plant) as cell:
        plc = cell.plc
        for beat in (1, 2, 3, stuck):
            await plc.write(plc_heartbeat=beat)
        lost = await plc.see(lambda b: not b.ready, 4, "Ready goes off")
        assert (lost.not_ready_reason, lost.bit(wire.FAIL_SAFE)) == (Code.PLC_HEARTBEAT_LOST, True)
        seq = await plc.trigger(13)
        refused = await plc.see(lambda b: b.trigger_seq_ack == seq, 3, "the trigger is seen")
        assert refused.trigger_refused == Code.PLC_HEARTBEAT_LOST
        assert not refused.bit(wire.BUSY)
        await plc.write(plc_heartbeat=7)
        await plc.see(lambda b: b.ready, 2, "one beat brings it back")
        await one_good_part(cell, bench, 14)
        await begun(plc)


async def test_c12_a_gateway_whose_loop_stands_shows_no_heartbeat_and_tells_it_afterwards(
    plant: Plant, bench: Bench
) -> None:
    async with ready(plant) as cell:
        stand, began = cell.stand, time.time()
        before, told = await cell.plc.read(), len(stand.told("loop_stalled"))
        stand.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(STANDS)  # that nothing happens meanwhile is the point
            if plant.port:
                assert (await cell.plc.read()).heartbeat - before.heartbeat in (0, 1)
            else:
                with pytest.raises(WireError):  # its socket takes the request, and nobody answers
                    await cell.plc.read()
        finally:
            stand.signal(signal.SIGCONT)
        await cell.plc.connect()
        stand.evidence["cell1"].excused.append((began, time.time()))
        await until(lambda: len(stand.told("loop_stalled")) > told, 5, "5002 in the log")
        assert stand.told("loop_stalled")[-1]["code"] == Code.LOOP_STALLED
        await begun(cell.plc)
        await one_good_part(cell, bench, 30)


async def test_c16_a_block_is_never_torn_however_the_wire_cuts_it_up(plant: Plant, bench: Bench) -> None:
    """Single bytes, merged segments and varying delays. The oracle checks every block that was read."""
    async with ready(plant) as cell:
        cell.proxy.set(split=1, delay=0.004, jitter=0.004)
        for part in range(15, 25):
            await one_good_part(cell, bench, part)
        cell.proxy.clear()


async def test_c20_an_enable_that_falls_in_mid_cycle_lets_it_end_and_starts_no_other(
    plant: Plant, bench: Bench
) -> None:
    async with ready(plant) as cell:
        plc = cell.plc
        seq = await plc.trigger(25)
        await plc.see(lambda b: b.bit(wire.BUSY), 3, "Busy")
        await plc.write(enable=False)
        block = await plc.take(seq)
        assert block.judgement == bench.verdict(25)
        assert (await plc.read()).not_ready_reason == Code.NOT_ENABLED
        refused = await plc.trigger(26)
        block = await plc.see(lambda b: b.trigger_seq_ack == refused, 3, "the trigger is seen")
        assert block.trigger_refused == Code.NOT_ENABLED
        await plc.write(enable=True)
        await one_good_part(cell, bench, 27)


async def test_c21_a_simulated_picture_says_so(plant: Plant, bench: Bench) -> None:
    async with ready(plant) as cell:
        block = await cell.plc.inspect(bench.good(1)[0])
        assert block.judgement == Judgement.OK
        assert block.result_bits == 1 | 1 << 5
        assert block.bit(1 << 13), "Simulated in STATUS"
        await until(lambda: cell.stand.history()[-1].simulated, 2, "the history says so too")


async def test_c06_of_a_storm_each_trigger_is_accepted_or_counted(plant: Plant, bench: Bench) -> None:
    """At 1 kHz. What a polled PLC goes through unread is told as skipped. Last of all: the log sums its lines up."""
    async with ready(plant) as cell:
        plc, stand = cell.plc, cell.stand
        before, rows = await plc.read(), stand.inspected()
        sent, began = 0, time.monotonic()
        while time.monotonic() < began + STORM_S:
            seq = next_seq(plc.command.trigger_seq or before.trigger_seq_ack)
            sent += 1
            await plc.rush(part_id=sent % KNOWN + 1, trigger_seq=seq)
            await asyncio.sleep(0.0005)
        last = plc.command.trigger_seq
        await plc.connect()
        after = await plc.see(lambda b: b.trigger_seq_ack == last and not b.bit(wire.BUSY), 5, "the last one is seen")
        refusals = after.missed - before.missed
        accepted = stand.inspected() - rows
        assert sent > 200
        assert accepted >= 2
        assert refusals > accepted
        if plant.port:
            assert accepted + refusals < sent
            assert stand.told("trigger_skipped")
        else:
            assert accepted + refusals == sent
        await begun(plc)
        stand.measure()
        await one_good_part(cell, bench, 5)
