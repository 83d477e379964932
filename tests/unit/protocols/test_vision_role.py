"""The gateway's side of the cycle, move by move."""

from __future__ import annotations

import random

import pytest

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings, Last, Style, VisionState
from protocols.signals import Command, Control, Judgement, Result, StatusBit
from tests.unit.protocols.bench import ON, Bench, refusals


def test_not_ready_until_enabled_and_says_why() -> None:
    bench = Bench()
    bench.write()
    assert not bench.bit(StatusBit.READY)
    assert bench.out.status.not_ready_reason == Code.NOT_ENABLED
    bench.write(control=ON)
    assert bench.bit(StatusBit.READY)
    assert bench.out.status.not_ready_reason == 0


def test_sequence_cycle(bench: Bench) -> None:
    request = bench.trigger(1, part=77)
    assert (request.trigger_seq, request.part_id, request.style) == (1, 77, Style.SEQUENCE)
    assert request.deadline == pytest.approx(bench.now + 0.3)
    status = bench.out.status
    assert (status.trigger_seq_ack, status.trigger_refused, status.ready) == (1, 0, False)
    assert bench.bit(StatusBit.BUSY)
    bench.role.exposed(request.cycle)
    assert bench.bit(StatusBit.EXPOSURE_DONE)
    assert not bench.bit(StatusBit.READY)
    toggle = bench.bit(StatusBit.RESULT_TOGGLE)
    bench.finish(request.cycle, 1, part=77)
    assert bench.bit(StatusBit.RESULT_VALID)
    assert bench.bit(StatusBit.READY)
    assert bench.bit(StatusBit.RESULT_TOGGLE) is not toggle
    assert (bench.out.result.result_seq, bench.out.status.pending) == (1, 1)
    bench.write(result_ack_seq=1)
    assert not bench.bit(StatusBit.RESULT_VALID)
    assert (bench.out.status.pending, bench.out.status.newest_result_seq) == (0, 1)


def test_bit_cycle_is_four_phase(bench: Bench) -> None:
    accepted = bench.write(control=ON | Control.TRIGGER, part_id=5)
    request = accepted[0]
    assert isinstance(request, hs.Accepted)
    assert (request.trigger_seq, request.style) == (1, Style.BITS)
    assert bench.bit(StatusBit.TRIGGER_ACK)
    assert bench.write(control=ON | Control.TRIGGER) == []
    bench.write(control=ON)
    assert not bench.bit(StatusBit.TRIGGER_ACK)
    bench.finish(request.cycle, 1, part=5)
    assert bench.bit(StatusBit.RESULT_VALID)
    bench.write(control=ON | Control.RESULT_ACK)
    assert not bench.bit(StatusBit.RESULT_VALID)
    bench.write(control=ON)
    assert bench.out.status.pending == 0


def test_bit_style_shows_the_next_result_only_after_the_ack_fell(bench: Bench) -> None:
    for part in (1, 2):
        request = bench.write(control=ON | Control.TRIGGER, part_id=part)[0]
        assert isinstance(request, hs.Accepted)
        bench.write(control=ON)
        bench.finish(request.cycle, part, part=part)
    assert bench.out.result.part_id == 1
    bench.write(control=ON | Control.RESULT_ACK)
    assert not bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.result.part_id == 1
    bench.write(control=ON)
    assert bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.result.part_id == 2


def test_trigger_while_busy_is_refused_and_the_running_one_untouched(bench: Bench) -> None:
    request = bench.trigger(1)
    assert refusals(bench.write(trigger_seq=2)) == [(2, Code.TRIGGER_WHILE_BUSY)]
    status = bench.out.status
    assert (status.trigger_seq_ack, status.trigger_refused, status.missed) == (2, Code.TRIGGER_WHILE_BUSY, 1)
    assert bench.bit(StatusBit.MISSED_TRIGGER)
    bench.finish(request.cycle, 1)
    assert bench.out.result.trigger_seq == 1
    bench.trigger(3)
    assert bench.out.status.trigger_refused == 0


def test_rewriting_the_same_block_does_nothing(bench: Bench) -> None:
    bench.trigger(1)
    for _ in range(5):
        assert bench.write() == []


def test_repeated_number_is_one_inspection_and_shows_the_outcome_again(bench: Bench) -> None:
    request = bench.trigger(7, part=3)
    bench.finish(request.cycle, 7, Judgement.NG, part=3)
    bench.write(result_ack_seq=1)
    bench.write(trigger_seq=0)
    actions = bench.write(trigger_seq=7)
    assert [type(a) for a in actions] == [hs.Refused]
    assert bench.out.status.trigger_refused == Code.REPEATED_SEQ
    assert bench.bit(StatusBit.RESULT_VALID)
    assert (bench.out.result.result_seq, bench.out.result.judgement) == (1, Judgement.NG)
    assert bench.out.status.missed == 0


