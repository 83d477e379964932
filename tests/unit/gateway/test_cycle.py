"""From the record of an inspection to the result words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gateway.cycle import to_result
from gateway.inspection import Finding, Inspection, Trigger
from protocols.faults import Code
from protocols.signals import Judgement, ResultBit

RECORD = Inspection(
    station="cell1",
    trigger=Trigger(3, 17, 4_000_000_000, "SN1"),
    judgement=Judgement.NG,
    reason=101,
    result_seq=65535,
    recipe=12,
    model_crc=0xBEEF,
    score=0.75,
    checks=0b101,
    values=(1.5, math.nan),
    findings=(Finding("scratch", 0.75),),
    total=0.0123,
    grab=0.004,
    infer=7.0,
    exposed_utc=1_800_000_000.9996,
)


def test_every_word() -> None:
    result = to_result(RECORD)
    assert (result.result_seq, result.trigger_seq, result.part_id) == (65535, 17, 4_000_000_000)
    assert (result.judgement, result.reason, result.findings) == (Judgement.NG, 101, 1)
    assert result.bits == ResultBit.NG | 0b101 << 8
    assert (result.score, result.recipe, result.model_crc) == (0.75, 12, 0xBEEF)
    assert (result.total, result.grab, result.infer) == (123, 40, 65535)
    assert (result.time_s, result.time_ms) == (1_800_000_000, 999)
    assert len(result.values) == 13
    assert result.values[0] == 1.5
    assert all(math.isnan(value) for value in result.values[1:])


@pytest.mark.parametrize("judgement", [Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT])
def test_one_bit_a_judgement(judgement: Judgement) -> None:
    bits = to_result(replace(RECORD, judgement=judgement, reason=0, checks=0)).bits
    assert bits == 1 << (judgement - 1)


@pytest.mark.parametrize(("code", "missed"), [(Code.DEADLINE_MISSED, True), (Code.WORKER_DIED, False)])
def test_deadline_bit(code: Code, missed: bool) -> None:
    bits = to_result(replace(RECORD, judgement=Judgement.FAULT, reason=int(code))).bits
    assert bool(bits & ResultBit.DEADLINE_MISSED) is missed


def test_simulated_bit() -> None:
    assert to_result(replace(RECORD, simulated=True)).bits & ResultBit.SIMULATED
