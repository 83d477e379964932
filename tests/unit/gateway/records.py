"""Inspections to record, and a look into the file."""

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway import history as history_module
from gateway.history_store import Store
from gateway.inspection import Inspection, Trigger
from protocols.signals import Judgement

PATIENCE = 20.0


def trigger(cycle: int, **fields: object) -> Trigger:
    return Trigger(cycle, cycle + 100, part_id=cycle * 7, serial=f"S{cycle}", utc=1.7e9 + cycle, **fields)  # type: ignore[arg-type]


def inspection(
    cycle: int, judgement: Judgement = Judgement.OK, station: str = "cell1", seq: int | None = None
) -> Inspection:
    return Inspection(
        station, trigger(cycle), judgement, reason=0, result_seq=cycle if seq is None else seq, recipe=1, boot_id=9
    )


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(sql).fetchall()


def reopened(path: Path) -> dict[str, history_module.Recovered]:
    again = Store(path, boot_id=10)
    try:
        return again.open()
    finally:
        again.close()
