from __future__ import annotations

import struct

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary
from asyncua.ua.ua_binary import struct_from_binary, variant_from_binary, variant_to_binary
from asyncua.ua.uaerrors import UaError

from protocols.opcua import decoding

HUGE, MANY = 2**31 - 1, 200_000
ARRAY, MATRIX = 0x80, 0xC0
NULL, BYTE, STRING, VARIANT = 0, 3, 12, 24

pytestmark = pytest.mark.timeout(20)


@pytest.fixture(autouse=True)
def bounded() -> None:
    decoding.install()


def number(value: int) -> bytes:
    return struct.pack("<i", value)


BOMBS = {
    "an array of nothings": bytes([ARRAY | NULL]) + number(HUGE),
    "strings that are read backwards": bytes([ARRAY | STRING]) + number(HUGE) + number(-4),
    "dimensions of more than there is": bytes([MATRIX | BYTE]) + number(1) + b"\1" + number(1) + number(1_000_000),
    "dimensions below zero": bytes([MATRIX | BYTE]) + number(1) + b"\1" + number(2) + number(-1) + number(-1),
    "a dimension too many": bytes([MATRIX | BYTE]) + number(1) + b"\1" + number(9) + number(1) * 9,
    "more pieces than anybody needs": bytes([ARRAY | VARIANT]) + number(MANY) + bytes(MANY),
    "the same, in parts": (bytes([ARRAY | VARIANT]) + number(50)) + (bytes([ARRAY | NULL]) + number(10_000)) * 50,
    "rows without end": bytes([MATRIX | BYTE])
    + number(200_000)
    + bytes(200_000)
    + number(2)
    + number(200_000)
    + number(1),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_length_that_cannot_be_is_refused_at_once(bomb: str) -> None:
    with pytest.raises(UaError):
        variant_from_binary(Buffer(BOMBS[bomb]))


def test_the_parts_of_a_message_have_one_allowance() -> None:
    literal = bytes([ARRAY | NULL]) + number(30_000)
    operand = struct.pack("<BBH", 1, 0, 597) + b"\1" + number(len(literal)) + literal  # LiteralOperand
    element = number(ua.FilterOperator.Or) + number(5) + operand * 5
    with pytest.raises(decoding.TooMuchError):
        struct_from_binary(ua.ContentFilter, Buffer(number(1) + element))


def test_a_part_cannot_be_read_beyond_its_end_nor_before_its_beginning() -> None:
    part = Buffer(b"abcdef", 2).copy(2)
    for size in (-1, 3):
        with pytest.raises(UaError):
            part.read(size)
        with pytest.raises(UaError):
            part.skip(size)
    assert part.read(2) == b"cd"


@pytest.mark.parametrize(
    "value",
    [
        ua.Variant([[1, 2, 3], [4, 5, 6]], ua.VariantType.Int32),
        ua.Variant([], ua.VariantType.String, is_array=True),
        ua.Variant(["a", None, ""], ua.VariantType.String),
        ua.Variant(list(range(50_000)), ua.VariantType.UInt32),
        ua.Variant([ua.Variant(1.5), ua.Variant("x"), ua.Variant(None)], ua.VariantType.Variant),
        ua.Variant(bytes(1_000_000), ua.VariantType.ByteString),
    ],
    ids=["matrix", "empty", "texts", "numbers", "variants", "bytes"],
)
def test_what_can_be_is_read_as_ever(value: ua.Variant) -> None:
    if value.Value and isinstance(value.Value[0], list):
        value.Dimensions = [ua.Int32(2), ua.Int32(3)]
    again = variant_from_binary(Buffer(variant_to_binary(value)))
    assert (again.Value, again.VariantType) == (value.Value, value.VariantType)


def test_it_is_installed_once() -> None:
    decode = ua_binary._create_uatype_array_deserializer
    decoding.install()
    assert ua_binary._create_uatype_array_deserializer is decode
