"""When a tag triggers: edges, changes, counts and thresholds of its readings. Pure.

What happened while nobody looked is no event: the first good reading after a gap (start, reconnection, a bad or
uncertain reading, one too late) is a baseline, as the first command block of a PLC is.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.faults import Code
from protocols.tag_words import When
from protocols.tags import Quality, TagValue, Value, changed


@dataclass(frozen=True, slots=True)
class Rule:
    """What to wait for."""

    when: When
    threshold: float = 0.0
    hysteresis: float = 0.0
    deadband: float = 0.0
    modulus: int = 0
    """Of COUNT: the range of the integer."""
    value: Value | None = None
    """Of EQUALS."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reading meant: one event, and how many more there were or may have been that nobody saw in time."""

    fired: bool = False
    missed: int = 0
    code: Code = Code.NONE
    """Why they were missed: 3001 nobody looked, 3008 several at once, 3006 the counter was set back."""
    broken: bool = False
    """The row of good readings is broken: what happened meanwhile nobody knows. COUNT tells it later instead."""


NOTHING = Seen()


class Watch:
    """Follows one tag. Give it every reading in order, the doubtful ones too."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._last: Value | None = None
        self._on = False
        self._at: float | None = None
        """When the last good reading of an unbroken row was taken."""

    def see(self, reading: TagValue, now: float) -> Seen:
        """Take one reading at `now` (monotonic)."""
        reading = reading.seen(now)
        value = reading.value
        if reading.quality is not Quality.GOOD or value is None:
            self._at = None
            return Seen(broken=self._blind)
        unbroken = self._at is not None and reading.at - self._at <= reading.max_age
        self._at = reading.at
        if self._last is None:
            self._last, self._on = value, self._level(value, fresh=True)
            return NOTHING
        count = self._threshold(value, fresh=not unbroken) if self._by_level else self._edge(value)
        if not unbroken:
            self._last = value
            return Seen(missed=abs(count), code=Code.LINK_LOST if count else Code.NONE, broken=self._blind)
        if count < 0:
            return Seen(missed=1, code=Code.OUT_OF_ORDER)
        return Seen(True, count - 1, Code.TOO_FAST) if count > 1 else Seen(fired=count == 1)

    def broken(self, newest: TagValue, now: float) -> bool:
        """Whether the row is broken at `now`, its newest reading being this one."""
        return self._blind and newest.seen(now).quality is not Quality.GOOD

    @property
    def _by_level(self) -> bool:
        return self.rule.when in (When.ABOVE, When.BELOW)

    @property
    def _blind(self) -> bool:
        """Whether a broken row hides what happened in it; before the first good reading nothing counts anyway."""
        return self.rule.when is not When.COUNT and self._last is not None

    def _edge(self, value: Value) -> int:
        """Events between the last reference and `value`; -1 for a counter that was set back."""
        last, rule = self._last, self.rule
        assert last is not None  # noqa: S101 - see() has set it
        if rule.when is When.COUNT:
            return self._steps(last, value)
        if rule.when is When.CHANGE:
            if not changed(last, value, rule.deadband):
                return 0
            self._last = value
            return 1
        if rule.when is When.EQUALS:
            self._last = value
            return int(value == rule.value and last != rule.value)
        if isinstance(last, str) or isinstance(value, str):
            return 0
        step = value - last if rule.when is When.RISE else last - value
        # A number that goes the other way takes its reference along: the next edge is measured from the turning point.
        if step < 0 or step > rule.deadband:
            self._last = value
        return int(step > rule.deadband)

    def _steps(self, last: Value, value: Value) -> int:
        if not isinstance(last, int) or not isinstance(value, int):
            return 0
        self._last = value
        step = (value - last) % self.rule.modulus
        return step if step <= self.rule.modulus // 2 else -1

    def _threshold(self, value: Value, *, fresh: bool) -> int:
        on = self._level(value, fresh=fresh)
        fired, self._on = on and not self._on, on
        return int(fired)

    def _level(self, value: Value, *, fresh: bool) -> bool:
        """Whether the number counts as beyond the threshold; seen first within the hysteresis it does."""
        if isinstance(value, bool | str):
            return False
        rule = self.rule
        sign = -1 if rule.when is When.BELOW else 1
        x, threshold = sign * value, sign * rule.threshold
        if x > threshold:
            return True
        if x <= threshold - rule.hysteresis:
            return False
        return self._on or fresh
