"""Cameras behind drivers in real vision processes: within the default memory limit, one process at a time."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.inspection import Observation, Trigger
from gateway.vision.cameras.drivers import Driven
from gateway.vision.settings import FramesConfig, PoolSettings, WorkerConfig
from protocols.faults import Code
from tests import models
from tests.contract.test_worker_process import PATIENCE, ROW, Line, gone, line_of
from tests.contract.vendor_rigs import emulator, fake_camera, gige, shown, viky

pytestmark = pytest.mark.usefixtures("locks_of_genicam")


def basler(tmp_path: Path) -> Iterator[Driven]:
    yield emulator(shown(tmp_path / "shown"))


def genicam(tmp_path: Path) -> Iterator[Driven]:
    yield viky()


def aravis(tmp_path: Path) -> Iterator[Driven]:
    with fake_camera():
        yield gige()


CAMERAS: dict[str, Callable[[Path], Iterator[Driven]]] = {"basler": basler, "genicam": genicam, "aravis": aravis}


@pytest.mark.parametrize("kind", CAMERAS)
async def test_a_station_inspects_and_the_next_process_has_the_camera(kind: str, tmp_path: Path) -> None:
    with contextmanager(CAMERAS[kind])(tmp_path) as camera:
        recipe = models.recipe(tmp_path / "bracket", models.detector([ROW]))
        frames = FramesConfig(slots=4, max_bytes=320 * 256 * 3)
        async with line_of(
            PoolSettings(recipe, camera, frames=frames, worker=WorkerConfig(nice=0), grab_timeout=2)
        ) as line:
            await line.ready()
            seen = [await inspect(line) for _ in range(3)]
            assert [(one.fault, one.detail) for one in seen] == [(Code.NONE, "")] * 3
            assert [one.simulated for one in seen] == [kind == "basler"] * 3
            numbers = [one.frame.number for one in seen if one.frame.number is not None]
            assert len(set(numbers)) == 3
            first = line.pids[0]
            os.kill(first, signal.SIGKILL)
            await line.until(lambda: line.facts is None)
            await line.ready()
            assert gone(first)
            after = [await inspect(line)]
            while after[-1].fault in COMING and len(after) < 1000:
                await line.ready()
                after.append(await inspect(line))
            assert after[-1].fault is Code.NONE


COMING = {Code.CAMERA_LINK, Code.STARTING, Code.FRAME_TIMEOUT}
"""A GigE camera whose program died waits three seconds for it; the played one ignores us meanwhile, without a word."""


async def inspect(line: Line) -> Observation:
    now = time.monotonic()
    line._cycle += 1
    line.pool.inspect(Trigger(line._cycle, line._cycle, accepted=now, deadline=now + PATIENCE))
    await line.until(lambda: line._cycle in line.outcomes)
    return line.outcomes[line._cycle]
