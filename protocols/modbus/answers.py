"""What the answer to one Modbus TCP request must look like, judged while it still arrives. Pure.

Sources: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §3.1.3 (header); MODBUS Application Protocol
Specification V1.1b3, §6 (answers) and §7 (exceptions).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from protocols.modbus.mbap import PREFIX_BYTES

_EXCEPTIONS = {
    0x01: "it does not know this function; see `quirks`",
    0x02: "does the PLC have them all?",
    0x03: "it takes no such number of them; see `quirks`",
    0x04: "it failed within",
    0x05: "it goes on saying that it needs more time",
    0x06: "it goes on saying that it is busy",
    0x0A: "no path to the device behind it",
    0x0B: "the device behind it does not answer",
}


def refusal(what: str, code: int) -> str:
    """An exception answer in words (§7)."""
    hint = _EXCEPTIONS.get(code)
    return f"exception {code:02X} to the {what}" + (f"; {hint}" if hint else "")


_HEAD = struct.Struct(">HHHB")
_REFUSAL_BYTES = 2


@dataclass(frozen=True, slots=True)
class Expected:
    """One answer: its unit, how its PDU begins, and the PDU's whole length in bytes. `what` is for messages."""

    what: str
    unit: int
    begins: bytes
    length: int

    @classmethod
    def words(cls, function: int, unit: int, count: int, what: str) -> Expected:
        """To FC3 and FC4."""
        return cls(what, unit, bytes((function, 2 * count)), 2 + 2 * count)

    @classmethod
    def bits(cls, function: int, unit: int, count: int, what: str) -> Expected:
        """To FC1 and FC2."""
        size = (count + 7) // 8
        return cls(what, unit, bytes((function, size)), 2 + size)

    @classmethod
    def echo(cls, function: int, unit: int, two: tuple[int, int], what: str) -> Expected:
        """To FC5, FC6, FC15 and FC16: address, and value or count, come back."""
        return cls(what, unit, struct.pack(">BHH", function, *two), 5)

    def objection(self, transaction: int, stream: bytes) -> str:
        """Why `stream`, all that came so far, cannot be or become this answer; "" while it can."""
        plain = _HEAD.pack(transaction, 0, self.length + 1, self.unit) + self.begins
        refusal = _HEAD.pack(transaction, 0, _REFUSAL_BYTES + 1, self.unit) + bytes((self.begins[0] | 0x80,))
        if _fits(stream, plain, _HEAD.size + self.length) or _fits(stream, refusal, _HEAD.size + _REFUSAL_BYTES):
            return ""
        return self._difference(transaction, stream)

    def _difference(self, transaction: int, stream: bytes) -> str:
        if len(stream) < _HEAD.size + 1:
            return "is no Modbus TCP"
        tid, protocol, length, unit = _HEAD.unpack_from(stream)
        function = stream[_HEAD.size]
        refused = bool(function & 0x80)
        differences = (
            (protocol != 0, f"bears protocol identifier {protocol}: no Modbus TCP"),
            (
                tid != transaction,
                f"bears transaction {tid} where {transaction} was asked",
            ),
            (unit != self.unit, f"comes from unit {unit} where {self.unit} was asked"),
            (function & 0x7F != self.begins[0], f"is of function {function} where {self.begins[0]} was asked"),
            (
                length != (_REFUSAL_BYTES if refused else self.length) + 1,
                f"says a wrong length of {length}",
            ),
            (len(stream) > PREFIX_BYTES + length, "is followed by bytes that nobody asked for"),
        )
        return next((text for differs, text in differences if differs), "confirms another request than was made")


def _fits(stream: bytes, begin: bytes, length: int) -> bool:
    return len(stream) <= length and stream[: len(begin)] == begin[: len(stream)]
