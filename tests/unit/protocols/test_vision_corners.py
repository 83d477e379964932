"""The command channel, the end, and the corners that the pair test found."""

from __future__ import annotations

import pytest

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings, Last, VisionState
from protocols.signals import Command, Control, Judgement, Result, StatusBit
from protocols.vision_role import VisionRole
from tests.unit.protocols.bench import ENABLED, ON, Bench, refusals


class TestCommands:
    def test_recipe_by_sequence(self, bench: Bench) -> None:
        (execute,) = bench.write(command=1, command_param=12, command_seq=1)
        assert isinstance(execute, hs.Execute)
        assert execute.param == 12
        status = bench.out.status
        assert (status.command_seq_ack, status.command_result) == (1, 1)
        assert bench.bit(StatusBit.EXECUTING)
        assert status.not_ready_reason == Code.STARTING
        assert bench.role.command_finished(execute.token, Code.NONE)
        assert bench.bit(StatusBit.COMMAND_DONE)
        assert bench.bit(StatusBit.READY)
        assert bench.out.status.command_result == 2

    def test_failure_carries_its_code(self, bench: Bench) -> None:
        (execute,) = bench.write(command=1, command_param=99, command_seq=1)
        assert isinstance(execute, hs.Execute)
        bench.role.command_finished(execute.token, Code.UNKNOWN_RECIPE)
        assert bench.bit(StatusBit.COMMAND_FAILED)
        assert bench.out.status.command_result == Code.UNKNOWN_RECIPE

    def test_execute_bit_is_four_phase(self, bench: Bench) -> None:
        bench.write(command=2, control=ON | Control.EXECUTE)
        assert bench.bit(StatusBit.COMMAND_DONE)
        bench.write(control=ON)
        assert not bench.bit(StatusBit.COMMAND_DONE)

    def test_unknown_command(self, bench: Bench) -> None:
        bench.write(command=77, command_seq=1)
        assert bench.out.status.command_result == Code.UNKNOWN_RECIPE

    def test_offline_and_online(self, bench: Bench) -> None:
        bench.write(command=3, command_seq=1)
        assert bench.role.state is VisionState.OFFLINE
        assert refusals(bench.write(trigger_seq=1)) == [(1, Code.OFFLINE)]
        assert not bench.bit(StatusBit.ONLINE)
        bench.write(command=4, command_seq=2)
        assert bench.bit(StatusBit.READY)

    def test_counters_reset(self, bench: Bench) -> None:
        bench.trigger(1)
        bench.write(trigger_seq=2)
        assert bench.out.status.missed == 1
        bench.write(command=2, command_seq=1)
        assert bench.out.status.missed == 0

    def test_recipe_change_while_busy_is_refused_or_deferred(self, bench: Bench) -> None:
        bench.trigger(1)
        bench.write(command=1, command_param=2, command_seq=1)
        assert bench.out.status.command_result == Code.OUT_OF_ORDER
        later = Bench(CycleSettings(defer_recipe_change=True)).enable()
        request = later.trigger(1)
        assert later.write(command=1, command_param=2, command_seq=1) == []
        (execute,) = later.finish(request.cycle, 1)
        assert isinstance(execute, hs.Execute)

    def test_time_out_drops_the_late_answer(self, bench: Bench) -> None:
        (execute,) = bench.write(command=1, command_param=2, command_seq=1)
        assert isinstance(execute, hs.Execute)
        bench.after(31)
        assert bench.out.status.command_result == Code.COMMAND_TIMEOUT
        assert not bench.role.command_finished(execute.token, Code.NONE)


def test_stopping_takes_ready_first_and_ends_invalid(bench: Bench) -> None:
    request = bench.trigger(1)
    bench.role.stop()
    assert bench.out.status.not_ready_reason == Code.STOPPING
    assert bench.bit(StatusBit.FAIL_SAFE)
    bench.finish(request.cycle, 1)
    assert bench.bit(StatusBit.RESULT_VALID)
    bench.role.invalidate()
    assert not bench.bit(StatusBit.RESULT_VALID)
    assert not bench.bit(StatusBit.ONLINE)
    assert bench.out.status.fault_code == 0


def test_beat_wraps(bench: Bench) -> None:
    bench.role.heartbeat = 65535
    bench.role.beat()
    assert bench.out.status.heartbeat == 0


