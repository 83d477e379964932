"""Chunks that cannot be, logins that fail, and how much is told of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.faults import Code
from protocols.opcua.guard import LARGEST_HELLO, LARGEST_OPEN, Framing, frame_size
from protocols.opcua.listener import OF_ALL, OF_ONE, Telling
from protocols.opcua.users import FREE, LONGEST_S, Attempts

LARGEST = 65_535


def _head(kind: bytes, size: int) -> bytes:
    return kind + size.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("kind", "size"),
    [(b"HELF", 32), (b"HELF", LARGEST_HELLO), (b"OPNF", LARGEST_OPEN), (b"MSGC", LARGEST), (b"CLOF", 12)],
)
def test_chunks_that_can_be(kind: bytes, size: int) -> None:
    assert frame_size(_head(kind, size), LARGEST) == size


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        (b"HELF", LARGEST_HELLO + 1),
        (b"OPNF", LARGEST_OPEN + 1),
        (b"MSGF", LARGEST + 1),
        (b"MSGF", 2**32 - 1),
        (b"MSGF", 11),
        (b"HELF", 7),
        (b"OPNC", 100),
        (b"HELA", 32),
        (b"ACKF", 28),
        (b"ERRF", 28),
        (b"MSGX", 100),
        (b"GET ", 100),
    ],
)
def test_chunks_that_cannot_be(kind: bytes, size: int) -> None:
    with pytest.raises(Framing):
        frame_size(_head(kind, size), LARGEST)


@given(st.binary(min_size=8, max_size=8))
def test_no_header_is_taken_for_more_than_the_largest(head: bytes) -> None:
    try:
        size = frame_size(head, LARGEST)
    except Framing:
        return
    assert 8 <= size <= LARGEST


def test_wrong_logins_make_their_own_address_wait_longer_each_time_and_no_other() -> None:
    attempts, now, pauses = Attempts(), 1000.0, []
    for _ in range(20):
        pauses.append(attempts.failed("10.0.0.66", now))
    assert pauses[: int(FREE)] == [0.0] * int(FREE)
    assert pauses[int(FREE) : int(FREE) + 4] == [1.0, 2.0, 4.0, 8.0]
    assert pauses[-1] == LONGEST_S
    assert attempts.waits("10.0.0.66", now + LONGEST_S - 1) == 1.0
    assert attempts.waits("10.0.0.66", now + LONGEST_S) == 0.0
    assert attempts.waits("192.168.3.10", now) == 0.0
    attempts.succeeded("10.0.0.66")
    assert attempts.failed("10.0.0.66", now) == 0.0


def test_addresses_without_number_take_no_memory_without_bound() -> None:
    attempts = Attempts()
    for number in range(5000):
        attempts.failed(str(number), 0.0)
    assert len(attempts._failed) == 1024


def test_each_thing_is_told_once_a_minute_and_nobody_drowns_the_others() -> None:
    told: list[str] = []
    now = [0.0]
    tell = Telling(lambda _, text: told.append(text), "server", lambda: now[0])
    for number in range(1000):
        tell(Code.PEER_REFUSED, "10.0.0.66", f"does {number}")
        tell(Code.PEER_REFUSED, "10.0.0.66", "does the same")
    assert len(told) == OF_ONE
    tell(Code.PEER_REFUSED, "192.168.3.10", "is refused")
    assert told[-1] == "server: client 192.168.3.10 is refused"
    for number in range(1000):
        tell(Code.FRAMING, f"10.0.1.{number}", "sends nonsense")
    assert len(told) == OF_ONE + 1 + OF_ALL
    now[0] = 61.0
    tell(Code.PEER_REFUSED, "10.0.0.66", "does the same")
    assert told[-1].endswith("does the same")
    assert tell.silent > 1900
