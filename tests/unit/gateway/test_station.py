"""The station's scan with everything around it played."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

import pytest

from gateway.history import HistoryError, Recovered
from gateway.inspection import Inspection, Trigger
from gateway.workers import WorkerError
from protocols.faults import Code
from protocols.handshake import CycleSettings, OwnTrigger
from protocols.link import LinkState
from protocols.signals import Command, Control, Judgement, ResultBit, StatusBit
from protocols.tags import Quality, TagValue
from tests.unit.gateway.played import ON, SCRATCH, Cell

FULL = HistoryError(Code.DISK_FULL, "the disk is full")


@pytest.fixture
async def cell() -> Cell:
    return Cell().ready()


def inspection(seq: int, judgement: Judgement, result_seq: int, part: int = 0) -> Inspection:
    return Inspection("cell1", Trigger(1, seq, part), judgement, 0, result_seq, 1)


async def test_a_good_and_a_bad_part(cell: Cell) -> None:
    cell.seen(cell.trigger(1, part=11))
    result = cell.result
    assert (result.trigger_seq, result.part_id, result.judgement, result.reason) == (1, 11, Judgement.OK, 0)
    assert (result.recipe, result.model_crc, result.grab, result.infer) == (1, 111, 100, 50)
    assert (result.time_s, result.time_ms) == (1_800_000_000, 250)
    assert result.bits == ResultBit.OK | ResultBit.SIMULATED
    cell.send(result_ack_seq=1)
    cell.seen(cell.trigger(2, part=12), SCRATCH)
    result = cell.result
    assert (result.part_id, result.judgement, result.reason, result.findings) == (12, Judgement.NG, 101, 1)
    assert result.score == pytest.approx(0.9)
    assert [path.split("/")[-1] for path in cell.vision.pictures] == ["00007-00002-NG.jpg"]


async def test_an_accepted_trigger_is_shown_when_a_kill_cannot_take_its_row_any_more(cell: Cell) -> None:
    cell.disk.slow = True
    cell.trigger(5, part=3)
    assert cell.status.trigger_seq_ack == 0
    assert not cell.status.bits & StatusBit.BUSY
    cell.disk.open_rows()
    assert cell.status.trigger_seq_ack == 5
    assert cell.status.bits & StatusBit.BUSY


async def test_an_accepted_trigger_is_not_hidden_for_long_by_a_slow_disk(cell: Cell) -> None:
    cell.disk.slow = True
    cell.trigger(5)
    await cell.until(lambda: cell.status.trigger_seq_ack == 5)


async def test_recorded_before_visible(cell: Cell) -> None:
    cell.disk.slow = True
    cell.seen(cell.trigger(1))
    assert cell.result.result_seq == 0
    assert not cell.status.bits & StatusBit.RESULT_VALID
    cell.disk.flush()
    assert cell.result.judgement is Judgement.OK
    assert cell.disk.rows[1].result_seq == cell.result.result_seq


async def test_deadline_gives_a_recorded_fault_and_the_late_answer_is_dropped(cell: Cell) -> None:
    cycle = cell.trigger(1)
    await cell.pass_time(0.301)
    assert (cell.result.judgement, cell.result.reason) == (Judgement.FAULT, Code.DEADLINE_MISSED)
    assert cell.result.bits & ResultBit.DEADLINE_MISSED
    assert cell.vision.given_up == [cycle]
    assert cell.disk.rows[cycle].judgement is Judgement.FAULT
    cell.seen(cycle)
    assert (cell.result.judgement, cell.station.metrics.late) == (Judgement.FAULT, 1)


async def test_verdict_that_the_disk_holds_up_is_taken_back_at_the_deadline(cell: Cell) -> None:
    cell.disk.slow = True
    cycle = cell.trigger(1)
    cell.seen(cycle)
    await cell.pass_time(0.301)
    assert (cell.result.judgement, cell.result.reason) == (Judgement.FAULT, Code.STORE_WRITE)
    assert cell.disk.amended[-1].reason == Code.STORE_WRITE
    assert cell.disk.amended[-1].result_seq == cell.result.result_seq == 1
    cell.disk.flush()
    assert cell.status.pending == 1


async def test_fault_that_the_disk_holds_up_is_shown_all_the_same(cell: Cell) -> None:
    cell.disk.slow = True
    cell.trigger(1)
    await cell.pass_time(0.301)
    assert cell.result.result_seq == 0
    await cell.until(lambda: cell.result.result_seq != 0)
    assert cell.result.reason == Code.DEADLINE_MISSED
    await cell.until(lambda: cell.status.not_ready_reason == Code.STORE_WRITE)
    cell.disk.flush()
    assert cell.status.ready


async def test_disk_error_makes_the_verdict_a_fault_until_the_disk_takes_it(cell: Cell) -> None:
    cell.disk.error = FULL
    cell.seen(cell.trigger(1))
    assert (cell.result.judgement, cell.result.reason) == (Judgement.FAULT, Code.DISK_FULL)
    assert cell.status.not_ready_reason == Code.DISK_FULL
    cell.disk.owed[-1]()
    assert cell.status.ready
    assert cell.status.fault_code == Code.DISK_FULL


async def test_worker_fault_is_the_outcome_and_the_next_part_is_right(cell: Cell) -> None:
    cell.seen(cell.trigger(1), fault=Code.WORKER_DIED)
    assert (cell.result.judgement, cell.result.reason) == (Judgement.FAULT, Code.WORKER_DIED)
    assert cell.status.fault_code == Code.WORKER_DIED
    cell.send(result_ack_seq=1)
    cell.seen(cell.trigger(2))
    assert cell.result.judgement is Judgement.OK


async def test_vision_down_takes_ready_and_comes_back(cell: Cell) -> None:
    cell.station.workers_down(Code.CAMERA_LINK, "unplugged")
    assert cell.status.not_ready_reason == Code.CAMERA_LINK
    cell.station.workers_down(Code.CRASH_LOOP, "three deaths")
    assert cell.status.not_ready_reason == Code.CRASH_LOOP
    cell.send(control=ON | Control.CLEAR_FAULT)
    assert cell.vision.resets == 1
    cell.station.workers_ready(cell.station.facts)
    assert cell.status.ready


async def test_a_network_on_another_device_than_wished_degrades_the_station_and_is_recorded(cell: Cell) -> None:
    fallen_back = replace(cell.station.facts, provider="CPUExecutionProvider", missed="no cuda here")
    cell.station.workers_ready(fallen_back)
    assert cell.status.bits & StatusBit.DEGRADED
    assert cell.status.ready
    cell.seen(cell.trigger(1))
    assert cell.result.judgement is Judgement.OK
    assert list(cell.disk.rows.values())[-1].provider == "CPUExecutionProvider"
    cell.station.workers_ready(replace(fallen_back, missed=""))
    assert not cell.status.bits & StatusBit.DEGRADED


async def test_commands_wait_for_the_recovery() -> None:
    cell = Cell()
    cell.send(control=ON, trigger_seq=5)
    assert not cell.status.bits & StatusBit.READY
    assert cell.status.trigger_seq_ack == 0
    cell.ready(Recovered(result_seq=30, last=inspection(5, Judgement.OK, 30)))
    assert cell.vision.asked == []
    assert (cell.result.result_seq, cell.result.trigger_seq) == (30, 5)
    cell.seen(cell.trigger(6))
    cell.send(result_ack_seq=30)
    assert cell.result.result_seq == 31


async def test_interrupted_inspection_is_told_after_the_restart() -> None:
    stopped = Inspection("cell1", Trigger(1, 5, 9), Judgement.FAULT, Code.RESTARTED, 31, 1)
    cell = Cell().ready(Recovered(result_seq=31, last=stopped, interrupted=(stopped,)))
    assert (cell.result.judgement, cell.result.reason, cell.result.trigger_seq) == (4, Code.RESTARTED, 5)
    assert cell.status.bits & StatusBit.RESULT_VALID
    assert cell.status.boot_id == 7


async def test_history_that_cannot_be_opened_is_why_ready_is_low() -> None:
    cell = Cell()
    cell.station.store_trouble(HistoryError(Code.STORE_WRITE, "locked"))
    cell.station.workers_ready(cell.station.facts)
    assert cell.status.not_ready_reason == Code.STORE_WRITE
    cell.ready()
    assert cell.status.ready


async def test_damaged_history_degrades() -> None:
    cell = Cell().ready()
    cell.station.store_trouble(HistoryError(Code.STORE_CORRUPT, "set aside"))
    assert cell.status.bits & StatusBit.DEGRADED
    assert cell.status.ready


async def test_link_lost_and_back(cell: Cell) -> None:
    cell.station.link_changed(LinkState.DOWN, "no answer")
    assert cell.status.not_ready_reason == Code.LINK_LOST
    assert cell.status.bits & StatusBit.FAIL_SAFE
    cell.station.link_changed(LinkState.UP, "answers")
    cell.send(trigger_seq=9)
    assert cell.vision.asked == []
    assert cell.status.trigger_refused == Code.LINK_LOST
    assert cell.trigger(10)


class TestStop:
    async def test_ready_falls_first_and_the_running_inspection_ends(self, cell: Cell) -> None:
        cycle = cell.trigger(1)
        stop = asyncio.create_task(cell.station.stop(5))
        await asyncio.sleep(0)
        assert cell.status.not_ready_reason == Code.STOPPING
        cell.seen(cycle)
        assert cell.status.bits & StatusBit.RESULT_VALID, "the PLC gets time to take it"
        cell.send(result_ack_seq=1)
        await stop
        assert cell.disk.rows[cycle].judgement is Judgement.OK
        assert not cell.status.bits & (StatusBit.ONLINE | StatusBit.RESULT_VALID)

    async def test_without_time_it_ends_as_5005(self, cell: Cell) -> None:
        cycle = cell.trigger(1)
        await cell.station.stop(0)
        assert cell.disk.rows[cycle].reason == Code.STOPPING
        assert cell.result.result_seq == 0


class TestRecipes:
    async def change(self, cell: Cell, number: int) -> None:
        running = asyncio.create_task(cell.station.run())
        cell.send(command=1, command_param=number, command_seq=cell.plc.command_seq + 1)
        await cell.until(lambda: not cell.status.bits & StatusBit.EXECUTING)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def test_change_and_the_result_says_who_judged(self, cell: Cell) -> None:
        await self.change(cell, 2)
        assert (cell.status.command_result, cell.status.recipe_active) == (2, 2)
        cell.seen(cell.trigger(1))
        assert (cell.result.recipe, cell.result.model_crc) == (2, 222)

    async def test_unknown_number_leaves_the_old_one(self, cell: Cell) -> None:
        await self.change(cell, 77)
        assert (cell.status.command_result, cell.status.recipe_active) == (Code.UNKNOWN_RECIPE, 1)

    async def test_refused_model_leaves_the_old_one(self, cell: Cell) -> None:
        cell.vision.refuses = WorkerError(Code.MODEL_HASH, "another file")
        await self.change(cell, 2)
        assert (cell.status.command_result, cell.status.recipe_active) == (Code.MODEL_HASH, 1)
        cell.seen(cell.trigger(1))
        assert cell.result.recipe == 1


async def test_c12_heartbeat_is_the_loop_s_own(cell: Cell) -> None:
    before = cell.status.heartbeat
    running = asyncio.create_task(cell.station.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert cell.status.heartbeat == before + 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_c12_stalled_loop_is_told() -> None:
    cell = Cell(CycleSettings(heartbeat=0.0)).ready()
    running = asyncio.create_task(cell.station.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    cell.now += 2.0
    await cell.until(lambda: cell.status.fault_code != 0)
    assert cell.status.fault_code == Code.LOOP_STALLED
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_refusals_and_losses_are_counted(cell: Cell) -> None:
    cell.trigger(1)
    cell.send(trigger_seq=2)
    assert cell.station.metrics.snapshot()["refused_3003"] == 1
    assert cell.station.metrics.accepted == 1
    cell.send(trigger_seq=8)
    assert cell.station.metrics.skipped == 5


class Around:
    """Equipment that writes down what the station tells it."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def snapshot(self) -> dict[str, TagValue]:
        return {"cnc.tool": TagValue(7, Quality.GOOD, Code.NONE, "", at=999.5)}

    def accepted(self, cycle: int) -> None:
        self.told.append(("accepted", cycle))

    def refused(self) -> None:
        self.told.append("refused")

    def decided(self, cycle: int, judgement: Judgement) -> None:
        self.told.append(("decided", cycle, judgement))

    def doubt(self) -> None:
        self.told.append("doubt")

    async def stop(self, wait: float) -> None:
        self.told.append("stop")