def skips(actions: list[hs.Action]) -> list[tuple[int, int]]:
    return [(a.trigger_seq, a.count) for a in actions if isinstance(a, hs.Skipped)]


def test_c08_a_skipped_number_is_accepted_and_the_gap_is_told(bench: Bench) -> None:
    request = bench.trigger(7)
    assert skips(bench.actions) == []  # the first number that is seen may be any
    bench.finish(request.cycle, 7)
    bench.trigger(13)
    assert skips(bench.actions) == [(13, 5)]
    assert bench.out.status.trigger_refused == 0
    assert skips(bench.write(trigger_seq=14)) == []  # refused while busy, and seen all the same
    assert skips(bench.write(trigger_seq=17)) == [(17, 2)]


@pytest.mark.parametrize(("before", "after", "missing"), [(65535, 1, 0), (65534, 1, 1), (65535, 3, 2), (100, 50, 0)])
def test_c08_a_gap_is_counted_across_the_wrap_and_a_counter_set_anew_is_none(
    bench: Bench, before: int, after: int, missing: int
) -> None:
    bench.finish(bench.trigger(before).cycle, before)
    bench.trigger(after)
    assert skips(bench.actions) == ([(after, missing)] if missing else [])


def test_c06_of_a_storm_each_number_is_accepted_refused_or_told_as_skipped(bench: Bench) -> None:
    """A PLC that counts on at every write, and is read at some of them only."""
    chance = random.Random(1)
    sent, skipped, accepted = 1, 0, 1
    running = [bench.trigger(1)]
    while sent < 20_000:
        sent += chance.choice((1, 1, 2, 7))
        bench.now += 0.01
        if running and chance.random() < 0.3:
            cycle = running.pop()
            bench.finish(cycle.cycle, cycle.trigger_seq)
        told = bench.write(trigger_seq=sent)
        taken = [action for action in told if isinstance(action, hs.Accepted)]
        running += taken
        accepted += len(taken)
        skipped += sum(count for _, count in skips(told))
    assert accepted > 1000
    assert accepted + bench.out.status.missed + skipped == sent


def test_c08_numbers_begin_anew_after_a_start_of_the_plc(bench: Bench) -> None:
    bench.finish(bench.trigger(7).cycle, 7)
    bench.write(control=0, trigger_seq=0)
    bench.write(control=1)
    bench.trigger(20)
    assert skips(bench.actions) == []


def test_same_number_for_another_part_is_a_new_inspection(bench: Bench) -> None:
    request = bench.trigger(7, part=3)
    bench.finish(request.cycle, 7, part=3)
    bench.write(trigger_seq=0)
    assert bench.trigger(7, part=4).part_id == 4


def test_c13_plc_restart_forgets_old_numbers(bench: Bench) -> None:
    request = bench.trigger(1)
    bench.finish(request.cycle, 1)
    bench.plc = Command()
    assert bench.write() == [hs.Restarted()]
    assert bench.write() == []
    bench.write(control=ON)
    assert bench.trigger(1).trigger_seq == 1


def test_bit_count_is_never_taken_for_a_number_of_the_plc(bench: Bench) -> None:
    request = bench.write(control=ON | Control.TRIGGER)[0]
    assert isinstance(request, hs.Accepted)
    bench.finish(request.cycle, request.trigger_seq)
    bench.write(control=ON)
    assert bench.out.status.trigger_seq_ack == 0
    assert bench.trigger(1).cycle == request.cycle + 1


def test_counter_that_wraps_to_zero_is_refused_aloud(bench: Bench) -> None:
    request = bench.trigger(65535)
    bench.finish(request.cycle, 65535)
    assert refusals(bench.write(trigger_seq=0)) == [(0, Code.OUT_OF_ORDER)]
    assert bench.out.status.missed == 1
    assert bench.trigger(1).trigger_seq == 1


def test_first_sight_is_a_baseline() -> None:
    bench = Bench()
    actions = bench.write(control=ON | Control.TRIGGER, trigger_seq=9)
    assert not [a for a in actions if isinstance(a, hs.Accepted)]
    assert not bench.bit(StatusBit.READY)
    assert bench.out.status.not_ready_reason == Code.OUT_OF_ORDER
    bench.write(control=ON)
    assert bench.bit(StatusBit.READY)


def test_number_left_over_from_before_our_restart_is_refused_with_5006() -> None:
    bench = Bench()
    assert refusals(bench.write(control=ON, trigger_seq=9)) == [(9, Code.RESTARTED)]
    assert bench.out.status.trigger_seq_ack == 9


