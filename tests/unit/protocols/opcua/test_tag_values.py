"""Values of an OPC UA server as tags and back: nothing is cut, wrapped, rounded or guessed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.opcua.tag_values import INTEGERS, Conversion, ValueMismatchError, exact, same
from protocols.tags import Tag, TagError, Value

MODES = {0: "manual", 1: "mdi"}


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("uint32", 7, 7),
        ("uint32", 7.0, 7),  # an R-parameter is a Double
        ("int16", -5, -5),
        ("float64", 3, 3.0),
        ("float32", 1.5, 1.5),
        ("bool", True, True),
        ("bool", 2, True),
        ("bool", 0, False),
        ("string[8]", "P12", "P12"),
        ("string[8]", ["N10", "N20"], "N10"),
        ("string[8]", [], ""),
        ("string[8]", 42, "42"),
        ("uint16", [5], 5),
    ],
)
def test_what_a_node_shows(kind: str, raw: Any, value: Value) -> None:
    assert Conversion(Tag("x", kind)).value(raw) == (value, "")


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("uint32", 7.5),
        ("uint32", -1),
        ("uint16", 65536),
        ("int16", 32768),
        ("uint32", math.nan),
        ("uint32", math.inf),
        ("uint32", "7"),
        ("float64", True),
        ("float64", "x"),
        ("float64", [1.0, 2.0]),
        ("bool", "true"),
        ("string[8]", b"raw"),
        ("string[8]", object()),
    ],
)
def test_what_is_not_what_the_tag_says_is_no_value(kind: str, raw: Any) -> None:
    with pytest.raises(ValueMismatchError):
        Conversion(Tag("x", kind)).value(raw)


def test_numbers_as_words_and_an_unknown_one_is_doubtful() -> None:
    mode = Conversion(Tag("x", "string[32]"), MODES)
    assert mode.value(1) == ("mdi", "")
    value, doubt = mode.value(9)
    assert value == "9"
    assert "none of the known states" in doubt


def test_a_text_that_is_too_long_is_doubtful_as_it_could_name_another_part() -> None:
    value, doubt = Conversion(Tag("x", "string[3]")).value("A1234")
    assert value == "A12"
    assert "cut" in doubt


def test_lists_by_place_or_by_what_they_hold() -> None:
    assert Conversion(Tag("x", "uint32"), index=1).value([5, 6]) == (6, "")
    with pytest.raises(ValueMismatchError, match="none at index 2"):
        Conversion(Tag("x", "uint32"), index=2).value([5, 6])
    has = Conversion(Tag("x", "bool"), has=77)
    assert [has.value(raw)[0] for raw in ([5, 77], [5], [], None)] == [True, False, False, False]
    with pytest.raises(ValueMismatchError):
        has.value(77)


def test_scale_and_offset_both_ways() -> None:
    tag = Tag("x", "float64", scale=0.1, offset=5)
    assert Conversion(tag).value(100) == (15.0, "")
    assert exact(tag, 15.0, "Int16") == 100


@pytest.mark.parametrize("wire", [*INTEGERS, "Float", "Double", "Boolean", "String"])
@given(value=st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.text(max_size=5)))
def test_what_is_written_is_exactly_the_value_in_the_node_s_type_or_nothing(wire: str, value: Value) -> None:
    try:
        sent = exact(Tag("x", "string[5]" if isinstance(value, str) else "float64"), value, wire)
    except TagError:
        return
    if wire in INTEGERS:
        assert type(sent) is int
        assert sent == value
        low, high = INTEGERS[wire]
        assert low <= sent <= high
    elif wire == "Boolean":
        assert type(sent) is bool
        assert sent == value
    elif wire == "String":
        assert sent == value
    else:
        assert type(sent) is float
        assert math.isfinite(sent)
        assert sent == float(value)


@pytest.mark.parametrize("wire", ["ByteString", "NodeId", "ExtensionObject", "DateTime"])
def test_what_is_no_plain_value_is_not_written(wire: str) -> None:
    with pytest.raises(TagError, match="no plain value"):
        exact(Tag("x", "float64"), 1, wire)


def test_a_value_counts_as_written_only_when_it_is_shown() -> None:
    assert same(5.0, 5.0, "Double")
    assert same(0.1, 0.10000000149011612, "Float")
    assert not same(0.1, 0.10000000149011612, "Double")
    assert not same(5, None, "Int32")
    assert not same(5, [5], "Int32")
    assert not same("5", 5, "String")
