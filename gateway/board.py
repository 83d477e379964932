"""A station's board: its outputs, command, driver and last outcomes as an image in shared memory. One writer, readers.

The writer never waits: a counter that is odd while it writes (a sequence lock) and a CRC tell readers when they have
read across a change, and they read again. Blocks are the contract's big-endian words (codec, order ABCD). A board has
no name and leaves nothing behind; it is handed on as a descriptor.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import tempfile
import time
from binascii import crc32
from dataclasses import dataclass

from protocols.codec import COMMAND_BYTES, RESULT_BYTES, STATUS_BYTES, Codec
from protocols.signals import BLANK_COMMAND, NO_RESULT, Command, Outputs, Result, Status
from protocols.station_view import Outcome, Seat

OUTCOMES = 64
"""How many of the last outcomes a board holds."""
READ_TRIES = 50
"""A torn image is read again so often at once; the writer is busy for microseconds, unless it is not scheduled."""

_CODEC = Codec()
_LOCK = struct.Struct("<Q")
_HEAD = struct.Struct("<dQB7x")
"""Stamp of the last write (monotonic seconds), number of the newest outcome, who drives."""
_BLOCKS = STATUS_BYTES + RESULT_BYTES
_IMAGE = _HEAD.size + COMMAND_BYTES + 2 * _BLOCKS
_CRC = struct.Struct("<I4x")
_IMAGE_AT = 64
_CRC_AT = _IMAGE_AT + _IMAGE
_RECORDS_AT = 512

_SERIAL, _RULE, _DETAIL = 128, 128, 512
"""Bytes of UTF-8."""
_RECORD = struct.Struct(f"<QB7x3d{RESULT_BYTES}s3H2x{_SERIAL}s{_RULE}s{_DETAIL}s")
_SLOT = _RECORD.size + _CRC.size
SIZE = _RECORDS_AT + OUTCOMES * _SLOT

_F_SEAL_FUTURE_WRITE = 0x10
"""Linux 5.1, linux/fcntl.h: nobody can map it for writing any more, but what is mapped stays."""


class TornError(Exception):
    """The writer was in the middle of it at every try, or is gone: what can be read is no image of any moment."""


@dataclass(frozen=True, slots=True)
class Image:
    """A station at one moment. `stamp`: monotonic seconds of the writer's last sign of life."""

    stamp: float
    seat: Seat
    command: Command
    """What the driver has sent last."""
    outputs: Outputs
    """As the driver is shown them."""
    link: Outputs
    """As the station's own link is shown them: the same, unless another drives."""
    newest: int
    """Number of the newest outcome, 0 before the first."""


