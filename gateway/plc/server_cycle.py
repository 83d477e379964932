"""The trigger cycle in both styles, as a PLC goes through it, part after part."""

from __future__ import annotations

import itertools
from collections import Counter

from gateway.plc.acceptance import percentile, times
from gateway.plc.plc_side import Answer, PlcSide
from gateway.plc.server_check import Bench
from protocols.faults import describe
from protocols.handshake import Style
from protocols.plc_role import PlcRole
from protocols.signals import Judgement, Outputs, StatusBit, next_seq

TIMEOUT = 2.0
"""Seconds a PLC waits for its result, where no configuration tells the deadline."""
SETTLE = 1.0


def timeout(bench: Bench) -> float:
    """How long the PLC waits for one result."""
    return TIMEOUT if bench.target.cycle is None else bench.target.cycle.deadline + SETTLE


async def cycles(bench: Bench) -> None:
    """N parts in each style that was asked for."""
    for style in Style:
        if style.value in bench.styles:
            await _cycle(bench, style)
        else:
            for name in ("parts", "time", "whole", "order", "ack"):
                bench.record.skip(f"--style {bench.styles[0]}", f"{style.value}_{name}")


async def _cycle(bench: Bench, style: Style) -> None:
    side, name = bench.side, style.value
    if style is Style.BITS:
        await side.write(trigger_seq=0)
    await settled(side)
    role = side.role(PlcRole(style, timeout=timeout(bench)))
    torn, reads = side.torn, side.reads
    answers: list[Answer] = []
    unreleased = 0
    for _ in range(bench.parts):
        part = bench.part()
        answers.append(await side.inspect(role, part))
        _, released = await side.until(_released, SETTLE)
        unreleased += not released
        if not released:
            break
    _judge_parts(bench, name, answers)
    _judge_time(bench, name, answers)
    torn, reads = side.torn - torn, side.reads - reads
    bench.record.judge(f"{name}_whole", torn == 0, f"{torn} of {reads} reads torn")
    _judge_order(bench, name, answers)
    found = "after each result" if not unreleased else "ResultValid stays, or PENDING is not 0, after the ack"
    bench.record.judge(f"{name}_ack", not unreleased, found)


def _released(outputs: Outputs) -> bool:
    return not outputs.status.bits & StatusBit.RESULT_VALID and outputs.status.pending == 0


async def settled(side: PlcSide) -> bool:
    """Take whatever waits for its acknowledgement; False when that does not end."""
    for _ in range(10):
        outputs, empty = await side.until(lambda o: bool(o.status.bits & StatusBit.RESULT_VALID), 0.05)
        if not empty:
            return outputs.status.pending == 0
        # A number that stands there already is not acknowledged by writing it again.
        await side.write(result_ack_seq=0)
        await side.write(result_ack_seq=outputs.result.result_seq)
    return False


def _judge_parts(bench: Bench, name: str, answers: list[Answer]) -> None:
    counts = Counter(answer.outcome.judgement for answer in answers)
    told = [f"{count} {judgement.name}" for judgement, count in sorted(counts.items())]
    bad = [answer.outcome for answer in answers if answer.outcome.judgement in (Judgement.FAULT, Judgement.NONE)]
    found = ", ".join(told) + f" of {bench.parts}"
    if bad:
        found += f"; part {bad[0].part_id}: {bad[0].failure or 'FAULT'}, {describe(bad[0].reason)}"
    bench.record.judge(f"{name}_parts", not bad and len(answers) == bench.parts, found)


def _judge_time(bench: Bench, name: str, answers: list[Answer]) -> None:
    seconds = [answer.seconds for answer in answers if answer.outcome.result is not None]
    limit = timeout(bench) if bench.target.cycle is None else bench.target.cycle.deadline
    good = bool(seconds) and percentile(seconds, 0.99) <= limit + 0.1
    what = "time-out" if bench.target.cycle is None else "deadline_ms"
    demanded = f"99 of 100 within {limit * 1000:.0f} ms ({what})"
    bench.record.judge(f"{name}_time", good, times(seconds) if seconds else "no result", demanded=demanded)


def _judge_order(bench: Bench, name: str, answers: list[Answer]) -> None:
    """Consecutive results: no number left out, the toggle another one each time, the bits as the judgement."""
    faults = []
    shown = [answer.outputs for answer in answers if answer.outcome.result is not None]
    for before, after in itertools.pairwise(shown):
        if after.result.result_seq != next_seq(before.result.result_seq):
            faults.append(f"RESULT_SEQ {before.result.result_seq} → {after.result.result_seq}")
        if not (before.status.bits ^ after.status.bits) & StatusBit.RESULT_TOGGLE:
            faults.append(f"ResultToggle did not flip with RESULT_SEQ {after.result.result_seq}")
    for outputs in shown:
        if outputs.result.bits & 0xF != 1 << outputs.result.judgement - 1:
            faults.append(f"RESULT_BITS {outputs.result.bits:#x} with JUDGEMENT {outputs.result.judgement}")
    found = faults[0] if faults else f"{len(shown)} results in order"
    bench.record.judge(f"{name}_order", bool(shown) and not faults, found)
