"""What a master on a serial line asks, and whether what comes back is the answer. Pure.

RTU numbers no transactions: unit, function and length are all that ties an answer to its request. So the line must
have been silent before, and one whose answer never came must get the time to give it late (MODBUS over Serial Line
V1.02, §2.4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocols.link import MapError
from protocols.modbus.registers import ADDRESSES, Table
from protocols.modbus.rtu import MAX_FRAME, MIN_FRAME, REFUSAL_BIT, REFUSAL_BYTES, UNKNOWN, answer_length, sound

_READS = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
_NAMES = {
    Table.COIL: "coils",
    Table.DISCRETE: "discrete inputs",
    Table.INPUT: "input registers",
    Table.HOLDING: "holding registers",
}
_MOST_READ = {Table.COIL: 2000, Table.DISCRETE: 2000, Table.HOLDING: 125, Table.INPUT: 125}
_MOST_WRITTEN = {Table.COIL: 1968, Table.HOLDING: 123}


class WrongAnswerError(Exception):
    """What came is not the answer; the message says why, as the rest of a sentence.

    `spoken`: the unit has had its say, garbled; else the right answer may still come.
    """

    def __init__(self, message: str, *, spoken: bool = False) -> None:
        super().__init__(message)
        self.spoken = spoken


@dataclass(frozen=True, slots=True)
class Asked:
    """One request PDU and how the PDU of its answer begins and how long it is; `what` is for messages."""

    what: str
    pdu: bytes
    begins: bytes
    length: int

    def answer(self, unit: int, stream: bytes) -> bytes | None:
        """The answer's PDU, an exception's too; None while more must come. Raises WrongAnswerError.

        What a driver left on the line before it is passed over, and so is a sound frame of another unit: a late one.
        """
        stream = stream.lstrip(b"\x00\xff")
        while len(stream) >= MIN_FRAME and stream[0] != unit:
            length = answer_length(stream)
            if len(stream) < length <= MAX_FRAME:
                return None
            if length == UNKNOWN or not sound(stream[:length]):
                raise WrongAnswerError("is garbled")
            stream = stream[length:].lstrip(b"\x00\xff")
        if len(stream) < MIN_FRAME:
            return None
        return self._judged(stream)

    def _judged(self, stream: bytes) -> bytes | None:
        function = self.begins[0]
        refusal = stream[1] == function | REFUSAL_BIT
        length = REFUSAL_BYTES if refusal else answer_length(stream)
        if UNKNOWN < length <= MAX_FRAME and len(stream) < length:
            return None
        if length == UNKNOWN or not sound(stream[:length]):
            spoken = stream[1] & ~REFUSAL_BIT == function and (refusal or len(stream) >= self.length + 3)
            raise WrongAnswerError("is garbled", spoken=spoken)
        pdu = stream[1 : length - 2]
        if refusal:
            return pdu
        if pdu[0] != function:
            raise WrongAnswerError(f"is of function {pdu[0]}, asked was {function}")
        if len(pdu) != self.length:
            raise WrongAnswerError(f"is {len(pdu)} bytes long, {self.length} were expected")
        if not pdu.startswith(self.begins):
            raise WrongAnswerError("confirms another request than was made")
        return pdu


def read(table: Table, address: int, count: int) -> Asked:
    """FC1 to FC4; raises MapError when no request can carry that."""
    what = _what("read", table, address, count, _MOST_READ)
    function = _READS[table]
    size = 2 * count if table in (Table.HOLDING, Table.INPUT) else (count + 7) // 8
    return Asked(what, bytes((function,)) + _two(address, count), bytes((function, size)), 2 + size)


def write_words(address: int, words: bytes) -> Asked:
    """FC16."""
    count = len(words) // 2
    what = _what("write", Table.HOLDING, address, count, _MOST_WRITTEN)
    head = b"\x10" + _two(address, count)
    return Asked(what, head + bytes((len(words),)) + words, head, len(head))


def write_word(address: int, word: bytes) -> Asked:
    """FC6."""
    what = _what("write", Table.HOLDING, address, 1, _MOST_WRITTEN)
    pdu = b"\x06" + address.to_bytes(2, "big") + word
    return Asked(what, pdu, pdu, len(pdu))


def write_coils(address: int, values: Sequence[bool]) -> Asked:
    """FC15."""
    what = _what("write", Table.COIL, address, len(values), _MOST_WRITTEN)
    bits = sum(1 << number for number, value in enumerate(values) if value)
    data = bits.to_bytes((len(values) + 7) // 8, "little")
    head = b"\x0f" + _two(address, len(values))
    return Asked(what, head + bytes((len(data),)) + data, head, len(head))


def write_coil(address: int, value: bool) -> Asked:
    """FC5."""
    what = _what("write", Table.COIL, address, 1, _MOST_WRITTEN)
    pdu = b"\x05" + _two(address, 0xFF00 if value else 0)
    return Asked(what, pdu, pdu, len(pdu))


def _two(first: int, second: int) -> bytes:
    return first.to_bytes(2, "big") + second.to_bytes(2, "big")


def _what(verb: str, table: Table, address: int, count: int, most: dict[Table, int]) -> str:
    what = f"{verb} of {count} {_NAMES[table]} from {address}"
    if not (1 <= count <= most[table] and 0 <= address <= ADDRESSES - count):
        raise MapError(f"{what}: one request carries 1 to {most[table]}, at addresses 0 to {ADDRESSES - 1}")
    return what
