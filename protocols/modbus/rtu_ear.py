"""What a server hears on a serial line that it shares with others: the requests for its own units, and no others. Pure.

A frame's end is known by the length that its function tells and by its CRC; by silence only where that fails. For
silence cannot be measured behind a USB adapter: bytes of one frame arrive in pieces with pauses, and two frames as
one piece. The others' answers look like requests of another length, so every frame on the line is followed.
Source: MODBUS over Serial Line V1.02, §2.5.1; master and slaves take turns as in §2.4.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace

from protocols.modbus.rtu import (
    BROADCAST,
    MAX_FRAME,
    MIN_FRAME,
    REFUSAL_BIT,
    UNKNOWN,
    Timing,
    answer_count,
    answer_length,
    counts_agree,
    first_sound,
    glitch,
    request_length,
    sound,
)

_WAIT, _NONE = -1, 0
_SEARCHED = 2 * MAX_FRAME
"""So much noise is searched for a frame at once."""
_SAME_BOTH_WAYS = (5, 6, 22)
"""Functions whose answer repeats the request: an echo of ours looks like the next request."""
_SUSPECT = 8
"""So many requests in a row that each repeat our last answer are rather our own echo, answered for ever."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request for a unit of ours, or for all (unit 0)."""

    unit: int
    pdu: bytes
    last: bool
    """Nothing has followed it on the line. What was followed by anything is too old to be answered: the answer would
    meet somebody else's."""


@dataclass(slots=True)
class Heard:
    """Totals since start, for metrics."""

    requests: int = 0
    """For our units, broadcasts included."""
    foreign: int = 0
    """Sound frames of others, requests and answers."""
    broken: int = 0
    """Where a frame should have begun and none did: noise, bad CRC, wrong baud rate or parity."""
    missed: int = 0
    """Found behind noise, where it might be a part of something else: not served, the master repeats it."""
    echoes: int = 0
    """Answers of ours that came back."""


