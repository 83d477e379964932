"""Frames that are repeated, out of order or older than their trigger, and cameras whose clock jumps: told apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.vision.cameras.arrivals import Refusal, Seen, Sieve, Stamp
from protocols.faults import Code


def code(refusal: Refusal | None) -> Code:
    return Code.NONE if refusal is None else refusal.code


def numbered(sieve: Sieve, *numbers: int) -> list[Code]:
    return [code(sieve.arrive(Stamp(float(at), number)).refusal) for at, number in enumerate(numbers)]


def timed(sieve: Sieve, *stamps: tuple[float, float]) -> list[Seen]:
    return [sieve.arrive(Stamp(arrived, device_time=device)) for arrived, device in stamps]


def test_new_frames_are_used() -> None:
    sieve = Sieve()
    assert numbered(sieve, 7, 8, 9) == [Code.NONE] * 3
    assert sieve.missed == 0


def test_a04_a_counter_that_stands_is_a_frozen_camera() -> None:
    assert numbered(Sieve(), 7, 7, 7) == [Code.NONE, Code.FRAME_REPEATED, Code.FRAME_REPEATED]


def test_a12_a_frame_that_comes_twice_or_out_of_order_is_used_once() -> None:
    assert numbered(Sieve(), 1, 3, 2, 3, 1, 4) == [
        Code.NONE, Code.NONE, Code.FRAME_REPEATED, Code.FRAME_REPEATED, Code.FRAME_REPEATED, Code.NONE,
    ]  # fmt: skip


def test_a_short_counter_that_begins_anew_is_no_repetition() -> None:
    sieve = Sieve()
    assert numbered(sieve, 65534, 65535, 1, 2) == [Code.NONE] * 4
    assert sieve.missed == 0


def test_frames_that_never_came_are_counted() -> None:
    sieve = Sieve()
    numbered(sieve, 1, 2, 6)
    assert sieve.missed == 3


def test_numbers_may_begin_anew_with_the_stream() -> None:
    sieve = Sieve()
    numbered(sieve, 5, 6)
    sieve.restarted()
    assert numbered(sieve, 1, 2) == [Code.NONE, Code.NONE]


def test_a08_a_frame_that_came_before_the_trigger_is_not_used() -> None:
    seen = Sieve().arrive(Stamp(10.0))
    assert code(seen.refused(since=10.0)) is Code.NONE
    refusal = seen.refused(since=10.05)
    assert code(refusal) is Code.FRAME_TIMEOUT
    assert refusal is not None
    assert "50 ms before the trigger" in refusal.text


def test_a08_what_a_frame_is_old_at_its_arrival_counts_as_well() -> None:
    seen = Sieve(latency=0.03).arrive(Stamp(10.02))
    assert code(seen.refused(since=10.0)) is Code.FRAME_TIMEOUT
    assert code(seen.refused(since=9.99)) is Code.NONE


def test_a08_the_camera_s_clock_tells_a_frame_that_was_held_up_on_its_way() -> None:
    seen = timed(Sieve(), (10.0, 500.0), (10.1, 500.1), (10.9, 500.2))
    assert code(seen[2].refused(since=10.5)) is Code.FRAME_TIMEOUT
    assert code(seen[2].refused(since=10.19)) is Code.NONE
    assert not any(one.clock_jumped for one in seen)


def test_a_camera_s_clock_may_be_slow_without_its_frames_being_old() -> None:
    """100 ppm, and an hour between two parts: 0.36 s, which are no age."""
    sieve = Sieve()
    sieve.arrive(Stamp(0.0, device_time=0.0))
    seen = sieve.arrive(Stamp(3600.0, device_time=3600.0 * (1 - 1e-4)))
    assert code(seen.refused(since=3599.9)) is Code.NONE


def test_a13_a_clock_that_jumps_back_is_told_and_the_arrival_counts() -> None:
    seen = timed(Sieve(), (10.0, 500.0), (10.1, 20.0), (10.2, 20.1))
    assert [one.clock_jumped for one in seen] == [False, True, False]
    assert [code(one.refused(since=one.stamp.arrived)) for one in seen] == [Code.NONE] * 3


def test_a13_a_clock_that_jumps_ahead_is_told_and_the_arrival_counts() -> None:
    seen = timed(Sieve(), (10.0, 500.0), (10.1, 900.0), (10.2, 900.1))
    assert [one.clock_jumped for one in seen] == [False, True, False]
    assert [code(one.refused(since=one.stamp.arrived)) for one in seen] == [Code.NONE] * 3


def test_a13_a_small_step_back_looks_like_an_old_frame_until_the_stream_begins_anew() -> None:
    """Nobody can tell the two apart by one frame: the part is a fault, and a restarted stream has no old frames."""
    sieve = Sieve()
    timed(sieve, (10.0, 500.0))
    late = timed(sieve, (12.0, 501.5))[0]
    assert code(late.refused(since=11.9)) is Code.FRAME_TIMEOUT
    sieve.restarted()
    again = timed(sieve, (14.0, 503.5))[0]
    assert code(again.refused(since=13.9)) is Code.NONE
    assert again.clock_jumped


def test_a13_a_step_between_two_streams_is_told() -> None:
    sieve = Sieve()
    timed(sieve, (10.0, 500.0))
    sieve.restarted()
    assert timed(sieve, (11.0, 503.0))[0].clock_jumped


def test_a_repeated_frame_says_nothing_of_the_clock() -> None:
    sieve = Sieve()
    sieve.arrive(Stamp(10.0, 5, 500.0))
    assert not sieve.arrive(Stamp(10.1, 5, 500.0)).clock_jumped
    assert not sieve.arrive(Stamp(10.2, 4, 499.9)).clock_jumped
    assert sieve.jumps == 0


@given(st.lists(st.integers(0, 1000), max_size=40))
def test_a12_whatever_comes_no_frame_is_used_twice(numbers: list[int]) -> None:
    sieve = Sieve()
    used = [n for at, n in enumerate(numbers) if sieve.arrive(Stamp(float(at), n)).refusal is None]
    assert used == sorted(set(used))


seconds = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(st.tuples(seconds, st.none() | seconds), max_size=20), seconds)
def test_a08_whatever_the_clocks_say_no_frame_counts_as_newer_than_its_arrival(
    stamps: list[tuple[float, float | None]], since: float
) -> None:
    sieve = Sieve()
    for arrived, device in sorted(stamps, key=lambda pair: pair[0]):
        seen = sieve.arrive(Stamp(arrived, device_time=device))
        assert seen.exposed <= arrived
        assert seen.refused(since) is not None or arrived >= since
