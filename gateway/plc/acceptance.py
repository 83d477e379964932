"""An acceptance: what is demanded, what was found, and what to do where they differ. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Verdict(StrEnum):
    """How one check ended; only FAILED makes the acceptance fail."""

    PASSED = "passed"
    NOTE = "note"
    """Allowed, but to be known."""
    SKIPPED = "skipped"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to be shown: what is demanded, and what to do when it does not hold."""

    key: str
    name: str
    demanded: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that belong together; a check's number is the group's letter and its place in the group."""

    letter: str
    title: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `remedy` is empty unless the check failed."""

    number: str
    group: str
    name: str
    demanded: str
    found: str
    verdict: Verdict
    remedy: str = ""


@dataclass(slots=True)
class Record:
    """The findings of one acceptance, filled check by check; a second finding of one check counts if it is worse."""

    groups: tuple[Group, ...]
    facts: dict[str, str] = field(default_factory=dict)
    """What was learned of the peer, by name, for the report's head."""
    ended: str = ""
    """Why the acceptance ended before its end, one sentence; empty when it did not."""
    _found: dict[str, Finding] = field(default_factory=dict)

    def judge(self, key: str, good: bool, found: str, *, demanded: str = "", remedy: str = "") -> bool:
        """Enter what was found, passed or failed; returns `good`."""
        self._enter(key, Verdict.PASSED if good else Verdict.FAILED, found, demanded, remedy)
        return good

    def note(self, key: str, found: str) -> None:
        """Enter what is allowed but should be known."""
        self._enter(key, Verdict.NOTE, found)

    def skip(self, why: str, *keys: str) -> None:
        """Enter for each of these why it was not tried."""
        for key in keys:
            self._enter(key, Verdict.SKIPPED, why)

    def close(self, why: str) -> None:
        """Whatever has no finding yet was not tried, because of `why`."""
        self.skip(why, *(check.key for _, _, check in self._rows() if check.key not in self._found))

    def has(self, key: str) -> bool:
        """Whether this check has its finding."""
        return key in self._found

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, in the order of the numbers."""
        return tuple(self._found[check.key] for _, _, check in self._rows() if check.key in self._found)

    def count(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(finding.verdict is verdict for finding in self.findings)

    @property
    def passed(self) -> bool:
        """Nothing failed, and it came to its end."""
        return not self.ended and not self.count(Verdict.FAILED)

    @property
    def summary(self) -> str:
        """How many of each, in one line."""
        told = [f"{self.count(verdict)} {verdict.value}" for verdict in Verdict if self.count(verdict)]
        return ", ".join(told) or "nothing was checked"

    def _rows(self) -> Iterator[tuple[str, Group, Check]]:
        for group in self.groups:
            for place, check in enumerate(group.checks, 1):
                yield f"{group.letter}{place}", group, check

    def _enter(self, key: str, verdict: Verdict, found: str, demanded: str = "", remedy: str = "") -> None:
        number, group, check = next(row for row in self._rows() if row[2].key == key)
        before = self._found.get(key)
        if before is not None and _ORDER.index(before.verdict) >= _ORDER.index(verdict):
            return
        mend = (remedy or check.remedy) if verdict is Verdict.FAILED else ""
        self._found[key] = Finding(number, group.title, check.name, demanded or check.demanded, found, verdict, mend)


_ORDER = (Verdict.SKIPPED, Verdict.PASSED, Verdict.NOTE, Verdict.FAILED)


class StopError(Exception):
    """The acceptance cannot go on: one sentence with the cause and what to do."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0…1) of the values do not exceed (nearest rank); 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def times(values: Sequence[float]) -> str:
    """Seconds as `p50 1.2 ms, p99 3.4 ms, of 50`."""
    half, most = percentile(values, 0.5), percentile(values, 0.99)
    return f"p50 {half * 1000:.1f} ms, p99 {most * 1000:.1f} ms, of {len(values)}"
