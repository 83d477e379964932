from pathlib import Path

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from protocols.faults import CATALOGUE, Code, FaultClass
from protocols.opcua.plain_quality import CUT_OFF, NEVER_SHOWN, RULES, Qualities, Quality, qualities
from protocols.signals import Judgement, Outputs, Result, ResultBit, Status, StatusBit

VALID = StatusBit.ONLINE | StatusBit.READY | StatusBit.RESULT_VALID
SEEN = Result(result_seq=5, judgement=Judgement.OK)
CAMERA, MODEL, PLC = int(Code.CAMERA_LINK), int(Code.WORKER_DIED), int(Code.PLC_HEARTBEAT_LOST)


def outputs(bits: int = VALID, reason: int = 0, result: Result = SEEN) -> Outputs:
    return Outputs(Status(bits=bits, not_ready_reason=reason), result)


def test_the_numbers_are_those_of_the_standard() -> None:
    for quality in Quality:
        assert int(getattr(ua.StatusCodes, quality.text)) == quality
        assert quality.bad is ua.StatusCode(ua.UInt32(quality)).is_bad()


def test_before_the_first_outputs_nothing_is_known() -> None:
    assert qualities(None) is NEVER_SHOWN
    assert NEVER_SHOWN.status is Quality.BAD_WAITING_FOR_INITIAL_DATA


@pytest.mark.parametrize("shown", [None, outputs(), outputs(0, CAMERA)])
def test_a_station_that_cannot_be_seen_shows_nothing(shown: Outputs | None) -> None:
    assert qualities(shown, stale=True) is CUT_OFF
    assert all(quality.bad for quality in (CUT_OFF.status, CUT_OFF.outcome, CUT_OFF.measured))


Q = Quality
FAULT = Result(result_seq=5, judgement=Judgement.FAULT, reason=CAMERA)
LATE = Result(result_seq=5, judgement=Judgement.FAULT, reason=int(Code.DEADLINE_MISSED))
DEMO = Result(result_seq=5, judgement=Judgement.OK, bits=ResultBit.OK | ResultBit.SIMULATED)


@pytest.mark.parametrize(
    ("shown", "outcome", "measured"),
    [
        (outputs(), Q.GOOD, Q.GOOD),
        (outputs(VALID | StatusBit.SIMULATED), Q.UNCERTAIN_SIMULATED_VALUE, Q.UNCERTAIN_SIMULATED_VALUE),
        (outputs(result=DEMO), Q.UNCERTAIN_SIMULATED_VALUE, Q.UNCERTAIN_SIMULATED_VALUE),
        (outputs(result=FAULT), Q.GOOD, Q.BAD_SENSOR_FAILURE),
        (outputs(result=LATE), Q.GOOD, Q.BAD_DEVICE_FAILURE),
        (outputs(reason=CAMERA, result=FAULT), Q.UNCERTAIN_LAST_USABLE_VALUE, Q.BAD_SENSOR_FAILURE),
        (outputs(reason=CAMERA), Q.UNCERTAIN_LAST_USABLE_VALUE, Q.UNCERTAIN_LAST_USABLE_VALUE),
        (outputs(reason=PLC), Q.GOOD, Q.GOOD),
        (outputs(reason=int(Code.NOT_ENABLED)), Q.GOOD, Q.GOOD),
        (outputs(reason=int(Code.STOPPING)), Q.GOOD, Q.GOOD),
        (outputs(0, reason=CAMERA), Q.BAD_SENSOR_FAILURE, Q.BAD_SENSOR_FAILURE),
        (outputs(0, reason=MODEL), Q.BAD_DEVICE_FAILURE, Q.BAD_DEVICE_FAILURE),
        (outputs(0, reason=int(Code.OFFLINE)), Q.BAD_OUT_OF_SERVICE, Q.BAD_OUT_OF_SERVICE),
        (outputs(0, reason=int(Code.STOPPING)), Q.BAD_OUT_OF_SERVICE, Q.BAD_OUT_OF_SERVICE),
        (outputs(0, reason=PLC), Q.UNCERTAIN_LAST_USABLE_VALUE, Q.UNCERTAIN_LAST_USABLE_VALUE),
        (outputs(0), Q.UNCERTAIN_LAST_USABLE_VALUE, Q.UNCERTAIN_LAST_USABLE_VALUE),
        (outputs(0, result=Result()), Q.BAD_WAITING_FOR_INITIAL_DATA, Q.BAD_WAITING_FOR_INITIAL_DATA),
        (outputs(VALID, result=Result()), Q.BAD_WAITING_FOR_INITIAL_DATA, Q.BAD_WAITING_FOR_INITIAL_DATA),
    ],
)
def test_what_a_state_of_the_station_makes_of_its_result(shown: Outputs, outcome: Quality, measured: Quality) -> None:
    assert qualities(shown) == Qualities(Quality.GOOD, outcome, measured)


@given(
    bits=st.integers(0, 0xFFFF),
    reason=st.sampled_from([0, *map(int, CATALOGUE), 17, 65535]),
    seq=st.integers(0, 3),
    judgement=st.integers(0, 5),
    why=st.sampled_from([0, 7, *map(int, CATALOGUE)]),
)
def test_good_is_only_a_valid_result_of_a_station_without_a_fault_of_its_own(
    bits: int, reason: int, seq: int, judgement: int, why: int
) -> None:
    got = qualities(outputs(bits, reason, Result(seq, judgement=judgement, reason=why)))
    if Quality.GOOD in (got.outcome, got.measured):
        assert bits & StatusBit.RESULT_VALID
        assert seq
        assert not bits & StatusBit.SIMULATED
        fault = reason in CATALOGUE and CATALOGUE[Code(reason)].cls is FaultClass.FAULT
        assert not (fault and reason // 1000 in (1, 2, 4))
    if got.measured is Quality.GOOD:
        assert judgement != Judgement.FAULT
    assert got.status is Quality.GOOD


def test_the_page_says_what_the_table_says() -> None:
    page = (Path(__file__).parents[4] / "docs" / "opcua-server.md").read_text(encoding="utf-8")
    table = [line for line in page.splitlines() if line.startswith("| ")]
    told = [f"| {rule.when} | {rule.quality.text} |" for rule in RULES]
    assert [line for line in table if line in told] == told
