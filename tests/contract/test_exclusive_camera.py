"""Vision processes with a camera that serves one of them at a time: a stream whose server takes one client."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.inspection import Observation, Trigger
from gateway.vision.camera_settings import OpenCvCamera
from gateway.vision.settings import FramesConfig, PoolSettings, WorkerConfig
from protocols.faults import Code
from tests import models
from tests.contract.mjpeg_server import MjpegServer
from tests.contract.test_worker_process import PATIENCE, ROW, Line, gone, line_of


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as server:
        yield server


@pytest.fixture
def settings(server: MjpegServer, tmp_path: Path) -> PoolSettings:
    recipe = models.recipe(tmp_path / "bracket", models.detector([ROW]))
    camera = OpenCvCamera(url=server.url, latency_ms=0, silence_s=0.5, open_timeout_s=0.5)
    frames = FramesConfig(slots=4, max_bytes=64 * 48 * 3)
    return PoolSettings(recipe, camera, worker=WorkerConfig(nice=0), frames=frames, grab_timeout=PATIENCE)


async def inspect(line: Line, seconds: float = PATIENCE) -> Observation:
    now = time.monotonic()
    line._cycle += 1
    line.pool.inspect(Trigger(line._cycle, line._cycle, accepted=now, deadline=now + seconds))
    await line.until(lambda: line._cycle in line.outcomes)
    return line.outcomes[line._cycle]


async def test_the_camera_follows_from_a_dead_process_to_the_next(settings: PoolSettings) -> None:
    async with line_of(settings) as line:
        await line.ready()
        assert (await inspect(line)).fault is Code.NONE
        first = line.pids[0]
        os.kill(first, signal.SIGKILL)
        await line.until(lambda: line.facts is None)
        await line.ready()
        assert gone(first)
        seen = await inspect(line)
        assert seen.fault is Code.NONE
        assert not seen.simulated


async def test_a01_a_camera_that_goes_stops_ready_and_comes_back_by_itself(
    settings: PoolSettings, server: MjpegServer
) -> None:
    async with line_of(settings) as line:
        await line.ready()
        server.unplug()
        await line.until(lambda: line.down is not None)
        assert line.down is not None
        assert line.down[0] in (Code.CAMERA_LINK, Code.FRAME_TIMEOUT)
        assert (await inspect(line)).fault is line.down[0]
        server.plug()
        await line.ready()
        assert (await inspect(line)).fault is Code.NONE


async def test_a03_a_silent_camera_leaves_the_processes_alive(settings: PoolSettings, server: MjpegServer) -> None:
    async with line_of(settings) as line:
        await line.ready()
        pids = line.pids
        server.silence()
        await line.until(lambda: line.down is not None)
        assert line.down is not None
        assert line.down[0] is Code.FRAME_TIMEOUT
        assert line.pids == pids


async def test_a14_of_two_cameras_one_is_dead_and_the_other_station_works(
    settings: PoolSettings, server: MjpegServer
) -> None:
    with MjpegServer() as second:
        camera = OpenCvCamera(url=second.url, latency_ms=0, silence_s=0.5, open_timeout_s=0.5)
        alone = WorkerConfig(nice=0, standby=False)
        async with (
            line_of(replace(settings, worker=alone)) as sick,
            line_of(replace(settings, worker=alone, camera=camera)) as sound,
        ):
            await sick.until(lambda: sick.facts is not None and sound.facts is not None)
            server.unplug()
            await sick.until(lambda: sick.down is not None)
            assert (await inspect(sick)).fault in (Code.CAMERA_LINK, Code.FRAME_TIMEOUT)
            assert (await inspect(sound)).fault is Code.NONE
            assert sound.down is None
