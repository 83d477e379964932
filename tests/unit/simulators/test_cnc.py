"""The simulated CNC: what it asks, what it does with the answer, and what it shows meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from simulators.cnc import ANSWER, ASK_CODE, ASKED, BLOCKS, Cnc, Program, Quality, Rules


def until(cnc: Cnc, true: Callable[[], bool], seconds: float = 60) -> None:
    for _ in range(int(seconds / 0.05)):
        if true():
            return
        cnc.advance(0.05)
    pytest.fail(f"never; the machine is {cnc.state.name}")


@pytest.fixture
def waiting() -> Cnc:
    cnc = Cnc(rules=Rules(verdict_timeout=5, reset_after=2))
    until(cnc, lambda: cnc.state is Program.WAITING)
    return cnc


def test_a_part_is_machined_then_asked_for(waiting: Cnc) -> None:
    assert waiting.r[ASKED] == 1
    assert ASK_CODE in waiting.m_functions
    assert waiting.parts == 0
    assert waiting.tool == BLOCKS[-1].tool
    assert waiting.rpm == 0


def test_a_good_answer_ends_the_program_and_the_next_part_comes(waiting: Cnc) -> None:
    waiting.r[ANSWER] = 1
    waiting.advance(0.01)
    assert (waiting.state, waiting.good, waiting.parts) == (Program.ENDED, 1, 1)
    until(waiting, lambda: waiting.r[ASKED] == 2)
    assert waiting.state is Program.WAITING
    waiting.advance(1)
    assert waiting.state is Program.WAITING  # R21 is still 1: the answer of another part


def test_a_bad_answer_stops_with_an_alarm_until_it_is_reset(waiting: Cnc) -> None:
    waiting.r[ANSWER] = -1
    waiting.advance(0.01)
    assert (waiting.state, waiting.bad) == (Program.INTERRUPTED, 1)
    assert [alarm.number for alarm in waiting.alarms] == [700001]
    waiting.advance(2.1)
    assert waiting.alarms == []
    until(waiting, lambda: waiting.state is Program.RUNNING)


@pytest.mark.parametrize("answer", [0, 2, -2, 0.5])
def test_no_answer_or_that_of_another_part_stops_it_too(waiting: Cnc, answer: float) -> None:
    waiting.r[ANSWER] = answer
    waiting.advance(4.9)
    assert waiting.state is Program.WAITING
    waiting.advance(0.2)
    assert (waiting.state, waiting.unanswered) == (Program.INTERRUPTED, 1)
    assert [alarm.number for alarm in waiting.alarms] == [700002]


def test_it_goes_on_where_it_is_told_to() -> None:
    cnc = Cnc(rules=Rules(stop_on_bad=False))
    until(cnc, lambda: cnc.state is Program.WAITING)
    cnc.r[ANSWER] = -1
    cnc.advance(0.01)
    assert (cnc.state, cnc.bad) == (Program.ENDED, 1)


def test_it_ends_after_so_many_parts() -> None:
    cnc = Cnc(speed=50, rules=Rules(parts=2))
    for _ in range(2000):
        cnc.advance(0.02)
        cnc.r[ANSWER] = cnc.r[ASKED]
    assert cnc.done
    assert (cnc.asked, cnc.good) == (2, 2)


def test_override_0_and_a_hanging_control_stand_still() -> None:
    cnc = Cnc(override=0)
    cnc.advance(100)
    assert (cnc.state, cnc.asked) == (Program.INITIALIZING, 0)
    cnc.override, cnc.stalled = 100, True
    cnc.advance(100)
    assert (cnc.state, cnc.asked) == (Program.INITIALIZING, 0)


def test_values_move_while_it_cuts_and_a_new_part_has_no_quality_yet() -> None:
    cnc = Cnc()
    cnc.quality = Quality.GOOD
    seen = set()
    for _ in range(100):
        cnc.advance(0.05)
        seen.add((cnc.tool, round(cnc.position[0]), cnc.rpm > 0, cnc.load > 20))
    assert {tool for tool, *_ in seen} >= {1, 4}
    assert {cuts for *_, cuts in seen} == {True, False}
    assert len({x for _, x, *_ in seen}) > 5
    assert cnc.quality == Quality.NOT_YET_MEASURED
