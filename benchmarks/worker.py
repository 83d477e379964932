"""What a vision process costs around camera and network: start, round trip, a crash; the computer's noise beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from benchmarks.report import Table
from gateway.inspection import Observation, Trigger
from gateway.vision.camera_settings import Inject, SimulatedCamera
from gateway.vision.settings import PoolSettings, WorkerConfig
from gateway.vision.wire import ModelFacts
from gateway.worker_process import WorkerProcess
from gateway.workers import WorkerPool
from protocols.faults import Code
from protocols.handshake import OwnTrigger
from tests import models

CRASH = 50_001
"""Parts from here on kill the process that inspects them first."""
DEADLINE = 5.0


class _Line:
    """Hears the pool and waits for it."""

    def __init__(self, settings: PoolSettings) -> None:
        self.pool = WorkerPool(settings, self)
        self.changed = asyncio.Event()
        self.ready_at = 0.0
        self._answers: dict[int, tuple[float, Observation]] = {}
        self._cycle = 0

    def workers_ready(self, facts: ModelFacts) -> None:
        self.ready_at = self.ready_at or time.perf_counter()
        self.changed.set()

    def workers_down(self, code: Code, detail: str) -> None:
        pass

    def exposed(self, cycle: int, utc: float) -> None:
        pass

    def observed(self, cycle: int, observation: Observation) -> None:
        self._answers[cycle] = (time.perf_counter(), observation)
        self.changed.set()

    def own_trigger(self, call: OwnTrigger) -> None:
        """No frame is a trigger here."""

    def picture_written(self, path: str) -> None:
        pass

    async def inspect(self, part_id: int) -> tuple[float, Observation]:
        """Seconds from trigger to observation, and the observation."""
        self._cycle += 1
        begin = time.perf_counter()
        self.pool.inspect(Trigger(self._cycle, self._cycle, part_id=part_id, deadline=time.monotonic() + DEADLINE))
        while self._cycle not in self._answers:
            self.changed.clear()
            await self.changed.wait()
        end, observation = self._answers.pop(self._cycle)
        return end - begin, observation

    async def both(self) -> None:
        """Wait for active and standby."""
        while self.pool._team.standby is None:  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.01)


def _millis(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50_ms": round(cuts[49] * 1e3, 3), "p99_ms": round(cuts[98] * 1e3, 3)}


def _noise(count: int) -> dict[str, float]:
    """How late a sleep of 1 ms ends on this computer now."""
    late = []
    for _ in range(count):
        begin = time.perf_counter()
        time.sleep(0.001)
        late.append(time.perf_counter() - begin - 0.001)
    return _millis(late)


def _pss(pid: int) -> float:
    """Proportional set size in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


async def _measure(recipe: Path, count: int) -> dict[str, Any]:
    inject = Inject(crash_at=tuple(range(CRASH, CRASH + 10)))
    settings = PoolSettings(recipe, SimulatedCamera(inject=inject), worker=WorkerConfig(), grab_timeout=DEADLINE)
    line = _Line(settings)
    begin = time.perf_counter()
    running = asyncio.create_task(line.pool.run())
    try:
        await line.changed.wait()
        found: dict[str, Any] = {"ready_ms": round((line.ready_at - begin) * 1e3)}
        await line.both()
        runs = [await line.inspect(1 + index % 1000) for index in range(count)]
        if any(seen.fault for _, seen in runs):
            raise RuntimeError(f"an inspection failed: {next(seen for _, seen in runs if seen.fault)}")
        found["overhead"] = _millis([total - seen.grab - seen.infer for total, seen in runs])
        found["network"] = _millis([seen.infer for _, seen in runs])
        active = line.pool._team.active
        if active is not None and isinstance(active.worker, WorkerProcess):
            found["worker_pss_mib"] = _pss(active.worker.pid)
        usual = statistics.median(total for total, _ in runs)
        found["crash_extra_ms"] = [round((total - usual) * 1e3, 1) for total in await _crashes(line, 3)]
        return found
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _crashes(line: _Line, count: int) -> list[float]:
    """Seconds from trigger to observation where the process dies between the two; the standby's first run included."""
    took = []
    for index in range(count):
        await line.both()
        took.append((await line.inspect(CRASH + index))[0])
        line.pool.reset()
    return took


def run(quick: bool) -> dict[str, Any]:
    """Frames of 1280 x 1024, a convolutional detector of 320 x 256; overhead = round trip without grab and network."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # it is noisy on crashes
    with tempfile.TemporaryDirectory() as folder:
        recipe = models.recipe(Path(folder) / "bench", models.convolutional())
        found = asyncio.run(_measure(recipe, 100 if quick else 1000))
    return {**found, "sleep_noise": _noise(200 if quick else 1000), "load": round(os.getloadavg()[0], 1)}


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """The hop to a vision process and back."""
    rows = [
        ["trigger → observation without grab and network", *found["overhead"].values()],
        ["network", *found["network"].values()],
        ["a sleep of 1 ms ends late by", *found["sleep_noise"].values()],
    ]
    extra = ", ".join(f"{value:g}" for value in found["crash_extra_ms"])
    text = (
        "ms, without station, history and wire; 1280 x 1024 frames of the simulated camera. Ready "
        f"{found['ready_ms']} ms after the start; {found['worker_pss_mib']:g} MiB a process; "
        f"a crash costs {extra} ms more."
    )
    return (Table("Vision process alone", text, ("ms", "p50", "p99"), rows),)
