"""Who drives a station: the rule, what the link is shown meanwhile, and what becomes of results."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.link import LinkState
from protocols.seats import HONEST, KEPT
from protocols.signals import NO_RESULT, Command, CommandCode, CommandResult, Control, Outputs, StatusBit
from protocols.station_view import Seat
from tests.unit.protocols.seated import ON, PLC, VARIABLES, VISION, Bench, bit, valid

OTHERS = [VARIABLES, VISION]


def taken(seat: Seat = VARIABLES) -> Bench:
    """A station that the PLC has disabled and another has taken."""
    bench = Bench()
    bench.send(PLC, control=ON)
    bench.send(PLC, control=0)
    bench.send(seat, control=ON)
    assert bench.driver is seat
    return bench


def test_the_link_drives_at_first() -> None:
    bench = Bench()
    bench.send(PLC, control=ON)
    assert bench.plc is bench.outputs
    assert bench.plc.status.ready


@pytest.mark.parametrize("seat", OTHERS)
def test_another_takes_the_station_while_the_link_does_not_enable_it_and_gives_it_back(seat: Seat) -> None:
    bench = taken(seat)
    assert bench.outputs.status.ready
    bench.send(seat, control=0)
    assert bench.driver is PLC
    assert bench.plc is bench.outputs
    assert not bench.plc.status.ready
    bench.send(PLC, control=ON)
    assert bench.plc.status.ready


@pytest.mark.parametrize("seat", OTHERS)
def test_nobody_takes_what_the_link_enables(seat: Seat) -> None:
    bench = Bench()
    bench.send(PLC, control=ON)
    bench.send(seat, control=ON)
    assert (bench.driver, [t.code for t in bench.turned]) == (PLC, [Code.DRIVEN_BY_OTHER])
    assert bench.plc.status.ready


def test_of_two_that_claim_it_the_first_has_it() -> None:
    bench = taken(VARIABLES)
    bench.send(VISION, control=ON)
    assert (bench.driver, bench.turned[-1].seat) == (VARIABLES, VISION)
    bench.send(VARIABLES, control=0)
    assert bench.driver is PLC, "who was turned away has to ask again"
    bench.send(VISION, control=ON)
    assert bench.driver is VISION


def test_variables_that_stand_at_enable_take_nothing_when_the_link_disables() -> None:
    bench = Bench()
    bench.send(PLC, control=ON)
    bench.send(VARIABLES, control=ON)
    bench.send(PLC, control=0)
    for beat in range(3):
        bench.send(VARIABLES, plc_heartbeat=beat)
    assert bench.driver is PLC
    bench.send(VARIABLES, control=0)
    bench.send(VARIABLES, control=ON)
    assert bench.driver is VARIABLES


def test_nobody_takes_it_before_the_history_is_open_or_while_the_gateway_stops() -> None:
    bench = Bench(opened=False)
    bench.send(VARIABLES, control=ON)
    assert (bench.driver, bench.turned[-1].code) == (PLC, Code.STARTING)
    bench.seats.open()
    bench.role.stop()
    bench.show()
    bench.send(VISION, control=ON)
    assert (bench.driver, bench.turned[-1].code) == (PLC, Code.STOPPING)


def test_the_link_is_shown_no_result_and_the_reason_but_the_truth_about_the_station() -> None:
    bench = taken()
    bench.role.condition(Code.DISK_LOW, True)
    bench.role.beat()
    bench.send(VARIABLES, trigger_seq=1, part_id=5)
    bench.finish(1)
    assert valid(bench.outputs)
    status = bench.plc.status
    assert bench.plc.result == NO_RESULT
    assert status.not_ready_reason == Code.DRIVEN_BY_OTHER
    assert status.bits == StatusBit.ONLINE | StatusBit.DEGRADED
    assert (status.heartbeat, status.boot_id, status.fault_code, status.pending) == (1, 7, Code.DISK_LOW, 0)
    assert (status.trigger_seq_ack, status.newest_result_seq) == (0, 0)


def test_the_link_is_told_that_the_gateway_stops_whoever_drives() -> None:
    bench = taken()
    bench.role.stop()
    bench.show()
    assert bench.plc.status.not_ready_reason == Code.STOPPING
    bench.role.invalidate()
    bench.show()
    assert not bit(bench.plc, StatusBit.ONLINE)
    assert bit(bench.plc, StatusBit.FAIL_SAFE)


def test_a_link_that_is_down_is_no_fault_while_another_drives_and_is_one_afterwards() -> None:
    bench = Bench()
    bench.link(PLC, LinkState.UP)
    bench.send(PLC, control=ON)
    bench.link(PLC, LinkState.DOWN)
    assert bench.lost
    bench.send(VARIABLES, control=ON)
    assert (bench.driver, bench.lost) == (VARIABLES, False)
    bench.send(VARIABLES, control=0)
    assert (bench.driver, bench.lost) == (PLC, True)


def test_a_plc_that_polls_and_dies_enabled_can_be_followed_once_its_heartbeat_is_lost() -> None:
    bench = Bench()
    bench.link(PLC, LinkState.UP)
    bench.send(PLC, control=ON, plc_heartbeat=1)
    bench.send(PLC, control=ON, plc_heartbeat=2)
    bench.send(VARIABLES, control=ON)
    assert bench.driver is PLC
    bench.send(VARIABLES, control=0)
    bench.pass_time(2 * bench.settings.plc_heartbeat_timeout)
    assert bench.plc.status.not_ready_reason == Code.PLC_HEARTBEAT_LOST
    bench.send(VARIABLES, control=ON)
    assert bench.driver is VARIABLES
    assert bench.outputs.status.ready
    bench.send(PLC, control=ON, plc_heartbeat=3)  # it is back
    assert bench.plc.status.not_ready_reason == Code.DRIVEN_BY_OTHER
    bench.send(VARIABLES, control=0)
    assert bench.plc.status.ready


def test_a_link_that_goes_and_comes_while_another_drives_changes_nothing() -> None:
    bench = taken()
    for state in (LinkState.UP, LinkState.DOWN, LinkState.UP):
        bench.link(PLC, state)
        bench.send(PLC, control=ON, plc_heartbeat=9)
    assert (bench.driver, bench.lost) == (VARIABLES, False)
    assert bench.outputs.status.ready
    bench.send(VARIABLES, control=0)
    assert bench.plc.status.ready, "the link's newest command is its baseline"


def test_a_driver_that_dies_in_mid_cycle_leaves_its_result_to_nobody() -> None:
    bench = taken()
    bench.send(VARIABLES, trigger_seq=1, part_id=5)
    bench.link(VARIABLES, LinkState.DOWN)
    assert bench.driver is PLC
    assert bit(bench.plc, StatusBit.BUSY)
    # the PLC asks for the very same number and part: what the dead one asked for is no answer to it
    bench.send(PLC, control=ON, part_id=5)
    bench.finish(1)
    assert not valid(bench.plc)
    bench.send(PLC, trigger_seq=1)
    assert not valid(bench.plc)
    bench.finish(2)
    assert valid(bench.plc)
    assert bench.plc.result.findings == 2


def test_the_link_that_comes_back_with_a_number_that_another_used_is_not_given_its_result() -> None:
    bench = Bench()
    bench.send(PLC, control=ON, part_id=5, trigger_seq=3)  # a baseline: refused as 5006
    bench.send(PLC, control=0)
    bench.send(VARIABLES, control=ON)
    bench.send(VARIABLES, trigger_seq=3, part_id=5)
    bench.finish(1)
    bench.send(VARIABLES, control=0)
    assert bench.driver is PLC
    assert not valid(bench.plc)
    assert bench.plc.result == NO_RESULT


def test_a_number_that_the_link_asked_for_in_vain_is_not_answered_with_the_result_of_another() -> None:
    bench = taken()
    bench.send(VARIABLES, trigger_seq=3, part_id=5)
    bench.finish(1)
    bench.send(PLC, trigger_seq=3, part_id=5)
    bench.send(VARIABLES, control=0)
    assert not valid(bench.plc)
    assert (bench.plc.status.trigger_seq_ack, bench.plc.status.trigger_refused) == (3, Code.DRIVEN_BY_OTHER)


def test_a_repeat_of_the_link_is_answered_with_its_own_result_also_afterwards() -> None:
    bench = Bench()
    bench.send(PLC, control=ON)
    bench.send(PLC, trigger_seq=1, part_id=5)
    bench.finish(1)
    bench.send(PLC, result_ack_seq=1, control=0)
    bench.send(VARIABLES, control=ON)
    bench.send(VARIABLES, control=0)
    bench.send(PLC, control=ON)
    bench.send(PLC, trigger_seq=2)
    bench.finish(2)
    bench.send(PLC, result_ack_seq=2)
    bench.send(PLC, trigger_seq=0)
    bench.send(PLC, trigger_seq=2)
    assert valid(bench.plc)
    assert (bench.plc.result.findings, bench.plc.status.trigger_refused) == (2, Code.REPEATED_SEQ)


def test_results_that_the_link_has_not_taken_wait_for_it() -> None:
    bench = Bench()
    bench.send(PLC, control=ON)
    bench.send(PLC, trigger_seq=1, part_id=5)
    bench.send(PLC, control=0)
    bench.send(VARIABLES, control=ON)
    assert bench.driver is VARIABLES
    assert not bench.outputs.status.ready, "the part of the link is still looked at"
    bench.finish(1)
    assert not valid(bench.outputs), "the result is the link's"
    bench.pass_time(60)
    assert not bit(bench.outputs, StatusBit.DEGRADED), "who cannot acknowledge is not late"
    bench.send(VARIABLES, control=0)
    assert valid(bench.plc)
    assert (bench.plc.result.trigger_seq, bench.plc.result.part_id) == (1, 5)
    assert not bit(bench.plc, StatusBit.DEGRADED)
    bench.send(PLC, result_ack_seq=bench.plc.result.result_seq)
    assert not valid(bench.plc)


def test_who_takes_the_station_again_begins_anew() -> None:
    bench = taken()
    bench.send(VARIABLES, trigger_seq=1, part_id=5)
    bench.finish(1)
    bench.link(VARIABLES, LinkState.DOWN)
    bench.link(VARIABLES, LinkState.UP)
    bench.sent[VARIABLES] = Command()
    bench.send(VARIABLES, control=ON)
    assert bench.driver is VARIABLES
    assert not valid(bench.outputs)
    bench.send(VARIABLES, trigger_seq=1, part_id=5)
    assert bench.open_cycles() == (2,), "the same number in another turn is another part"


@pytest.mark.parametrize("fields", [{"trigger_seq": 9}, {"control": int(Control.TRIGGER)}])
def test_a_trigger_of_the_link_is_refused_aloud_while_another_drives(fields: dict[str, int]) -> None:
    bench = taken()
    bench.send(PLC, **fields)
    status = bench.plc.status
    assert (status.trigger_refused, status.missed) == (Code.DRIVEN_BY_OTHER, 1)
    assert status.trigger_seq_ack == fields.get("trigger_seq", 0)
    assert bit(bench.plc, StatusBit.MISSED_TRIGGER)
    assert bench.turned[-1].seat is PLC
    bench.send(PLC, control=0)
    bench.send(VARIABLES, control=0)
    assert (bench.plc.status.trigger_refused, bench.plc.status.missed) == (Code.DRIVEN_BY_OTHER, 1)
    assert not bench.open_cycles()


def test_a_command_of_the_link_is_refused_aloud_and_never_carried_out_later() -> None:
    bench = taken()
    bench.send(PLC, command=CommandCode.ACTIVATE_RECIPE, command_param=2, command_seq=4)
    status = bench.plc.status
    assert (status.command_seq_ack, status.command_result) == (4, Code.DRIVEN_BY_OTHER)
    assert bit(bench.plc, StatusBit.COMMAND_FAILED)
    bench.send(VARIABLES, control=0)
    assert not bench.wishes
    assert (bench.plc.status.command_seq_ack, bench.plc.status.command_result) == (4, Code.DRIVEN_BY_OTHER)


def test_the_answer_to_another_s_command_is_not_shown_to_the_link() -> None:
    bench = Bench()
    bench.send(PLC, command_seq=3)
    bench.send(VARIABLES, control=ON)
    bench.send(VARIABLES, command=CommandCode.RESET_COUNTERS, command_seq=3)
    bench.send(VARIABLES, command_seq=4)
    assert (bench.outputs.status.command_seq_ack, bench.outputs.status.command_result) == (4, CommandResult.DONE)
    bench.send(VARIABLES, control=0)
    assert (bench.plc.status.command_seq_ack, bench.plc.status.command_result) == (0, 0)


def test_a_recipe_change_that_runs_is_ended_before_its_driver_is_let_go() -> None:
    bench = taken()
    bench.send(VARIABLES, command=CommandCode.ACTIVATE_RECIPE, command_param=2, command_seq=1)
    bench.link(VARIABLES, LinkState.DOWN)
    bench.send(PLC, control=ON)
    assert bench.driver is VARIABLES
    assert bench.plc.status.not_ready_reason == Code.DRIVEN_BY_OTHER
    bench.answer()
    assert bench.driver is PLC
    assert bench.plc.status.ready
    assert bench.plc.status.command_result == 0


def test_nobody_takes_it_while_the_link_s_recipe_change_runs() -> None:
    bench = Bench()
    bench.send(PLC, control=0)
    bench.send(PLC, command=CommandCode.ACTIVATE_RECIPE, command_param=2, command_seq=1)
    bench.send(VISION, control=ON)
    assert bench.driver is PLC
    bench.answer()
    bench.send(VISION, control=ON)
    assert bench.driver is VISION


def test_the_link_s_heartbeat_is_not_watched_while_another_drives() -> None:
    bench = Bench()
    for beat in (1, 2, 3):
        bench.send(PLC, plc_heartbeat=beat)
    bench.send(VARIABLES, control=ON)
    bench.pass_time(5)
    assert bench.outputs.status.ready
    bench.send(VARIABLES, control=0)
    bench.send(PLC, control=ON)
    assert bench.plc.status.ready
    bench.send(PLC, plc_heartbeat=4)
    bench.pass_time(1.5)
    assert bench.plc.status.not_ready_reason == Code.PLC_HEARTBEAT_LOST


def test_enable_that_falls_in_mid_cycle_ends_it_as_configured() -> None:
    bench = Bench(CycleSettings(fault_on_disable=True))
    bench.send(VARIABLES, control=ON)
    bench.send(VARIABLES, trigger_seq=1)
    before = len(bench.actions)
    bench.send(VARIABLES, control=0)
    assert [getattr(action, "code", None) for action in bench.actions[before:]].count(Code.OUT_OF_ORDER) == 1


# ---------------------------------------------------------------- any interleaving

SMALL = st.integers(0, 3)
COMMANDS = st.builds(
    Command,
    control=st.sampled_from([0, 0, ON, ON, ON | 2, ON | 4, ON | 8, 2, 32 | ON]),
    trigger_seq=SMALL,
    result_ack_seq=SMALL,
    plc_heartbeat=SMALL,
    command=st.sampled_from([0, 1, 2]),
    command_seq=SMALL,
    part_id=st.integers(0, 1),
)
SEATS = st.sampled_from([PLC, PLC, VARIABLES, VISION])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), SEATS, COMMANDS),
        st.tuples(st.just("link"), SEATS, st.sampled_from(list(LinkState))),
        st.tuples(st.just("finish"), st.none(), st.none()),
        st.tuples(st.just("answer"), st.none(), st.none()),
        st.tuples(st.just("time"), st.none(), st.sampled_from([0.01, 0.4, 1.5])),
    ),
    max_size=60,
)
HIDDEN = ~(HONEST | KEPT)


def play(bench: Bench, step: tuple[str, object, object]) -> None:
    kind, who, what = step
    if kind == "write":
        assert isinstance(who, Seat)
        assert isinstance(what, Command)
        bench.write(who, what)
    elif kind == "link":
        assert isinstance(who, Seat)
        assert isinstance(what, LinkState)
        bench.link(who, what)
    elif kind == "finish" and bench.open_cycles():
        bench.finish(bench.open_cycles()[0])
    elif kind == "answer" and bench.wishes:
        bench.answer()
    elif kind == "time":
        assert isinstance(what, float)
        bench.pass_time(what)


def check(bench: Bench) -> None:
    """What holds at every moment, whoever did what."""
    plc, truth = bench.plc, bench.outputs
    if bench.driver is PLC:
        assert plc is truth
    else:
        assert not plc.status.bits & HIDDEN
        assert plc.result == NO_RESULT
        assert plc.status.not_ready_reason == Code.DRIVEN_BY_OTHER
        assert (plc.status.heartbeat, plc.status.boot_id) == (truth.status.heartbeat, truth.status.boot_id)
        assert not bench.lost
    if truth.result.result_seq and valid(truth):
        asked = bench.asked[truth.result.findings]
        turn = 0 if bench.driver is PLC else bench.turn
        assert (asked.seat, asked.turn) == (bench.driver, turn), "a result is shown to one who did not ask for it"


@given(STEPS, st.booleans(), st.booleans())
def test_nobody_is_ever_shown_what_another_asked_for(
    steps: list[tuple[str, object, object]], overlap: bool, fault: bool
) -> None:
    bench = Bench(CycleSettings(overlap=overlap, fault_on_disable=fault))
    for step, _ in zip(steps, itertools.count(), strict=False):
        driver, handovers = bench.driver, len(bench.handovers)
        play(bench, step)
        check(bench)
        for handover in bench.handovers[handovers:]:
            if handover.seat is not PLC:
                assert driver is PLC, "nobody is driven out"
            driver = handover.seat
    while bench.open_cycles():
        bench.finish(bench.open_cycles()[0])
        check(bench)


@given(STEPS)
def test_with_the_link_alone_nothing_differs(steps: list[tuple[str, object, object]]) -> None:
    shared, alone = Bench(), Bench(alone=True)
    for kind, who, what in steps:
        seat = PLC if who is not None else None
        for bench in (shared, alone):
            play(bench, (kind, seat, what))
        assert shared.actions == alone.actions
        assert _words(shared.plc) == _words(alone.plc)


def _words(outputs: Outputs) -> Outputs:
    return replace(outputs, result=replace(outputs.result, values=()))
