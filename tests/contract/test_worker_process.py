"""Real vision processes: they work, die, hang, are refused, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest

from gateway import launch
from gateway.inspection import Inspection, Observation, Trigger
from gateway.vision import wire
from gateway.vision.camera_settings import FolderCamera, Inject, SimulatedCamera
from gateway.vision.settings import FramesConfig, PoolSettings, WorkerConfig
from gateway.vision.wire import ModelFacts
from gateway.worker_process import Worker, WorkerProcess, make_ring
from gateway.workers import WorkerError, WorkerPool
from protocols.faults import Code
from protocols.handshake import OwnTrigger
from protocols.signals import Judgement
from tests import models

ROW = (10.0, 20.0, 60.0, 90.0, 0.9, 1.0)
PATIENCE = 20.0
"""Seconds for what takes tenths on a computer at rest."""


class Line:
    """A pool with real processes, and what it told."""

    def __init__(self, settings: PoolSettings) -> None:
        self.pool = WorkerPool(settings, self)
        self.facts: ModelFacts | None = None
        self.down: tuple[Code, str] | None = None
        self.exposures: list[int] = []
        self.outcomes: dict[int, Observation] = {}
        self.pictures: list[str] = []
        self.told: list[tuple[str, int]] = []
        self._cycle = 0

    def workers_ready(self, facts: ModelFacts) -> None:
        self.facts, self.down = facts, None

    def workers_down(self, code: Code, detail: str) -> None:
        self.facts, self.down = None, (code, detail)

    def exposed(self, cycle: int, utc: float) -> None:
        assert cycle not in self.outcomes
        assert abs(utc - time.time()) < PATIENCE
        self.exposures.append(cycle)
        self.told.append(("exposed", cycle))

    def observed(self, cycle: int, observation: Observation) -> None:
        assert cycle not in self.outcomes
        self.outcomes[cycle] = observation
        self.told.append(("observed", cycle))

    def own_trigger(self, call: OwnTrigger) -> None:
        self.trigger()

    def picture_written(self, path: str) -> None:
        self.pictures.append(path)

    async def until(self, wanted: Callable[[], object], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < end, f"not within {seconds} s; down: {self.down}"
            await asyncio.sleep(0.005)

    async def ready(self, pids: int = 2) -> None:
        await self.until(lambda: self.facts is not None and len(self.pids) == pids and self.standing)

    @property
    def standing(self) -> bool:
        return all(member.facts is not None for member in self.pool._team.members.values())

    @property
    def pids(self) -> list[int]:
        team = self.pool._team
        both = [member for member in (team.active, team.standby) if member is not None]
        return [member.worker.pid for member in both if isinstance(member.worker, WorkerProcess)]

    def trigger(self, part_id: int = 0, seconds: float = PATIENCE) -> int:
        self._cycle += 1
        self.pool.inspect(Trigger(self._cycle, self._cycle, part_id=part_id, deadline=time.monotonic() + seconds))
        return self._cycle

    async def inspect(self, part_id: int = 0) -> Observation:
        cycle = self.trigger(part_id)
        await self.until(lambda: cycle in self.outcomes)
        return self.outcomes[cycle]


@contextlib.asynccontextmanager
async def line_of(settings: PoolSettings) -> AsyncIterator[Line]:
    line = Line(settings)
    running = asyncio.create_task(line.pool.run())
    try:
        yield line
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def settings_of(recipe: Path, *, standby: bool = True, memory: int = 1024, **inject: object) -> PoolSettings:
    camera = SimulatedCamera(width=640, height=512, inject=Inject.model_validate(inject))
    worker = WorkerConfig(standby=standby, nice=0, memory_limit_mb=memory)
    return PoolSettings(
        recipe, camera, worker=worker, frames=FramesConfig(slots=4, max_bytes=640 * 512 * 3), grab_timeout=PATIENCE
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return models.recipe(tmp_path / "bracket", models.detector([ROW]))


def gone(pid: int) -> bool:
    """No such process, not even a dead one that was never waited for."""
    return not psutil.pid_exists(pid)


async def test_a_trigger_gives_findings_in_pixels_of_the_frame_and_the_standby_writes_its_picture(
    recipe: Path, tmp_path: Path
) -> None:
    async with line_of(settings_of(recipe)) as line:
        await line.ready()
        facts = line.facts
        assert facts is not None
        assert (facts.recipe, facts.provider) == (1, "CPUExecutionProvider")
        assert facts.model_crc == wire.model_crc(facts.sha256)
        seen = await line.inspect()
        assert line.exposures == [1]
        assert [(finding.label, finding.box) for finding in seen.findings] == [("burr", (20, 40, 120, 180))]
        assert seen.grab > 0
        assert seen.infer > 0
        assert seen.simulated
        path = tmp_path / "pictures" / "1.png"
        record = Inspection("cell1", Trigger(1, 1), Judgement.NG, 101, 1, 1, findings=seen.findings)
        assert line.pool.picture(record, str(path))
        await line.until(lambda: line.pictures)
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.shape == (512, 640, 3)
        assert line.pictures == [str(path)]


async def test_a_network_of_another_family_needs_a_recipe_and_no_code(tmp_path: Path) -> None:
    task = "{kind: detect, format: yolov8, classes: [scratch, burr], min_score: 0.05}"
    folder = models.recipe(tmp_path / "plate", models.float_detector(), task=task)
    async with line_of(settings_of(folder, standby=False)) as line:
        await line.until(lambda: line.facts is not None)
        (finding,) = (await line.inspect()).findings
        assert (finding.label, finding.box) == ("burr", (224, 192, 416, 320))
        assert 0.05 < finding.score < 0.95


async def test_a_death_is_repeated_on_the_standby(recipe: Path) -> None:
    async with line_of(settings_of(recipe, crash_at=[7], exit_at=[8])) as line:
        await line.ready()
        first, _ = line.pids
        seen = await line.inspect(part_id=7)  # behind its exposure: the same frame again
        assert seen.fault is Code.NONE
        assert seen.findings
        assert line.exposures == [1]
        assert line.pool.counts.repeated == 1
        assert line.down is None
        await line.ready()
        assert first not in line.pids
        assert gone(first)
        assert (await line.inspect(part_id=8)).fault is Code.NONE  # before its exposure: a new frame
        assert line.exposures == [1, 2]
        assert line.pool.counts.repeated == 2


async def test_a_frame_that_kills_twice_is_a_fault_and_the_pool_recovers(recipe: Path) -> None:
    async with line_of(settings_of(recipe, poison_at=[7])) as line:
        await line.ready()
        seen = await line.inspect(part_id=7)
        assert seen.fault is Code.WORKER_DIED
        assert "Segmentation fault" in seen.detail
        await line.until(lambda: line.down)
        await line.ready()
        assert (await line.inspect()).fault is Code.NONE


async def test_a_late_answer_is_dropped_and_a_hung_process_is_given_up_on_and_killed(recipe: Path) -> None:
    async with line_of(settings_of(recipe, late_at=[6], late_ms=150, hang_at=[7])) as line:
        await line.ready()
        pids = line.pids
        late = line.trigger(part_id=6)
        await line.until(lambda: line.exposures)
        line.pool.give_up(late)
        await line.until(lambda: line.pool.counts.late)
        await line.ready()
        assert line.pids == pids[::-1]
        hung = line.pids[0]
        cycle = line.trigger(part_id=7)
        await line.until(lambda: line.exposures[1:])
        line.pool.give_up(cycle)
        assert (await line.inspect()).fault is Code.NONE
        await line.until(lambda: gone(hung))
        await line.ready()
        assert not {late, cycle} & line.outcomes.keys()


async def test_a_killed_process_is_replaced_while_nothing_runs_and_the_terminals_signals_end_none(recipe: Path) -> None:
    async with line_of(settings_of(recipe, standby=False)) as line:
        await line.ready(1)
        (pid,) = line.pids
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert (await line.inspect()).fault is Code.NONE
        assert line.pool.counts.died == 0
        os.kill(pid, signal.SIGKILL)
        await line.until(lambda: line.down is not None and line.down[0] is Code.WORKER_DIED)
        await line.ready(1)
        assert line.pids != [pid]
        assert (await line.inspect()).fault is Code.NONE


def mismatch() -> bytes:
    return models.detector(shape=(1, 5, 256, 320))


REFUSED: dict[str, tuple[Callable[[], bytes], Code]] = {
    "garbage": (lambda: b"no model", Code.MODEL_LOAD),
    "empty": (lambda: b"", Code.MODEL_LOAD),
    "external data": (lambda: models.external("../secret.bin"), Code.MODEL_LOAD),
    "memory bomb": (models.memory_bomb, Code.MODEL_LOAD),
    "crash at load": (models.nested_functions, Code.MODEL_LOAD),
    "wrong input": (mismatch, Code.MODEL_MISMATCH),
}


@pytest.mark.slow
async def test_refused_models_leave_the_running_one_alone(recipe: Path, tmp_path: Path) -> None:
    own = psutil.Process()
    async with line_of(settings_of(recipe, standby=False)) as line:
        await line.ready(1)
        before, memory = line.pids, own.memory_info().rss
        for name, (model, code) in REFUSED.items():
            bad = models.recipe(tmp_path / name.replace(" ", "-"), model(), number=2)
            with pytest.raises(WorkerError) as caught:
                await line.pool.activate(bad)
            assert (name, caught.value.code) == (name, code)
            assert caught.value.text
            assert (await line.inspect()).fault is Code.NONE
        lied = models.recipe(tmp_path / "lied", models.detector(), sha256="ab" * 32)
        with pytest.raises(WorkerError) as caught:
            await line.pool.activate(lied)
        assert caught.value.code is Code.MODEL_HASH
        assert line.pids == before
        assert line.down is None
        assert own.memory_info().rss - memory < 50 * 2**20


async def test_a_refused_model_at_the_start_is_told_and_not_tried_again(tmp_path: Path) -> None:
    bad = models.recipe(tmp_path / "bad", b"no model")
    async with line_of(settings_of(bad, standby=False)) as line:
        await line.until(lambda: line.down is not None and line.down[0] is Code.MODEL_LOAD)
        await asyncio.sleep(0.3)
        assert line.pool.counts.started == 1
        good = models.recipe(tmp_path / "good", models.detector())
        assert (await line.pool.activate(good)).recipe == 1
        await line.ready(1)
        assert (await line.inspect()).fault is Code.NONE


async def test_another_recipe_is_taken_over_whole(recipe: Path, tmp_path: Path) -> None:
    other = models.recipe(tmp_path / "other", models.detector([(*ROW[:4], 0.8, 2)]), number=2)
    async with line_of(settings_of(recipe)) as line:
        await line.ready()
        old = line.pids
        assert (await line.pool.activate(other)).recipe == 2
        assert [finding.label for finding in (await line.inspect()).findings] == ["missing_hole"]
        await line.ready()
        await line.until(lambda: all(map(gone, old)))


@pytest.mark.parametrize(("model", "code"), [(models.nan_detector, Code.OUTPUT_INVALID)])
async def test_an_output_that_makes_no_sense_is_a_fault(tmp_path: Path, model: Callable[[], bytes], code: Code) -> None:
    async with line_of(settings_of(models.recipe(tmp_path / "bad", model()), standby=False)) as line:
        await line.ready(1)
        for _ in range(2):
            assert (await line.inspect()).fault is code
        assert line.pool.counts.died == 0


async def test_a_black_and_a_frozen_frame_are_faults_and_the_next_is_fine(recipe: Path) -> None:
    async with line_of(settings_of(recipe, standby=False, black_at=[2], freeze_at=[4])) as line:
        await line.ready(1)
        codes = [(await line.inspect(part_id=part)).fault for part in (1, 2, 3, 4, 5)]
        assert codes == [Code.NONE, Code.IMAGE_INVALID, Code.NONE, Code.FRAME_REPEATED, Code.NONE]


async def test_a_camera_missing_at_the_start_is_waited_for_and_one_that_goes_comes_back(
    recipe: Path, tmp_path: Path
) -> None:
    folder, away = tmp_path / "pictures", tmp_path / "away"
    away.mkdir()
    cv2.imwrite(str(away / "1.png"), np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    settings = PoolSettings(recipe, FolderCamera(path=folder), worker=WorkerConfig(standby=False, nice=0))
    async with line_of(settings) as line:
        await line.until(lambda: line.down is not None and line.down[0] is Code.CAMERA_LINK)
        away.rename(folder)
        await line.until(lambda: line.facts)
        assert (await line.inspect()).fault is Code.NONE
        folder.rename(away)
        await line.until(lambda: line.down is not None and line.down[0] is Code.CAMERA_LINK)
        assert (await line.inspect()).fault is Code.CAMERA_LINK
        away.rename(folder)
        await line.until(lambda: line.facts)
        assert (await line.inspect()).fault is Code.NONE
        assert line.pool.counts.started == 1


def image_bomb() -> bytes:
    """A PNG of 30000 x 30000 pixels in some ten kilobytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(2**24), 9))
        + chunk(b"IEND", b"")
    )


