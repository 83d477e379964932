"""An observer at the wire: checks as much of the contract as a PLC can see, scan by scan. Pure, given `now`.

It judges only what was read: a PLC that was itself held up, or a wire that was down, accuses nobody.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

from protocols.faults import Code
from protocols.handshake import Style
from protocols.signals import MAP_VERSION, UINT_MAX, Command, Control, Judgement, Result, Status, StatusBit

KEPT = 1024
"""Triggers and results remembered; older ones can be neither confirmed nor accused."""
TOLD = 100
"""Violations kept with their text; all are counted."""

RULES: dict[str, str] = {
    "torn": "RESULT_SEQ (word 16) and RESULT_SEQ_COPY (word 63) are equal",
    "echo": "a result names a trigger and a part that the PLC asked for",
    "gap": "RESULT_SEQ counts by one; what is left out is counted in LOST",
    "doubled": "a trigger has one result",
    "changed": "a result once shown does not change",
    "stale": "a result once acknowledged is not shown again, unless its trigger is repeated",
    "judgement": "JUDGEMENT is 1 to 4 and RESULT_BITS says the same",
    "late": "an accepted trigger has its outcome within the deadline",
    "heartbeat": "HEARTBEAT moves, and only forward",
    "ready": "Ready is 1 exactly when NOT_READY_REASON is 0",
    "toggle": "RESULT_TOGGLE flips with every new result",
    "version": "MAP_VERSION is the one this PLC was written for",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule: its name in RULES, what was seen, and when (monotonic seconds)."""

    rule: str
    text: str
    at: float


@dataclass(slots=True)
class _Issue:
    """A trigger that the PLC wrote: which results it has had, and how often it was asked for again."""

    results: list[int] = field(default_factory=list)
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class _Due:
    """A trigger whose outcome is awaited: it was written while Ready was 1."""

    seq: int
    at: float
    newest: int
    missed: int


