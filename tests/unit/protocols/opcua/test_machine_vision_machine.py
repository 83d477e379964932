"""Stories of one station as OPC 40100-1 tells them: jobs of ours, jobs of a PLC, faults, people who leave."""

from dataclasses import replace

import pytest

from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.opcua.machine_vision_records import (
    BinaryId,
    Grade,
    Ident,
    JobStep,
    MethodError,
    RecipePrepared,
    Refusal,
    ResultState,
    SystemState,
)
from protocols.opcua.machine_vision_requests import JobRequest
from protocols.opcua.machine_vision_tables import State
from protocols.signals import CommandCode, Judgement
from protocols.station_view import Outcome, Seat
from tests.unit.protocols.opcua.machine_rig import CYCLE, SETTINGS, Rig
from tests.vision_station import PlayedStation

PART = JobRequest(Ident("M-1"), Ident("DMX 0815"))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def ready(rig: Rig) -> None:
    rig.automatic()
    assert rig.machine.states.inner is State.READY


# ---------------------------------------------------------------- the methods drive


def test_power_up_is_preoperational_until_somebody_drives(rig: Rig) -> None:
    rig.carry()
    assert rig.machine.states.outer is State.PREOPERATIONAL
    assert rig.events == []


def test_select_mode_automatic_takes_the_station_and_lands_in_ready_by_initialized(rig: Rig) -> None:
    ready(rig)
    assert rig.numbers == [141, 560]
    assert rig.station.seat is Seat.MACHINE_VISION


def test_a_single_job_is_told_from_start_to_result(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    reply = rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.judge()
    rig.carry()
    assert rig.kinds == ["671", "JobStarted", "AcquisitionDone", "ResultReady", "760", "Ready"]
    (result,) = rig.results
    assert (result.job_id, result.meas, result.part) == (reply.job_id, PART.meas, PART.part)
    assert result.state is ResultState.COMPLETED
    assert result.content.good
    assert result.content.values[0].name == "length"
    assert result.content.checks == (("pin there", True), ("straight", False))
    assert rig.station.outcomes[0].serial == "DMX 0815"
    assert {*rig.jobs(JobStep.STARTED), *rig.jobs(JobStep.ACQUIRED), *rig.jobs(JobStep.READY)} == {reply.job_id}


def test_a_bad_part_is_a_completed_job_that_is_not_good(rig: Rig) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.judge(Judgement.NG, 101)
    rig.carry()
    (result,) = rig.results
    assert (result.state, result.content.good, result.content.reason_name) == (ResultState.COMPLETED, False, "pin bent")


def test_job_ids_and_result_ids_are_never_given_twice(rig: Rig) -> None:
    ready(rig)
    for _ in range(20):
        rig.machine.start_single_job("s1", PART, rig.now)
        rig.carry()
        rig.judge()
        rig.carry()
    assert len({r.job_id for r in rig.results}) == len({r.result_id for r in rig.results}) == 20


def test_a_second_start_while_one_runs_is_refused(rig: Rig) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    assert rig.machine.start_single_job("s1", PART, rig.now).refusal is Refusal.STATE


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (JobRequest(product="p"), MethodError.NO_PRODUCTS),
        (JobRequest(parameters=1), MethodError.NO_PARAMETERS),
        (JobRequest(recipe=BinaryId("9")), MethodError.UNKNOWN_RECIPE),
        (JobRequest(recipe=BinaryId("2")), MethodError.NOT_PREPARED),
        (JobRequest(recipe=BinaryId("1")), MethodError.NONE),
        (JobRequest(recipe=BinaryId("pin")), MethodError.NONE),
    ],
)
def test_a_job_with_a_wrong_argument_is_not_started(rig: Rig, request_: JobRequest, error: MethodError) -> None:
    ready(rig)
    assert rig.machine.start_single_job("s1", request_, rig.now).error is error
    assert rig.machine.states.executing == (error is MethodError.NONE)


