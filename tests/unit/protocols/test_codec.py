"""Golden images are written by hand: a codec that is wrong in both directions would agree with itself."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.codec import Codec, StringOrder, WordOrder
from protocols.modbus.registers import FIELDS, OUTPUT_WORDS, Block, Field, Type
from protocols.signals import VALUES, Command, Judgement, Result, Status

ORDERS = list(WordOrder)
STRINGS = list(StringOrder)

RESULT = Result(
    result_seq=0x0102,
    trigger_seq=0x0304,
    part_id=0x05060708,
    judgement=Judgement.OK,
    bits=0x0101,
    reason=0x0A0B,
    findings=2,
    score=0.5,
    recipe=7,
    model_crc=0xBEEF,
    total=1234,
    grab=100,
    infer=200,
    time_s=0x6543210F,
    time_ms=999,
    values=(1.0, -2.5, 123.456, *(math.nan,) * 10),
)
#            seq  trig part_id   judg bits reas find score     recp crc  tot  grab inf  --   time_s    ms   --
#            value 0   value 1   value 2
RESULT_IMAGES = {
    "ABCD": "0102 0304 0506 0708 0001 0101 0A0B 0002 3F00 0000 0007 BEEF 04D2 0064 00C8 0000 6543 210F 03E7 0000"
    "3F80 0000 C020 0000 42F6 E979" + "7FC0 0000" * 10 + "0000 0102",
    "CDAB": "0102 0304 0708 0506 0001 0101 0A0B 0002 0000 3F00 0007 BEEF 04D2 0064 00C8 0000 210F 6543 03E7 0000"
    "0000 3F80 0000 C020 E979 42F6" + "0000 7FC0" * 10 + "0000 0102",
    "BADC": "0102 0304 0605 0807 0001 0101 0A0B 0002 003F 0000 0007 BEEF 04D2 0064 00C8 0000 4365 0F21 03E7 0000"
    "803F 0000 20C0 0000 F642 79E9" + "C07F 0000" * 10 + "0000 0102",
    "DCBA": "0102 0304 0807 0605 0001 0101 0A0B 0002 0000 003F 0007 BEEF 04D2 0064 00C8 0000 0F21 4365 03E7 0000"
    "0000 803F 0000 20C0 79E9 F642" + "0000 C07F" * 10 + "0000 0102",
}
COMMAND = Command(3, 0x0102, 0x0304, 0x0506, 1, 2, 9, 0x0A0B0C0D, (0x11, 0x22, 0x33, 0x44, 0x55, 0x66), "AB12-3")
COMMAND_HEAD = "0003 0102 0304 0506 0001 0002 0009 0000"
COMMAND_PART = {"ABCD": "0A0B 0C0D", "CDAB": "0C0D 0A0B", "BADC": "0B0A 0D0C", "DCBA": "0D0C 0B0A"}
COMMAND_USER = "0011 0022 0033 0044 0055 0066"
COMMAND_TEXT = {"big": "4142 3132 2D33", "little": "4241 3231 332D"}
SIGNATURE = {
    "ABCD": "1234 1234 5678 42F6 E979",
    "CDAB": "1234 5678 1234 E979 42F6",
    "BADC": "1234 3412 7856 F642 79E9",
    "DCBA": "1234 7856 3412 79E9 F642",
}
SIGNATURE_TEXT = {"big": "4142 4344 4546 4748", "little": "4241 4443 4645 4847"}

uints = st.integers(0, 0xFFFF)
udints = st.integers(0, 0xFFFF_FFFF)
reals = st.floats(width=32)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("strings", STRINGS)
def test_result_image(order: WordOrder, strings: StringOrder) -> None:
    codec = Codec(order, strings)
    image = bytes.fromhex(RESULT_IMAGES[order])
    assert codec.encode_result(RESULT) == image
    decoded = codec.decode_result(image)
    assert decoded is not None
    assert repr(decoded.values[:2]) == "(1.0, -2.5)"
    assert decoded.part_id == 0x05060708
    assert codec.encode_result(decoded) == image


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("strings", STRINGS)
def test_command_image(order: WordOrder, strings: StringOrder) -> None:
    codec = Codec(order, strings)
    text = COMMAND_HEAD + COMMAND_PART[order] + COMMAND_USER + COMMAND_TEXT[strings] + "0000" * 13
    image = bytes.fromhex(text)
    assert codec.decode_command(image) == COMMAND
    assert codec.encode_command(COMMAND) == image


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("strings", STRINGS)
def test_signature_image(order: WordOrder, strings: StringOrder) -> None:
    image = bytes.fromhex(SIGNATURE[order] + SIGNATURE_TEXT[strings] + "0000")
    assert Codec(order, strings).encode_signature() == image


@pytest.mark.parametrize("order", ORDERS)
def test_status_image_does_not_depend_on_the_word_order(order: WordOrder) -> None:
    status = Status(0x8003, 0xFFFF, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 1)
    image = bytes.fromhex("8003 FFFF 0003 0004 0005 0006 0007 0008 0009 000A 000B 000C 000D 000E 000F 0001")
    assert Codec(order).encode_status(status) == image
    assert Codec(order).decode_status(image) == status


def test_every_field_stands_where_the_map_says() -> None:
    """One field at a time is set to ones; only its words may change."""
    codec = Codec()
    zero = codec.encode_status(Status(map_version=0)) + codec.encode_result(Result(values=(0.0,) * VALUES))
    for field in FIELDS:
        if field.block in (Block.STATUS, Block.RESULT) and field.name != "RESULT_SEQ_COPY":
            image = _with(codec, field)
            changed = {n // 2 for n in range(2 * OUTPUT_WORDS) if image[n] != zero[n]}
            expected = {field.word + n for n in range(field.words)} | ({63} if field.name == "RESULT_SEQ" else set())
            assert changed == expected, field.name


def _with(codec: Codec, field: Field) -> bytes:
    """The image with ones in one field; the REAL is 16#BF800001, so that both its words differ from zero."""
    value: Any = {Type.REAL: -1.0000001192092896, Type.UDINT: 0xFFFF_FFFF}.get(field.type, 0xFFFF)
    name = {"STATUS": "bits", "RESULT_BITS": "bits"}.get(field.name, field.name.lower())
    status, result = Status(map_version=0), Result(values=(0.0,) * VALUES)
    if field.name.startswith("VALUE_"):
        number = int(field.name.removeprefix("VALUE_"))
        result = replace(result, values=tuple(value if n == number else 0.0 for n in range(VALUES)))
    elif field.block is Block.STATUS:
        status = replace(status, **{name: value})
    else:
        result = replace(result, **{name: value})
    return codec.encode_status(status) + codec.encode_result(result)


