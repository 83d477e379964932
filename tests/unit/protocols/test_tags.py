"""Tags: bytes written by hand, what is good, and what is never written."""

from __future__ import annotations

import math

import pytest

from protocols.codec import StringOrder, WordOrder
from protocols.faults import Code
from protocols.tags import NOT_READ, Quality, Tag, TagError, TagValue, Value, changed

# By hand: 123.456 = 16#42F6E979 (IEEE 754 single), -2.5 = 16#C004 0000 0000 0000 (double).
GOLDEN: list[tuple[str, WordOrder, str, Value]] = [
    ("uint16", WordOrder.ABCD, "1234", 0x1234),
    ("uint16", WordOrder.DCBA, "1234", 0x1234),  # one word is big-endian whatever the order
    ("int16", WordOrder.ABCD, "fffe", -2),
    ("int16", WordOrder.CDAB, "8000", -32768),
    ("uint32", WordOrder.ABCD, "12345678", 0x12345678),
    ("uint32", WordOrder.CDAB, "56781234", 0x12345678),
    ("uint32", WordOrder.BADC, "34127856", 0x12345678),
    ("uint32", WordOrder.DCBA, "78563412", 0x12345678),
    ("int32", WordOrder.CDAB, "fffeffff", -2),
    ("float32", WordOrder.ABCD, "42f6e979", 123.456),
    ("float32", WordOrder.CDAB, "e97942f6", 123.456),
    ("float32", WordOrder.BADC, "f64279e9", 123.456),
    ("float32", WordOrder.DCBA, "79e9f642", 123.456),
    ("uint64", WordOrder.ABCD, "0123456789abcdef", 0x0123456789ABCDEF),
    ("uint64", WordOrder.CDAB, "cdef89ab45670123", 0x0123456789ABCDEF),
    ("uint64", WordOrder.BADC, "23016745ab89efcd", 0x0123456789ABCDEF),
    ("uint64", WordOrder.DCBA, "efcdab8967452301", 0x0123456789ABCDEF),
    ("int64", WordOrder.CDAB, "fffdffffffffffff", -3),
    ("float64", WordOrder.ABCD, "c004000000000000", -2.5),
    ("float64", WordOrder.CDAB, "000000000000c004", -2.5),
    ("float64", WordOrder.BADC, "04c0000000000000", -2.5),
    ("float64", WordOrder.DCBA, "00000000000004c0", -2.5),
    ("bool", WordOrder.ABCD, "0001", True),
    ("bool", WordOrder.ABCD, "0000", False),
]


@pytest.mark.parametrize(("kind", "order", "wire", "value"), GOLDEN)
def test_every_type_in_every_order(kind: str, order: WordOrder, wire: str, value: Value) -> None:
    tag = Tag("t", kind, word_order=order)
    assert tag.decode(bytes.fromhex(wire)) == pytest.approx(value, rel=1e-6)
    assert tag.encode(value).hex() == wire
    assert tag.words == len(wire) // 4


@pytest.mark.parametrize(
    ("order", "wire"), [(StringOrder.BIG, "503731322d420000"), (StringOrder.LITTLE, "37503231422d0000")]
)
def test_text_in_both_orders(order: StringOrder, wire: str) -> None:
    tag = Tag("t", "string[7]", string_order=order)
    assert tag.decode(bytes.fromhex(wire)) == "P712-B"
    assert tag.encode("P712-B").hex() == wire
    assert (tag.words, tag.length) == (4, 7)


def test_text_ends_at_nul_and_loses_blanks_and_foreign_bytes() -> None:
    tag = Tag("t", "string[8]")
    assert tag.decode(b"AB  \0XYZ") == "AB"
    assert tag.decode(b"\xffABCDEFG") == "\ufffdABCDEFG"
    assert Tag("t", "string[3]").decode(b"ABCD") == "ABC"


def test_a_bit_of_a_word() -> None:
    assert [Tag("t", "bool", bit=bit).decode(b"\x80\x01") for bit in (0, 1, 15)] == [True, False, True]


def test_scale_and_offset_both_ways() -> None:
    tag = Tag("t", "int16", scale=0.1, offset=-40)
    assert tag.decode(bytes.fromhex("028a")) == pytest.approx(25.0)
    assert tag.encode(25.0).hex() == "028a"
    assert tag.encode(25.04).hex() == "028a"
    assert isinstance(Tag("t", "int16").decode(b"\0\1"), int)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (Tag("t", "uint16"), 65536),
        (Tag("t", "uint16"), -1),
        (Tag("t", "int16"), 32768),
        (Tag("t", "uint16"), 1.5),
        (Tag("t", "uint16"), "1"),
        (Tag("t", "uint16"), math.nan),
        (Tag("t", "int32", scale=0.001), 1e9),
        (Tag("t", "float32"), 1e39),
        (Tag("t", "float32"), math.inf),
        (Tag("t", "bool"), 2),
        (Tag("t", "string[3]"), "ABCD"),
        (Tag("t", "string[3]"), "ß"),
        (Tag("t", "string[3]"), 5),
    ],
)
def test_what_does_not_fit_is_refused_not_wrapped(tag: Tag, value: Value) -> None:
    with pytest.raises(TagError, match="does not fit"):
        tag.encode(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_bad(value: float) -> None:
    reading = Tag("t", "float32").reading(value, 5.0, 1e9)
    assert (reading.quality, reading.value, reading.code) == (Quality.BAD, None, Code.TAG_DOUBTFUL)
    assert "no number" in reading.reason


@pytest.mark.parametrize(("value", "quality"), [(0, "good"), (100, "good"), (100.5, "uncertain"), (-1, "uncertain")])
def test_outside_the_range_is_uncertain(value: float, quality: str) -> None:
    reading = Tag("t", "float32", low=0, high=100).reading(value, 5.0, 1e9)
    assert reading.quality == quality
    assert reading.value == value
    assert bool(reading.reason) == (quality != "good")


def test_an_old_value_is_uncertain_and_says_how_old() -> None:
    reading = Tag("t", max_age=0.3).reading(7, 10.0, 1e9)
    assert reading.seen(10.25).quality is Quality.GOOD
    old = reading.seen(11.0)
    assert (old.quality, old.value, old.code) == (Quality.UNCERTAIN, 7, Code.TAG_DOUBTFUL)
    assert old.reason == "1 s old, at most 0.3 s are allowed"
    assert old.age(11.0) == pytest.approx(1.0)


def test_old_or_not_bad_stays_bad_with_its_reason() -> None:
    bad = Tag("t", max_age=0.3).failed(Code.LINK_LOST, "unplugged", 10.0, 1e9)
    assert bad.seen(99.0) is bad
    assert NOT_READ.seen(0.0).quality is Quality.BAD


def test_deadband_is_of_numbers_only() -> None:
    assert not changed(10.0, 10.5, 0.5)
    assert changed(10.0, 10.6, 0.5)
    assert changed("a", "b", 5)
    assert changed(True, False, 5)
    assert not changed(3, 3, 0)


def test_the_default_value_is_nothing_to_trust() -> None:
    assert TagValue().quality is Quality.BAD
    assert TagValue().value is None
