"""The queue of results between the gateway and a PLC that acknowledges them: pure."""

from __future__ import annotations

from collections import deque

from protocols.handshake import CycleSettings, ResultPhase
from protocols.signals import NO_RESULT, Result


class ResultQueue:
    """Shows one result at a time, oldest first; at most `depth` unacknowledged, 0 = the newest overwrites.

    Not `acknowledged`: nobody takes results, so each gives way to the next and none counts as lost.
    """

    def __init__(self, settings: CycleSettings) -> None:
        self.depth = settings.queue
        self.acknowledged = settings.acknowledged
        self._valid_delay, self._ack_timeout = settings.result_valid_delay, settings.ack_timeout
        self.lost = 0
        self.block: Result = NO_RESULT
        """What stands in the result words; it stays there after its ack, with ResultValid off."""
        self.toggle = False
        self.shown_at = 0.0
        self._valid = False
        self._ack_high = False
        self._courtesy = 0
        """RESULT_SEQ shown again although the PLC has taken it: it waits for no ack and gives way to any other."""
        self._waiting: deque[Result] = deque()

    @property
    def phase(self) -> ResultPhase:
        """Where the four phases stand."""
        if self._valid:
            return ResultPhase.SHOWN
        return ResultPhase.RELEASE if self._ack_high else ResultPhase.EMPTY

    @property
    def shown(self) -> Result | None:
        """The result that waits for its ack, if any."""
        return self.block if self._valid else None

    @property
    def pending(self) -> int:
        return len(self._waiting) + self.awaits_ack

    @property
    def awaits_ack(self) -> bool:
        """A result is shown that the PLC has not taken yet."""
        return self.acknowledged and self._valid and self.block.result_seq != self._courtesy

    @property
    def valid_at(self) -> float | None:
        """When ResultValid follows the words of the shown result; None where none is shown."""
        return self.shown_at + self._valid_delay if self._valid else None

    @property
    def ack_due(self) -> float | None:
        """When the shown result counts as unacknowledged for too long; None: never (depth 0 asks for no ack)."""
        timed = self.awaits_ack and self._ack_timeout > 0 and self.depth > 0
        return self.shown_at + self._ack_timeout if timed else None

    def holds(self, result_seq: int) -> bool:
        """True while that result is shown or waits."""
        shown = self.shown
        return (shown is not None and shown.result_seq == result_seq) or any(
            r.result_seq == result_seq for r in self._waiting
        )

    def offer(self, result: Result, now: float, *, taken: bool = False) -> Result | None:
        """Queue a result for the PLC, `taken` = once more; returns the one that had to be dropped unacknowledged."""
        self._courtesy = result.result_seq if taken else self._courtesy
        dropped: Result | None = None
        if self.pending >= max(1, self.depth):
            self.lost = min(self.lost + 1, 0xFFFF)
            if self.awaits_ack:
                dropped, self._valid = self.block, False
            else:
                dropped = self._waiting.popleft()
        self._waiting.append(result)
        self._advance(now)
        return dropped

    def ack_seq(self, result_seq: int, now: float) -> bool:
        """Acknowledge by number: only the shown result counts, or the one that `hold` took back."""
        if self.block.result_seq != result_seq or not (self._valid or self._held):
            return False
        if self._held:
            self._waiting.popleft()
        self._valid = False
        self._advance(now)
        return True

    def ack_rise(self) -> bool:
        """ResultAck 0→1: ResultValid falls; False when nothing was shown that it could mean."""
        shown, self._valid, self._ack_high = self._valid, False, True
        return shown

    def ack_fall(self, now: float) -> None:
        """ResultAck is 0: the next result may come."""
        self._ack_high = False
        self._advance(now)

    def hold(self) -> None:
        """ResultAck is 1 and nobody knows what it means: show nothing until it falls, then the same result again."""
        if self.awaits_ack:
            self._waiting.appendleft(self.block)
        self._valid, self._ack_high = False, True

    @property
    def _held(self) -> bool:
        return not self._valid and bool(self._waiting) and self._waiting[0] is self.block

    def _advance(self, now: float) -> None:
        if self._waiting and not self.awaits_ack:
            self._valid = False
        # Shown under a ResultAck that is high already, a result would never see the edge that acknowledges it.
        if not self._valid and not self._ack_high and self._waiting:
            self.block = self._waiting.popleft()
            self._valid = True
            self.toggle = not self.toggle
            self.shown_at = now
