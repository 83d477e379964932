"""What recording costs: accept and commit of one inspection, a burst, and the writes alone on this disk."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Table
from gateway.history import History, HistoryError
from gateway.history_store import Accepted, Store
from gateway.inspection import Finding, Inspection, Trigger
from protocols.signals import Judgement

_FINDINGS = tuple(Finding("scratch", 0.9, (10.0, 20.0, 30.0, 40.0)) for _ in range(3))


def _trigger(cycle: int) -> Trigger:
    return Trigger(cycle, cycle % 65535 + 1, cycle, f"SN{cycle:08}", (0,) * 6, utc=time.time())


def _inspection(trigger: Trigger) -> Inspection:
    return Inspection(
        "cell1", trigger, Judgement.NG, 101, trigger.trigger_seq, 1, "bracket", 7, 0.9, "scratch", 1, (0.9, 1.0, 2.0),
        _FINDINGS, total=0.03, grab=0.01, infer=0.01, exposed_utc=trigger.utc,
    )  # fmt: skip


def _micros(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50_us": round(cuts[49] * 1e6, 1), "p99_us": round(cuts[98] * 1e6, 1)}


def disk(folder: Path, count: int) -> dict[str, float]:
    """The bare price of two pages on this disk, to hold the others against."""
    took = []
    with (folder / "bare").open("wb", buffering=0) as file:
        file.write(bytes(8192))
        for _ in range(count):
            file.seek(0)
            file.write(os.urandom(8192))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - start)
    return _micros(took)


def _writes(folder: Path, count: int) -> dict[str, Any]:
    """The two transactions of an inspection, without queue and thread."""
    store = Store(folder / "writes.sqlite3", boot_id=1)
    store.open()
    accepts, commits = [], []
    for cycle in range(1, count + 1):
        trigger = _trigger(cycle)
        inspection = _inspection(trigger)
        start = time.perf_counter()
        store.write([Accepted("cell1", trigger, 1)], 1.0)
        middle = time.perf_counter()
        store.write([inspection], 1.0)
        accepts.append(middle - start)
        commits.append(time.perf_counter() - middle)
        if cycle % 100 == 0:
            store.checkpoint()
    store.close()
    both = [accept + commit for accept, commit in zip(accepts, commits, strict=True)]
    return {"accept": _micros(accepts), "commit": _micros(commits), "both": _micros(both)}


async def _loop(folder: Path, count: int) -> dict[str, Any]:
    """As a station does it: from `commit` to `done` on the loop, parts coming one by one and then all at once."""
    loop = asyncio.get_running_loop()
    history = History(folder / "loop.sqlite3", boot_id=1)
    started = time.perf_counter()
    history.start(loop)
    await history.opened
    opened = time.perf_counter() - started
    took, calls = [], []
    for cycle in range(1, count + 1):
        trigger = _trigger(cycle)
        start = time.perf_counter()
        history.accept("cell1", trigger, 1)
        calls.append(time.perf_counter() - start)
        await asyncio.sleep(0.005)
        start = time.perf_counter()
        await _committed(history, _inspection(trigger))
        took.append(time.perf_counter() - start)
        await asyncio.sleep(0.005)
    start = time.perf_counter()
    await asyncio.gather(*(_committed(history, _inspection(_trigger(count + n))) for n in range(1, 61)))
    burst = time.perf_counter() - start
    await history.close(10.0)
    return {
        "open_ms": round(opened * 1e3, 1),
        "accept_call": _micros(calls),
        "commit_to_done": _micros(took),
        "burst_of_60_ms": round(burst * 1e3, 2),
    }


async def _committed(history: History, inspection: Inspection) -> None:
    done: asyncio.Future[HistoryError | None] = asyncio.get_running_loop().create_future()
    history.commit(inspection, done.set_result)
    error = await done
    if error is not None:
        raise error


def run(quick: bool) -> dict[str, Any]:
    """Microseconds on the disk of the current folder."""
    count = 200 if quick else 2000
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-history-") as name:
        folder = Path(name)
        return {
            "fdatasync_8k": disk(folder, count),
            "transactions": _writes(folder, count),
            "loop": asyncio.run(_loop(folder, count)),
        }


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """The writes, then the whole way through queue and thread."""
    transactions, loop = found["transactions"], found["loop"]
    rows = [
        ["one fdatasync of 8 KiB, bare", *found["fdatasync_8k"].values()],
        *([f"transaction: {name}", *figures.values()] for name, figures in transactions.items()),
        ["call of accept on the control loop", *loop["accept_call"].values()],
        ["commit → done on the control loop", *loop["commit_to_done"].values()],
    ]
    text = (
        "µs; SQLite with synchronous = FULL on the disk of the project. A burst of 60 results is on the disk after "
        f"{loop['burst_of_60_ms']} ms; a data base opens in {loop['open_ms']} ms."
    )
    return (Table("History", text, ("µs", "p50", "p99"), rows),)
