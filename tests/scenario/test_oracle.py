"""The oracle can fail: each invariant is violated once, in evidence made up by hand, and only that one is red."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.inspection import Inspection, Trigger
from protocols.faults import Code
from protocols.signals import Judgement
from tests.scenario import oracle, wire
from tests.scenario.oracle import Evidence, Issue, Run, View
from tests.scenario.wire import Block

NOW = 1_800_000_000.0
STATION = "cell1"
IDLE = wire.decode(bytes(128))


def block(**fields: int | float | bytes) -> Block:
    """What the wire shows while Ready, with some fields changed."""
    ready = replace(IDLE, status=wire.ONLINE | wire.READY, boot_id=1, map_version=1, recipe_active=1, heartbeat=1)
    return replace(ready, **fields)  # type: ignore[arg-type]


def result(seq: int, judgement: Judgement, **fields: int | float | bytes) -> Block:
    """What the wire shows with the result of part 100 + seq, exposed 50 ms after NOW + seq."""
    status = wire.ONLINE | wire.READY | wire.RESULT_VALID
    bits = 1 << (judgement - 1)
    shown = block(
        status=status, newest_result_seq=seq, trigger_seq_ack=seq, result_seq=seq, copy=seq, trigger_seq=seq,
        part_id=100 + seq, judgement=judgement, result_bits=bits, recipe=1, exposed=NOW + seq + 0.05,
        result=bytes([seq]),
    )  # fmt: skip
    return replace(shown, **fields)  # type: ignore[arg-type]


def row(seq: int, judgement: Judgement, reason: int = 0) -> Inspection:
    """The record of the same cycle."""
    trigger = Trigger(seq, seq, 100 + seq, utc=NOW + seq)
    return Inspection(STATION, trigger, judgement, reason, seq, 1, total=0.08, boot_id=1)


def good() -> Evidence:
    """Two parts, one good and one not, and a third trigger refused; seen as they should be."""
    e = Evidence(margin=0.1)
    e.issues = [Issue(n, 100 + n, NOW + n - 0.001) for n in (1, 2, 3)]
    e.rows = [row(1, Judgement.OK), row(2, Judgement.NG)]
    refused = {
        "trigger_seq_ack": 3,
        "trigger_refused": int(Code.TRIGGER_WHILE_BUSY),
        "missed": 1,
        "newest_result_seq": 2,
    }
    e.views = [
        View(NOW + 0.9, NOW + 1.09, block()),
        View(NOW + 1.10, NOW + 1.20, result(1, Judgement.OK, heartbeat=2)),
        View(NOW + 1.21, NOW + 1.40, block(heartbeat=3, newest_result_seq=1, trigger_seq_ack=1)),
        View(NOW + 1.90, NOW + 2.09, block(heartbeat=4, newest_result_seq=1, trigger_seq_ack=1), fresh=True),
        View(NOW + 2.10, NOW + 2.20, result(2, Judgement.NG, heartbeat=5)),
        View(NOW + 2.21, NOW + 2.40, block(heartbeat=6, **refused)),
    ]
    log = [{"event": "trigger_refused", "station": STATION, "code": int(Code.TRIGGER_WHILE_BUSY), "repeated": False}]
    held = {"descriptors": 20.0, "children": 1.0, "megabytes": 60.0}
    e.runs = [Run(1, log, orderly=True, held=[held, dict(held)])]
    return e


def test_evidence_of_a_kept_contract_is_green() -> None:
    assert oracle.violations(good()) == []


Spoil = Callable[[Evidence], object]
SPOILT: list[tuple[str, str, Spoil]] = []


def spoilt(invariant: str) -> Callable[[Spoil], Spoil]:
    """Register a way to violate an invariant."""

    def add(spoil: Spoil) -> Spoil:
        SPOILT.append((invariant, spoil.__name__, spoil))
        return spoil

    return add


def change(e: Evidence, index: int, **fields: int | float | bytes) -> None:
    e.views[index].block = replace(e.views[index].block, **fields)  # type: ignore[arg-type]


@spoilt("I1")
def an_ok_that_nobody_asked_for(e: Evidence) -> None:
    del e.issues[0]


@spoilt("I1")
def an_ok_for_another_part(e: Evidence) -> None:
    e.issues[0] = replace(e.issues[0], part_id=99)


@spoilt("I1")
def an_ok_from_a_frame_of_before(e: Evidence) -> None:
    change(e, 1, exposed=NOW + 0.99)


@spoilt("I1")
def an_ok_by_another_recipe(e: Evidence) -> None:
    change(e, 1, recipe=2)
    e.rows[0] = replace(e.rows[0], recipe=2)


@spoilt("I1")
def the_ok_bit_beside_ng(e: Evidence) -> None:
    change(e, 4, result_bits=3)


@spoilt("I2")
def no_outcome(e: Evidence) -> None:
    e.rows.append(replace(row(3, Judgement.NONE), result_seq=0))


@spoilt("I2")
def two_outcomes(e: Evidence) -> None:
    e.rows.append(replace(e.rows[1], result_seq=9))


@spoilt("I2")
def decided_late(e: Evidence) -> None:
    e.rows[1] = replace(e.rows[1], total=0.5)


@spoilt("I2")
def seen_late(e: Evidence) -> None:
    e.views[3].last, e.views[4].first, e.views[4].last = NOW + 2.49, NOW + 2.50, NOW + 2.51
    e.views[5].first, e.views[5].last = NOW + 2.52, NOW + 2.6


@spoilt("I2")
def accepted_and_forgotten(e: Evidence) -> None:
    change(e, 5, trigger_refused=0)


@spoilt("I3")
def torn(e: Evidence) -> None:
    change(e, 4, copy=1)


@spoilt("I3")
def changed_after_it_was_shown(e: Evidence) -> None:
    again = replace(e.views[4].block, result=b"other")
    e.views.insert(5, View(NOW + 2.205, NOW + 2.206, again))


@spoilt("I3")
def valid_without_a_judgement(e: Evidence) -> None:
    change(e, 4, judgement=0)
    e.rows[1] = replace(e.rows[1], judgement=Judgement.NONE, total=0)
    e.read_at = NOW


@spoilt("I4")
def shown_and_not_recorded(e: Evidence) -> None:
    del e.rows[1]
    change(e, 5, trigger_seq_ack=3)
    e.issues[1] = Issue(0, 102, NOW + 2)


@spoilt("I4")
def recorded_as_another_judgement(e: Evidence) -> None:
    e.rows[1] = replace(e.rows[1], judgement=Judgement.RECHECK)


@spoilt("I4")
def read_by_the_plc_alone_and_not_recorded(e: Evidence) -> None:
    e.reads.append(View(NOW + 2.3, NOW + 2.3, result(7, Judgement.NG)))


@spoilt("I4")
def one_number_for_two_records(e: Evidence) -> None:
    e.rows.append(replace(row(5, Judgement.NG), result_seq=2))


@spoilt("I5")
def a_heartbeat_that_stands(e: Evidence) -> None:
    e.views[5].last = NOW + 4


@spoilt("I5")
def a_heartbeat_that_races(e: Evidence) -> None:
    change(e, 5, heartbeat=60)


@spoilt("I6")
def a_refusal_without_a_line(e: Evidence) -> None:
    e.runs[0].log.clear()


@spoilt("I6")
def a_refusal_with_a_line_without_a_code(e: Evidence) -> None:
    e.runs[0].log[0]["code"] = 0


@spoilt("I6")
def a_code_that_nobody_knows(e: Evidence) -> None:
    change(e, 5, fault_code=4711)


@spoilt("I6")
def not_ready_without_a_reason(e: Evidence) -> None:
    change(e, 3, status=wire.ONLINE)


@spoilt("I7")
def descriptors_that_leak(e: Evidence) -> None:
    e.runs[0].held[1]["descriptors"] += 40


@spoilt("I7")
def memory_that_grows(e: Evidence) -> None:
    e.runs[0].held[1]["megabytes"] += 100


@spoilt("I7")
def processes_that_stay(e: Evidence) -> None:
    e.runs[0].held[1]["children"] += 3


@spoilt("I8")
def a_fault_though_the_trouble_was_anothers(e: Evidence) -> None:
    e.untouched = True
    change(e, 5, missed=0, trigger_refused=0, trigger_seq_ack=2)
    e.rows[1] = row(2, Judgement.FAULT, Code.WORKER_DIED)
    change(e, 4, judgement=4, result_bits=8, reason=int(Code.WORKER_DIED))


@pytest.mark.parametrize(("invariant", "spoil"), [pytest.param(i, s, id=f"{i}-{n}") for i, n, s in SPOILT])
def test_each_violation_is_found_and_named(invariant: str, spoil: Spoil) -> None:
    evidence = good()
    spoil(evidence)
    found = {text.split(":")[0] for text in oracle.violations(evidence)}
    assert found == {invariant}


def test_every_invariant_is_violated_once() -> None:
    assert {invariant for invariant, _, _ in SPOILT} == set(oracle.INVARIANTS)


def test_the_margin_is_added_to_the_promise_and_nothing_else() -> None:
    late = good()
    late.rows[1] = replace(late.rows[1], total=0.3 + oracle.PROMISE + late.margin - 0.001)
    assert oracle.violations(late) == []
    late.margin = 0.0
    assert oracle.violations(late) != []


def test_the_next_start_may_refuse_what_a_kill_left_without_a_row() -> None:
    evidence = good()
    change(evidence, 5, trigger_refused=0)
    told = block(boot_id=2, trigger_seq_ack=3, trigger_refused=int(Code.RESTARTED), missed=1, newest_result_seq=2)
    evidence.views.append(View(NOW + 5, NOW + 5.1, told, fresh=True))
    assert oracle.violations(evidence) == []
