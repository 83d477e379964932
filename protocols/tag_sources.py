"""What every source of tags has in common: whom it tells, how it proves life, when it writes again. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from protocols.faults import Code
from protocols.tags import Quality, TagValue, Value

RETRY, RETRY_SLOW = 0.05, 1.0
"""Seconds after which an output that the device refused is written again: a gate may stand open meanwhile."""
QUICK_TRIES = 100
"""So many refusals in a row, and it is tried slowly: the device has more to do than to refuse."""


class TagSink(Protocol):
    """Who wants to know. Every call is synchronous, cheap and never raises."""

    def values(self, readings: Mapping[str, TagValue]) -> None:
        """Readings of one moment by the tags' own names: a group, or all tags when the device is lost."""

    def link(self, up: bool, reason: str) -> None:
        """The device answers, or does so no longer; told once for each change, before or after the values of it."""

    def written(self, name: str, value: Value, error: str) -> None:
        """The device has taken this value, or (a sentence) has not."""


class Source(Protocol):
    """One device as a source of tags."""

    name: str

    def want(self, name: str, value: Value) -> None:
        """Have this output at this value from now on; a newer call replaces an older one."""

    def taken(self, name: str) -> Value | None:
        """The value of an output that the device has confirmed on this connection."""

    async def run(self) -> None:
        """Read and write until cancelled."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The tag that must change within `timeout` seconds, or no value of the device is good."""

    tag: str
    timeout: float


class Life:
    """Follows the tag that proves that a device's program runs."""

    def __init__(self, alive: Alive | None) -> None:
        self._alive, self._at = alive, -math.inf
        self._value: Value | None = None

    def lost(self) -> None:
        """The device is not reached: its life must be proved anew."""
        self._at = -math.inf

    def judged(self, readings: Mapping[str, TagValue], now: float) -> Mapping[str, TagValue]:
        """The readings, uncertain while the value that proves the device's life stands still."""
        alive = self._alive
        if alive is None:
            return readings
        proof = readings.get(alive.tag)
        if proof is not None and proof.quality is not Quality.BAD and proof.value != self._value:
            if self._value is not None:
                self._at = now
            self._value = proof.value
        if now - self._at <= alive.timeout:
            return readings
        reason = f"{alive.tag} has not changed for {alive.timeout:g} s: the device answers, but its program may stand"
        return {
            name: replace(reading, quality=Quality.UNCERTAIN, code=Code.TAG_DOUBTFUL, reason=reason)
            if reading.quality is Quality.GOOD
            else reading
            for name, reading in readings.items()
        }


class Outputs:
    """What is wanted of a device's outputs, what it has confirmed, what is due when. Levels: the newest wins."""

    def __init__(self, refresh: Mapping[str, float]) -> None:
        """`refresh`: the outputs, and how often each is written anew (seconds; 0: not)."""
        self.refresh = refresh
        self._wanted: dict[str, Value] = {}
        self._taken: dict[str, Value] = {}
        self._again: dict[str, float] = {}
        """When an output is to be written again though it did not change."""
        self._refusals: dict[str, int] = {}

    def want(self, name: str, value: Value, now: float) -> bool:
        """Have it at this value from now on; False when that is nothing new."""
        if name in self._wanted and self._wanted[name] == value:
            return False
        self._wanted[name] = value
        self._refusals.pop(name, None)
        if name in self._taken and self._taken[name] == value:
            self._again[name] = now  # wanted otherwise in between: say it once more, and go on refreshing
        else:
            self._again.pop(name, None)
        return True

    def taken(self, name: str) -> Value | None:
        """What the device has confirmed on this connection."""
        return self._taken.get(name)

    def forget(self) -> None:
        """A new connection, or none: nothing is confirmed."""
        self._taken.clear()
        self._again.clear()

    def due(self, now: float) -> Iterator[tuple[str, Value]]:
        """What is to be written at `now`."""
        for name, value in tuple(self._wanted.items()):
            again = self._again.get(name)
            if again is not None:
                if again <= now:
                    yield name, value
            elif name not in self._taken or self._taken[name] != value:
                yield name, value

    def next(self) -> float:
        """When something is to be written by time alone."""
        return min(self._again.values(), default=math.inf)

    def wrote(self, name: str, value: Value, now: float) -> None:
        """The device has confirmed this value."""
        self._taken[name] = value
        self._refusals.pop(name, None)
        self._later(name, value, self.refresh.get(name, 0.0), now)

    def refused(self, name: str, value: Value, now: float) -> None:
        """The device has not taken it; it is tried again."""
        self._taken.pop(name, None)
        self._refusals[name] = tries = self._refusals.get(name, 0) + 1
        self._later(name, value, retry_after(tries), now)

    def _later(self, name: str, value: Value, pause: float, now: float) -> None:
        self._again.pop(name, None)
        if pause and self._wanted.get(name) == value:
            self._again[name] = now + pause


def retry_after(refusals: int) -> float:
    """Seconds until an output is written again that was refused so often in a row."""
    return RETRY if refusals < QUICK_TRIES else RETRY_SLOW