def test_continuous_gives_one_result_after_the_other_until_stop(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    job = rig.machine.start_continuous("s1", PART, rig.now).job_id
    for _ in range(3):
        rig.carry()
        rig.judge()
    rig.carry()
    assert rig.machine.states.inner is State.CONTINUOUS_EXECUTION
    assert rig.machine.stop("s1", rig.now).good
    rig.carry()
    assert rig.machine.states.inner is State.CONTINUOUS_EXECUTION  # the one that runs still gives its result
    rig.judge()
    rig.carry()
    assert [r.job_id for r in rig.results] == [job] * 4
    assert rig.numbers == [681, 861]


def test_abort_ends_at_once_and_the_inspection_ends_as_aborted(rig: Rig) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.forget()
    assert rig.machine.abort("s1", rig.now).good
    rig.collect()
    assert rig.numbers == [762]
    rig.wait(0.2)
    assert [r.state for r in rig.results] == [ResultState.ABORTED]


def test_stop_before_the_trigger_was_written_ends_the_job_as_aborted(rig: Rig) -> None:
    ready(rig)
    rig.station.fault(Code.CAMERA_LINK, True)  # not shown yet
    rig.forget()
    rig.machine.driver.do()
    rig.machine.states.take_events()
    rig.machine.status = None
    rig.machine._outputs = None
    rig.machine.start_single_job("s1", PART, rig.now)
    assert rig.machine.stop("s1", rig.now).good
    rig.collect()
    assert rig.numbers == [671, 761]
    assert [r.state for r in rig.results] == [ResultState.ABORTED]


def test_a_job_that_is_never_answered_fails_in_time(rig: Rig) -> None:
    rig.station = PlayedStation(replace(CYCLE, deadline=60.0))
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.forget()
    rig.machine.tick(rig.now + SETTINGS.job_timeout)
    rig.collect()
    assert [(r.state, r.content.good, r.content.reason) for r in rig.results] == [(ResultState.FAILED, False, 2003)]
    assert rig.numbers == [760]


def test_an_answer_that_comes_too_late_is_no_second_result(rig: Rig) -> None:
    rig.station = PlayedStation(replace(CYCLE, deadline=60.0))
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.machine.tick(rig.now + SETTINGS.job_timeout)
    rig.station.finish(Judgement.OK, rig.now)
    rig.carry()
    assert len(rig.results) == 1
    assert not rig.results[0].content.good
    assert rig.said("came too late")


def test_a_refused_trigger_ends_the_job_as_failed_with_the_reason() -> None:
    rig = Rig(PlayedStation(CycleSettings(min_trigger_interval=10.0)))
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.judge()
    rig.carry()
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    assert [(r.state, r.content.reason) for r in rig.results][1:] == [(ResultState.FAILED, int(Code.TOO_FAST))]
    assert rig.machine.states.inner is State.READY


def test_continuous_waits_where_the_station_takes_no_more_triggers_yet() -> None:
    rig = Rig(PlayedStation(CycleSettings(min_trigger_interval=0.3, deadline=2.0)))
    ready(rig)
    rig.machine.start_continuous("s1", PART, rig.now)
    for _ in range(3):
        rig.wait(0.4)
        rig.judge()
    assert [r.state for r in rig.results] == [ResultState.COMPLETED] * 2
    assert rig.machine.states.inner is State.CONTINUOUS_EXECUTION


def test_with_overlap_ready_comes_before_the_result_and_jobs_are_not_mixed_up() -> None:
    rig = Rig(PlayedStation(CycleSettings(overlap=True)))
    ready(rig)
    rig.forget()
    first = rig.machine.start_single_job("s1", JobRequest(part=Ident("A")), rig.now).job_id
    rig.carry()
    rig.station.expose()
    rig.carry()
    assert rig.kinds == ["671", "JobStarted", "AcquisitionDone", "760", "Ready"]
    second = rig.machine.start_single_job("s1", JobRequest(part=Ident("B")), rig.now).job_id
    rig.carry()
    rig.station.finish(Judgement.NG, rig.now)
    rig.carry()
    rig.station.finish(Judgement.OK, rig.now)
    rig.carry()
    told = [(r.job_id, r.part.id, r.content.good) for r in rig.results]
    assert told == [(first, "A", False), (second, "B", True)]


def test_an_abort_does_not_reach_the_job_that_is_started_next(rig: Rig) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.machine.abort("s1", rig.now)
    assert rig.machine.start_single_job("s1", PART, rig.now).good
    rig.wait(0.3)
    rig.judge()
    rig.carry()
    assert [r.state for r in rig.results] == [ResultState.ABORTED, ResultState.COMPLETED]


def test_a_job_that_waits_when_a_fault_comes_is_not_triggered_afterwards() -> None:
    rig = Rig(PlayedStation(CycleSettings(overlap=True, deadline=5.0)))
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.machine.abort("s1", rig.now)
    rig.collect()
    rig.machine.start_single_job("s1", PART, rig.now)  # waits for the abort to end
    rig.station.fault(Code.CAMERA_LINK, True)
    rig.carry()
    assert rig.machine.states.outer is State.ERROR
    rig.station.fault(Code.CAMERA_LINK, False)
    rig.wait(1.0)
    assert [r.state for r in rig.results] == [ResultState.ABORTED] * 2
    assert len(rig.station.outcomes) == 1


def test_an_inspection_that_a_tag_asked_for_is_nobodys_job_but_its_own(rig: Rig) -> None:
    ready(rig)
    rig.station.tag(9, rig.now)
    rig.carry()
    mine = rig.machine.start_single_job("s1", PART, rig.now).job_id  # waits for Ready
    rig.carry()
    rig.judge(Judgement.NG)
    rig.carry()
    rig.judge(Judgement.OK)
    rig.carry()
    assert [(r.part.id, r.content.good) for r in rig.results] == [("9", False), ("DMX 0815", True)]
    assert [r.job_id == mine for r in rig.results] == [False, True]


def test_a_job_that_is_sent_is_not_answered_by_anothers_inspection() -> None:
    rig = Rig(PlayedStation(CycleSettings(overlap=True)))
    ready(rig)
    rig.station.tag(9, rig.now)
    rig.station.expose()
    rig.carry()
    mine = rig.machine.start_single_job("s1", PART, rig.now).job_id
    rig.carry()
    rig.station.finish(Judgement.OK, rig.now)
    rig.carry()
    rig.judge(Judgement.NG)
    rig.carry()
    assert [(r.part.id, r.content.good) for r in rig.results] == [("9", True), ("DMX 0815", False)]
    assert [r.job_id == mine for r in rig.results] == [False, True]


def test_a_block_that_says_nothing_new_comes_before_the_first_edge(rig: Rig) -> None:
    rig.carry()
    rig.machine.select_mode_automatic("s1", rig.now)
    (claim,) = rig.machine.take_commands()
    rig.machine.driven(Seat.MACHINE_VISION, rig.now)
    assert rig.machine.take_commands()[:1] == [claim]


def test_results_are_acknowledged_so_that_the_queue_never_fills(rig: Rig) -> None:
    ready(rig)
    for _ in range(12):
        rig.machine.start_single_job("s1", PART, rig.now)
        rig.carry()
        rig.judge()
        rig.carry()
    assert rig.station.role.results.lost == 0
    assert rig.station.role.results.pending == 0


def test_a_result_of_the_plc_that_waits_gives_way_and_that_is_told(rig: Rig) -> None:
    rig.write(enable=True)
    rig.write(trigger=True, part=5)
    rig.carry()
    rig.judge()
    rig.carry()
    rig.write(enable=False)
    ready(rig)
    rig.carry()
    assert rig.said("another driver")
    assert rig.station.role.results.pending == 0


# ---------------------------------------------------------------- leaving


def test_reset_clears_faults_and_gives_the_station_back(rig: Rig) -> None:
    ready(rig)
    rig.station.latch(Code.DEADLINE_MISSED)
    rig.forget()
    assert rig.machine.reset("s1", rig.now).good
    rig.collect()
    assert rig.numbers == [411]
    rig.wait(0.5)
    assert rig.station.role.conditions.latched == 0
    assert rig.station.seat is Seat.LINK
    assert rig.numbers == [411]


def test_halt_takes_the_station_offline_and_reset_brings_it_back(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    assert rig.machine.halt("s1", rig.now).good
    rig.wait(0.3)
    assert rig.numbers == [421]
    assert rig.station.outputs(rig.now).status.bits & 1 == 0
    assert rig.station.seat is Seat.LINK
    assert rig.machine.system_state(rig.now) is SystemState.SCHEDULED_DOWNTIME
    assert rig.machine.halt("s1", rig.now).refusal is Refusal.STATE
    assert rig.machine.reset("s1", rig.now).good
    rig.wait(0.5)
    assert rig.numbers == [421, 211]
    assert rig.station.outputs(rig.now).status.bits & 1


def test_reset_and_at_once_automatic_again(rig: Rig) -> None:
    ready(rig)
    rig.machine.reset("s1", rig.now)
    assert rig.machine.select_mode_automatic("s1", rig.now).good
    rig.wait(1.0)
    assert rig.machine.states.inner is State.READY
    assert rig.numbers[-3:] == [411, 141, 560]


def test_reset_in_the_middle_of_a_job_ends_it_as_aborted(rig: Rig) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.forget()
    rig.machine.reset("s1", rig.now)
    rig.wait(0.5)
    assert rig.numbers == [411]
    assert [r.state for r in rig.results] == [ResultState.ABORTED]


def test_a_client_that_leaves_gives_the_station_back_after_a_while(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    rig.machine.session_closed("s1", rig.now)
    rig.wait(SETTINGS.session_grace / 2)
    assert rig.numbers == []
    rig.wait(SETTINGS.session_grace)
    assert rig.station.seat is Seat.LINK
    assert rig.numbers == [410]
    assert rig.said("has gone")


def test_another_client_that_drives_keeps_the_station(rig: Rig) -> None:
    ready(rig)
    rig.machine.session_closed("s1", rig.now)
    rig.machine.start_single_job("s2", PART, rig.now)
    rig.wait(SETTINGS.session_grace * 2)
    assert rig.station.seat is Seat.MACHINE_VISION
    rig.machine.session_closed("somebody else", rig.now)
    rig.wait(SETTINGS.session_grace * 2)
    assert rig.station.seat is Seat.MACHINE_VISION


def test_a_station_that_is_taken_away_is_not_driven_any_more(rig: Rig) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", PART, rig.now)
    rig.carry()
    rig.station.take_away(rig.now)
    rig.carry()
    assert rig.said("taken away")
    assert rig.machine.start_single_job("s1", PART, rig.now).refusal is Refusal.STATE
    rig.judge()
    rig.carry()
    assert len(rig.results) == 1
    assert rig.machine.states.outer is State.PREOPERATIONAL


# ---------------------------------------------------------------- a PLC drives


def test_what_a_plc_does_is_told_as_automatic_transitions(rig: Rig) -> None:
    rig.carry()
    rig.write(enable=True)
    rig.carry()
    for part in (1, 2):
        rig.write(trigger=True, part=part)
        rig.carry()
        rig.judge()
        rig.carry()
    job = ["670", "JobStarted", "AcquisitionDone", "ResultReady", "760", "Ready"]
    assert rig.kinds == ["140", "560", *job, *job]
    assert [r.part.id for r in rig.results] == ["1", "2"]
    rig.write(enable=False)
    rig.carry()
    assert rig.numbers[-1] == 410


def test_jobs_that_were_too_quick_to_be_seen_are_told_afterwards(rig: Rig) -> None:
    rig.write(enable=True)
    rig.carry()
    rig.forget()
    for part in (1, 2, 3):
        rig.write(trigger=True, part=part)
        rig.station.expose()
        rig.station.finish(Judgement.OK, rig.now)
    rig.tell()
    rig.show()
    assert rig.kinds == ["670", "JobStarted", "AcquisitionDone", "ResultReady", "760", "Ready"] * 3


def test_the_next_job_is_seen_although_the_first_ones_end_was_not(rig: Rig) -> None:
    rig.write(enable=True)
    rig.carry()
    rig.forget()
    rig.write(trigger=True, part=1)
    rig.show()
    rig.station.finish(Judgement.OK, rig.now)
    rig.write(trigger=True, part=2)
    rig.show()
    assert rig.kinds == ["670", "JobStarted", "760", "Ready", "670", "JobStarted"]
    rig.tell()
    rig.station.finish(Judgement.NG, rig.now)
    rig.carry()
    assert [(r.part.id, r.content.good) for r in rig.results] == [("1", True), ("2", False)]
    assert len(rig.jobs(JobStep.STARTED)) == 2


def test_words_older_than_the_outcome_are_no_new_job(rig: Rig) -> None:
    rig.write(enable=True)
    rig.carry()
    rig.write(trigger=True, part=1)
    rig.show()
    old = rig.station.outputs(rig.now)
    rig.station.finish(Judgement.OK, rig.now)
    rig.tell()
    rig.forget()
    rig.machine.outputs(old, rig.now)
    rig.carry()
    assert rig.kinds == []


def test_a_gap_in_the_outcomes_is_told_and_the_job_ends_as_undefined(rig: Rig) -> None:
    rig.write(enable=True)
    rig.carry()
    for part in (1, 2, 3):
        rig.write(trigger=True, part=part)
        rig.show()
        rig.station.finish(Judgement.OK, rig.now)
        if part == 2:
            rig.station.told = [t for t in rig.station.told if not isinstance(t, Outcome)]
        rig.tell()
    rig.carry()
    assert rig.said("1 results were missed")
    states = [r.state for r in rig.results]
    assert states == [ResultState.COMPLETED, ResultState.UNDEFINED, ResultState.COMPLETED]
    assert [r.content.good for r in rig.results] == [True, False, True]


def test_methods_that_drive_are_refused_while_the_plc_does_and_say_why(rig: Rig) -> None:
    rig.write(enable=True)
    rig.carry()
    m = rig.machine
    replies = [
        m.select_mode_automatic("s", rig.now),
        m.reset("s", rig.now),
        m.halt("s", rig.now),
        m.start_single_job("s", PART, rig.now),
        m.start_continuous("s", PART, rig.now),
        m.stop("s", rig.now),
        m.abort("s", rig.now),
        m.prepare_recipe("s", BinaryId("2"), BinaryId(), rig.now),
        m.unprepare_recipe("s", BinaryId("1"), BinaryId(), rig.now),
    ]
    rig.carry()
    assert {reply.refusal for reply in replies} == {Refusal.STATE}
    assert all("LINK drives the station" in reply.why for reply in replies)
    assert "LINK drives the station" in m.text
    assert rig.station.seat is Seat.LINK


def test_the_plc_that_enables_first_keeps_the_station_and_the_client_is_told(rig: Rig) -> None:
    rig.carry()
    assert rig.machine.select_mode_automatic("s1", rig.now).good
    rig.collect()
    rig.write(enable=True)
    rig.deliver()
    rig.wait(1.0)
    assert rig.said("SelectModeAutomatic was not carried out")
    assert rig.machine.states.inner is State.READY  # automatic, as the PLC drives
    rig.write(enable=False)
    rig.wait(1.0)
    assert rig.station.seat is Seat.LINK  # what was refused is not carried out later


def test_a_station_without_a_plc_can_be_taken_although_it_is_enabled() -> None:
    rig = Rig(PlayedStation(CycleSettings(always_enabled=True)), replace(SETTINGS, shared=False))
    ready(rig)
    assert rig.station.seat is Seat.MACHINE_VISION
    assert rig.machine.automatic


# ---------------------------------------------------------------- faults


def test_a_fault_is_an_error_until_it_is_over(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    rig.station.fault(Code.CAMERA_LINK, True)
    rig.carry()
    assert rig.kinds == ["430", "Error"]
    shown = rig.machine.conditions.shown(Grade.ERROR)
    assert (shown.code, shown.active, shown.acked, shown.stop_reaction) == (1001, True, False, True)
    assert rig.machine.system_state(rig.now) is SystemState.UNSCHEDULED_DOWNTIME
    rig.station.fault(Code.CAMERA_LINK, False)
    rig.carry()
    assert rig.kinds == ["430", "Error", "340", "ErrorResolved", "560"]
    shown = rig.machine.conditions.shown(Grade.ERROR)
    assert (shown.active, shown.stop_reaction) == (True, False)  # still latched, but nothing stands still


def test_a_latched_fault_is_a_condition_but_no_error_state_until_it_is_cleared(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    rig.station.latch(Code.DEADLINE_MISSED)
    rig.carry()
    assert rig.numbers == []
    assert rig.machine.conditions.shown(Grade.ERROR).active
    rig.machine.reset("s1", rig.now)
    rig.wait(0.5)
    shown = rig.machine.conditions.shown(Grade.ERROR)
    assert not shown.active
    assert shown.retain


def test_a_persistent_error_wants_people_before_reset(rig: Rig) -> None:
    rig.carry()
    rig.station.fault(Code.CRASH_LOOP, True)
    rig.carry()
    assert rig.numbers == [130]
    shown = rig.machine.conditions.shown(Grade.PERSISTENT)
    assert shown.block_reaction
    assert shown.stop_reaction
    assert rig.machine.reset("s1", rig.now).error is MethodError.CONFIRM_FIRST
    rig.machine.acknowledge(Grade.PERSISTENT, shown.serial, ("seen", "", "me"))
    assert rig.machine.reset("s1", rig.now).error is MethodError.CONFIRM_FIRST
    rig.machine.confirm_all(("done", "", "me"))
    assert rig.machine.reset("s1", rig.now).good
    rig.station.fault(Code.CRASH_LOOP, False)
    rig.wait(0.5)
    assert rig.numbers == [130, 311]


def test_a_reset_that_does_not_help_is_an_error_again(rig: Rig) -> None:
    rig.carry()
    rig.station.fault(Code.CAMERA_LINK, True)
    rig.carry()
    rig.machine.reset("s1", rig.now)
    rig.wait(6.0)
    assert rig.numbers == [130, 311, 130]


@pytest.mark.parametrize("code", [Code.LINK_LOST, Code.PLC_HEARTBEAT_LOST])
def test_a_plc_that_is_gone_is_a_warning_and_the_station_can_be_taken(rig: Rig, code: Code) -> None:
    rig.station.fault(code, True)
    rig.carry()
    assert rig.machine.states.outer is State.PREOPERATIONAL
    assert rig.machine.conditions.shown(Grade.WARNING).code == code
    assert rig.machine.select_mode_automatic("s1", rig.now).good


def test_a_degradation_is_a_warning(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    rig.station.fault(Code.DISK_LOW, True)
    rig.carry()
    assert rig.machine.conditions.shown(Grade.WARNING).code == Code.DISK_LOW
    assert rig.numbers == []
    rig.station.fault(Code.DISK_LOW, False)
    rig.carry()
    assert not rig.machine.conditions.shown(Grade.WARNING).active


def test_a_silent_control_process_is_an_error_and_nothing_is_taken(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    rig.machine.silent(True, rig.now)
    rig.collect()
    assert rig.kinds == ["430", "Error"]
    assert rig.machine.start_single_job("s1", PART, rig.now).refusal is Refusal.SILENT
    assert rig.machine.reset("s1", rig.now).good  # it is ours: what can be written is written
    rig.machine.silent(False, rig.now)
    rig.wait(0.5)
    assert rig.machine.states.outer is State.PREOPERATIONAL


# ---------------------------------------------------------------- recipes


def prepared(rig: Rig) -> list[str]:
    return [e.internal.id for e in rig.events if isinstance(e, RecipePrepared)]


def test_a_recipe_is_prepared_by_the_stations_own_command(rig: Rig) -> None:
    rig.station.loads = False
    ready(rig)
    rig.forget()
    reply = rig.machine.prepare_recipe("s1", BinaryId("2"), BinaryId(), rig.now)
    assert (reply.good, reply.completed, reply.recipe.id) == (True, False, "nut@1")
    rig.carry()
    assert rig.numbers == [650]
    assert prepared(rig) == []
    assert rig.machine.prepare_recipe("s1", BinaryId("1"), BinaryId(), rig.now).error is MethodError.STILL_BUSY
    rig.station.loaded()
    rig.carry()
    assert rig.numbers == [650, 561]
    assert prepared(rig) == ["nut@1"]
    assert rig.machine.prepared == 2


def test_no_job_is_started_between_two_recipes(rig: Rig) -> None:
    ready(rig)
    rig.machine.prepare_recipe("s1", BinaryId("2"), BinaryId(), rig.now)
    assert rig.machine.start_single_job("s1", JobRequest(recipe=BinaryId("1")), rig.now).refusal is Refusal.STATE
    rig.carry()
    assert rig.machine.start_single_job("s1", JobRequest(recipe=BinaryId("2")), rig.now).good


def test_a_recipe_that_fails_leaves_the_old_one_and_is_a_warning(rig: Rig) -> None:
    rig.station.loads = False
    ready(rig)
    rig.forget()
    rig.machine.prepare_recipe("s1", BinaryId("2"), BinaryId(), rig.now)
    rig.carry()
    rig.station.loaded(Code.MODEL_HASH)
    rig.carry()
    assert rig.numbers == [650, 560]
    assert rig.machine.prepared == 1
    assert prepared(rig) == []
    shown = rig.machine.conditions.shown(Grade.WARNING)
    assert (shown.code, shown.active) == (int(Code.MODEL_HASH), True)
    assert not rig.machine.conditions.shown(Grade.PERSISTENT).active


def test_a_recipe_that_is_never_loaded_ends_in_time(rig: Rig) -> None:
    rig.station.loads = False
    ready(rig)
    rig.machine.prepare_recipe("s1", BinaryId("2"), BinaryId(), rig.now)
    rig.wait(SETTINGS.command_timeout + 1)
    assert rig.machine.driver.ordering is None
    assert rig.said("ACTIVATE_RECIPE 2 failed")


@pytest.mark.parametrize("internal", [BinaryId("nut@1"), BinaryId("nut@1", digest=b"\x02" * 32)])
def test_the_internal_id_wins_and_its_digest_counts(rig: Rig, internal: BinaryId) -> None:
    ready(rig)
    assert rig.machine.prepare_recipe("s1", BinaryId("1"), internal, rig.now).recipe.id == "nut@1"


@pytest.mark.parametrize("internal", [BinaryId("nut@2"), BinaryId("nut@1", digest=b"\x03" * 32)])
def test_another_content_is_another_recipe(rig: Rig, internal: BinaryId) -> None:
    ready(rig)
    reply = rig.machine.prepare_recipe("s1", BinaryId(), internal, rig.now)
    assert reply.error is MethodError.UNKNOWN_RECIPE


def test_an_unprepared_recipe_takes_no_jobs_until_it_is_prepared_again(rig: Rig) -> None:
    ready(rig)
    rig.forget()
    assert rig.machine.unprepare_recipe("s1", BinaryId("pin"), BinaryId(), rig.now).good
    rig.carry()
    assert rig.machine.start_single_job("s1", PART, rig.now).refusal is Refusal.STATE
    reply = rig.machine.prepare_recipe("s1", BinaryId("pin"), BinaryId(), rig.now)
    assert reply.completed
    rig.carry()
    assert rig.numbers == [651, 561]
    assert prepared(rig) == ["pin@3"]


def test_a_recipe_that_the_plc_changes_is_told(rig: Rig) -> None:
    rig.write(enable=True)
    rig.carry()
    rig.write(command=int(CommandCode.ACTIVATE_RECIPE), command_param=2, command_seq=1)
    rig.carry()
    assert prepared(rig) == ["nut@1"]


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("part", "word", "serial"),
    [
        ("4711", 4711, "4711"),
        ("", 1, ""),
        ("0815", 1, "0815"),
        ("99999999999", 1, "99999999999"),
        ("x" * 32, 1, "x" * 32),
        ("Gehäuse", 1, "sha256:5adc27c4a55dcb8ea9a6be0d2"),
    ],
)
def test_a_part_id_reaches_the_history_as_far_as_it_fits(rig: Rig, part: str, word: int, serial: str) -> None:
    ready(rig)
    rig.machine.start_single_job("s1", JobRequest(part=Ident(part)), rig.now)
    rig.carry()
    rig.judge()
    rig.carry()
    (outcome,) = rig.station.outcomes
    assert outcome.result.part_id == word
    assert len(outcome.serial) <= 32
    assert outcome.serial == serial or (serial.startswith("sha256:") and outcome.serial.startswith("sha256:"))
    assert rig.results[0].part == Ident(part)