def test_c09_two_hundred_thousand_numbers_without_a_false_duplicate() -> None:
    role = VisionRole(CycleSettings())
    role.command(ENABLED, 0.0)
    seq = acked = 0
    for cycle in range(1, 200_001):
        seq = seq % 65535 + 1
        (request,) = role.command(Command(control=ON, trigger_seq=seq, result_ack_seq=acked), 0.0)
        assert isinstance(request, hs.Accepted)
        acked = role.reserve_seq()
        role.finish(cycle, Result(result_seq=acked, trigger_seq=seq, judgement=1), 0.0)
        role.command(Command(control=ON, trigger_seq=seq, result_ack_seq=acked), 0.0)
    assert (role.results.lost, role.results.pending, role.missed) == (0, 0, 0)


def test_bit_trigger_in_the_write_that_clears_the_number() -> None:
    """Found by the pair test: a PLC that changes over from sequence to bit style in one write."""
    bench = Bench()
    bench.write(control=ON, trigger_seq=1)
    assert isinstance(bench.write(control=ON | Control.TRIGGER, trigger_seq=0)[-1], hs.Accepted)


def test_result_is_not_shown_under_a_high_result_ack(bench: Bench) -> None:
    """Found by the pair test: without the edge the two sides would wait for each other for ever."""
    request = bench.trigger(1)
    bench.write(control=ON | Control.RESULT_ACK)
    bench.finish(request.cycle, 1)
    assert not bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.status.pending == 1
    bench.write(control=ON)
    assert bench.bit(StatusBit.RESULT_VALID)


def test_number_and_bit_in_one_write_acknowledge_one_result(bench: Bench) -> None:
    for seq in (1, 2):
        bench.finish(bench.trigger(seq).cycle, seq)
    bench.write(result_ack_seq=1, control=ON | Control.RESULT_ACK)
    assert bench.out.status.pending == 1
    bench.write(control=ON)
    assert bench.out.result.trigger_seq == 2
    assert bench.bit(StatusBit.RESULT_VALID)


def test_outcome_shown_again_gives_way_to_the_next(bench: Bench) -> None:
    """Found by the pair test: its number is acknowledged already, so no further ack could ever come."""
    bench.finish(bench.trigger(7).cycle, 7)
    bench.write(result_ack_seq=1)
    bench.write(trigger_seq=0)
    bench.write(trigger_seq=7)
    assert bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.status.pending == 0
    bench.finish(bench.trigger(8).cycle, 8)
    assert bench.out.result.trigger_seq == 8
    assert (bench.out.status.pending, bench.out.status.lost) == (1, 0)


def test_number_that_stands_in_the_ack_word_already_is_left_out(bench: Bench) -> None:
    """Our history was removed, the PLC's ack word was not: no change could ever acknowledge that number."""
    bench.write(result_ack_seq=1)
    bench.finish(bench.trigger(1).cycle, 1)
    assert bench.out.result.result_seq == 2


def test_blank_first_sight_forgets_the_run_before() -> None:
    bench = Bench()
    bench.role.restore(41, Last(1, 0, "", Result(result_seq=41, trigger_seq=1, judgement=Judgement.OK)))
    bench.write()
    bench.enable()
    assert bench.trigger(1).trigger_seq == 1


def test_block_written_in_several_requests_after_our_restart_is_all_baseline() -> None:
    """Coils first, then registers with a standing trigger and a standing command; or the other way round."""
    bench = Bench(CycleSettings(settle=0.5))
    bench.write(control=ON)
    assert bench.out.status.not_ready_reason == Code.STARTING
    bench.now += 0.1
    bench.write(trigger_seq=9, part_id=4, command=3, command_seq=5)
    bench.write(control=ON | Control.TRIGGER | Control.CLEAR_FAULT)
    assert bench.out.status.trigger_refused == Code.RESTARTED
    assert bench.out.status.command_seq_ack == 0
    assert not bench.role.open_cycles
    bench.write(control=ON)
    bench.after(0.5)
    assert bench.bit(StatusBit.READY)
    assert bench.trigger(10).trigger_seq == 10


