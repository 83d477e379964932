import pytest

from simulators.faults import Conditions, Direction, Lane, Weather, When, parse, parse_script

DATA = bytes(range(100))


def lane(*, seed: int = 0, **conditions: float) -> Lane:
    return Lane(Weather(Conditions(**conditions)), seed)


def test_a_good_wire_passes_all_at_once() -> None:
    assert lane().carry(DATA, 5.0) == [(5.0, DATA, False)]


def test_a_delay_varies_within_its_bounds_and_the_order_stays() -> None:
    line = lane(delay=0.05, jitter=0.02)
    pieces = [piece for n in range(200) for piece in line.carry(bytes([n]), n / 1000)]
    assert bytes(piece.data[0] for piece in pieces) == bytes(range(200))
    dues = [piece.due for piece in pieces]
    assert dues == sorted(dues)
    late = [due - n / 1000 for n, due in enumerate(dues)]
    assert min(late) >= 0.03 - 1e-9
    assert max(late) <= 0.07 + 1e-9
    assert max(late) - min(late) > 0.01


def test_split_makes_each_byte_a_segment() -> None:
    assert [piece.data for piece in lane(split=1).carry(b"abc", 0.0)] == [b"a", b"b", b"c"]


def test_what_comes_within_the_window_leaves_together() -> None:
    line = lane(merge=0.02)
    first, second, later = (line.carry(b"x", at)[0] for at in (0.101, 0.119, 0.121))
    assert first.due == second.due == pytest.approx(0.12)
    assert later.due == pytest.approx(0.14)
    assert first.joins


def test_a_throttled_line_lets_so_many_bytes_a_second_through() -> None:
    pieces = lane(throttle=1000).carry(DATA, 0.0)
    assert b"".join(piece.data for piece in pieces) == DATA
    assert pieces[-1].due == pytest.approx(0.1)
    assert len(pieces) == 5


def test_bits_are_turned_with_the_given_probability_and_the_same_seed_turns_the_same() -> None:
    one, same, other = lane(flip=0.1, seed=1), lane(flip=0.1, seed=1), lane(flip=0.1, seed=2)
    zeros = bytes(1000)
    ((_, spoilt, _),) = one.carry(zeros, 0.0)
    assert same.carry(zeros, 0.0)[0].data == spoilt
    assert other.carry(zeros, 0.0)[0].data != spoilt
    assert sum(byte.bit_count() for byte in spoilt) == one.flipped
    assert 50 < one.flipped < 200
    assert max(byte.bit_count() for byte in spoilt) == 1


def test_what_strikes_once_is_spent() -> None:
    weather = Weather()
    line = Lane(weather)
    weather.once["delay"] = 0.5
    assert [line.carry(b"x", 1.0)[0].due, line.carry(b"y", 2.0)[0].due] == [1.5, 2.0]


@pytest.mark.parametrize(
    ("text", "when", "moment", "what", "values"),
    [
        ("at 3s rst", When.AT, 3.0, "rst", {}),
        ("after 5 connections drop", When.AFTER, 5, "drop", {}),
        ("every 200 ms delay 50±20 ms", When.EVERY, 0.2, "delay", {"delay": 0.05, "jitter": 0.02}),
        ("every 200ms delay 50+-20ms", When.EVERY, 0.2, "delay", {"delay": 0.05, "jitter": 0.02}),
        ("always split", When.AT, 0.0, "split", {"split": 1.0}),
        ("at 0.5 s merge 20 ms", When.AT, 0.5, "merge", {"merge": 0.02}),
        ("always flip 0.1 %", When.AT, 0.0, "flip", {"flip": 0.001}),
        ("at 1s throttle 100 B/s", When.AT, 1.0, "throttle", {"throttle": 100.0}),
        ("after 1 connection fin", When.AFTER, 1, "fin", {}),
    ],
)
def test_a_line_of_a_script(text: str, when: When, moment: float, what: str, values: dict[str, float]) -> None:
    fault = parse(text)
    assert (fault.when, fault.moment, fault.what) == (when, moment, what)
    assert dict(fault.values) == pytest.approx(values)
    assert (fault.direction, fault.lasts) == (None, None)


def test_a_fault_may_last_and_concern_one_direction() -> None:
    fault = parse("at 2s delay 1 s for 500 ms down")
    assert (fault.lasts, fault.direction) == (0.5, Direction.DOWN)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rst", "write for example"),
        ("at 3 rst", "write for example"),
        ("at 3s explode", "no fault is called explode"),
        ("always delay", "how much"),
        ("always flip 3", "how much"),
        ("at 1s rst for 2s", "takes no 'for'"),
        ("at 1s fin up", "both directions"),
        ("every 0 ms fin", "more than 0"),
        ("every 1s refuse", "for how long"),
        ("at 1s drop 5", "takes no amount"),
        ("at 1.2.3s rst", "no number"),
    ],
)
def test_a_line_that_means_nothing_is_told_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse(text)


def test_a_script_may_be_a_list_with_remarks() -> None:
    script = parse_script(["# a bad day", "", "- at 1s fin  # once", "always split up"])
    assert [(fault.what, fault.direction) for fault in script] == [("fin", None), ("split", Direction.UP)]
    with pytest.raises(ValueError, match="line 2"):
        parse_script(["always split", "never"])