class Ear:
    """Listens to one line; holds less than 512 bytes from one call to the next."""

    def __init__(self, units: Container[int], timing: Timing, *, echo: bool = False) -> None:
        """`echo`: the adapter hears itself, so each answer comes back once."""
        self.heard = Heard()
        self._units, self._timing, self._echo = units, timing, echo
        self._buffer = bytearray()
        self._gaps: list[int] = []
        """Places in the buffer before which the line was silent: possible starts of a frame."""
        self._lost = False
        """The buffer does not begin with a frame, so only a gap or a sound frame shows the next start."""
        self._last = 0.0
        self._asked = b""
        """A request to somebody else, until the next frame."""
        self._said, self._said_until = b"", 0.0
        self._answered, self._same = b"", 0

    @property
    def until(self) -> float | None:
        """When `quiet` is due, should nothing come before; None while nothing is held."""
        return self._last + self._timing.patience if self._buffer else None

    def feed(self, data: bytes, now: float) -> list[Request]:
        """The requests that these bytes complete, in order."""
        late = self.quiet(now)
        if self._buffer and now >= self._last + self._timing.silence:
            self._gaps.append(len(self._buffer))
        self._last = now
        self._buffer += data
        if now > self._said_until:
            self._said = b""
        return [replace(request, last=False) for request in late] + self._cut(final=False)

    def quiet(self, now: float) -> list[Request]:
        """Requests that only silence could end: nothing came for the timing's patience. [] when called early."""
        return self._cut(final=True) if now >= self._last + self._timing.patience else []

    def said(self, frame: bytes, now: float) -> None:
        """We answer with this frame: it may be heard again."""
        self._said = self._answered = frame
        self._said_until = now + len(frame) * self._timing.char + 2 * self._timing.patience

    def _cut(self, *, final: bool) -> list[Request]:
        found: list[tuple[int, bytes]] = []
        served = False
        while self._buffer:
            if self._lost:
                if not self._regain(final=final):
                    break
                continue
            length = self._frame(final=final)
            if length == _WAIT:
                break
            if length == _NONE:
                self._skip(final=final)
                continue
            frame = self._drop(length)
            served = self._serves(frame)
            if served:
                found.append((frame[0], frame[1:-2]))
        newest = len(found) if served and glitch(self._buffer) else 0
        return [Request(unit, pdu, number == newest) for number, (unit, pdu) in enumerate(found, 1)]

    def _frame(self, *, final: bool) -> int:
        """Length of the frame at the start; _WAIT if only more bytes can tell, _NONE if no frame begins here."""
        buffer = self._buffer
        if self._said and (length := self._echo_length(final=final)):
            return length
        if len(buffer) < 2:
            return _NONE if final else _WAIT
        if self._gaps and sound(buffer[: self._gaps[0]]):
            return self._gaps[0]
        for guess in self._lengths():
            length = guess if guess != UNKNOWN else first_sound(buffer) or min(MAX_FRAME, len(buffer) + 1)
            if len(buffer) < length <= MAX_FRAME and not final:
                return _WAIT
            if length <= len(buffer) and sound(buffer[:length]):
                return length
        return len(buffer) if final and sound(buffer) else _NONE

    def _lengths(self) -> tuple[int, ...]:
        """How long the frame may be, the likeliest first."""
        buffer = self._buffer
        if buffer[0] in self._units or buffer[0] == BROADCAST:
            return (request_length(buffer),)
        answer = answer_length(buffer)
        if buffer[1] & REFUSAL_BIT:
            return (answer,)
        request = request_length(buffer)
        if self._awaited(buffer) or not counts_agree(buffer):
            return answer, request
        return request, answer

    def _awaited(self, start: bytes | bytearray) -> bool:
        """Whether this begins as the answer to the request that was heard right before."""
        if not self._asked or start[:2] != self._asked[:2]:
            return False
        count = answer_count(self._asked)
        return count is None or start[2:3] in (b"", bytes((count & 0xFF,)))

    def _echo_length(self, *, final: bool) -> int:
        """Length of our own answer come back; _WAIT while it may become that; 0 if it cannot."""
        said, buffer = self._said, self._buffer
        if not self._echo and said[1] in _SAME_BOTH_WAYS:
            return 0  # without an echo this is the master's next request
        if buffer.startswith(said):
            return len(said)
        if said.startswith(buffer) and not final:
            return _WAIT
        self._said = b""
        return 0

    def _serves(self, frame: bytes) -> bool:
        """Whether this is a request for us; keeps account of who spoke."""
        unit, function = frame[0], frame[1]
        foreign = unit != BROADCAST and unit not in self._units
        self._asked = frame if foreign and self._is_request(frame) else b""
        if foreign:
            self._same = 0
            self.heard.foreign += 1
            return False
        if self._is_echo(frame):
            self.heard.echoes += 1
            return False
        if not 0 < function < REFUSAL_BIT:
            return False
        self.heard.requests += 1
        return True

    def _is_request(self, frame: bytes) -> bool:
        if frame[1] & REFUSAL_BIT or request_length(frame) != len(frame):
            return False
        return answer_length(frame) != len(frame) or not self._awaited(frame)

    def _is_echo(self, frame: bytes) -> bool:
        if frame == self._said and (self._echo or frame[1] not in _SAME_BOTH_WAYS):
            self._said = b""
            return True
        self._same = self._same + 1 if frame == self._answered else 0
        if self._same < _SUSPECT:
            return False
        self._same = 0
        return True

    def _skip(self, *, final: bool) -> None:
        """No frame begins here: go on at the next gap or behind a glitch, or else be lost."""
        if not (final and glitch(self._buffer)):
            self.heard.broken += 1
        rest = self._buffer.lstrip(b"\x00\xff")
        lead = len(self._buffer) - len(rest)
        if self._gaps:
            self._drop(self._gaps[0])
        elif rest and glitch(self._buffer[:lead]) and lead:
            self._drop(lead)
        else:
            self._lost = True

    def _regain(self, *, final: bool) -> bool:
        """Find the next start, at a gap or behind a sound frame; False if more bytes are needed."""
        end = self._gaps[0] if self._gaps else len(self._buffer) * final
        if end and sound(self._buffer[:end]):
            pass  # it was a whole frame, of another length than its function tells
        elif self._gaps:
            self._drop(self._gaps[0])
        elif not final and len(self._buffer) < _SEARCHED:
            return False  # a search for each byte of noise would take the loop's time from all others
        elif behind := self._behind_sound_frame():
            self._drop(behind)
        elif final:
            self._drop(len(self._buffer))
        else:
            self._drop(len(self._buffer) - MAX_FRAME + 1)
            return False
        self._lost = False
        return True

    def _behind_sound_frame(self) -> int:
        for at in range(len(self._buffer) - MIN_FRAME + 1):
            piece = self._buffer[at : at + MAX_FRAME]
            for length in {request_length(piece), answer_length(piece)}:
                if length <= len(piece) and sound(piece[:length]):
                    self.heard.missed += piece[0] in self._units and not piece[1] & REFUSAL_BIT
                    return at + length
        return 0

    def _drop(self, length: int) -> bytes:
        gone = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._gaps = [gap - length for gap in self._gaps if gap > length]
        return gone
