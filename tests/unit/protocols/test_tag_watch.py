"""When a tag triggers, and that nothing that happened unseen ever does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.faults import Code
from protocols.tag_watch import NOTHING, Rule, Seen, Watch
from protocols.tag_words import When
from protocols.tags import Quality, Tag, TagValue, Value

TAG = Tag("t", "uint16", low=0, high=60000, max_age=0.3)
LOST = TAG.failed(Code.LINK_LOST, "unplugged", 0.0, 0.0)
FIRED = Seen(fired=True)
BROKEN = Seen(broken=True)
UNSEEN = Seen(missed=1, code=Code.LINK_LOST, broken=True)
COUNTED = Seen(missed=1, code=Code.LINK_LOST)


def watched(rule: Rule, *values: Value | None) -> list[Seen]:
    """One reading each 0.1 s; None = the device is not reached."""
    watch, seen = Watch(rule), []
    for turn, value in enumerate(values):
        at = 0.1 * turn
        seen.append(watch.see(LOST if value is None else TAG.reading(value, at, 0.0), at))
    return seen


def fired(rule: Rule, *values: Value | None) -> list[int]:
    return [turn for turn, seen in enumerate(watched(rule, *values)) if seen.fired]


@pytest.mark.parametrize(
    ("when", "values", "at"),
    [
        (When.RISE, (True, False, True, True, False, True), [2, 5]),
        (When.FALL, (True, False, True, True, False, True), [1, 4]),
        (When.RISE, (5, 6, 6, 4, 5), [1, 4]),
        (When.FALL, (5, 6, 6, 4, 5), [3]),
        (When.CHANGE, (5, 5, 6, 4, 4), [2, 3]),
        (When.CHANGE, ("A", "A", "B", ""), [2, 3]),
    ],
)
def test_edges(when: When, values: tuple[Value, ...], at: list[int]) -> None:
    assert fired(Rule(when), *values) == at


def test_a_change_within_the_deadband_is_none_until_it_adds_up() -> None:
    assert fired(Rule(When.CHANGE, deadband=2), 10, 11, 12, 13, 11, 10) == [3, 5]
    assert fired(Rule(When.RISE, deadband=2), 10, 12, 13, 5, 7, 8) == [2, 5]


def test_a_threshold_with_hysteresis() -> None:
    above = Rule(When.ABOVE, threshold=50, hysteresis=10)
    assert fired(above, 30, 50, 51, 45, 52, 40, 51) == [2, 6]
    below = Rule(When.BELOW, threshold=50, hysteresis=10)
    assert fired(below, 70, 50, 49, 55, 48, 60, 49) == [2, 6]


def test_seen_first_beyond_or_near_the_threshold_it_must_go_back_first() -> None:
    above = Rule(When.ABOVE, threshold=50, hysteresis=10)
    assert fired(above, 60, 61, 45, 60, 39, 60) == [5]
    assert fired(above, 45, 51, 40, 51) == [3]


def test_a_counter_that_wraps_and_one_that_jumps() -> None:
    count = Rule(When.COUNT, modulus=1 << 16)
    assert watched(count, 10, 11, 11, 14) == [NOTHING, FIRED, NOTHING, Seen(True, 2, Code.TOO_FAST)]
    watch = Watch(count)
    readings = [Tag("t").reading(value, turn / 10, 0.0) for turn, value in enumerate((65534, 65535, 0, 1))]
    assert [watch.see(reading, reading.at).fired for reading in readings] == [False, True, True, True]


def test_a_counter_set_back_is_no_part() -> None:
    assert watched(Rule(When.COUNT, modulus=1 << 16), 812, 0, 1) == [
        NOTHING,
        Seen(missed=1, code=Code.OUT_OF_ORDER),
        FIRED,
    ]


def test_a_value_is_reached_once_until_it_was_left() -> None:
    words = ("ended", "running", "ended", "ended", "stopped", "ended", "aborted")
    assert fired(Rule(When.EQUALS, value="ended"), *words) == [2, 5]
    assert fired(Rule(When.EQUALS, value=True), False, True, True, False, True) == [1, 4]


def test_a_value_that_was_reached_while_nobody_looked_is_missed() -> None:
    rule = Rule(When.EQUALS, value=2)
    assert watched(rule, 1, None, 2, 1, 2)[1:] == [BROKEN, UNSEEN, NOTHING, FIRED]
    assert watched(rule, 2, None, 2)[1:] == [BROKEN, BROKEN]
    assert watched(rule, 2, None, 1)[1:] == [BROKEN, BROKEN]


@pytest.mark.parametrize("when", [When.RISE, When.CHANGE])
def test_after_a_gap_a_moved_value_is_missed_not_fired(when: When) -> None:
    rule = Rule(when)
    assert watched(rule, 5, None, 6, 7)[1:] == [BROKEN, UNSEEN, FIRED]
    assert watched(rule, 5, None, 5, 6)[1:] == [BROKEN, BROKEN, FIRED]


def test_a_count_knows_after_a_gap_what_it_missed() -> None:
    rule = Rule(When.COUNT, modulus=1 << 16)
    assert watched(rule, 5, None, 6, 7)[1:] == [NOTHING, COUNTED, FIRED]
    assert watched(rule, 5, None, 5, 6)[1:] == [NOTHING, NOTHING, FIRED]


@pytest.mark.parametrize("when", [When.RISE, When.FALL, When.CHANGE, When.ABOVE, When.BELOW])
def test_a_broken_row_of_readings_is_told_from_its_first_gap_to_its_next_good_pair(when: When) -> None:
    row = watched(Rule(when, threshold=3), None, 5, 5, 60001, None, 5, 5)
    assert [seen.broken for seen in row] == [False, False, False, True, True, True, False]
    watch = Watch(Rule(when, threshold=3))
    told = [watch.see(TAG.reading(5, at, 0.0), at).broken for at in (0.0, 0.1, 0.41, 0.5)]
    assert told == [False, False, True, False]


def test_a_reading_that_comes_too_late_is_a_baseline() -> None:
    watch = Watch(Rule(When.CHANGE))
    watch.see(TAG.reading(1, 0.0, 0.0), 0.0)
    assert watch.see(TAG.reading(2, 0.5, 0.0), 0.5) == UNSEEN
    assert watch.see(TAG.reading(3, 0.6, 0.0), 1.5) == BROKEN  # delivered when it was old already
    assert watch.see(TAG.reading(4, 1.6, 0.0), 1.6) == UNSEEN


readings = st.lists(
    st.tuples(
        st.sampled_from(["good", "range", "nan", "lost", "late"]),
        st.integers(0, 8),
    ),
    max_size=40,
)
rules = st.one_of(
    st.sampled_from(
        [
            Rule(When.RISE),
            Rule(When.FALL),
            Rule(When.CHANGE),
            Rule(When.COUNT, modulus=1 << 16),
            Rule(When.EQUALS, value=3),
        ]
    ),
    st.builds(
        Rule,
        st.sampled_from([When.ABOVE, When.BELOW]),
        threshold=st.integers(1, 7),
        hysteresis=st.integers(0, 3),
        deadband=st.integers(0, 3),
    ),
)


@given(rules, readings)
def test_nothing_but_two_good_readings_in_a_row_ever_triggers(rule: Rule, script: list[tuple[str, int]]) -> None:
    watch, now, before = Watch(rule), 100.0, False
    for kind, value in script:
        now += 1.0 if kind == "late" else 0.1
        reading: TagValue = {
            "good": TAG.reading(value, now, 0.0),
            "late": TAG.reading(value, now, 0.0),
            "range": TAG.reading(60001 + value, now, 0.0),
            "nan": TAG.reading(float("nan"), now, 0.0),
            "lost": LOST,
        }[kind]
        seen = watch.see(reading, now)
        if seen.fired:
            assert kind == "good"
            assert before
        before = reading.seen(now).quality is Quality.GOOD


@given(st.lists(st.integers(0, 100), min_size=2, max_size=60), st.integers(1, 99), st.integers(0, 30))
def test_a_threshold_is_crossed_by_every_trigger(values: list[int], threshold: int, hysteresis: int) -> None:
    rule = Rule(When.ABOVE, threshold=threshold, hysteresis=hysteresis)
    seen: list[Any] = watched(rule, *values)
    for turn in range(len(values)):
        if seen[turn].fired:
            assert values[turn] > threshold
            since = max(t for t in range(turn) if values[t] <= threshold - hysteresis)
            assert not any(seen[t].fired for t in range(since, turn))
