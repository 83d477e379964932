"""One accepted trigger on its way to an outcome: the records of its possible ends, and what the PLC is shown. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.inspection import Inspection, Judged, Observation, Trigger
from gateway.recipe import Recipe
from protocols import handshake as hs
from protocols.faults import Code
from protocols.seat import Seat
from protocols.signals import UINT_MAX, VALUES, Judgement, Result, ResultBit, tenths_ms

if TYPE_CHECKING:
    from protocols.tags import TagValue

_BIT = {
    Judgement.OK: int(ResultBit.OK),
    Judgement.NG: int(ResultBit.NG),
    Judgement.RECHECK: int(ResultBit.RECHECK),
    Judgement.FAULT: int(ResultBit.FAULT),
}
_SIMULATED, _DEADLINE_MISSED = int(ResultBit.SIMULATED), int(ResultBit.DEADLINE_MISSED)
_OUT_OF_TIME = frozenset({Code.DEADLINE_MISSED, Code.STORE_WRITE})
_NO_VALUES = (math.nan,) * VALUES


@dataclass(slots=True)
class Cycle:
    """An accepted trigger: running until `inspection` holds its outcome, then waiting for the disk."""

    station: str
    boot_id: int
    trigger: Trigger
    recipe: Recipe
    model_crc: int
    provider: str = ""
    inspection: Inspection | None = None

    def judged(self, judged: Judged, seen: Observation, result_seq: int, now: float) -> Inspection:
        """The record of a verdict."""
        return Inspection(
            station=self.station,
            trigger=self.trigger,
            judgement=Judgement(judged.verdict.value),
            reason=judged.reason,
            result_seq=result_seq,
            recipe=self.recipe.number,
            recipe_name=self.recipe.name,
            model_crc=self.model_crc,
            provider=self.provider,
            score=judged.score,
            rule=judged.rule,
            checks=judged.checks,
            values=judged.values,
            findings=seen.findings,
            detail=f"variant {judged.variant}" if judged.variant else "",
            total=now - self.trigger.accepted,
            grab=seen.grab,
            infer=seen.infer,
            exposed_utc=seen.exposed_utc,
            simulated=seen.simulated,
            boot_id=self.boot_id,
            frame=seen.frame,
        )

    def fault(self, code: Code, detail: str, seen: Observation, result_seq: int, now: float) -> Inspection:
        """The record of a cycle that ends without a verdict, with what is known of its frame."""
        return Inspection(
            station=self.station,
            trigger=self.trigger,
            judgement=Judgement.FAULT,
            reason=int(code),
            result_seq=result_seq,
            recipe=self.recipe.number,
            recipe_name=self.recipe.name,
            model_crc=self.model_crc,
            provider=self.provider,
            detail=detail or seen.detail,
            total=now - self.trigger.accepted,
            grab=seen.grab,
            infer=seen.infer,
            exposed_utc=seen.exposed_utc,
            simulated=seen.simulated,
            boot_id=self.boot_id,
            frame=seen.frame,
        )


def trigger_of(request: hs.Accepted, utc: float, tags: Mapping[str, TagValue], seat: Seat) -> Trigger:
    """The record of an accepted trigger, with who drove and what the equipment said at that moment."""
    return Trigger(
        cycle=request.cycle,
        trigger_seq=request.trigger_seq,
        part_id=request.part_id,
        serial=request.serial,
        user=request.user,
        accepted=request.at,
        deadline=request.deadline,
        utc=utc,
        by_bit=request.style is not hs.Style.SEQUENCE or seat is not Seat.LINK,
        tags=tags,
        seat=seat,
    )


def to_result(i: Inspection) -> Result:
    """The result words of an inspection; values that are missing are NaN."""
    bits = _BIT[i.judgement] | (i.checks & 0xFF) << 8
    if i.judgement is Judgement.FAULT and i.reason in _OUT_OF_TIME:
        bits |= _DEADLINE_MISSED
    if i.simulated:
        bits |= _SIMULATED
    seconds = max(0.0, i.exposed_utc)
    return Result(
        result_seq=i.result_seq,
        trigger_seq=i.trigger.trigger_seq,
        part_id=i.trigger.part_id,
        judgement=i.judgement,
        bits=bits,
        reason=i.reason,
        findings=min(len(i.findings), UINT_MAX),
        score=i.score,
        recipe=i.recipe,
        model_crc=i.model_crc,
        total=tenths_ms(i.total),
        grab=tenths_ms(i.grab),
        infer=tenths_ms(i.infer),
        time_s=int(seconds) & 0xFFFF_FFFF,
        time_ms=int(seconds * 1000) % 1000,
        values=(*i.values, *_NO_VALUES)[:VALUES],
    )