class Watch:
    """Fed with all that the PLC wrote and read; `violations` stays empty while the contract holds."""

    def __init__(
        self,
        style: Style = Style.SEQUENCE,
        *,
        deadline: float = 0.3,
        margin: float = 0.25,
        stall: float = 1.0,
        settle: float = 0.0,
    ) -> None:
        """`settle`: seconds that Ready and its reason may differ, where each is written by itself."""
        self.style = style
        self.settle = settle
        self._differs: float | None = None
        self.limit = deadline + margin
        self.stall = stall
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.reads = 0
        self.results = 0
        """Results seen shown for the first time."""
        self.repeats = 0
        """Results shown again because their trigger was repeated."""
        self._command: Command | None = None
        self._issues: OrderedDict[tuple[int, int], _Issue] = OrderedDict()
        self._parts: OrderedDict[int, None] = OrderedDict()
        self._due: _Due | None = None
        self._status: Status | None = None
        self._read_at = 0.0
        self._still = 0.0
        self._boot = 0
        self._told: set[str] = set()
        self._forget_results()

    @property
    def ok(self) -> bool:
        """True while no rule was seen broken."""
        return not self.counts

    def _forget_results(self) -> None:
        self._seen: OrderedDict[int, Result] = OrderedDict()
        self._blind: OrderedDict[int, None] = OrderedDict()
        """Numbers that the PLC acknowledged without having read their result."""
        self._blind_acks = 0
        """The same by the bit, where there is no number."""
        self._counted: OrderedDict[tuple[int, int], list[int]] = OrderedDict()
        self._showing: int | None = None
        self._newest = 0
        self._lost = 0
        self._toggle: bool | None = None
        self._foreign: frozenset[int] = frozenset()

    def _violated(self, rule: str, text: str, now: float) -> None:
        self.counts[rule] += 1
        if len(self.violations) < TOLD:
            self.violations.append(Violation(rule, text, now))

    # ------------------------------------------------------------ what the PLC writes

    def wrote(self, command: Command, now: float) -> None:
        """The PLC writes this block."""
        before, self._command = self._command, command
        self._note_blind_ack(before, command)
        if command.blank:
            self._power_up()
        elif before is not None and command != before:
            if self.style is Style.SEQUENCE and command.trigger_seq not in (before.trigger_seq, 0):
                self._issue(command, now)
            elif self.style is Style.BITS and command.control & ~before.control & Control.TRIGGER:
                self._part(command.part_id)
                self._expect(0, now)

    def _note_blind_ack(self, before: Command | None, command: Command) -> None:
        """An ack of what was not read may take a result away unseen: that is the PLC's own doing, no gap."""
        valid = self._status is not None and bool(self._status.bits & StatusBit.RESULT_VALID)
        rose = command.control & ~(before.control if before is not None else 0) & Control.RESULT_ACK
        if rose and not valid:
            self._blind_acks += 1
        number = command.result_ack_seq
        if number and (before is None or number != before.result_ack_seq) and number not in self._seen:
            self._blind[number] = None
            _trim(self._blind)

    def link_lost(self) -> None:
        """The wire is down: what was awaited may come late, and a standing heartbeat is nobody's fault."""
        self._due = None
        self._status = None
        self._still = 0.0

    def _power_up(self) -> None:
        """After zeros an old number is a new trigger; results of before may still come."""
        self._due = None
        for issue in self._issues.values():
            issue.repeats = -1

    def _issue(self, command: Command, now: float) -> None:
        key = (command.trigger_seq, command.part_id)
        known = self._issues.get(key)
        self._part(command.part_id)
        if known is not None and known.repeats >= 0:
            known.repeats += 1
            return
        self._issues[key] = _Issue()
        self._issues.move_to_end(key)
        _trim(self._issues)
        self._expect(command.trigger_seq, now)

    def _part(self, part_id: int) -> None:
        self._parts[part_id] = None
        self._parts.move_to_end(part_id)
        _trim(self._parts)

    def _expect(self, seq: int, now: float) -> None:
        status = self._status
        if status is not None and status.ready and self._due is None:
            self._due = _Due(seq, now, status.newest_result_seq, status.missed)

    # ------------------------------------------------------------ what the PLC reads

    def read(self, status: Status, result: Result | None, now: float) -> None:
        """The PLC has read this; `result` is None when the block was torn."""
        if not status.boot_id:
            return  # nobody has written there yet
        self.reads += 1
        before, self._status = self._status, status
        if status.boot_id != self._boot:
            self._begin(status, result)
            before = None
        self._check_status(before, status, now)
        if result is None:
            self._violated("torn", "words 16 and 63 differ", now)
        else:
            self._check_result(status, result, now)
        self._check_due(status, now)
        self._read_at = now

    def _begin(self, status: Status, result: Result | None) -> None:
        """The first sight of a gateway since its start: results that wait there already may be anybody's."""
        self._boot = status.boot_id
        self._due = None
        self._told.clear()
        self._forget_results()
        newest, waiting = status.newest_result_seq, status.pending
        running = 2 if status.bits & StatusBit.BUSY else 0
        self._foreign = frozenset((newest + n - 1) % UINT_MAX + 1 for n in range(1 - waiting, running + 1))
        if result is not None:
            self._foreign |= {result.result_seq}
        self._lost = status.lost

    def _check_status(self, before: Status | None, status: Status, now: float) -> None:
        if status.ready == (status.not_ready_reason == 0):
            self._differs = None
        else:
            self._differs = now if self._differs is None else self._differs
            if now - self._differs >= self.settle:
                self._violated("ready", f"Ready is {int(status.ready)} with reason {status.not_ready_reason}", now)
        if status.map_version != MAP_VERSION and "version" not in self._told:
            self._told.add("version")
            self._violated("version", f"MAP_VERSION is {status.map_version}, not {MAP_VERSION}", now)
        if before is not None and (status.heartbeat - before.heartbeat) & UINT_MAX > UINT_MAX // 2:
            self._violated("heartbeat", f"runs backwards from {before.heartbeat} to {status.heartbeat}", now)
        if before is None or status.heartbeat != before.heartbeat:
            self._still = 0.0
            self._told.discard("heartbeat")
            return
        # Of a pause of our own only a little counts: what was not read was not seen standing still.
        self._still += min(now - self._read_at, 0.1)
        if self._still > self.stall and "heartbeat" not in self._told:
            self._told.add("heartbeat")
            self._violated("heartbeat", f"stands at {status.heartbeat} for {self._still:.1f} s", now)

    def _check_due(self, status: Status, now: float) -> None:
        due = self._due
        if due is None:
            return
        # Bit style has no number to be refused by: there the count of refused triggers tells.
        refused = status.trigger_refused not in (0, Code.REPEATED_SEQ) and (
            status.trigger_seq_ack == due.seq if due.seq else status.missed != due.missed
        )
        if refused or status.newest_result_seq != due.newest:
            self._due = None
        elif now - due.at > self.limit:
            self._due = None
            name = f"trigger {due.seq}" if due.seq else "the trigger"
            self._violated("late", f"{name} has no outcome after {(now - due.at) * 1000:.0f} ms", now)

    # ------------------------------------------------------------ results

    def _check_result(self, status: Status, result: Result, now: float) -> None:
        if not status.bits & StatusBit.RESULT_VALID:
            self._showing = None
            return
        known = self._seen.get(result.result_seq)
        if known is not None and known is not result and repr(known) != repr(result):
            self._violated("changed", f"result {result.result_seq} was shown with other contents", now)
        if result.result_seq == self._showing:
            return
        self._showing = result.result_seq
        if known is not None:
            self._shown_again(status, result, now)
        else:
            self._shown_first(status, result, now)
        self._seen[result.result_seq] = result
        _trim(self._seen)

    def _shown_again(self, status: Status, result: Result, now: float) -> None:
        self._toggle = None
        issue = self._issues.get((result.trigger_seq, result.part_id))
        if self.style is Style.SEQUENCE and issue is not None and issue.repeats > 0:
            issue.repeats -= 1
            self.repeats += 1
        else:
            self._violated("stale", f"result {result.result_seq} of part {result.part_id} is shown again", now)

    def _shown_first(self, status: Status, result: Result, now: float) -> None:
        self.results += 1
        self._check_gap(status, result, now)
        self._check_judgement(result, now)
        interrupted = result.judgement == Judgement.FAULT and result.reason == Code.RESTARTED
        if result.result_seq not in self._foreign and not interrupted:
            self._check_echo(result, now)

    def _check_gap(self, status: Status, result: Result, now: float) -> None:
        seq, before = result.result_seq, self._newest
        lost = max(0, status.lost - self._lost) if status.lost >= self._lost else status.lost
        gap = (seq - before - 1) % UINT_MAX if before else 0
        unread = sum((number - before - 1) % UINT_MAX < gap for number in self._blind) if gap else 0
        excused = min(self._blind_acks, max(0, gap - lost - unread))
        self._blind_acks -= excused
        if gap > lost + unread + excused:
            self._violated("gap", f"result {seq} follows {before}, LOST grew by {lost}", now)
        toggle = bool(status.bits & StatusBit.RESULT_TOGGLE)
        if self._toggle is not None and before and not gap and not lost and toggle == self._toggle:
            self._violated("toggle", f"result {seq} is shown and RESULT_TOGGLE stays {int(toggle)}", now)
        self._newest, self._lost, self._toggle = seq, status.lost, toggle

    def _check_judgement(self, result: Result, now: float) -> None:
        right = result.judgement in (Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT)
        if not right or result.bits & 0xF != 1 << (result.judgement - 1):
            text = f"result {result.result_seq}: JUDGEMENT {result.judgement} with RESULT_BITS {result.bits:#06x}"
            self._violated("judgement", text, now)

    def _check_echo(self, result: Result, now: float) -> None:
        key = (result.trigger_seq, result.part_id)
        asked = key in self._issues if self.style is Style.SEQUENCE else result.part_id in self._parts
        if not asked:
            text = f"result {result.result_seq} names trigger {key[0]}, part {key[1]}, which nobody asked for"
            self._violated("echo", text, now)
            return
        had = self._results_of(key)
        if had and result.result_seq not in had:
            text = f"trigger {key[0]}, part {key[1]} has results {had[-1]} and {result.result_seq}"
            self._violated("doubled", text, now)
        had.append(result.result_seq)

    def _results_of(self, key: tuple[int, int]) -> list[int]:
        if self.style is Style.SEQUENCE:
            return self._issues[key].results
        self._counted.setdefault(key, [])
        _trim(self._counted)
        return self._counted[key]


def _trim(kept: OrderedDict[Any, Any]) -> None:
    while len(kept) > KEPT:
        kept.popitem(last=False)
