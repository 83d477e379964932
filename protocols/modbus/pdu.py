"""The Modbus functions a station serves, on an image of its registers. Pure.

Source: MODBUS Application Protocol Specification V1.1b3, §6 (functions) and §7 (exception codes). The order of the
checks is the specification's: function (01), quantity and form (03), address (02).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum

from protocols.modbus.registers import COILS, COMMAND_WORDS, DISCRETES, SHOWN_WORDS, RegisterMap

MAX_READ_BITS = 2000
MAX_READ_WORDS = 125
MAX_WRITE_BITS = 1968
MAX_WRITE_WORDS = 123
MAX_READWRITE_WORDS = 121
"""FC23 writes at most this many words, and reads at most MAX_READ_WORDS."""
COIL_ON, COIL_OFF = 0xFF00, 0x0000

MEMO_LIMIT = 256
"""Answers remembered: above what masters poll, below what an address sweep could fill the memory with."""

_TWO = struct.Struct(">BHH")
_MULTIPLE = struct.Struct(">BHHB")
_MASK = struct.Struct(">BHHH")
_READ_WRITE = struct.Struct(">BHHHHB")
_TAIL = struct.Struct(">HHB")


class ExceptionCode(IntEnum):
    """Why a request was not carried out (§7)."""

    ILLEGAL_FUNCTION = 0x01
    ILLEGAL_DATA_ADDRESS = 0x02
    ILLEGAL_DATA_VALUE = 0x03
    GATEWAY_TARGET_FAILED = 0x0B


class RefusedError(Exception):
    """A request that gets an exception answer and has no effect."""

    def __init__(self, code: ExceptionCode) -> None:
        super().__init__(code.name)
        self.code = code


_ADDRESS, _VALUE = ExceptionCode.ILLEGAL_DATA_ADDRESS, ExceptionCode.ILLEGAL_DATA_VALUE

Written = Callable[[bytes, object], None]
"""Told the whole command block after each write, and who wrote it, before the next request is served."""


class UnitImage:
    """The registers of one station: what the PLC wrote, and one consistent moment of what it may read."""

    def __init__(self, registers: RegisterMap, signature: bytes, written: Written, memo: dict[bytes, bytes]) -> None:
        self.map = registers
        self.command = bytes(2 * COMMAND_WORDS)
        self._signature = signature
        self._shown = bytes(2 * SHOWN_WORDS - len(signature)) + signature
        self._discrete = 0
        self._written = written
        self._memo = memo
        self._functions: dict[int, Callable[[bytes, object], bytes]] = {
            0x01: self._read_coils,
            0x02: self._read_discrete,
            0x03: self._read_holding,
            0x04: self._read_input,
            0x05: self._write_coil,
            0x06: self._write_register,
            0x0F: self._write_coils,
            0x10: self._write_registers,
            0x16: self._mask_register,
            0x17: self._read_write,
        }

    def show(self, outputs: bytes, discrete: int) -> None:
        """Replace, as a whole, the 128 bytes of status and result and the 32 discrete inputs (bit 0 first)."""
        self._shown = outputs + self._signature
        self._discrete = discrete
        self._memo.clear()

    def serve(self, pdu: bytes, source: object) -> bytes:
        """The answer to a request PDU (1…253 bytes); raises RefusedError, and then nothing was changed."""
        function = self._functions.get(pdu[0])
        if function is None:
            raise RefusedError(ExceptionCode.ILLEGAL_FUNCTION)
        return function(pdu, source)

    def _read_coils(self, pdu: bytes, _: object) -> bytes:
        return _read_bits(pdu, self.map.coils, int.from_bytes(self.command[:2], "big"), COILS)

    def _read_discrete(self, pdu: bytes, _: object) -> bytes:
        return _read_bits(pdu, self.map.discrete, self._discrete, DISCRETES)

    def _read_input(self, pdu: bytes, _: object) -> bytes:
        address, count = _two(pdu)
        _check(0 < count <= MAX_READ_WORDS, _VALUE)
        return _words(pdu[0], _slice(self._shown, address - self.map.status, count))

    def _read_holding(self, pdu: bytes, _: object) -> bytes:
        address, count = _two(pdu)
        _check(0 < count <= MAX_READ_WORDS, _VALUE)
        return _words(pdu[0], self._holding(address, count))

    def _holding(self, address: int, count: int) -> bytes:
        offset = address - self.map.command
        if 0 <= offset < COMMAND_WORDS:
            return _slice(self.command, offset, count)
        return _slice(self._shown, address - self.map.mirror, count)

    def _write_coil(self, pdu: bytes, source: object) -> bytes:
        address, value = _two(pdu)
        _check(value in (COIL_ON, COIL_OFF), _VALUE)
        self._set_coils(address, 1, 1 if value else 0, source)
        return pdu

    def _write_register(self, pdu: bytes, source: object) -> bytes:
        address, _ = _two(pdu)
        self._write(self._offset(address, 1), pdu[3:5], source)
        return pdu

    def _write_coils(self, pdu: bytes, source: object) -> bytes:
        address, count, size = _multiple(pdu)
        _check(0 < count <= MAX_WRITE_BITS and size == (count + 7) // 8, _VALUE)
        self._set_coils(address, count, int.from_bytes(pdu[6:], "little"), source)
        return pdu[:5]

    def _write_registers(self, pdu: bytes, source: object) -> bytes:
        address, count, size = _multiple(pdu)
        _check(0 < count <= MAX_WRITE_WORDS and size == 2 * count, _VALUE)
        self._write(self._offset(address, count), pdu[6:], source)
        return pdu[:5]

    def _mask_register(self, pdu: bytes, source: object) -> bytes:
        _check(len(pdu) == _MASK.size, _VALUE)
        _, address, keep, put = _MASK.unpack(pdu)
        offset = self._offset(address, 1)
        word = int.from_bytes(_slice(self.command, offset, 1), "big")
        self._write(offset, (word & keep | put & ~keep).to_bytes(2, "big"), source)
        return pdu

    def _read_write(self, pdu: bytes, source: object) -> bytes:
        _check(len(pdu) >= _READ_WRITE.size, _VALUE)
        _, read, count, write, words, size = _READ_WRITE.unpack_from(pdu)
        _check(0 < count <= MAX_READ_WORDS and 0 < words <= MAX_READWRITE_WORDS, _VALUE)
        _check(size == 2 * words and len(pdu) == _READ_WRITE.size + size, _VALUE)
        self._holding(read, count)
        self._write(self._offset(write, words), pdu[_READ_WRITE.size :], source)
        return _words(pdu[0], self._holding(read, count))  # the write comes first (§6.17)

    def _offset(self, address: int, count: int) -> int:
        offset = address - self.map.command
        _check(0 <= offset <= COMMAND_WORDS - count, _ADDRESS)
        return offset

    def _set_coils(self, address: int, count: int, values: int, source: object) -> None:
        first = address - self.map.coils
        _check(0 <= first <= COILS - count, _ADDRESS)
        mask = ((1 << count) - 1) << first
        word = int.from_bytes(self.command[:2], "big")
        self._write(0, (word & ~mask | values << first & mask).to_bytes(2, "big"), source)

    def _write(self, offset: int, data: bytes, source: object) -> None:
        before = self.command
        self.command = before[: 2 * offset] + data + before[2 * offset + len(data) :]
        self._memo.clear()
        self._written(self.command, source)


Refusal = Callable[[object, int, bytes, ExceptionCode], None]
"""Told of each refused request: source, unit, PDU, code."""


class Units:
    """The stations behind one listener, by unit id; answers whole frames.

    With a single station, unit 0 and 255 mean it too: masters that know one device per address send either
    (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §4.4.2.3). With several, both get exception 0B.
    There is no broadcast on TCP: every request is answered.
    """

    def __init__(self, refused: Refusal) -> None:
        self.memo: dict[bytes, bytes] = {}
        """Requests without their transaction → answers without it; emptied whenever any register changes."""
        self._images: dict[int, UnitImage] = {}
        self._refused = refused

    def add(self, unit: int, registers: RegisterMap, signature: bytes, written: Written) -> UnitImage:
        """One more station; the unit id must be free."""
        image = UnitImage(registers, signature, written, self.memo)
        self._images[unit] = image
        self.memo.clear()
        return image

    def answer(self, frame: bytes, source: object) -> bytes:
        """The answer to one whole frame; a write has taken effect, and was told on, when this returns."""
        request = frame[2:]
        tail = self.memo.get(request)
        return frame[:2] + (self._work(request, source) if tail is None else tail)

    def _work(self, request: bytes, source: object) -> bytes:
        unit, pdu = request[4], request[5:]
        function = pdu[0]
        try:
            answer = self._find(unit).serve(pdu, source)
        except RefusedError as refused:
            self._refused(source, unit, pdu, refused.code)
            return _TAIL.pack(0, 3, unit) + bytes((function | 0x80, refused.code))
        tail = _TAIL.pack(0, 1 + len(answer), unit) + answer
        if function <= 0x04 and len(self.memo) < MEMO_LIMIT:
            self.memo[request] = tail
        return tail

    def _find(self, unit: int) -> UnitImage:
        image = self._images.get(unit)
        if image is None and unit in (0, 255) and len(self._images) == 1:
            image = next(iter(self._images.values()))
        if image is None:
            raise RefusedError(ExceptionCode.GATEWAY_TARGET_FAILED)
        return image


def _check(good: bool, code: ExceptionCode) -> None:
    if not good:
        raise RefusedError(code)


def _two(pdu: bytes) -> tuple[int, int]:
    _check(len(pdu) == _TWO.size, _VALUE)
    _, address, value = _TWO.unpack(pdu)
    return address, value


def _multiple(pdu: bytes) -> tuple[int, int, int]:
    """Address, quantity and byte count; the byte count is what really follows."""
    _check(len(pdu) >= _MULTIPLE.size, _VALUE)
    _, address, count, size = _MULTIPLE.unpack_from(pdu)
    _check(len(pdu) == _MULTIPLE.size + size, _VALUE)
    return address, count, size


def _slice(block: bytes, offset: int, count: int) -> bytes:
    _check(0 <= offset <= len(block) // 2 - count, _ADDRESS)
    return block[2 * offset : 2 * (offset + count)]


def _words(function: int, data: bytes) -> bytes:
    return bytes((function, len(data))) + data


def _read_bits(pdu: bytes, base: int, bits: int, size: int) -> bytes:
    """Bits from the first asked for, first bit lowest, padded with zeros to whole bytes (§6.1)."""
    address, count = _two(pdu)
    _check(0 < count <= MAX_READ_BITS, _VALUE)
    first = address - base
    _check(0 <= first <= size - count, _ADDRESS)
    data = (bits >> first & (1 << count) - 1).to_bytes((count + 7) // 8, "little")
    return _words(pdu[0], data)
