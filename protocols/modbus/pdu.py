"""The Modbus functions a station serves, on an image of its registers. Pure.

Source: MODBUS Application Protocol Specification V1.1b3, §6 (functions) and §7 (exception codes). The order of the
checks is the specification's: function (01), quantity and form (03), address (02), then whether it can be done now.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from protocols.link import MapError
from protocols.modbus import identification
from protocols.modbus.held import HeldAnswer, triggers
from protocols.modbus.identification import Identity
from protocols.modbus.registers import COILS, COMMAND_WORDS, DISCRETES, SHOWN_WORDS, RegisterMap
from protocols.modbus.requests import (
    ADDRESS,
    COIL_OFF,
    COIL_ON,
    MAX_READ_WORDS,
    MAX_READWRITE_WORDS,
    MAX_WRITE_BITS,
    MAX_WRITE_WORDS,
    VALUE,
    ExceptionCode,
    RefusedError,
    check,
    cut,
    framed,
    multiple,
    read_bits,
    two,
    words,
)

__all__ = ["ExceptionCode", "RefusedError", "UnitImage", "Units"]

MEMO_LIMIT = 256
"""Answers remembered: above what masters poll, below what an address sweep could fill the memory with."""

_MASK = struct.Struct(">BHHH")
_READ_WRITE = struct.Struct(">BHHHHB")

Written = Callable[[bytes, object], None]
"""Told the whole command block after each write, and who wrote it, before the next request is served."""


Permit = Callable[[object], ExceptionCode | None]
"""Why this source may not write to the command block now, None if it may."""
Hold = Callable[[HeldAnswer, object], bool]
"""Asked to keep this source's answer until it is due; False when it cannot, and then it is answered at once."""


def _anybody(_: object) -> ExceptionCode | None:
    return None


def _nobody(_held: HeldAnswer, _source: object) -> bool:
    return False


