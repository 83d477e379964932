"""The accepted triggers of a station that have no outcome yet: pure."""

from __future__ import annotations

from dataclasses import dataclass

from protocols import handshake as hs
from protocols.faults import Code

OVERLAP_DEPTH = 2
"""Open cycles at once with `overlap`: one being judged, one being exposed."""


@dataclass(slots=True)
class _Open:
    request: hs.Accepted
    exposed: bool = False
    expired: bool = False


class OpenCycles:
    """By number, oldest first. A cycle expires once, and stays open until it is ended."""

    def __init__(self, *, overlap: bool) -> None:
        self.overlap = overlap
        self._open: dict[int, _Open] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(self._open)

    @property
    def busy(self) -> bool:
        """Whether no further trigger can be taken."""
        if not self._open:
            return False
        if not self.overlap:
            return True
        return len(self._open) >= OVERLAP_DEPTH or any(not entry.exposed for entry in self._open.values())

    def begin(self, request: hs.Accepted) -> None:
        """A trigger was accepted."""
        self._open[request.cycle] = _Open(request)

    def exposed(self, cycle: int) -> bool:
        """The frame of this cycle is taken; False for a cycle that is not open."""
        entry = self._open.get(cycle)
        if entry is None:
            return False
        entry.exposed = True
        return True

    def end(self, cycle: int) -> bool:
        """The cycle has its outcome; False for a cycle that is not open."""
        return self._open.pop(cycle, None) is not None

    def expire(self, now: float, actions: list[hs.Action]) -> None:
        """Those whose deadline has passed end as FAULT 2003."""
        for cycle, entry in self._open.items():
            if not entry.expired and now >= entry.request.deadline:
                entry.expired = True
                actions.append(hs.Expired(cycle, Code.DEADLINE_MISSED))

    def abort(self, code: Code, actions: list[hs.Action]) -> None:
        """All end now, as FAULT with `code`."""
        for cycle, entry in self._open.items():
            if not entry.expired:
                entry.expired = True
                actions.append(hs.Expired(cycle, code))

    def deadlines(self) -> list[float]:
        """When each of them expires."""
        return [entry.request.deadline for entry in self._open.values() if not entry.expired]
