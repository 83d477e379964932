"""The messages between control process and carrier: both ways, and nonsense."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.opcua import wire
from protocols.faults import Code
from protocols.link import LinkState
from protocols.signals import Command
from protocols.station_view import RecipeFacts, Seat, StationFacts
from protocols.tags import Quality, TagValue

FACTS = StationFacts(
    "cell1",
    (RecipeFacts(3, "plate", 2, "Ä", b"\x00\xff" * 16, ("width",), ("burr",), ((101, "scratch"), (102, "dent"))),),
    boot_id=7,
    config_crc=99,
)
FULL = Command(3, 65535, 2, 3, 1, 5, 6, 4_294_967_295, (1, 2, 3, 4, 5, 6), "A-17 x")
GOOD = TagValue(12.5, Quality.GOOD, Code.NONE, "", 100.25, 1.8e9, 2.0)
BAD = TagValue(None, Quality.BAD, Code.LINK_LOST, "silent", 100.25, 1.8e9, math.inf)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def body(message: wire.ToCarrier | wire.FromCarrier) -> bytes:
    (only,) = wire.Splitter(wire.MAX_START).feed(wire.encode(message))
    return only


FROM: list[wire.FromCarrier] = [
    wire.Ready("127.0.0.1:4840"),
    wire.Alive(),
    wire.Failed(Code.CONFIG_INVALID, "cannot listen"),
    wire.Event(Code.PEER_REFUSED, "somebody"),
    wire.Commanded(31, Seat.MACHINE_VISION, FULL),
    wire.Commanded(0, Seat.LINK, Command()),
    wire.Linked(0, Seat.VARIABLES, LinkState.DOWN, "gone"),
    wire.Linked(0, Seat.VARIABLES, LinkState.UP, ""),
    wire.Readings("cnc", {"speed": GOOD, "program": BAD, "on": TagValue(True, Quality.GOOD, Code.NONE, "", 1, 2, 3)}),
    wire.DeviceLinked("cnc", True, "answers"),
    wire.Written("cnc", "passed", 1, ""),
    wire.Written("cnc", "name", "abc", "BadTypeMismatch"),
]
TO: list[wire.ToCarrier] = [
    wire.Start(
        (wire.CarriedStation(FACTS, (Seat.LINK, Seat.MACHINE_VISION), {"kind": "opcua_client", "url": "x"}),),
        (wire.CarriedDevice("cnc", {"a": [1]}, {"passed": 0.5}, ("program",)),),
        {"port": 4840},
        "line",
        "/data",
    ),
    wire.Want("cnc", "passed", True),
    wire.Stop(),
]


@pytest.mark.parametrize("message", FROM, ids=lambda m: type(m).__name__)
def test_what_a_carrier_says_arrives(message: wire.FromCarrier) -> None:
    assert wire.decode_from_carrier(body(message)) == message


@pytest.mark.parametrize("message", TO, ids=lambda m: type(m).__name__)
def test_what_a_carrier_is_told_arrives(message: wire.ToCarrier) -> None:
    assert wire.decode_from_control(body(message)) == message


def test_messages_arrive_whatever_the_pieces() -> None:
    stream = b"".join(wire.encode(message) for message in FROM)
    splitter = wire.Splitter(wire.MAX_MESSAGE)
    bodies = [found for at in range(len(stream)) for found in splitter.feed(stream[at : at + 1])]
    assert [wire.decode_from_carrier(one) for one in bodies] == FROM


@pytest.mark.parametrize("length", [0, wire.MAX_MESSAGE + 1, 2**32 - 1])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(wire.WireError, match="bytes"):
        list(wire.Splitter(wire.MAX_MESSAGE).feed(struct.pack("<I", length)))


def test_texts_are_cut_and_too_much_is_refused() -> None:
    message = wire.decode_from_carrier(body(wire.Event(Code.INTERNAL, "x" * 5000)))
    assert message == wire.Event(Code.INTERNAL, "x" * wire.MAX_TEXT)
    with pytest.raises(ValueError, match="at most"):
        wire.encode(wire.Readings("cnc", {str(n): BAD for n in range(2000)}))


def said(message: wire.FromCarrier, **changes: Any) -> bytes:
    return json.dumps(json.loads(body(message)) | changes).encode()


COMMANDED, READINGS = FROM[4], FROM[8]


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        (COMMANDED, {"station": -1}), (COMMANDED, {"station": 32}), (COMMANDED, {"station": True}),
        (COMMANDED, {"station": "0"}), (COMMANDED, {"seat": 0}), (COMMANDED, {"seat": 4}), (COMMANDED, {"seat": None}),
        (COMMANDED, {"block": ""}), (COMMANDED, {"block": "zz" * 64}), (COMMANDED, {"block": "00" * 63}),
        (COMMANDED, {"block": "00" * 65}), (COMMANDED, {"block": " " + "00" * 63 + " "}), (COMMANDED, {"block": 7}),
        (FROM[6], {"reason": None}), (FROM[6], {"state": 1}), (FROM[6], {"reason": "x" * 3000}),
        (FROM[2], {"code": 12345}), (FROM[2], {"code": "1"}), (FROM[2], {"code": True}),
        (FROM[9], {"up": 1}), (FROM[9], {"device": "x" * 300}), (FROM[10], {"value": None}),
        (FROM[10], {"value": [1]}), (FROM[10], {"value": 2**70}), (FROM[10], {"value": 1e999}),
        (READINGS, {"values": []}), (READINGS, {"values": {"a": [1, 2]}}), (READINGS, {"values": {"a": None}}),
        (READINGS, {"values": {"a": [None, "good", 0, "", 1, 1, None]}}),
        (READINGS, {"values": {"a": [1, "perfect", 0, "", 1, 1, None]}}),
        (READINGS, {"values": {"a": [1, ["good"], 0, "", 1, 1, None]}}),
        (READINGS, {"values": {"a": [1, "good", 0, "", -1, 1, None]}}),
        (READINGS, {"values": {"a": [1, "good", 0, "", 1, 10**400, None]}}),
        (READINGS, {"values": {"a": [1, "good", 0, "", 1, 1, "x"]}}),
        (FROM[1], {"kind": "Dance"}), (FROM[1], {"kind": None}), (FROM[1], {"kind": ["Alive"]}),
    ],
)  # fmt: skip
def test_nonsense_of_a_carrier_is_refused(message: wire.FromCarrier, changes: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_from_carrier(said(message, **changes))


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[]", b"7", b"{", b'{"kind":"Event","code":NaN,"text":""}', b"[" * 10_000]
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_from_carrier(raw)


@given(json_values, st.sampled_from(FROM), st.data())
def test_whatever_a_carrier_says_is_a_message_or_refused(value: Any, message: wire.FromCarrier, data: Any) -> None:
    plain = json.loads(body(message))
    plain[data.draw(st.sampled_from(sorted(plain)))] = value
    try:
        wire.decode_from_carrier(json.dumps(plain).encode())
    except wire.WireError:
        return


@pytest.mark.parametrize("raw", [b'{"kind":"Start"}', b'{"kind":"Want","device":1,"x":2}', b'{"kind":"Alive"}'])
def test_a_wrong_message_of_the_control_process_is_refused(raw: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_from_control(raw)


def test_a_number_that_is_none_is_no_good_reading() -> None:
    nan = TagValue(math.nan, Quality.GOOD, Code.NONE, "", 1.0, 2.0)
    message = wire.decode_from_carrier(body(wire.Readings("cnc", {"a": nan})))
    assert isinstance(message, wire.Readings)
    assert message.values["a"].quality is Quality.BAD
