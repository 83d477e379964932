"""A reject gate: it rests on reject and opens for a part that was proved good, while that very part is there. Pure.

Parts pass the camera and reach the gate in the same order: a fixed time later, or when so many further parts have
passed the camera, or so long after that. Whatever is not certain rejects: a part whose result is missing or late,
one that was not inspected, all that are on their way when the order was in doubt.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Where the gate stands and how long it opens; times in seconds."""

    delay: float = 0.0
    after_parts: int = 0
    """The part is at the gate when so many further ones have passed the camera; 0 = by time alone."""
    pulse: float = 0.2
    queue: int = 32
    """Parts between camera and gate at most."""
    expiry: float = 60.0
    """A part that needs longer to the gate is rejected."""


@dataclass(slots=True)
class _Part:
    cycle: int | None
    """None: it was not inspected."""
    entered: float
    left: int
    at: float | None = None
    """When it is at the gate; None = further parts must pass the camera first."""
    good: bool = False
    closed: bool = False
    """Its fate is sealed."""


class Gate:
    """Parts on their way from the camera to the gate. `now` is monotonic and never goes back."""

    def __init__(self, settings: GateSettings) -> None:
        self.settings = settings
        self.overflows = 0
        self._parts: deque[_Part] = deque()
        self._there: _Part | None = None
        """The part that reached the gate last."""

    @property
    def waiting(self) -> int:
        """Parts on their way."""
        return len(self._parts)

    def entered(self, cycle: int | None, now: float) -> None:
        """A part passed the camera; `cycle` is that of its inspection."""
        self._advance(now)
        for before in self._parts:
            before.left -= 1
            if before.left == 0:
                before.at = now + self.settings.delay
        if len(self._parts) >= self.settings.queue:
            self.overflows += 1
            self.doubt()  # this part is in no queue: it must not meet a gate that is open for another one
            return
        part = _Part(cycle, now, self.settings.after_parts)
        if part.left == 0:
            part.at = now + self.settings.delay
        self._parts.append(part)
        self._advance(now)

    def uninspected(self, now: float) -> None:
        """A part may have passed the camera and was not looked at, or will be triggered for again."""
        if self.settings.after_parts:
            self.doubt()  # whether it counts as a part nobody knows, so every later place in the row is uncertain
        else:
            self.entered(None, now)

    def decided(self, cycle: int, good: bool, now: float) -> None:
        """The outcome of an inspection, once; too late or of a part that is not on its way it changes nothing."""
        self._advance(now)
        for part in self._parts:
            if part.cycle == cycle and not part.closed:
                part.good, part.closed = good, True

    def doubt(self) -> None:
        """Something may have been missed: all parts on their way are rejected, the gate rests at once."""
        self._there = None
        for part in self._parts:
            part.good, part.closed = False, True

    def open(self, now: float) -> bool:
        """Whether the gate lets pass at `now`."""
        self._advance(now)
        there = self._there
        return there is not None and there.good and there.at is not None and now < there.at + self.settings.pulse

    def due(self, now: float) -> float | None:
        """When `open` may change by time alone."""
        times = [self._parts[0].at] if self._parts else []
        there = self._there
        if there is not None and there.good and there.at is not None and now < there.at + self.settings.pulse:
            times.append(there.at + self.settings.pulse)
        return min((time for time in times if time is not None), default=None)

    def _advance(self, now: float) -> None:
        while self._parts and (at := self._parts[0].at) is not None and at <= now:
            part = self._parts.popleft()
            part.closed = True
            part.good = part.good and at - part.entered <= self.settings.expiry
            self._there = part
