"""Counters of a station since the start of the gateway. Plain numbers, written and read on the control loop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from protocols.signals import Judgement


@dataclass(slots=True)
class StationMetrics:
    """What one station did; every number only grows."""

    accepted: int = 0
    """Triggers accepted."""
    skipped: int = 0
    """Trigger numbers that the PLC left out, or went through faster than they were read."""
    acknowledged: int = 0
    """Results that the PLC has taken."""
    lost: int = 0
    """Results dropped unacknowledged."""
    late: int = 0
    """Answers of a vision worker after their deadline, not used."""
    link_ups: int = 0
    """Times the link to the PLC came back."""
    refusals: Counter[int] = field(default_factory=Counter)
    """Refused requests by fault code."""
    judgements: Counter[Judgement] = field(default_factory=Counter)
    """Results by judgement."""

    def refused(self, code: int) -> None:
        """Count a refused request."""
        self.refusals[int(code)] += 1

    def result(self, judgement: Judgement) -> None:
        """Count a result shown to the PLC."""
        self.judgements[judgement] += 1

    def snapshot(self) -> dict[str, int]:
        """All counters by name; refusals as `refused_<code>`, results as `ok`, `ng`, `recheck`, `fault`."""
        numbers = {
            "accepted": self.accepted,
            "skipped": self.skipped,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "late": self.late,
            "link_ups": self.link_ups,
        }
        numbers |= {kind.name.lower(): self.judgements[kind] for kind in Judgement if kind is not Judgement.NONE}
        numbers |= {f"refused_{code}": count for code, count in sorted(self.refusals.items())}
        return numbers
