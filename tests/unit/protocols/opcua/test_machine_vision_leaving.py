"""Who leaves and who comes, as OPC 40100-1 tells it: Reset, Halt, clients that go, a PLC that drives."""

from dataclasses import replace

import pytest

from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.opcua.machine_vision_records import (
    BinaryId,
    JobStep,
    Refusal,
    ResultState,
    SystemState,
)
from protocols.opcua.machine_vision_tables import State
from protocols.signals import Judgement
from protocols.station_view import Outcome, Seat
from tests.unit.protocols.opcua.machine_rig import PART, SETTINGS, Rig, ready
from tests.vision_station import PlayedStation


@pytest.fixture
def rig() -> Rig:
    return Rig()


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