async def test_the_equipment_hears_of_every_part_and_of_an_outcome_only_when_it_is_recorded(cell: Cell) -> None:
    around = Around()
    cell.station.equip(around)
    cell.disk.slow = True
    cycle = cell.trigger(1, part=11)
    assert cell.vision.asked[-1].tags["cnc.tool"].age(cell.now) == pytest.approx(0.5)
    cell.send(trigger_seq=2, part_id=12)
    cell.seen(cycle)
    assert around.told == [("accepted", cycle), "refused"]
    cell.disk.flush()
    assert around.told[2:] == [("decided", cycle, Judgement.OK)]
    cell.send(trigger_seq=3, part_id=13)
    cell.send(trigger_seq=3, part_id=13, user=(1, 0, 0, 0, 0, 0))  # the same part once more is no part
    assert around.told[3:] == [("accepted", cycle + 1)]
    cell.station.link_changed(LinkState.DOWN, "cut")
    assert around.told[4:] == ["doubt"]
    await cell.station.stop(0.01)
    assert around.told[-1] == "stop"


@pytest.mark.parametrize(("first", "then"), [(2, 4), (65534, 1), (2, 1500), (500, 3), (5, 4)])
async def test_a_number_that_does_not_follow_puts_in_doubt_what_is_on_its_way_but_not_the_new_part(
    cell: Cell, first: int, then: int
) -> None:
    around = Around()
    cell.station.equip(around)
    cycle = cell.trigger(first)
    cell.seen(cycle)
    cell.send(result_ack_seq=cell.result.result_seq)
    cell.trigger(then)
    assert around.told[2:] == ["doubt", ("accepted", cycle + 1)]


