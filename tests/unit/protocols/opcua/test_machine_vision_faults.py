"""Faults and recipes of a station as OPC 40100-1 tells them."""

import pytest

from protocols.faults import Code
from protocols.opcua.machine_vision_records import (
    BinaryId,
    Grade,
    Ident,
    MethodError,
    RecipePrepared,
    Refusal,
    SystemState,
)
from protocols.opcua.machine_vision_requests import JobRequest
from protocols.opcua.machine_vision_tables import State
from protocols.signals import CommandCode
from tests.unit.protocols.opcua.machine_rig import PART, SETTINGS, Rig, ready


@pytest.fixture
def rig() -> Rig:
    return Rig()


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