class UnitImage:
    """The registers of one station: what the PLC wrote, and one consistent moment of what it may read."""

    def __init__(
        self, unit: int, registers: RegisterMap, signature: bytes, written: Written, memo: dict[bytes, bytes]
    ) -> None:
        self.map = registers
        self.command = bytes(2 * COMMAND_WORDS)
        self.identity: Identity = identification.identity("0")
        self.permit: Permit = _anybody
        self.hold: Hold = _nobody
        self._unit = unit
        self._signature = signature
        self._shown = bytes(2 * SHOWN_WORDS - len(signature)) + signature
        self._discrete = 0
        self._written = written
        self._memo = memo
        self._held: list[HeldAnswer] = []
        self._functions: dict[int, Callable[[bytes, object], bytes]] = {
            0x01: self._read_coils,
            0x02: self._read_discrete,
            0x03: self._read_holding,
            0x04: self._read_input,
            0x05: self._write_coil,
            0x06: self._write_register,
            0x0F: self._write_coils,
            0x10: self._write_registers,
            0x11: lambda pdu, _: identification.report_server_id(pdu, self._unit),
            0x16: self._mask_register,
            0x17: self._read_write,
            0x2B: lambda pdu, _: identification.read_device_id(pdu, self.identity),
        }

    def show(self, outputs: bytes, discrete: int) -> None:
        """Replace, as a whole, the 128 bytes of status and result and the 32 discrete inputs (bit 0 first)."""
        self._shown = outputs + self._signature
        self._discrete = discrete
        self._memo.clear()
        if self._held:
            self._settle()

    def serve(self, pdu: bytes, source: object) -> bytes:
        """The answer to a request PDU (1…253 bytes), b"" when it is held back.

        Raises RefusedError, and then nothing was changed.
        """
        function = self._functions.get(pdu[0])
        if function is None:
            raise RefusedError(ExceptionCode.ILLEGAL_FUNCTION)
        return function(pdu, source)

    def _read_coils(self, pdu: bytes, _: object) -> bytes:
        return read_bits(pdu, self.map.coils, int.from_bytes(self.command[:2], "big"), COILS)

    def _read_discrete(self, pdu: bytes, _: object) -> bytes:
        return read_bits(pdu, self.map.discrete, self._discrete, DISCRETES)

    def _read_input(self, pdu: bytes, _: object) -> bytes:
        address, count = two(pdu)
        check(0 < count <= MAX_READ_WORDS, VALUE)
        return words(pdu[0], cut(self._shown, address - self.map.status, count))

    def _read_holding(self, pdu: bytes, _: object) -> bytes:
        address, count = two(pdu)
        check(0 < count <= MAX_READ_WORDS, VALUE)
        return words(pdu[0], self._holding(address, count))

    def _holding(self, address: int, count: int) -> bytes:
        offset = address - self.map.command
        if 0 <= offset < COMMAND_WORDS:
            return cut(self.command, offset, count)
        return cut(self._shown, address - self.map.mirror, count)

    def _write_coil(self, pdu: bytes, source: object) -> bytes:
        address, value = two(pdu)
        check(value in (COIL_ON, COIL_OFF), VALUE)
        self._set_coils(address, 1, 1 if value else 0, source)
        return pdu

    def _write_register(self, pdu: bytes, source: object) -> bytes:
        address, _ = two(pdu)
        self._write(self._offset(address, 1), pdu[3:5], source)
        return pdu

    def _write_coils(self, pdu: bytes, source: object) -> bytes:
        address, count, size = multiple(pdu)
        check(0 < count <= MAX_WRITE_BITS and size == (count + 7) // 8, VALUE)
        self._set_coils(address, count, int.from_bytes(pdu[6:], "little"), source)
        return pdu[:5]

    def _write_registers(self, pdu: bytes, source: object) -> bytes:
        address, count, size = multiple(pdu)
        check(0 < count <= MAX_WRITE_WORDS and size == 2 * count, VALUE)
        self._write(self._offset(address, count), pdu[6:], source)
        return pdu[:5]

    def _mask_register(self, pdu: bytes, source: object) -> bytes:
        check(len(pdu) == _MASK.size, VALUE)
        _, address, keep, put = _MASK.unpack(pdu)
        offset = self._offset(address, 1)
        word = int.from_bytes(cut(self.command, offset, 1), "big")
        self._write(offset, (word & keep | put & ~keep).to_bytes(2, "big"), source)
        return pdu

    def _read_write(self, pdu: bytes, source: object) -> bytes:
        check(len(pdu) >= _READ_WRITE.size, VALUE)
        _, read, count, write, length, size = _READ_WRITE.unpack_from(pdu)
        check(0 < count <= MAX_READ_WORDS and 0 < length <= MAX_READWRITE_WORDS, VALUE)
        check(size == 2 * length and len(pdu) == _READ_WRITE.size + size, VALUE)
        self._holding(read, count)
        before = self.command
        self._write(self._offset(write, length), pdu[_READ_WRITE.size :], source)
        held = triggers(before, self.command) and self._keep_back(pdu[0], read, count, source)
        return b"" if held else words(pdu[0], self._holding(read, count))  # the write comes first (§6.17)

    def _keep_back(self, function: int, read: int, count: int, source: object) -> bool:
        """Whether the answer waits for the outcome of the trigger just written."""
        held = HeldAnswer(self.command, self._shown, lambda: words(function, self._holding(read, count)))
        if held.due(self._shown) or not self.hold(held, source):
            return False
        self._held.append(held)
        return True

    def _settle(self) -> None:
        """Answer those whose outcome is shown; forget those whom nobody waits for."""
        waiting, self._held = self._held, []
        for held in waiting:
            if held.due(self._shown):
                held.release()
            elif held.open:
                self._held.append(held)

    def _offset(self, address: int, count: int) -> int:
        offset = address - self.map.command
        check(0 <= offset <= COMMAND_WORDS - count, ADDRESS)
        return offset

    def _set_coils(self, address: int, count: int, values: int, source: object) -> None:
        first = address - self.map.coils
        check(0 <= first <= COILS - count, ADDRESS)
        mask = ((1 << count) - 1) << first
        word = int.from_bytes(self.command[:2], "big")
        self._write(0, (word & ~mask | values << first & mask).to_bytes(2, "big"), source)

    def _write(self, offset: int, data: bytes, source: object) -> None:
        if refused := self.permit(source):
            raise RefusedError(refused)
        before = self.command
        self.command = before[: 2 * offset] + data + before[2 * offset + len(data) :]
        self._memo.clear()
        self._written(self.command, source)


class _Stations:
    """Several stations under one unit id, each at addresses of its own: a request lies within one of them."""

    def __init__(self, first: UnitImage) -> None:
        self.images = [first]

    def serve(self, pdu: bytes, source: object) -> bytes:
        """As UnitImage.serve: what lies in no station, or in two, is exception 02."""
        refused = RefusedError(ADDRESS)
        for image in self.images:
            try:
                return image.serve(pdu, source)
            except RefusedError as error:
                if error.code is not ADDRESS:
                    raise
                refused = error
        raise refused


Refusal = Callable[[object, int, bytes, ExceptionCode], None]
"""Told of each refused request: source, unit, PDU, code."""


class Units:
    """The stations behind one listener, by unit id; answers whole frames.

    With a single unit id, unit 0 and 255 mean it too: masters that know one device per address send either
    (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §4.4.2.3). With several, both get exception 0B.
    There is no broadcast on TCP: every request is answered, but for those to an unknown unit with `silent`.
    """

    def __init__(self, refused: Refusal, *, silent: bool = False) -> None:
        self.memo: dict[bytes, bytes] = {}
        """Requests without their transaction → answers without it; emptied whenever any register changes."""
        self._units: dict[int, _Stations] = {}
        self._serving: dict[int, UnitImage | _Stations] = {}
        self._refused = refused
        self._silent = silent

    def add(self, unit: int, registers: RegisterMap, signature: bytes, written: Written) -> UnitImage:
        """One more station; raises MapError when it overlaps another one of this unit id."""
        image = UnitImage(unit, registers, signature, written, self.memo)
        if unit in self._units:
            others = self._units[unit].images
            for other in others:
                if overlap := other.map.overlap(registers):
                    raise MapError(f"two stations of unit {unit} overlap: {overlap}; move one of them")
            others.append(image)
        else:
            self._units[unit] = _Stations(image)
        self._serving = {n: one.images[0] if len(one.images) == 1 else one for n, one in self._units.items()}
        if len(self._units) == 1:
            self._serving[0] = self._serving[255] = self._serving[unit]
        self.memo.clear()
        return image

    def answer(self, frame: bytes, source: object) -> bytes:
        """The answer to one whole frame, b"" for none; a write has taken effect, and was told on, when this returns."""
        request = frame[2:]
        tail = self.memo.get(request) or self._work(request, source)
        return frame[:2] + tail if tail else b""

    def _work(self, request: bytes, source: object) -> bytes:
        unit, pdu = request[4], request[5:]
        function = pdu[0]
        try:
            serving = self._serving.get(unit)
            if serving is None:
                raise RefusedError(ExceptionCode.GATEWAY_TARGET_FAILED)
            answer = serving.serve(pdu, source)
        except RefusedError as refused:
            self._refused(source, unit, pdu, refused.code)
            if self._silent and refused.code is ExceptionCode.GATEWAY_TARGET_FAILED:
                return b""
            return framed(unit, bytes((function | 0x80, refused.code)))
        if not answer:
            return b""
        tail = framed(unit, answer)
        if function <= 0x04 and len(self.memo) < MEMO_LIMIT:
            self.memo[request] = tail
        return tail