def test_outcome_of_the_run_before_is_shown_to_a_plc_that_still_asks() -> None:
    bench = Bench()
    bench.role.restore(41, Last(9, 3, "", Result(result_seq=41, trigger_seq=9, part_id=3, judgement=Judgement.OK)))
    assert bench.out.result.result_seq == 0
    bench.write(control=ON, trigger_seq=9, part_id=3, result_ack_seq=40)
    assert bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.result.result_seq == 41
    request = bench.trigger(10, part=4)
    assert bench.finish(request.cycle, 10) == []
    assert bench.out.status.newest_result_seq == 42


def test_outcome_of_the_run_before_is_not_shown_again_once_acknowledged() -> None:
    bench = Bench()
    bench.role.restore(41, Last(9, 3, "", Result(result_seq=41, trigger_seq=9, part_id=3, judgement=Judgement.OK)))
    bench.write(control=ON, trigger_seq=9, part_id=3, result_ack_seq=41)
    assert not bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.result.result_seq == 0


def test_a_plc_that_starts_anew_beside_a_restarted_gateway_is_told_the_last_number() -> None:
    bench = Bench()
    bench.role.restore(41, Last(1, 1, "", Result(result_seq=41, trigger_seq=1, part_id=1, judgement=Judgement.OK)))
    bench.write(control=ON, plc_heartbeat=7)
    assert bench.out.status.trigger_seq_ack == 1  # it counts on from there: 1 would ask for the outcome of an old part
    assert bench.trigger(2, part=1).trigger_seq == 2


def test_after_a_link_loss_a_changed_number_is_refused_with_3001(bench: Bench) -> None:
    bench.role.resync(bench.now)
    assert refusals(bench.write(trigger_seq=4)) == [(4, Code.LINK_LOST)]
    assert bench.trigger(5).trigger_seq == 5


def test_deadline_expires_once_and_the_late_finish_counts_once(bench: Bench) -> None:
    request = bench.trigger(1)
    assert bench.role.deadline(bench.now) == pytest.approx(request.deadline)
    assert bench.after(0.299) == []
    assert bench.after(0.002) == [hs.Expired(request.cycle, Code.DEADLINE_MISSED)]
    assert bench.after(0.1) == []
    bench.finish(request.cycle, 1, Judgement.FAULT)
    assert bench.finish(request.cycle, 1) == []
    assert bench.out.status.pending == 1


def test_queue_keeps_the_newest_and_counts_the_lost() -> None:
    bench = Bench(CycleSettings(queue=2)).enable()
    lost = []
    for seq in (1, 2, 3):
        request = bench.trigger(seq)
        lost += [a.result.trigger_seq for a in bench.finish(request.cycle, seq) if isinstance(a, hs.Lost)]
    assert lost == [1]
    status = bench.out.status
    assert (status.pending, status.lost) == (2, 1)
    assert bench.bit(StatusBit.OVERRUN)
    assert bench.out.result.trigger_seq == 2
    bench.write(result_ack_seq=2)
    assert bench.out.result.trigger_seq == 3
    bench.write(control=ON | Control.CLEAR_FAULT)
    assert not bench.bit(StatusBit.OVERRUN)


def test_queue_zero_shows_the_newest() -> None:
    bench = Bench(CycleSettings(queue=0)).enable()
    for seq in (1, 2):
        bench.finish(bench.trigger(seq).cycle, seq)
    assert bench.out.result.trigger_seq == 2
    assert (bench.out.status.pending, bench.out.status.lost) == (1, 1)
    assert not bench.bit(StatusBit.OVERRUN)


@pytest.mark.parametrize("wrong", [2, 3, 65535])
def test_ack_of_another_number_is_ignored(bench: Bench, wrong: int) -> None:
    bench.finish(bench.trigger(1).cycle, 1)
    assert bench.write(result_ack_seq=wrong) == [hs.AckIgnored(wrong)]
    assert bench.bit(StatusBit.RESULT_VALID)


def test_early_ack_does_not_take_the_result_away(bench: Bench) -> None:
    request = bench.trigger(1)
    bench.write(result_ack_seq=1)
    bench.finish(request.cycle, 1)
    assert bench.bit(StatusBit.RESULT_VALID)
    bench.write(control=ON | Control.RESULT_ACK)
    assert not bench.bit(StatusBit.RESULT_VALID)


