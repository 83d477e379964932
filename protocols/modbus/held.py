"""The answer to a trigger written by function 23, held until its outcome is there. Pure."""

from __future__ import annotations

from collections.abc import Callable

from protocols.modbus.registers import COMMAND_WORDS, OUTPUT_WORDS
from protocols.signals import StatusBit


def _word(number: int, words: int = 1) -> slice:
    return slice(2 * number, 2 * (number + words))


# Words of the two blocks (registers.py); a test compares them with the map.
_SEQ, _PART = _word(1), _word(8, 2)
_STATUS, _ACK, _REFUSED = _word(0), _word(2), _word(3)
_RESULT, _RESULT_TRIGGER, _RESULT_PART = _word(16), _word(17), _word(18, 2)


def triggers(before: bytes, after: bytes) -> bool:
    """Whether TRIGGER_SEQ became another number than it was, and not 0 (blocks of 32 command words)."""
    return before[_SEQ] != after[_SEQ] != b"\0\0"


class HeldAnswer:
    """One answer that waits. It ends once: by the outcome, by `release` at its bound, or by `drop`."""

    def __init__(self, command: bytes, shown: bytes, read: Callable[[], bytes]) -> None:
        """`command`: the block as written; `shown`: status and result as shown since; `read`: the answer PDU now."""
        if len(command) != 2 * COMMAND_WORDS or len(shown) < 2 * OUTPUT_WORDS:
            raise ValueError("not the two blocks of a station")
        self._seq, self._part = command[_SEQ], command[_PART]
        self._result = shown[_RESULT]
        self._read = read
        self._answer: Callable[[bytes], None] | None = None

    @property
    def open(self) -> bool:
        """Whether somebody still waits for it."""
        return self._answer is not None

    def wait(self, answer: Callable[[bytes], None]) -> None:
        """Somebody waits: `answer` gets the answer PDU."""
        self._answer = answer

    def due(self, shown: bytes) -> bool:
        """Whether these outputs hold the outcome of the trigger: refused, or its result.

        An older result may bear the same number and part: while the station is busy, only a new one counts.
        """
        if shown[_ACK] != self._seq:
            return False
        if shown[_REFUSED] != b"\0\0":
            return True
        busy = int.from_bytes(shown[_STATUS], "big") & StatusBit.BUSY
        fresh = not busy or shown[_RESULT] != self._result
        return fresh and shown[_RESULT_TRIGGER] == self._seq and shown[_RESULT_PART] == self._part

    def release(self) -> None:
        """Answer with what is shown now."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(self._read())

    def drop(self) -> None:
        """Nobody waits any more."""
        self._answer = None
