"""The reject gate: only a proved good part ever meets an open gate."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gateway.reject import Gate, GateSettings

BY_TIME = GateSettings(delay=1.0, pulse=0.2, queue=4, expiry=5.0)
BY_PARTS = GateSettings(after_parts=2, pulse=0.2, queue=4, expiry=5.0)


def test_a_good_part_opens_while_it_is_there_and_no_longer() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.decided(1, True, 10.3)
    assert [gate.open(now) for now in (10.3, 10.99, 11.0, 11.19, 11.2, 12.0)] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert gate.due(13.0) is None


def test_the_gate_says_when_to_look_again() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.decided(1, True, 10.3)
    assert gate.due(10.3) == 11.0
    assert gate.open(11.0)
    assert gate.due(11.0) == 11.2


def test_a_bad_part_and_one_without_a_result_are_rejected() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.decided(1, False, 10.3)
    gate.entered(2, 10.5)
    assert not gate.open(11.1)
    assert not gate.open(11.6)


def test_a_result_that_comes_when_the_part_is_there_comes_too_late() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.decided(1, True, 11.0)
    assert not gate.open(11.0)


def test_the_first_outcome_counts_and_that_of_another_part_does_not() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.decided(2, True, 10.1)
    gate.decided(1, False, 10.2)
    gate.decided(1, True, 10.3)
    assert not gate.open(11.1)


def test_the_next_part_ends_the_pulse_of_a_good_one() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.uninspected(10.1)
    gate.decided(1, True, 10.2)
    assert gate.open(11.05)
    assert not gate.open(11.15)


def test_by_parts_the_good_one_is_there_when_two_more_have_passed() -> None:
    gate = Gate(BY_PARTS)
    gate.entered(1, 10.0)
    gate.decided(1, True, 10.1)
    gate.entered(2, 11.0)
    gate.decided(2, False, 11.1)
    assert not gate.open(11.2)
    gate.entered(3, 12.0)
    gate.decided(3, True, 12.1)
    assert gate.open(12.1)
    gate.entered(4, 13.0)
    assert not gate.open(13.0)
    gate.entered(5, 14.0)
    assert gate.open(14.1)


def test_a_refused_trigger_makes_the_row_of_parts_uncertain() -> None:
    gate = Gate(BY_PARTS)
    gate.entered(1, 10.0)
    gate.decided(1, True, 10.1)
    gate.uninspected(11.0)
    gate.entered(2, 11.5)
    gate.entered(3, 12.0)
    assert not gate.open(12.0)


def test_more_parts_than_places_all_are_rejected_until_the_row_is_known_again() -> None:
    gate = Gate(BY_TIME)
    for part in range(5):
        gate.entered(part, 10.0 + part / 100)
        gate.decided(part, True, 10.0 + part / 100)
    assert gate.overflows == 1
    assert not any(gate.open(10.9 + turn / 100) for turn in range(60))
    gate.entered(9, 12.0)
    gate.decided(9, True, 12.1)
    assert gate.open(13.0)


def test_doubt_closes_at_once_and_rejects_all_on_their_way() -> None:
    gate = Gate(BY_TIME)
    gate.entered(1, 10.0)
    gate.entered(2, 10.5)
    gate.decided(1, True, 10.6)
    gate.decided(2, True, 10.7)
    assert gate.open(11.0)
    gate.doubt()
    assert not gate.open(11.05)
    gate.decided(2, True, 11.1)
    assert not gate.open(11.6)


def test_a_part_that_took_too_long_is_rejected() -> None:
    gate = Gate(BY_PARTS)
    gate.entered(1, 10.0)
    gate.decided(1, True, 10.1)
    gate.entered(2, 11.0)
    gate.entered(3, 15.1)
    assert not gate.open(15.1)


# ------------------------------------------------------------ any order of events


@dataclass
class Belt:
    """What really lies where: told of the same events, it knows which part is at the gate. Written independently."""

    settings: GateSettings
    passed: list[tuple[int | None, float]] = field(default_factory=list)
    proved: dict[int, float] = field(default_factory=dict)
    """Good parts: since when it is known."""
    outcomes: set[int] = field(default_factory=set)
    doubts: list[float] = field(default_factory=list)

    def there(self, now: float) -> tuple[int | None, float, float] | None:
        """Part at the gate, when it entered and when it arrived."""
        arrived = []
        for index, (cycle, entered) in enumerate(self.passed):
            clock = index + self.settings.after_parts
            if clock < len(self.passed):
                at = self.passed[clock][1] + self.settings.delay
                if at <= now:
                    arrived.append((cycle, entered, at))
        return arrived[-1] if arrived else None


events = st.lists(
    st.tuples(
        st.sampled_from(["enter", "good", "good", "bad", "doubt", "refused", "wait", "wait"]),
        st.integers(0, 5),
        st.floats(0.01, 0.6),
    ),
    max_size=60,
)
all_settings = st.builds(
    GateSettings,
    delay=st.sampled_from([0.0, 0.5, 1.0]),
    after_parts=st.integers(0, 3),
    pulse=st.sampled_from([0.1, 0.5]),
    queue=st.integers(4, 6),
    expiry=st.sampled_from([1.5, 60.0]),
)


@given(all_settings, events)
def test_an_open_gate_has_a_proved_good_part_before_it(
    settings: GateSettings, script: list[tuple[str, int, float]]
) -> None:
    gate, belt, now, cycles = Gate(settings), Belt(settings), 100.0, itertools.count(1)
    newest = 0
    for event, which, step in script:
        now += step
        if event == "enter":
            newest = next(cycles)
            overflows = gate.overflows
            gate.entered(newest, now)
            belt.passed.append((newest, now))
            if gate.overflows > overflows:
                belt.doubts.append(now)
        elif event in ("good", "bad") and newest - which > 0:
            cycle = newest - which
            gate.decided(cycle, event == "good", now)
            if cycle not in belt.outcomes and event == "good":
                belt.proved[cycle] = now
            belt.outcomes.add(cycle)
        elif event == "doubt":
            gate.doubt()
            belt.doubts.append(now)
        elif event == "refused":
            gate.uninspected(now)
            if settings.after_parts:
                belt.doubts.append(now)
            else:
                belt.passed.append((None, now))
        if gate.open(now):
            there = belt.there(now)
            assert there is not None
            part, entered, at = there
            assert part is not None
            assert part in belt.proved
            assert belt.proved[part] < at
            assert at <= now < at + settings.pulse
            assert at - entered <= settings.expiry
            assert not any(entered <= doubt <= now for doubt in belt.doubts)
        assert gate.waiting <= settings.queue


def test_the_gate_does_open() -> None:
    """The property above would hold for a gate that is welded shut."""
    gate = Gate(GateSettings(delay=0.5, after_parts=1, pulse=0.1))
    gate.entered(1, 0.0)
    gate.decided(1, True, 0.1)
    gate.entered(2, 1.0)
    assert not gate.open(1.2)
    assert gate.open(1.5)
