"""What a request PDU may ask for, and how it is taken apart and answered. Pure.

Source: MODBUS Application Protocol Specification V1.1b3, §6 (functions) and §7 (exception codes).
"""

from __future__ import annotations

import struct
from enum import IntEnum

MAX_PDU = 253
"""Bytes (§4.1)."""
MAX_READ_BITS = 2000
MAX_READ_WORDS = 125
MAX_WRITE_BITS = 1968
MAX_WRITE_WORDS = 123
MAX_READWRITE_WORDS = 121
"""FC23 writes at most this many words, and reads at most MAX_READ_WORDS."""
COIL_ON, COIL_OFF = 0xFF00, 0x0000

_TWO = struct.Struct(">BHH")
_MULTIPLE = struct.Struct(">BHHB")
_TAIL = struct.Struct(">HHB")


class ExceptionCode(IntEnum):
    """Why a request was not carried out (§7)."""

    ILLEGAL_FUNCTION = 0x01
    ILLEGAL_DATA_ADDRESS = 0x02
    ILLEGAL_DATA_VALUE = 0x03
    SERVER_DEVICE_FAILURE = 0x04
    SERVER_DEVICE_BUSY = 0x06
    GATEWAY_TARGET_FAILED = 0x0B


class RefusedError(Exception):
    """A request that gets an exception answer and has no effect."""

    def __init__(self, code: ExceptionCode) -> None:
        super().__init__(code.name)
        self.code = code


ADDRESS, VALUE = ExceptionCode.ILLEGAL_DATA_ADDRESS, ExceptionCode.ILLEGAL_DATA_VALUE


def check(good: bool, code: ExceptionCode) -> None:
    """Raise RefusedError with `code` unless it is good."""
    if not good:
        raise RefusedError(code)


def two(pdu: bytes) -> tuple[int, int]:
    """The address and the value or quantity of a request of five bytes."""
    check(len(pdu) == _TWO.size, VALUE)
    _, address, value = _TWO.unpack(pdu)
    return address, value


def multiple(pdu: bytes) -> tuple[int, int, int]:
    """Address, quantity and byte count; the byte count is what really follows."""
    check(len(pdu) >= _MULTIPLE.size, VALUE)
    _, address, count, size = _MULTIPLE.unpack_from(pdu)
    check(len(pdu) == _MULTIPLE.size + size, VALUE)
    return address, count, size


def cut(block: bytes, offset: int, count: int) -> bytes:
    """`count` words of a block from this word on; exception 02 when they are not all there."""
    check(0 <= offset <= len(block) // 2 - count, ADDRESS)
    return block[2 * offset : 2 * (offset + count)]


def words(function: int, data: bytes) -> bytes:
    """The answer to a read."""
    return bytes((function, len(data))) + data


def read_bits(pdu: bytes, base: int, bits: int, size: int) -> bytes:
    """Bits from the first asked for, first bit lowest, padded with zeros to whole bytes (§6.1)."""
    address, count = two(pdu)
    check(0 < count <= MAX_READ_BITS, VALUE)
    first = address - base
    check(0 <= first <= size - count, ADDRESS)
    data = (bits >> first & (1 << count) - 1).to_bytes((count + 7) // 8, "little")
    return words(pdu[0], data)


def framed(unit: int, answer: bytes) -> bytes:
    """An answer PDU behind its header, from the protocol identifier on: all but the transaction."""
    return _TAIL.pack(0, 1 + len(answer), unit) + answer
