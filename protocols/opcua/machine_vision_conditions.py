"""The three conditions of a station: what holds, what somebody has acknowledged and confirmed. Pure.

OPC UA Part 9, §5.7 (acknowledgeable conditions), without branches: one condition each for warnings, errors and
persistent errors; it shows the newest code of its kind, and another code is a new occurrence of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from protocols.faults import describe
from protocols.opcua.machine_vision_records import ConditionChanged, ConditionShown, Grade
from protocols.opcua.machine_vision_view import grade

UNNAMED = "Degraded; a latched fault hides the cause, see the log"

Comment = tuple[str, str, str]


class Answer(Enum):
    """What becomes of Acknowledge, Confirm and AddComment; the value names the StatusCode."""

    DONE = "Good"
    UNKNOWN_EVENT = "BadEventIdUnknown"
    ALREADY_ACKED = "BadConditionBranchAlreadyAcked"
    ALREADY_CONFIRMED = "BadConditionBranchAlreadyConfirmed"


class _Condition:
    def __init__(self, kind: Grade) -> None:
        self.shown = ConditionShown(kind)
        self.codes: dict[int, bool] = {}
        self.since = 1
        """The serial with which the present occurrence began: EventIds from there on mean it."""

    def change(self, **fields: object) -> ConditionChanged:
        self.shown = replace(self.shown, serial=self.shown.serial + 1, **fields)  # type: ignore[arg-type]
        return ConditionChanged(self.shown)

    def update(self, codes: Mapping[int, bool]) -> list[ConditionChanged]:
        new = [code for code in codes if code not in self.codes]
        kept = {code: codes[code] for code in self.codes if code in codes}
        self.codes = kept | {code: codes[code] for code in new}
        if new:
            return [self._occur(new[-1])]
        if not self.shown.active or self.shown.code in self.codes:
            return self._reaction()
        if self.codes:
            return [self._occur(next(reversed(self.codes)))]
        return [self.change(active=False, stop_reaction=False, block_reaction=False)]

    def _reaction(self) -> list[ConditionChanged]:
        stop = self.codes.get(self.shown.code, False)
        return [self.change(stop_reaction=stop)] if self.shown.active and stop != self.shown.stop_reaction else []

    def _occur(self, code: int) -> ConditionChanged:
        changed = self.change(
            code=code,
            text=describe(code) if code else UNNAMED,
            active=True,
            acked=False,
            confirmed=True,
            stop_reaction=self.codes[code],
            block_reaction=self.shown.grade is Grade.PERSISTENT,
            comment=("", "", ""),
        )
        self.since = self.shown.serial
        return changed


class Conditions:
    """All conditions of one station."""

    def __init__(self) -> None:
        self._conditions = {kind: _Condition(kind) for kind in Grade}

    def shown(self, kind: Grade) -> ConditionShown:
        """The condition as it stands."""
        return self._conditions[kind].shown

    def retained(self) -> list[ConditionShown]:
        """What a ConditionRefresh tells."""
        return [c.shown for c in self._conditions.values() if c.shown.retain]

    def update(self, holding: Mapping[int, bool], warnings: tuple[int, ...] = ()) -> list[ConditionChanged]:
        """These codes hold now, each with whether it stops operation; `warnings` never do, whatever their class."""
        changed: list[ConditionChanged] = []
        for kind, condition in self._conditions.items():
            codes = {code: stop for code, stop in holding.items() if grade(code) is kind}
            more = dict.fromkeys(warnings, False) if kind is Grade.WARNING else {}
            changed += condition.update(codes | more)
        return changed

    @property
    def waits_for_people(self) -> bool:
        """A persistent error was not acknowledged and confirmed yet: Reset has to wait for that."""
        shown = self.shown(Grade.PERSISTENT)
        return shown.serial > 0 and not (shown.acked and shown.confirmed)

    def acknowledge(self, kind: Grade, serial: int, comment: Comment) -> tuple[Answer, list[ConditionChanged]]:
        """Somebody has seen it; it then waits to be confirmed."""
        return self._answer(kind, serial, comment, "acked")

    def confirm(self, kind: Grade, serial: int, comment: Comment) -> tuple[Answer, list[ConditionChanged]]:
        """Somebody has done what it asked for."""
        return self._answer(kind, serial, comment, "confirmed")

    def comment(self, kind: Grade, serial: int, comment: Comment) -> tuple[Answer, list[ConditionChanged]]:
        """A remark."""
        condition = self._conditions[kind]
        if not condition.since <= serial <= condition.shown.serial:
            return Answer.UNKNOWN_EVENT, []
        return Answer.DONE, [condition.change(comment=comment)]

    def confirm_all(self, comment: Comment) -> list[ConditionChanged]:
        """Confirm every condition that waits for it."""
        waiting = [c for c in self._conditions.values() if not c.shown.confirmed]
        return [c.change(confirmed=True, comment=comment) for c in waiting]

    def _answer(self, kind: Grade, serial: int, comment: Comment, what: str) -> tuple[Answer, list[ConditionChanged]]:
        condition = self._conditions[kind]
        shown = condition.shown
        if not condition.since <= serial <= shown.serial:
            return Answer.UNKNOWN_EVENT, []
        if what == "acked":
            if shown.acked:
                return Answer.ALREADY_ACKED, []
            return Answer.DONE, [condition.change(acked=True, confirmed=False, **_commented(comment))]
        if shown.confirmed:
            return Answer.ALREADY_CONFIRMED, []
        return Answer.DONE, [condition.change(confirmed=True, **_commented(comment))]


def _commented(comment: Comment) -> dict[str, Comment]:
    """An empty comment leaves the one that is there (Part 9, §5.5.6)."""
    return {"comment": comment} if comment[0] else {}