async def test_an_image_bomb_is_refused_before_it_is_decoded(recipe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "bomb.png").write_bytes(image_bomb())
    settings = PoolSettings(recipe, FolderCamera(path=folder), worker=WorkerConfig(standby=False, nice=0))
    async with line_of(settings) as line:
        await line.ready(1)
        worker = psutil.Process(line.pids[0])
        before = worker.memory_info().rss
        assert (await line.inspect()).fault is Code.IMAGE_INVALID
        assert worker.memory_info().rss - before < 50 * 2**20
        assert line.pids == [worker.pid]


async def test_a_worker_talks_to_nobody_and_writes_nothing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {name: tmp_path / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "CWD")}
    for name, place in places.items():
        place.mkdir()
        monkeypatch.setenv(name, str(place))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(places["CWD"])
    async with line_of(settings_of(recipe, standby=False)) as line:
        await line.ready(1)
        worker = psutil.Process(line.pids[0])
        for _ in range(20):
            assert (await line.inspect()).fault is Code.NONE
            assert [c for c in worker.net_connections(kind="all") if c.family != socket.AF_UNIX] == []
        opened = {file.path for file in worker.open_files() if file.mode != "r"}
        assert {path for path in opened if "memfd:" not in path} == set()
    assert [name for place in places.values() for name in os.listdir(place)] == []  # noqa: PTH208 - no async path


