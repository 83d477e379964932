"""The peer's heartbeat, watched: pure, given `now` in monotonic seconds."""

from __future__ import annotations


class HeartbeatMonitor:
    """Says whether the peer is alive: every change of its counter is a beat.

    A counter that never changed since `reset` is not supervised (a PLC without heartbeat), unless `required`.
    """

    def __init__(self, timeout: float, *, required: bool = False) -> None:
        self.timeout = timeout
        self.required = required
        self._value: int | None = None
        self._last: float | None = None

    def reset(self, now: float) -> None:
        """Begin anew, as after a connection: the next value seen is the baseline."""
        self._value = None
        self._last = now if self.required else None

    def see(self, value: int, now: float) -> None:
        """Take the counter's value as just read."""
        if (self._value is not None and value != self._value) or (
            self._value is None and self.required and self._last is None
        ):
            self._last = now
        self._value = value

    @property
    def supervised(self) -> bool:
        return self._last is not None

    def lost(self, now: float) -> bool:
        """True when the peer is supervised and no beat came for longer than the time-out."""
        return self._last is not None and now - self._last > self.timeout

    def deadline(self) -> float | None:
        """When `lost` would become true without a further beat."""
        return None if self._last is None else self._last + self.timeout
