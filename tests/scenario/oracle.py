"""The oracle: holds what was seen on the wire, in the history and in the log against the contract's invariants.

Pure. `observer` collects the evidence; every check returns one sentence for each thing that is wrong.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.inspection import Inspection
from protocols.faults import CATALOGUE, Code
from protocols.signals import Judgement
from tests.scenario.wire import Block

MARGIN = float(os.environ.get("SCENARIO_MARGIN_S", "0.25"))
"""Seconds that an outcome may be seen later than promised, for a loaded machine and our own poll."""
PROMISE = 0.020
"""Seconds after the deadline in which the outcome must be on the wire."""
CLOCK = 0.003
"""Seconds: TIME_MS is cut to a millisecond, and monotonic time is turned into UTC."""
GROWTH = {"descriptors": 8, "children": 1, "megabytes": 24}
"""What a gateway may hold more at the end of a scenario than when it was first ready."""


@dataclass(frozen=True, slots=True)
class Issue:
    """A trigger that the PLC wrote: not before `at` (UTC). `seq` 0 = by the Trigger bit."""

    seq: int
    part_id: int
    at: float


@dataclass(slots=True)
class View:
    """One image of the outputs, seen from `first` to `last` (UTC); `fresh` = we did not watch right before it."""

    first: float
    last: float
    block: Block
    fresh: bool = False


@dataclass(slots=True)
class Run:
    """One start of the gateway: its log, how it ended, and what it held when first ready and at the end."""

    boot_id: int
    log: list[dict[str, Any]] = field(default_factory=list)
    orderly: bool = False
    ended: float = float("inf")
    """UTC."""
    held: list[dict[str, float]] = field(default_factory=list)


@dataclass(slots=True)
class Evidence:
    """All that is known of one station."""

    station: str = "cell1"
    deadline: float = 0.3
    heartbeat: float = 0.2
    margin: float = MARGIN
    untouched: bool = False
    """Whatever happened, happened to others: this station must not have noticed (I8)."""
    issues: list[Issue] = field(default_factory=list)
    blanks: list[float] = field(default_factory=list)
    """When the PLC started anew, all words zero: from then on an old number is a new trigger."""
    views: list[View] = field(default_factory=list)
    reads: list[View] = field(default_factory=list)
    """The PLC's own first sight of each result, which may have come and gone between two of the observer's polls."""
    rows: list[Inspection] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    read_at: float = float("inf")
    """When the history was read, UTC: what was accepted just before may still be open."""
    counters_reset: bool = False
    foreign: set[int] = field(default_factory=set)
    """Parts that others than this PLC have asked for: their outcome is none of its business."""
    excused: list[tuple[float, float]] = field(default_factory=list)
    """When the wire to a polled PLC was down (UTC): its memory keeps the last words, which accuse nobody."""

    def shown(self) -> Iterator[View]:
        """All images with a valid result, in the order of their time."""
        return (v for v in sorted((*self.views, *self.reads), key=lambda view: view.first) if v.block.valid)

    def plc_read(self, block: Block, at: float) -> None:
        """The PLC has read this."""
        if block.valid and (not self.reads or self.reads[-1].block.result != block.result):
            self.reads.append(View(at, at, block))


def no_stale_ok(e: Evidence) -> Iterator[str]:
    """I1: an OK belongs to a trigger the PLC issued, its part, a frame exposed after it, the active recipe."""
    by_bit = {row.result_seq: row.trigger.by_bit for row in e.rows}
    for view in _first_shown(e):
        b = view.block
        if b.part_id in e.foreign:
            yield f"result {b.result_seq} for part {b.part_id} is shown, which another has asked for"
        if b.judgement != Judgement.OK and not b.result_bits & 1:
            continue
        if b.result_bits & 0xF != 1 or b.judgement != Judgement.OK:
            yield f"result {b.result_seq}: JUDGEMENT {b.judgement} with RESULT_BITS {b.result_bits:#x}"
        seq = 0 if by_bit.get(b.result_seq) else b.trigger_seq
        asked = [issue for issue in e.issues if (issue.seq, issue.part_id) == (seq, b.part_id)]
        if not asked:
            yield f"result {b.result_seq} is OK for trigger {b.trigger_seq}, part {b.part_id}, which nobody asked for"
        elif b.exposed + CLOCK < (at := min(issue.at for issue in asked)):
            yield f"result {b.result_seq} is OK by a frame exposed {at - b.exposed:.3f} s before its trigger"
        elif b.recipe not in {v.block.recipe_active for v in e.views if v.first <= view.first and v.last >= at}:
            yield f"result {b.result_seq} is OK by recipe {b.recipe}, which was not active"


def one_outcome(e: Evidence) -> Iterator[str]:
    """I2: every accepted trigger has exactly one outcome, on the wire within deadline + 20 ms (and the margin)."""
    limit = e.deadline + PROMISE + e.margin
    counts = Counter((r.trigger.trigger_seq, r.trigger.part_id) for r in e.rows if not r.trigger.by_bit)
    for (seq, part), count in counts.items():
        if count > _asked_anew(e, seq, part):
            yield f"trigger {seq}, part {part} was inspected {count} times"
    for row in e.rows:
        name = f"trigger {row.trigger.trigger_seq}, part {row.trigger.part_id}"
        if row.judgement is Judgement.NONE:
            if e.read_at > row.trigger.utc + limit:
                yield f"{name} has no outcome"
        elif row.reason != Code.RESTARTED and row.total > limit:
            yield f"{name} was decided after {row.total:.3f} s, the deadline is {e.deadline} s"
        elif row.trigger.part_id in e.foreign:
            continue
        elif row.reason != Code.RESTARTED and (seen := _outcome_seen(e, row)) > row.trigger.utc + limit:
            yield f"{name} had its outcome on the wire after {seen - row.trigger.utc:.3f} s"
    known = {row.trigger.trigger_seq for row in e.rows}
    taken = {v.block.trigger_seq_ack for v in e.views if v.block.trigger_refused in (0, Code.REPEATED_SEQ)}
    # A kill in the instant between the ack and the row leaves none; then the next start must say so, with 5006.
    told = {v.block.trigger_seq_ack for v in e.views if v.block.trigger_refused == Code.RESTARTED}
    for seq in sorted(taken & {issue.seq for issue in e.issues} - known - told - {0}):
        yield f"trigger {seq} was accepted on the wire and is not in the history"


def _asked_anew(e: Evidence, seq: int, part: int) -> int:
    """How often this number means a new trigger: once for each start of the PLC in which it was issued."""
    starts = {sum(blank <= i.at for blank in e.blanks) for i in e.issues if (i.seq, i.part_id) == (seq, part)}
    return max(1, len(starts))


def _outcome_seen(e: Evidence, row: Inspection) -> float:
    """When RESULT_SEQ of this row was first the newest on the wire; 0 when we did not watch all of the time."""
    before: View | None = None
    for view in e.views:
        newest = view.block.newest_result_seq
        if newest and (newest - row.result_seq) % 65535 < 1000 and view.first >= row.trigger.utc:
            same_run = view.block.boot_id == row.boot_id  # of a run that was killed, the next one tells
            seen = same_run and before and _watched(e, row.trigger.utc, view.first)
            return view.first if seen and not _excused(e, row.trigger.utc, view.first) else 0.0
        before = view
    return 0.0


def _watched(e: Evidence, start: float, end: float) -> bool:
    return not any(view.fresh and start < view.first <= end for view in e.views)


def whole_block(e: Evidence) -> Iterator[str]:
    """I3: the block is complete before RESULT_SEQ moves, and never changes afterwards."""
    contents: dict[int, bytes] = {}
    for view in (*e.views, *e.reads):
        b = view.block
        if b.torn:
            yield f"torn: RESULT_SEQ {b.result_seq}, RESULT_SEQ_COPY {b.copy}"
        elif b.valid and b.judgement not in (1, 2, 3, 4):
            yield f"ResultValid with JUDGEMENT {b.judgement}"
        elif b.valid and not b.result_seq:
            yield "ResultValid with RESULT_SEQ 0"
        elif b.result_seq and contents.setdefault(b.result_seq, b.result) != b.result:
            yield f"result {b.result_seq} changed after it was shown"


def recorded_once(e: Evidence) -> Iterator[str]:
    """I4: what the PLC saw is in the history, once, with the same contents."""
    rows: defaultdict[int, list[Inspection]] = defaultdict(list)
    for row in e.rows:
        rows[row.result_seq].append(row)
    for seq, same in rows.items():
        if seq and len(same) > 1:
            yield f"RESULT_SEQ {seq} is in the history {len(same)} times"
    for view in _first_shown(e):
        b = view.block
        if not (same := rows.get(b.result_seq, [])):
            yield f"result {b.result_seq} was shown and is not in the history"
            continue
        row = same[0]
        wire = (b.judgement, b.reason, b.trigger_seq, b.part_id, b.recipe, b.model_crc)
        kept = (int(row.judgement), row.reason, row.trigger.trigger_seq, row.trigger.part_id, row.recipe, row.model_crc)
        if wire != kept:
            yield f"result {b.result_seq} was shown as {wire}, the history has {kept}"


def honest_heartbeat(e: Evidence) -> Iterator[str]:
    """I5: while Ready the heartbeat moves; it counts no faster than its period either."""
    limit = 3 * e.heartbeat + e.margin
    since, before = 0.0, None
    for view in e.views:
        b = view.block
        same = before is not None and not view.fresh and before.block.boot_id == b.boot_id
        if not same or before is None or b.heartbeat != before.block.heartbeat:
            beats = (b.heartbeat - before.block.heartbeat) % 65536 if same and before is not None else 0
            cut = _excused(e, since, view.first)
            if same and not cut and beats > (view.first - since + e.margin) / e.heartbeat + 2:
                yield f"the heartbeat counted {beats} in {view.first - since:.3f} s"
            since = view.first
        end = min([view.last, *(run.ended for run in e.runs if run.boot_id == b.boot_id)])
        if b.ready and end - since > limit and not _excused(e, since, end):
            yield f"Ready with a heartbeat that stands at {b.heartbeat} for {end - since:.2f} s"
            since = view.last
        before = view


def _excused(e: Evidence, start: float, end: float) -> bool:
    return any(a <= end and z >= start for a, z in e.excused)


def told_refusals(e: Evidence) -> Iterator[str]:
    """I6: every refusal has a code and a line in the log; Ready is off exactly when there is a reason."""
    missed: defaultdict[int, int] = defaultdict(int)
    for view in e.views:
        b = view.block
        missed[b.boot_id] = max(missed[b.boot_id], b.missed)
        if b.ready != (b.not_ready_reason == 0):
            yield f"Ready is {int(b.ready)} with NOT_READY_REASON {b.not_ready_reason}"
        for code in (b.trigger_refused, b.not_ready_reason, b.fault_code):
            if code not in CATALOGUE and code:
                yield f"code {code} is not in the catalogue"
    for run in e.runs:
        told = _told(run, "trigger_refused", e.station)
        if run.orderly and not e.counters_reset and told < missed[run.boot_id]:
            yield f"boot {run.boot_id}: {missed[run.boot_id]} triggers refused, the log tells of {told}"


def _told(run: Run, event: str, station: str) -> int:
    """How often the log tells of a refusal with a code, repeats that were summed up included."""
    lines = [line for line in run.log if line.get("station") == station and line.get("code")]
    single = sum(line["event"] == event and not line.get("repeated") for line in lines)
    summed: int = sum(line["times"] for line in lines if line["event"] == "repeated" and line["what"] == event)
    return int(single + summed)


def bounded(e: Evidence) -> Iterator[str]:
    """I7: descriptors, processes and memory of the gateway are flat over a run."""
    for run in e.runs:
        for last in run.held[1:]:
            for what, more in GROWTH.items():
                if last[what] > run.held[0][what] + more:
                    yield f"boot {run.boot_id}: {what} grew from {run.held[0][what]:.0f} to {last[what]:.0f}"


def undisturbed(e: Evidence) -> Iterator[str]:
    """I8: one bad peer harms only itself."""
    if not e.untouched:
        return
    for row in e.rows:
        if row.judgement is Judgement.FAULT:
            yield f"part {row.trigger.part_id} ended as FAULT {row.reason}"
    for view in e.views:
        b = view.block
        if b.lost or b.missed or b.fault_code or b.bit(1 << 12):
            yield f"LOST {b.lost}, MISSED {b.missed}, FAULT_CODE {b.fault_code} though the trouble was another's"
            return


INVARIANTS: dict[str, Callable[[Evidence], Iterator[str]]] = {
    "I1": no_stale_ok,
    "I2": one_outcome,
    "I3": whole_block,
    "I4": recorded_once,
    "I5": honest_heartbeat,
    "I6": told_refusals,
    "I7": bounded,
    "I8": undisturbed,
}


def violations(evidence: Evidence) -> list[str]:
    """Everything that is wrong, each with its invariant's number; empty = the contract was kept."""
    return [f"{name}: {text}" for name, check in INVARIANTS.items() for text in check(evidence)]


def _first_shown(e: Evidence) -> Iterator[View]:
    """Each result's first view."""
    seen: set[int] = set()
    for view in e.shown():
        if view.block.result_seq not in seen:
            seen.add(view.block.result_seq)
            yield view