async def test_the_end_is_bounded_even_for_a_stopped_process(recipe: Path) -> None:
    async with line_of(settings_of(recipe)) as line:
        await line.ready()
        pids = line.pids
        os.kill(pids[0], signal.SIGSTOP)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5
    assert all(map(gone, pids))


CONTROL = """
import asyncio, sys
from pathlib import Path
from tests.contract.test_worker_process import line_of, settings_of

async def main():
    async with line_of(settings_of(Path(sys.argv[1]), standby=False)) as line:
        await line.ready(1)
        print("pids", *line.pids, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_no_worker_outlives_a_killed_control_process(recipe: Path) -> None:
    root = str(Path(__file__).parents[2])
    control = subprocess.Popen(
        [sys.executable, "-c", CONTROL, str(recipe)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    try:
        assert control.stdout is not None
        told = next(line for line in control.stdout if line.startswith("pids "))  # after what is logged
        pids = [int(pid) for pid in told.split()[1:]]
    finally:
        control.kill()
        control.wait()
        if control.stdout is not None:
            control.stdout.close()
    assert len(pids) == 1
    end = time.monotonic() + 5
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


class Owner:
    """Hears one worker."""

    def __init__(self) -> None:
        self.heard: list[wire.FromWorker] = []
        self.reason = ""

    def received(self, worker: Worker, message: wire.FromWorker) -> None:
        self.heard.append(message)

    def ended(self, worker: Worker, reason: str) -> None:
        assert not self.reason
        self.reason = reason


PLAYED = {
    "garbage": "s.sendall(b'HTTP/1.1 200 OK' * 100); time.sleep(60)",
    "impossible length": "s.sendall(bytes([255] * 8)); time.sleep(60)",
    "half a message": "s.sendall(bytes([200, 0, 0, 0, 1])); s.close()",
    "closed and alive": "s.shutdown(2); time.sleep(60)",
    "crash": "import faulthandler; faulthandler.enable(); faulthandler._sigabrt()",
    "chatter": "os.write(2, b'x' * 1_000_000); raise SystemExit(9)",
}


@pytest.mark.parametrize("kind", PLAYED)
async def test_whatever_a_process_does_it_ends_as_a_dead_one(
    kind: str, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = f"import os, socket, sys, time; s = socket.socket(fileno=int(sys.argv[2])); {PLAYED[kind]}"
    monkeypatch.setattr(launch, "COMMAND", (sys.executable, "-c", code))
    settings, owner = settings_of(recipe), Owner()
    ring = make_ring(settings.frames)
    worker = WorkerProcess(settings, recipe, ring, owner)
    end = time.monotonic() + PATIENCE
    while not owner.reason or worker.reap() is None:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
        if kind == "closed and alive" and owner.reason:
            worker.kill()
    os.close(ring)
    assert owner.heard == []
    how = worker.reap()
    assert how is not None
    expected = {"crash": "SIGABRT", "chatter": "exit status 9"}.get(kind, "")
    assert expected in how
    assert gone(worker.pid)
    assert not worker.send(wire.Stop())