async def test_a_plc_that_falls_silent_and_one_that_is_back_put_in_doubt_what_is_on_its_way(cell: Cell) -> None:
    around = Around()
    cell.station.equip(around)
    cell.send(plc_heartbeat=1)
    cell.send(plc_heartbeat=2)
    assert around.told == []
    await cell.pass_time(1.01)
    assert cell.status.bits & StatusBit.FAIL_SAFE
    assert around.told == ["doubt"]
    cell.send(plc_heartbeat=3)
    assert around.told == ["doubt", "doubt"]


async def test_an_ack_that_is_late_leaves_nothing_in_doubt(cell: Cell) -> None:
    around = Around()
    cell.station.equip(around)
    cell.seen(cell.trigger(1))
    await cell.pass_time(5.01)
    assert cell.status.bits & StatusBit.DEGRADED
    assert "doubt" not in around.told


async def test_a_plc_that_starts_anew_puts_in_doubt_what_is_on_its_way_before_its_first_part(cell: Cell) -> None:
    around = Around()
    cell.station.equip(around)
    cell.send(**asdict(Command()))
    assert around.told == [], "nothing was there before"
    cell.send(control=ON)
    cycle = cell.trigger(1)
    cell.seen(cycle)
    cell.send(**asdict(Command()))
    cell.send(control=ON)
    cell.trigger(1)
    assert around.told[2:] == ["doubt", ("accepted", cycle + 1)]


