"""Functions 17 and 43/14; the expected bytes are written by hand from the specification (§6.13, §6.21)."""

import pytest

from protocols.modbus.identification import identity, read_device_id, report_server_id
from protocols.modbus.requests import ExceptionCode, RefusedError

OBJECTS = {0: b"Maker", 1: b"Thing", 2: b"1.0", 4: b"Name"}
BASIC = bytes.fromhex("00 05") + b"Maker" + bytes.fromhex("01 05") + b"Thing" + bytes.fromhex("02 03") + b"1.0"
REGULAR = BASIC + bytes.fromhex("04 04") + b"Name"


def ask(code: int, first: int, objects: dict[int, bytes] | None = None) -> bytes:
    return read_device_id(bytes((0x2B, 0x0E, code, first)), OBJECTS if objects is None else objects)


def test_the_server_id_is_the_unit_and_it_runs() -> None:
    assert report_server_id(b"\x11", 7) == bytes.fromhex("11 02 07 FF")


@pytest.mark.parametrize(
    ("code", "first", "answer"),
    [
        (1, 0, bytes.fromhex("2B 0E 01 82 00 00 03") + BASIC),
        (1, 2, bytes.fromhex("2B 0E 01 82 00 00 01 02 03") + b"1.0"),
        (2, 0, bytes.fromhex("2B 0E 02 82 00 00 04") + REGULAR),
        (3, 0, bytes.fromhex("2B 0E 03 82 00 00 04") + REGULAR),
        (2, 4, bytes.fromhex("2B 0E 02 82 00 00 01 04 04") + b"Name"),
        (1, 4, bytes.fromhex("2B 0E 01 82 00 00 03") + BASIC),  # no basic object: from the first one
        (2, 3, bytes.fromhex("2B 0E 02 82 00 00 04") + REGULAR),
        (3, 0x80, bytes.fromhex("2B 0E 03 82 00 00 04") + REGULAR),
        (4, 1, bytes.fromhex("2B 0E 04 82 00 00 01 01 05") + b"Thing"),
        (4, 4, bytes.fromhex("2B 0E 04 82 00 00 01 04 04") + b"Name"),
    ],
)
def test_streams_and_single_objects(code: int, first: int, answer: bytes) -> None:
    assert ask(code, first) == answer


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("2B", 3), ("2B 0D 01 00", 1), ("2B 00", 1), ("2B 0F 01 00 00", 1), ("2B 0E", 3), ("2B 0E 01", 3),
        ("2B 0E 01 00 00", 3), ("2B 0E 00 00", 3), ("2B 0E 05 00", 3), ("2B 0E FF 00", 3),
        ("2B 0E 04 03", 2), ("2B 0E 04 80", 2), ("2B 0E 04 FF", 2),
    ],
)  # fmt: skip
def test_refusals(pdu: str, code: int) -> None:
    with pytest.raises(RefusedError) as caught:
        read_device_id(bytes.fromhex(pdu), OBJECTS)
    assert caught.value.code is ExceptionCode(code)


def test_what_does_not_fit_one_answer_follows_in_the_next() -> None:
    objects = {number: bytes((65 + number,)) * 100 for number in range(7)}
    seen: dict[int, bytes] = {}
    first, rounds = 0, 0
    while True:
        answer = ask(2, first, objects)
        assert len(answer) <= 253
        more, following, count = answer[4:7]
        rest = answer[7:]
        for _ in range(count):
            seen[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
        assert not rest
        rounds += 1
        if not more:
            assert following == 0
            break
        assert more == 0xFF
        assert following > first
        first = following
    assert seen == objects
    assert rounds == 4


def test_the_largest_object_fits() -> None:
    objects = {0: b"x" * 244, 1: b"y"}
    assert len(ask(1, 0, objects)) == 253
    assert ask(1, 0, objects)[4:7] == bytes((0xFF, 1, 1))


def test_this_product_names_itself() -> None:
    own = identity("1.2.3")
    assert own[2] == b"1.2.3"
    assert list(own) == sorted(own)
    assert all(0 < len(text) <= 244 for text in own.values())