def memory(size: int = SIZE) -> int:
    """A descriptor of anonymous memory of this size, filled with zeros."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("gateway-board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile(prefix="gateway-board-") as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


class BoardWriter:
    """The station's end. No call waits or raises; `descriptor` is to be handed to readers."""

    def __init__(self) -> None:
        self.descriptor = memory()
        self._map = mmap.mmap(self.descriptor, SIZE)
        # What a reader does, and be it taken over by somebody, must not change what other readers see.
        with contextlib.suppress(OSError, AttributeError):
            fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | _F_SEAL_FUTURE_WRITE)
        self._turn = 0
        self._newest = 0
        self._seat = Seat.LINK
        self._known: tuple[Command, Result, Result] = (BLANK_COMMAND, NO_RESULT, NO_RESULT)
        """What the encoded blocks below are of; compared by identity, as encoding anew costs more."""
        self._command = _CODEC.encode_command(BLANK_COMMAND)
        self._result = self._link_result = _CODEC.encode_result(NO_RESULT)
        self._status = self._link_status = _CODEC.encode_status(Status())
        self.publish(Seat.LINK, BLANK_COMMAND, Outputs(), None)

    def publish(self, seat: Seat, command: Command, outputs: Outputs, link: Outputs | None) -> None:
        """Show a new image; `link`: what the station's own link is shown, None: the same."""
        known, result = self._known, outputs.result
        link_result = result if link is None else link.result
        if command is not known[0]:
            self._command = _CODEC.encode_command(command)
        if result is not known[1]:
            self._result = _CODEC.encode_result(result)
        if link_result is not known[2]:
            self._link_result = self._result if link_result is result else _CODEC.encode_result(link_result)
        self._known = (command, result, link_result)
        self._status = _CODEC.encode_status(outputs.status)
        self._link_status = self._status if link is None else _CODEC.encode_status(link.status)
        self._seat = seat
        self.touch()

    def touch(self) -> None:
        """The same image with a new stamp: the writer lives."""
        if self._map.closed:
            return
        head = _HEAD.pack(time.monotonic(), self._newest, self._seat)
        image = b"".join((head, self._command, self._status, self._result, self._link_status, self._link_result))
        memory, turn = self._map, self._turn
        memory[0:8] = _LOCK.pack(turn + 1)
        memory[_IMAGE_AT : _CRC_AT + 8] = image + _CRC.pack(crc32(image))
        self._turn = turn + 2
        memory[0:8] = _LOCK.pack(turn + 2)

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome, in the place of the one OUTCOMES before it; readers see it with the next image."""
        if self._map.closed:
            return
        record = _RECORD.pack(
            outcome.number,
            outcome.seat,
            outcome.accepted,
            outcome.exposed,
            outcome.decided,
            _CODEC.encode_result(outcome.result),
            *_texts(outcome),
        )
        at = _RECORDS_AT + outcome.number % OUTCOMES * _SLOT
        self._map[at : at + _SLOT] = record + _CRC.pack(crc32(record))
        self._newest = outcome.number

    def close(self) -> None:
        """Give the memory back; readers that hold it still can go on reading."""
        self._map.close()
        os.close(self.descriptor)


def _texts(outcome: Outcome) -> tuple[int, int, int, bytes, bytes, bytes]:
    serial, rule, detail = (
        _cut(text, size) for text, size in ((outcome.serial, _SERIAL), (outcome.rule, _RULE), (outcome.detail, _DETAIL))
    )
    return len(serial), len(rule), len(detail), serial, rule, detail


def _cut(text: str, size: int) -> bytes:
    """At most so many bytes, no character in half."""
    raw = text.encode("utf-8", "replace")
    return raw if len(raw) <= size else raw[:size].decode("utf-8", "ignore").encode()


class BoardReader:
    """A reader's end, in any process; takes the descriptor over."""

    def __init__(self, descriptor: int) -> None:
        try:
            self._map = mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        self._known: dict[bytes, Outputs] = {}
        """The outputs read last, by their words."""

    @property
    def turn(self) -> int:
        """Another one for each image; odd while one is written."""
        return int(_LOCK.unpack_from(self._map)[0])

    def read(self) -> Image:
        """The image as it is now; TornError after READ_TRIES. Outputs that did not change are the same objects."""
        for _ in range(READ_TRIES):
            turn = self.turn
            if turn & 1:
                continue
            raw = self._map[_IMAGE_AT : _CRC_AT + 8]
            if self.turn == turn and _CRC.unpack_from(raw, _IMAGE)[0] == crc32(raw[:_IMAGE]):
                return self._image(raw)
        raise TornError("the board is being written at every look")

    def outcomes(self, after: int, newest: int) -> list[Outcome]:
        """Those numbered `after` + 1 to `newest` that are still there, in order; a gap is one that is overwritten."""
        found = []
        for number in range(max(after, newest - OUTCOMES) + 1, newest + 1):
            outcome = self._outcome(number)
            if outcome is not None:
                found.append(outcome)
        return found

    def _outcome(self, number: int) -> Outcome | None:
        at = _RECORDS_AT + number % OUTCOMES * _SLOT
        raw = self._map[at : at + _SLOT]
        if _CRC.unpack_from(raw, _RECORD.size)[0] != crc32(raw[: _RECORD.size]):
            return None  # the writer has come round, and is just writing the one OUTCOMES later
        found, seat, accepted, exposed, decided, block, *rest = _RECORD.unpack_from(raw)
        result = _CODEC.decode_result(block)
        if found != number or result is None:
            return None
        serial, rule, detail = (
            text[:size].decode("utf-8", "replace") for size, text in zip(rest[:3], rest[3:], strict=True)
        )
        return Outcome(number, result, serial, Seat(seat), accepted, exposed, decided, rule, detail)

    def _image(self, raw: bytes) -> Image:
        stamp, newest, seat = _HEAD.unpack_from(raw)
        first = _HEAD.size + COMMAND_BYTES
        command = _CODEC.decode_command(raw[_HEAD.size : first])
        shown, linked = raw[first : first + _BLOCKS], raw[first + _BLOCKS : first + 2 * _BLOCKS]
        self._known = {words: self._known.get(words) or _outputs(words) for words in (shown, linked)}
        return Image(stamp, Seat(seat), command, self._known[shown], self._known[linked], newest)

    def close(self) -> None:
        """Give the memory back."""
        self._map.close()


def _outputs(raw: bytes) -> Outputs:
    result = _CODEC.decode_result(raw[STATUS_BYTES:])
    if result is None:
        raise TornError("a result whose numbers differ")
    return Outputs(_CODEC.decode_status(raw[:STATUS_BYTES]), result)