@pytest.mark.parametrize("order", ORDERS)
def test_a_torn_block_is_no_result(order: WordOrder) -> None:
    image = bytearray(bytes.fromhex(RESULT_IMAGES[order]))
    image[-1] ^= 1
    assert Codec(order).decode_result(bytes(image)) is None


@pytest.mark.parametrize("judgement", [257, 65537, -65535])
def test_no_overflow_becomes_ok(judgement: int) -> None:
    decoded = Codec().decode_result(Codec().encode_result(replace(RESULT, judgement=judgement)))
    assert decoded is not None
    assert decoded.judgement != Judgement.OK


def test_numbers_that_do_not_fit_are_shown_as_the_nearest() -> None:
    codec = Codec()
    assert codec.decode_status(codec.encode_status(Status(missed=70000, lost=-1))).missed == 0xFFFF
    wide = replace(RESULT, score=1e300, part_id=1 << 40, values=(-1e300, 2.0))
    decoded = codec.decode_result(codec.encode_result(wide))
    assert decoded is not None
    assert (decoded.score, decoded.part_id) == (math.inf, 0xFFFF_FFFF)
    assert decoded.values[:2] == (-math.inf, 2.0)
    assert all(map(math.isnan, decoded.values[2:]))
    assert len(decoded.values) == VALUES


@pytest.mark.parametrize(
    ("raw", "serial"),
    [
        (b"", ""),
        (b"ABC", "ABC"),
        (b"ABC   ", "ABC"),
        (b"AB\0CD", "AB"),
        (b"\0CD", ""),
        (b"A\xff\x80", "A\ufffd\ufffd"),
        (b"x" * 32, "x" * 32),
    ],
)
def test_serial(raw: bytes, serial: str) -> None:
    assert Codec().decode_command(bytes(32) + raw.ljust(32, b"\0")).serial == serial


def test_a_long_or_foreign_serial_is_cut_and_marked() -> None:
    block = Codec().encode_command(Command(serial="é" + "x" * 40))
    assert block[32:] == b"?" + b"x" * 31


@given(st.binary(min_size=64, max_size=64), st.sampled_from(ORDERS), st.sampled_from(STRINGS))
def test_any_command_block_decodes(block: bytes, order: WordOrder, strings: StringOrder) -> None:
    assert len(Codec(order, strings).decode_command(block).user) == 6


@given(
    st.builds(
        Command,
        *(uints,) * 7,
        udints,
        st.tuples(*(uints,) * 6),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=32),
    ),
    st.sampled_from(ORDERS),
    st.sampled_from(STRINGS),
)
def test_commands_survive(command: Command, order: WordOrder, strings: StringOrder) -> None:
    codec = Codec(order, strings)
    assert codec.decode_command(codec.encode_command(command)) == command


@given(st.tuples(*(reals,) * VALUES), st.sampled_from(ORDERS))
def test_values_survive(values: tuple[float, ...], order: WordOrder) -> None:
    codec = Codec(order)
    decoded = codec.decode_result(codec.encode_result(replace(RESULT, values=values)))
    assert decoded is not None
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(decoded.values, values, strict=True))
