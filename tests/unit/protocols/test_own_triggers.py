"""Triggers that are not the PLC's: the same rules, and nothing of the PLC's numbers is touched."""

from __future__ import annotations

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings, OwnTrigger
from protocols.signals import Control, Judgement, StatusBit
from tests.unit.protocols.bench import ON, Bench, refusals

OWN = CycleSettings(own_triggers=True)
ALONE = CycleSettings(own_triggers=True, always_enabled=True, acknowledged=False)


def accepted(bench: Bench, part: int = 0, serial: str = "") -> hs.Accepted:
    (action,) = bench.role.trigger(OwnTrigger(part, serial), bench.now)
    assert isinstance(action, hs.Accepted)
    return action


def test_it_is_accepted_shown_and_acknowledged_as_any_other() -> None:
    bench = Bench(OWN).enable()
    cycle = accepted(bench, 77, "A1")
    assert (cycle.trigger_seq, cycle.part_id, cycle.serial, cycle.style) == (1, 77, "A1", None)
    assert bench.bit(StatusBit.BUSY)
    bench.finish(cycle.cycle, cycle.trigger_seq, part=77)
    assert (bench.out.result.part_id, bench.out.status.pending) == (77, 1)
    bench.write(result_ack_seq=1)
    assert bench.out.status.pending == 0
    assert accepted(bench).trigger_seq == 2


def test_it_needs_ready_and_a_refusal_is_counted_without_touching_the_plc_s_words() -> None:
    bench = Bench(OWN)
    bench.write(control=0)
    assert refusals(bench.role.trigger(OwnTrigger(), bench.now)) == [(1, Code.NOT_ENABLED)]
    bench.write(control=ON)
    accepted(bench)
    assert refusals(bench.role.trigger(OwnTrigger(), bench.now)) == [(2, Code.TRIGGER_WHILE_BUSY)]
    status = bench.out.status
    assert (status.missed, status.trigger_refused, status.trigger_seq_ack) == (2, 0, 0)
    assert status.bits & StatusBit.MISSED_TRIGGER


def test_one_to_refuse_is_refused_with_its_code_as_often_as_it_was_missed() -> None:
    bench = Bench(OWN).enable()
    call = OwnTrigger(code=Code.TAG_DOUBTFUL, times=3)
    assert refusals(bench.role.trigger(call, bench.now)) == [(1, Code.TAG_DOUBTFUL)]
    assert bench.out.status.missed == 3
    assert not bench.bit(StatusBit.BUSY)


def test_min_interval_and_deadline_hold() -> None:
    bench = Bench(CycleSettings(own_triggers=True, min_trigger_interval=1.0, deadline=0.3)).enable()
    cycle = accepted(bench)
    assert [a for a in bench.after(0.31) if isinstance(a, hs.Expired)] == [
        hs.Expired(cycle.cycle, Code.DEADLINE_MISSED)
    ]
    bench.finish(cycle.cycle, 1, Judgement.FAULT)
    assert refusals(bench.role.trigger(OwnTrigger(), bench.now)) == [(2, Code.TOO_FAST)]


def test_a_station_with_own_triggers_takes_none_of_the_plc_s() -> None:
    bench = Bench(OWN).enable()
    assert refusals(bench.write(trigger_seq=5)) == [(5, Code.OUT_OF_ORDER)]
    assert refusals(bench.write(control=ON | Control.TRIGGER)) == [(1, Code.OUT_OF_ORDER)]
    assert bench.role.open_cycles == ()


def test_without_a_plc_it_is_enabled_and_results_need_no_ack() -> None:
    bench = Bench(ALONE)
    assert bench.bit(StatusBit.READY)
    for part in range(1, 20):
        cycle = accepted(bench, part)
        lost = [a for a in bench.finish(cycle.cycle, cycle.trigger_seq, part=part) if isinstance(a, hs.Lost)]
        assert lost == []
        bench.after(6.0)
        assert (bench.out.result.part_id, bench.out.status.pending, bench.out.status.lost) == (part, 0, 0)
        assert bench.bit(StatusBit.RESULT_VALID)
    assert not bench.bit(StatusBit.DEGRADED)
    assert not bench.bit(StatusBit.OVERRUN)


def test_always_enabled_means_that_no_plc_takes_it_away() -> None:
    bench = Bench(CycleSettings(always_enabled=True, fault_on_disable=True))
    bench.write(control=ON)
    bench.write(control=0)
    assert bench.bit(StatusBit.READY)
