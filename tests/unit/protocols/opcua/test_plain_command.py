from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.codec import Codec
from protocols.opcua.plain_command import Holder, asks, command_values, fits, not_driving, written
from protocols.opcua.plain_map import DataType
from protocols.signals import BLANK_COMMAND, Command, Control
from protocols.station_view import Seat

UINT = st.integers(0, 0xFFFF)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=32)
COMMANDS = st.builds(
    Command,
    control=UINT,
    trigger_seq=UINT,
    result_ack_seq=UINT,
    plc_heartbeat=UINT,
    command=UINT,
    command_param=UINT,
    command_seq=UINT,
    part_id=st.integers(0, 0xFFFF_FFFF),
    user=st.tuples(*[UINT] * 6),
    serial=TEXT.map(lambda text: text.rstrip(" ")),
)


@given(COMMANDS, COMMANDS, st.randoms())
def test_all_variables_in_any_order_are_the_whole_command(before: Command, after: Command, random: object) -> None:
    writes = [(path, value) for path, value in command_values(after) if path.count(".") == 1]
    random.shuffle(writes)  # type: ignore[attr-defined]
    assert written(before, writes) == after
    assert Codec().decode_command(Codec().encode_command(after)) == after


@given(COMMANDS, st.sampled_from(list(Control)), st.booleans())
def test_a_single_bit_leaves_the_others_alone(before: Command, bit: Control, on: bool) -> None:
    after = written(before, [(f"Command.CONTROL.{bit.name}", on)])
    assert after.control & ~bit == before.control & ~bit
    assert bool(after.control & bit) is on
    assert replace(after, control=before.control) == before


def test_the_last_write_of_a_place_counts() -> None:
    writes: list[tuple[str, object]] = [("Command.CONTROL", 0), ("Command.CONTROL.ENABLE", True)]
    assert written(Command(control=2), writes).control == 1
    assert written(Command(control=2), reversed(writes)).control == 0


@pytest.mark.parametrize("text", ["", "DMX-0042", "x" * 32, "a b"])
def test_text_that_every_carrier_can_bear_fits(text: str) -> None:
    assert fits(DataType.STRING, text)


@pytest.mark.parametrize("text", ["x" * 33, "ä", "a\0b", "a\n", "\x7f", None, 5])
def test_other_text_does_not(text: object) -> None:
    assert not fits(DataType.STRING, text)


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        (Command(), Command(control=1), False),
        (Command(), Command(plc_heartbeat=9, part_id=4), False),
        (Command(trigger_seq=4), Command(trigger_seq=4, plc_heartbeat=1), False),
        (Command(trigger_seq=4), Command(), False),
        (Command(trigger_seq=4), Command(trigger_seq=5), True),
        (Command(), Command(command_seq=1), True),
        (Command(), Command(control=Control.TRIGGER), True),
        (Command(), Command(control=Control.EXECUTE), True),
        (Command(), Command(control=Control.ABORT), True),
        (Command(control=Control.TRIGGER), Command(control=Control.TRIGGER | 1), False),
        (Command(control=Control.TRIGGER), Command(), False),
    ],
)
def test_what_asks_the_station_for_work(before: Command, after: Command, asked: bool) -> None:
    assert asks(before, after) is asked


def test_who_drives_is_another_only_when_it_is_known() -> None:
    assert not not_driving(None, Seat.VARIABLES)
    assert not not_driving(Seat.VARIABLES, Seat.VARIABLES)
    assert not_driving(Seat.LINK, Seat.VARIABLES)


def held(at: float = 0.0, user: str = "plc") -> Holder:
    holder = Holder(5.0)
    assert holder.may("one", user, at, enabled=False)
    assert holder.take("one", user, at)
    return holder


def test_the_first_session_to_write_holds_command() -> None:
    holder = held()
    assert holder.may("one", "plc", 1.0, enabled=True)
    assert not holder.take("one", "plc", 1.0)
    assert not holder.may("two", "plc", 5.9, enabled=False)
    assert not holder.may("two", "other", 5.9, enabled=True)


def test_a_silent_session_that_enabled_nothing_gives_way() -> None:
    assert held().may("two", "other", 5.1, enabled=False)


def test_a_silent_session_that_enabled_the_station_gives_way_to_its_own_user_alone() -> None:
    assert not held().may("two", "other", 1e9, enabled=True)
    assert held().may("two", "plc", 5.1, enabled=True)
    assert not held().may("two", "plc", 4.9, enabled=True)
    assert not held(user="").may("two", "", 1e9, enabled=True)  # nobody in particular is not the same person


def test_a_session_that_ends_lets_go() -> None:
    holder = held()
    assert not holder.left("two")
    assert holder.left("one")
    assert not holder.left("one")
    assert holder.may("two", "other", 0.1, enabled=True)
    assert not Holder().left("")


def test_the_blank_command_shows_as_zeros() -> None:
    assert {value for _, value in command_values(BLANK_COMMAND)} == {0, ""}
