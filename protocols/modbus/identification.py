"""Who answers: Report Server ID (function 17) and Read Device Identification (function 43, MEI type 14). Pure.

Source: MODBUS Application Protocol Specification V1.1b3, §6.13 and §6.21.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum

from protocols.modbus.requests import ADDRESS, MAX_PDU, VALUE, ExceptionCode, check

REPORT_SERVER_ID, ENCAPSULATED, READ_DEVICE_ID = 0x11, 0x2B, 0x0E
RUN_ON = 0xFF
CONFORMITY = 0x82
"""Regular identification, stream and individual access."""
MORE = 0xFF
MAX_OBJECT = 244
"""Bytes of an object that still fits one answer (§6.21)."""

_HEAD = struct.Struct(">BBBBBBB")


class Object(IntEnum):
    """The objects served; 0 to 2 are the basic ones."""

    VENDOR_NAME = 0
    PRODUCT_CODE = 1
    REVISION = 2
    VENDOR_URL = 3
    PRODUCT_NAME = 4
    MODEL_NAME = 5
    APPLICATION_NAME = 6


class Access(IntEnum):
    """ReadDeviceId codes: three streams of objects, and one object alone."""

    BASIC = 1
    REGULAR = 2
    EXTENDED = 3
    INDIVIDUAL = 4


Identity = Mapping[int, bytes]
"""Object id → its text, in the order of the ids; at most MAX_OBJECT bytes each."""


def identity(version: str) -> Identity:
    """This product at this version."""
    return {
        Object.VENDOR_NAME: b"The gateway authors",
        Object.PRODUCT_CODE: b"vision-plc-gateway",
        Object.REVISION: version.encode("ascii", "replace"),
        Object.PRODUCT_NAME: b"Gateway between machine vision and PLC",
    }


def report_server_id(pdu: bytes, unit: int) -> bytes:
    """The unit id as server id, then the run indicator.

    Nothing follows them: where the additional data begin is not on the wire, and stacks disagree on it.
    """
    check(len(pdu) == 1, VALUE)
    return bytes((pdu[0], 2, unit, RUN_ON))


def read_device_id(pdu: bytes, objects: Identity) -> bytes:
    """The objects asked for; other MEI types are exception 01, a wrong code 03, an unknown single object 02."""
    check(len(pdu) > 1, VALUE)
    check(pdu[1] == READ_DEVICE_ID, ExceptionCode.ILLEGAL_FUNCTION)
    check(len(pdu) == 4, VALUE)
    code, first = pdu[2], pdu[3]
    check(code in tuple(Access), VALUE)
    if code == Access.INDIVIDUAL:
        check(first in objects, ADDRESS)
        return _answer(code, [(first, objects[first])], 0)
    last = Object.REVISION if code == Access.BASIC else max(objects)
    stream = [one for one in objects.items() if one[0] <= last]
    # An unknown start is taken as the first object (§6.21); extended ones there are none, so regular ones it is.
    start = next((n for n, (number, _) in enumerate(stream) if number == first), 0)
    taken: list[tuple[int, bytes]] = []
    size = _HEAD.size
    for number, text in stream[start:]:
        size += 2 + len(text)
        if size > MAX_PDU:
            return _answer(code, taken, number)
        taken.append((number, text))
    return _answer(code, taken, 0)


def _answer(code: int, objects: list[tuple[int, bytes]], more: int) -> bytes:
    """`more` is the object that follows in the next answer, 0 for none."""
    head = _HEAD.pack(ENCAPSULATED, READ_DEVICE_ID, code, CONFORMITY, MORE if more else 0, more, len(objects))
    return head + b"".join(bytes((number, len(text))) + text for number, text in objects)
