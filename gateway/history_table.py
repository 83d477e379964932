"""The last inspections as people read them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TextIO

from gateway.inspection import Inspection
from gateway.log import plain
from protocols.faults import CATALOGUE
from protocols.signals import Judgement
from protocols.tags import records

_HEAD = ("time (UTC)", "station", "result", "trigger", "part", "verdict", "reason", "total ms", "why")


def show(rows: Sequence[Inspection], out: TextIO, *, as_json: bool = False) -> None:
    """Write the inspections, newest first, as a table or as one JSON object a line."""
    if as_json:
        for row in rows:
            out.write(json.dumps(_finite(_object(row)), allow_nan=False) + "\n")
        return
    if not rows:
        out.write("no inspections yet\n")
        return
    table = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
    for line in table:
        out.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")


def _object(row: Inspection) -> dict[str, Any]:
    tags = records(row.trigger.tags, row.trigger.accepted)
    plain_row = asdict(replace(row, trigger=replace(row.trigger, tags={})))
    trigger = {**plain_row["trigger"], "tags": tags}
    # monotonic times of a run that may be over, and what is not on the disk
    del trigger["accepted"], trigger["deadline"], trigger["seat"]
    return {**plain_row, "judgement": row.judgement.name, "trigger": trigger}


def _finite(value: Any) -> Any:
    """What JSON knows: NaN and infinity become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def _cells(i: Inspection) -> tuple[str, ...]:
    when = datetime.fromtimestamp(i.trigger.utc, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    verdict = "open" if i.judgement is Judgement.NONE else i.judgement.name
    part = str(i.trigger.part_id) + (f" {plain(i.trigger.serial)}" if i.trigger.serial else "")
    return (
        when, i.station, str(i.result_seq), str(i.trigger.trigger_seq), part, verdict, str(i.reason or ""),
        f"{i.total * 1000:.1f}", _why(i),
    )  # fmt: skip


def _why(i: Inspection) -> str:
    if i.judgement is Judgement.FAULT:
        info = CATALOGUE.get(i.reason)
        return plain(i.detail) or (info.text if info else "")
    return i.rule
