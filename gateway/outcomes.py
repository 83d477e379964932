"""Exactly one outcome for each accepted trigger, on disk before the PLC can see it. Callbacks of the control loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.cycle import Cycle
from gateway.history import HistoryError
from gateway.inspection import Inspection, Judged, Observation, Trigger
from protocols.faults import Code
from protocols.signals import Judgement

COMMIT_GRACE = 0.015
"""Seconds a FAULT decided at the deadline may wait for the disk before it is shown all the same."""
SLOW_DISK = 0.1
"""Seconds after which a row that was shown unrecorded and is still not written takes Ready away."""


class Store(Protocol):
    """What is asked of the history."""

    def accept(self, station: str, trigger: Trigger, recipe: int, recorded: Callable[[], None]) -> None:
        """Open the row of an accepted trigger, then call back; never, if that failed."""

    def commit(self, inspection: Inspection, done: Callable[[HistoryError | None], None]) -> None:
        """Write the outcome, then call back."""

    def amend(self, inspection: Inspection, written: Callable[[], None]) -> None:
        """Rewrite the row with what was shown instead; tried until it succeeds, then call back."""


class Owner(Protocol):
    """The station whose outcomes these are."""

    def reserve_seq(self) -> int:
        """The number of the next result."""

    def decided(self, inspection: Inspection) -> None:
        """Show this outcome now."""

    def stored(self, error: HistoryError | None) -> None:
        """The history wrote (None) or could not."""


class Outcomes:
    """The open cycles of one station. A cycle is decided once; only a FAULT may replace a verdict not yet shown."""

    def __init__(self, owner: Owner, store: Store, clock: Callable[[], float]) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self._owner, self._store, self._clock = owner, store, clock
        self._open: dict[int, Cycle] = {}

    def begin(self, cycle: Cycle, recorded: Callable[[], None]) -> None:
        """A trigger was accepted; `recorded` is called once a kill cannot take its row any more."""
        self._open[cycle.trigger.cycle] = cycle
        self.idle.clear()
        self._store.accept(cycle.station, cycle.trigger, cycle.recipe.number, recorded)

    def running(self, number: int) -> Cycle | None:
        """The cycle, while it has no outcome yet."""
        cycle = self._open.get(number)
        return cycle if cycle is not None and cycle.inspection is None else None

    def unshown(self) -> tuple[int, ...]:
        """The numbers of all open cycles."""
        return tuple(self._open)

    def verdict(self, cycle: Cycle, judged: Judged, seen: Observation) -> None:
        """The judge has spoken: record it, then show it."""
        self._record(cycle, cycle.judged(judged, seen, self._owner.reserve_seq(), self._clock()))

    def fault(self, number: int, code: Code, detail: str, seen: Observation | None = None) -> None:
        """End a cycle as FAULT; a verdict that is still on its way to the disk is taken back."""
        cycle = self._open.get(number)
        if cycle is None:
            return
        before = cycle.inspection
        seq = self._owner.reserve_seq() if before is None else before.result_seq
        inspection = cycle.fault(code, detail, seen or Observation(), seq, self._clock())
        if before is None:
            self._record(cycle, inspection)
        else:
            self._show_unrecorded(inspection)

    def expire(self, number: int, code: Code, detail: str) -> None:
        """Its time is over: FAULT with `code`, or 4001 when a verdict is there but not on the disk."""
        if self.running(number) is not None:
            self.fault(number, code, detail)
        elif code is Code.DEADLINE_MISSED:
            self.fault(number, Code.STORE_WRITE, "the verdict was not on the disk by the deadline")
        elif (
            cycle := self._open.get(number)
        ) is not None:  # too late to abort: a verdict is there, only the disk lacks
            rest = max(0.0, cycle.trigger.deadline - self._clock())
            asyncio.get_running_loop().call_later(rest, self.expire, number, Code.DEADLINE_MISSED, detail)

    def _record(self, cycle: Cycle, inspection: Inspection) -> None:
        cycle.inspection = inspection
        number = cycle.trigger.cycle
        if inspection.judgement is Judgement.FAULT:
            asyncio.get_running_loop().call_later(COMMIT_GRACE, self._overdue, number)
        self._store.commit(inspection, lambda error: self._committed(number, error))

    def _committed(self, number: int, error: HistoryError | None) -> None:
        self._owner.stored(error)
        cycle = self._open.get(number)
        if cycle is None or cycle.inspection is None:
            return  # shown already as a FAULT; that row is amended
        if error is None:
            self._show(cycle.inspection)
        elif cycle.inspection.judgement is Judgement.FAULT:
            self._show_unrecorded(cycle.inspection)
        else:
            self.fault(number, error.code, error.text)

    def _overdue(self, number: int) -> None:
        """A FAULT that the disk holds up is shown unrecorded: the PLC must not wait for it."""
        cycle = self._open.get(number)
        if cycle is not None and cycle.inspection is not None:
            self._show_unrecorded(cycle.inspection)

    def _show_unrecorded(self, inspection: Inspection) -> None:
        late = HistoryError(Code.STORE_WRITE, "the disk does not take the records in time")
        alarm = asyncio.get_running_loop().call_later(SLOW_DISK, self._owner.stored, late)

        def written() -> None:
            alarm.cancel()
            self._owner.stored(None)

        self._store.amend(inspection, written)
        self._show(inspection)

    def _show(self, inspection: Inspection) -> None:
        del self._open[inspection.trigger.cycle]
        self._owner.decided(inspection)
        if not self._open:
            self.idle.set()