def test_plc_heartbeat_lost_and_back(bench: Bench) -> None:
    bench.after(5)
    assert bench.bit(StatusBit.READY), "a heartbeat that never changed is not supervised"
    bench.write(plc_heartbeat=1)
    bench.after(0.9)
    assert bench.bit(StatusBit.READY)
    assert bench.after(0.2) == [hs.Changed(Code.PLC_HEARTBEAT_LOST, True)]
    assert not bench.bit(StatusBit.READY)
    assert bench.bit(StatusBit.FAIL_SAFE)
    assert bench.out.status.not_ready_reason == Code.PLC_HEARTBEAT_LOST
    assert refusals(bench.write(trigger_seq=1)) == [(1, Code.PLC_HEARTBEAT_LOST)]
    assert bench.write(plc_heartbeat=2) == [hs.Changed(Code.PLC_HEARTBEAT_LOST, False)]
    assert bench.bit(StatusBit.READY)
    assert bench.out.status.fault_code == Code.PLC_HEARTBEAT_LOST, "latched for the person who comes later"
    bench.write(control=ON | Control.CLEAR_FAULT)
    assert bench.out.status.fault_code == 0


def test_beat_and_trigger_in_one_write_are_taken_together(bench: Bench) -> None:
    bench.write(plc_heartbeat=1)
    bench.after(2)
    assert isinstance(bench.write(plc_heartbeat=2, trigger_seq=1)[-1], hs.Accepted)


def test_fault_condition_takes_ready_and_comes_back_by_itself(bench: Bench) -> None:
    bench.role.condition(Code.CAMERA_LINK, True)
    assert bench.role.state is VisionState.FAULT
    assert bench.out.status.not_ready_reason == Code.CAMERA_LINK
    assert refusals(bench.write(trigger_seq=1)) == [(1, Code.CAMERA_LINK)]
    bench.role.condition(Code.CAMERA_LINK, False)
    assert bench.bit(StatusBit.READY)
    assert bench.bit(StatusBit.FAULT)


def test_degradation_never_hides_a_fault(bench: Bench) -> None:
    bench.role.condition(Code.CAMERA_LINK, True)
    bench.role.condition(Code.LOOP_STALLED, True)
    assert bench.out.status.fault_code == Code.CAMERA_LINK
    assert bench.bit(StatusBit.DEGRADED)


def test_c03_unacknowledged_result_degrades_and_recovers(bench: Bench) -> None:
    bench.finish(bench.trigger(1).cycle, 1)
    assert bench.after(5.1) == [hs.Changed(Code.ACK_TIMEOUT, True)]
    assert bench.bit(StatusBit.DEGRADED)
    assert bench.bit(StatusBit.READY)
    bench.write(result_ack_seq=1)
    assert not bench.bit(StatusBit.DEGRADED)


def test_abort_ends_the_running_cycle(bench: Bench) -> None:
    request = bench.trigger(1)
    assert bench.write(control=ON | Control.ABORT) == [hs.Expired(request.cycle, Code.ABORTED)]


def test_c20_enable_dropped_finishes_or_faults_by_setting(bench: Bench) -> None:
    request = bench.trigger(1)
    assert bench.write(control=0) == []
    bench.finish(request.cycle, 1)
    assert bench.bit(StatusBit.RESULT_VALID)
    strict = Bench(CycleSettings(fault_on_disable=True)).enable()
    request = strict.trigger(1)
    assert strict.write(control=0) == [hs.Expired(request.cycle, Code.OUT_OF_ORDER)]


def test_overlap_raises_ready_at_exposure_done() -> None:
    bench = Bench(CycleSettings(overlap=True)).enable()
    first = bench.trigger(1)
    assert not bench.bit(StatusBit.READY)
    bench.role.exposed(first.cycle)
    assert bench.bit(StatusBit.READY)
    second = bench.trigger(2)
    bench.role.exposed(second.cycle)
    assert not bench.bit(StatusBit.READY)
    bench.finish(first.cycle, 1)
    bench.finish(second.cycle, 2)
    assert bench.out.status.pending == 2


def test_result_valid_follows_the_words_by_the_delay() -> None:
    bench = Bench(CycleSettings(result_valid_delay=0.05)).enable()
    bench.finish(bench.trigger(1).cycle, 1)
    assert bench.out.result.result_seq == 1
    assert not bench.bit(StatusBit.RESULT_VALID)
    assert bench.role.deadline(bench.now) == pytest.approx(bench.now + 0.05)
    bench.after(0.051)
    assert bench.bit(StatusBit.RESULT_VALID)


def test_c06_too_fast_triggers_are_refused() -> None:
    bench = Bench(CycleSettings(min_trigger_interval=0.1)).enable()
    bench.finish(bench.trigger(1).cycle, 1)
    assert refusals(bench.write(trigger_seq=2)) == [(2, Code.TOO_FAST)]
    bench.now += 0.101
    assert bench.trigger(3).trigger_seq == 3