def test_number_before_part_after_our_restart_is_known_once_both_are_there() -> None:
    bench = Bench(CycleSettings(settle=0.5))
    bench.role.restore(41, Last(4, 104, "", Result(result_seq=41, trigger_seq=4, part_id=104, judgement=Judgement.OK)))
    bench.write(control=ON)
    bench.write(trigger_seq=4)
    bench.write(part_id=104)
    assert not bench.bit(StatusBit.RESULT_VALID), "an ack could not be told from a standing one yet"
    bench.after(0.5)
    assert bench.bit(StatusBit.RESULT_VALID)
    assert bench.out.result.result_seq == 41


def test_zeros_of_another_master_in_mid_cycle_make_no_second_inspection(bench: Bench) -> None:
    request = bench.trigger(1)
    standing = bench.plc
    bench.plc = Command()
    bench.write()
    bench.plc = standing
    assert [a for a in bench.write() if isinstance(a, hs.Accepted)] == []
    bench.finish(request.cycle, 1)
    assert bench.out.status.pending == 1


def lose_the_block(bench: Bench) -> Command:
    """All words become zero; returns the block as it stood."""
    standing, bench.plc = bench.plc, Command()
    bench.write()
    return standing


def accepted(actions: list[hs.Action]) -> list[hs.Accepted]:
    return [action for action in actions if isinstance(action, hs.Accepted)]


@pytest.mark.parametrize("relinked", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_c13_a_block_that_stands_again_as_it_stood_asks_for_nothing(bench: Bench, taken: bool, relinked: bool) -> None:
    """A PLC's server starts anew with zeros while its program goes on and writes all of it again."""
    bench.finish(bench.trigger(3, part=3).cycle, 3, part=3)
    if taken:
        bench.write(result_ack_seq=1)
    if relinked:
        bench.role.resync(bench.now)
    bench.plc = lose_the_block(bench)
    assert accepted(bench.write(plc_heartbeat=7)) == []
    assert bench.bit(StatusBit.RESULT_VALID) is not taken
    assert (bench.out.result.result_seq, bench.out.status.newest_result_seq) == (1, 1)
    assert (bench.out.status.trigger_seq_ack, bench.out.status.missed) == (3, 0)
    assert bench.trigger(4, part=4).trigger_seq == 4


def test_c13_a_result_that_came_while_the_block_was_lost_is_the_only_one(bench: Bench) -> None:
    request = bench.trigger(3, part=3)
    standing = lose_the_block(bench)
    bench.finish(request.cycle, 3, part=3)
    bench.plc = standing
    assert accepted(bench.write()) == []
    assert (bench.out.result.result_seq, bench.out.status.pending) == (1, 1)
    bench.write(result_ack_seq=1)
    assert bench.out.status.pending == 0


@pytest.mark.parametrize("fields", [{"trigger_seq": 1}, {"trigger_seq": 2}, {"control": ON | Control.TRIGGER}])
def test_c13_a_trigger_that_comes_with_enable_after_zeros_is_refused(bench: Bench, fields: dict[str, int]) -> None:
    """Ready was 0 all the time. No old outcome is shown to a PLC that may be a new one, and no part is judged twice."""
    bench.finish(bench.trigger(1).cycle, 1)
    bench.write(result_ack_seq=1)
    lose_the_block(bench)
    seq = fields.get("trigger_seq", 1)
    assert refusals(bench.write(**{"control": ON, **fields})) == [(seq, Code.NOT_ENABLED)]
    assert not bench.bit(StatusBit.RESULT_VALID)
    bench.write(control=ON, trigger_seq=0)
    assert bench.bit(StatusBit.READY)
    assert bench.trigger(1).trigger_seq == 1, "a new part: its number began again"


def test_zeros_where_enable_always_counts_close_nothing() -> None:
    bench = Bench(CycleSettings(always_enabled=True))
    bench.write()
    assert accepted(bench.role.trigger(hs.OwnTrigger(part_id=5), bench.now))


def test_command_during_another_is_served_after_it(bench: Bench) -> None:
    (execute,) = bench.write(command=1, command_param=2, command_seq=1)
    assert isinstance(execute, hs.Execute)
    assert bench.write(command=2, command_seq=2) == []
    assert bench.out.status.command_seq_ack == 1
    bench.role.command_finished(execute.token, Code.NONE)
    assert bench.after(0.1) == [hs.Commanded(2, 2, Code.NONE)]
    assert bench.out.status.command_seq_ack == 2