@pytest.mark.parametrize("state", [LinkState.DOWN, LinkState.UP])
async def test_a_link_that_changes_puts_in_doubt_what_is_on_its_way(cell: Cell, state: LinkState) -> None:
    around = Around()
    cell.station.equip(around)
    cell.station.link_changed(state, "so told")
    assert around.told == ["doubt"]


async def test_a_device_that_is_lost_and_back_puts_in_doubt_what_is_on_its_way(cell: Cell) -> None:
    around = Around()
    cell.station.equip(around)
    for missing in (True, False):
        cell.station.needs(Code.LINK_LOST, missing)
    assert around.told == ["doubt", "doubt"]


async def test_numbers_that_follow_leave_nothing_in_doubt(cell: Cell) -> None:
    around = Around()
    cell.station.equip(around)
    for seq in (65534, 65535, 1, 2):
        cell.seen(cell.trigger(seq))
        cell.send(result_ack_seq=cell.result.result_seq)
    assert "doubt" not in around.told


async def test_what_the_equipment_lacks_takes_ready_and_keeps_apart_from_the_plc_s_link(cell: Cell) -> None:
    cell.station.needs(Code.OUTPUT_FAILED, True)
    assert cell.status.not_ready_reason == Code.OUTPUT_FAILED
    cell.station.needs(Code.OUTPUT_FAILED, False)
    assert cell.status.ready
    cell.station.needs(Code.LINK_LOST, True)
    cell.station.link_changed(LinkState.UP, "back")
    assert cell.status.not_ready_reason == Code.LINK_LOST
    cell.station.needs(Code.LINK_LOST, False)
    cell.send(control=ON)
    assert cell.status.ready


async def test_a_trigger_of_a_tag_waits_for_no_plc_but_for_the_history() -> None:
    settings = CycleSettings(own_triggers=True, always_enabled=True, acknowledged=False)
    cell = Cell(settings)
    cell.station.workers_ready(cell.station.facts)
    cell.station.own_trigger(OwnTrigger(5))
    assert cell.vision.asked == []
    assert cell.station.metrics.refusals == {Code.STARTING: 1}
    cell.station.recover(None)
    cell.station.own_trigger(OwnTrigger(5, "A1"))
    (asked,) = cell.vision.asked
    assert (asked.part_id, asked.serial, asked.by_bit) == (5, "A1", True)
    cell.seen(asked.cycle)
    assert (cell.result.part_id, cell.result.judgement, cell.status.pending) == (5, Judgement.OK, 0)
