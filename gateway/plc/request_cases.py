"""Wrong requests and broken frames as data, each with the answer that the gateway must give. Pure.

Sources: MODBUS Application Protocol Specification V1.1b3, §6 and §7; MODBUS Messaging on TCP/IP Implementation Guide
V1.0b, §3.1.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocols.modbus.registers import COILS, COMMAND_WORDS, DISCRETES, OUTPUT_WORDS, SHOWN_WORDS, RegisterMap

FUNCTION, ADDRESS, VALUE, NO_PATH = 0x01, 0x02, 0x03, 0x0B

HEADER = struct.Struct(">HHHB")
"""Transaction, protocol 0, length of what follows, unit."""


@dataclass(frozen=True, slots=True)
class RequestCase:
    """One request that must be refused with this exception; nothing may change."""

    name: str
    pdu: bytes
    code: int
    unit: int | None = None
    """Another unit than the station's."""
    silence: bool = False
    """No answer is allowed too."""

    @property
    def demanded(self) -> str:
        """In words."""
        return f"exception {self.code:02X}{', or no answer' if self.silence else ''}; nothing is written"


@dataclass(frozen=True, slots=True)
class Stream:
    """What a peer does to the byte stream; `server_frames` plays it."""

    key: str
    name: str
    demanded: str
    sent: bytes = b""
    """Bytes that must close the connection; empty for those that must be answered."""


_CLOSED = "this connection is closed at once, another one goes on"

STREAMS: tuple[Stream, ...] = (
    Stream("merged", "Three requests in one segment", "all answered, in order, with their transaction numbers"),
    Stream("split", "A request byte by byte", "answered as a whole"),
    Stream("many", "100 reads in one go", "100 answers in order"),
    Stream("protocol", "Protocol identifier 1", _CLOSED, HEADER.pack(1, 1, 6, 1) + b"\4\0\0\0\1"),
    Stream("length_0", "Length 0", _CLOSED, HEADER.pack(1, 0, 0, 1) + b"\4\0\0\0\1"),
    Stream("length_1", "Length 1", _CLOSED, HEADER.pack(1, 0, 1, 1) + b"\4\0\0\0\1"),
    Stream("length_255", "Length 255", _CLOSED, HEADER.pack(1, 0, 255, 1) + b"\4\0\0\0\1"),
    Stream("length_max", "Length 65535", _CLOSED, HEADER.pack(1, 0, 65535, 1) + b"\4\0\0\0\1"),
    Stream("text", "Text in place of Modbus", _CLOSED, b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"),
    Stream("half", "Half a request, then gone", "another connection goes on"),
)


def request_cases(registers: RegisterMap, unit: int) -> tuple[RequestCase, ...]:
    """All wrong requests for a station with this map and unit id."""
    return (*_functions(unit), *_reads(registers), *_writes(registers))


def _functions(unit: int) -> tuple[RequestCase, ...]:
    other = 247 if unit != 247 else 246
    return (
        RequestCase(f"Unit {other}, which is nobody", _read(4, 0, 1), NO_PATH, unit=other, silence=True),
        RequestCase("Function 90, which does not exist", b"\x5a\0\0", FUNCTION),
        RequestCase("Function 8 (diagnostics, serial lines only)", b"\x08\0\0\0\0", FUNCTION),
        RequestCase("Function 24 (read FIFO queue)", b"\x18\0\0", FUNCTION),
    )


def _reads(map_: RegisterMap) -> tuple[RequestCase, ...]:
    status, command = map_.status, map_.command
    return (
        RequestCase("Read of 0 input registers", _read(4, status, 0), VALUE),
        RequestCase("Read of 126 input registers", _read(4, status, 126), VALUE),
        RequestCase("Read of 0 holding registers", _read(3, command, 0), VALUE),
        RequestCase("Read of 126 holding registers", _read(3, command, 126), VALUE),
        RequestCase("Read of 0 coils", _read(1, map_.coils, 0), VALUE),
        RequestCase("Read of 2001 discrete inputs", _read(2, map_.discrete, 2001), VALUE),
        RequestCase("Read beyond the signature", _read(4, status + SHOWN_WORDS - 1, 2), ADDRESS),
        RequestCase("Read across the end of the command block", _read(3, command + COMMAND_WORDS - 1, 2), ADDRESS),
        RequestCase("Read beyond address 65535", _read(3, 0xFFFF, 2), ADDRESS),
        RequestCase("Read beyond the coils", _read(1, map_.coils + COILS - 1, 2), ADDRESS),
        RequestCase("Read beyond the discrete inputs", _read(2, map_.discrete + DISCRETES - 1, 2), ADDRESS),
        RequestCase("Read request one byte short", _read(4, status, 1)[:-1], VALUE),
        RequestCase("Read request one byte long", _read(4, status, 1) + b"\0", VALUE),
    )


def _writes(map_: RegisterMap) -> tuple[RequestCase, ...]:
    mirror, last, user = map_.mirror, map_.command + COMMAND_WORDS - 1, map_.command + 10
    two = b"\x5a\x5a\xa5\xa5"
    return (
        RequestCase("FC6 to STATUS in the mirror", struct.pack(">BHH", 6, mirror, 0xFFFF), ADDRESS),
        RequestCase("FC16 to the result in the mirror", _write(mirror + 16, 2, two), ADDRESS),
        RequestCase("FC16 across the end of the command block", _write(last, 2, two), ADDRESS),
        RequestCase("FC16 of 0 words", _write(user, 0, b""), VALUE),
        RequestCase("FC16 that says 124 words", _write(user, 124, two), VALUE),
        RequestCase("FC16 whose byte count lies", struct.pack(">BHHB", 16, user, 2, 2) + two, VALUE),
        RequestCase("FC16 with fewer words than it says", _write(user, 2, two[:2]), VALUE),
        RequestCase("FC5 with value 16#1234", struct.pack(">BHH", 5, map_.coils + 8, 0x1234), VALUE),
        RequestCase("FC15 across the end of the coils", _coils(map_.coils + COILS - 1, 2, b"\3"), ADDRESS),
        RequestCase("FC15 of 0 coils", _coils(map_.coils + 8, 0, b""), VALUE),
        RequestCase("FC22 to STATUS in the mirror", struct.pack(">BHHH", 22, mirror, 0, 0xFFFF), ADDRESS),
        RequestCase("FC23 that writes to the mirror", _both((user, 2), (mirror, 2), two), ADDRESS),
        RequestCase("FC23 that reads nowhere", _both((mirror + SHOWN_WORDS - 1, 2), (user, 2), two), ADDRESS),
        RequestCase("FC23 that reads 126 words", _both((mirror, 126), (user, 2), two), VALUE),
    )


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """One whole frame."""
    return HEADER.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def read_outputs(registers: RegisterMap) -> bytes:
    """The read of status and result that every PLC does."""
    return _read(4, registers.status, OUTPUT_WORDS)


def write_command(registers: RegisterMap, block: bytes) -> bytes:
    """The write of the command block by FC16."""
    return _write(registers.command, len(block) // 2, block)


def _read(function: int, address: int, count: int) -> bytes:
    return struct.pack(">BHH", function, address, count)


def _write(address: int, count: int, data: bytes) -> bytes:
    return struct.pack(">BHHB", 16, address, count, 2 * count & 0xFF) + data


def _coils(address: int, count: int, data: bytes) -> bytes:
    return struct.pack(">BHHB", 15, address, count, len(data)) + data


def _both(read: tuple[int, int], write: tuple[int, int], data: bytes) -> bytes:
    return struct.pack(">BHHHHB", 23, *read, *write, len(data)) + data
