"""Stories of one station as OPC 40100-1 tells them: jobs of ours, from the first call to the result."""

from dataclasses import replace

import pytest

from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.opcua.machine_vision_records import (
    BinaryId,
    Ident,
    JobStep,
    MethodError,
    Refusal,
    ResultState,
)
from protocols.opcua.machine_vision_requests import JobRequest
from protocols.opcua.machine_vision_tables import State
from protocols.signals import Judgement
from protocols.station_view import Seat
from tests.unit.protocols.opcua.machine_rig import CYCLE, PART, SETTINGS, Rig, ready
from tests.vision_station import PlayedStation


@pytest.fixture
def rig() -> Rig:
    return Rig()


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
    assert rig.said("gives way")
    assert rig.station.role.results.pending == 0
