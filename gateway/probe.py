"""A trial start of a recipe in a vision process of its own: a model can crash, hang or eat memory, and only it dies."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.vision import wire
from gateway.vision.settings import PoolSettings
from gateway.vision.wire import ModelFacts
from gateway.worker_process import Worker, WorkerProcess, make_ring

if TYPE_CHECKING:
    from gateway.config import StationConfig
    from gateway.recipe import Recipe

CAMERA, CLOSING = 20.0, 2.0
"""Seconds a camera may take to be opened, and to be let go of."""
REAP = 5.0
"""Seconds a killed process may take to be gone."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What the trial showed: the model's facts or why there are none; and what the camera lacks, "" if nothing."""

    facts: ModelFacts | None
    error: str = ""
    camera: str = ""


class _Ear:
    """Hears what the vision process says until it is ready, has failed or is gone."""

    def __init__(self) -> None:
        self.camera = ""
        self.died = False
        self.looked = asyncio.Event()
        """The camera was opened, or could not be."""
        self.outcome: asyncio.Future[ModelFacts | str] = asyncio.get_running_loop().create_future()

    def received(self, worker: Worker, message: wire.FromWorker) -> None:
        match message:
            case wire.Ready(facts):
                self._tell(facts)
            case wire.Failed(_, text):
                self._tell(text)
            case wire.CameraDown(_, text):
                self.camera = text
                self.looked.set()
            case wire.CameraUp():
                self.looked.set()
            case _:
                pass

    def ended(self, worker: Worker, reason: str) -> None:
        self.died = not self.outcome.done()
        self.looked.set()
        self._tell(reason)

    def _tell(self, outcome: ModelFacts | str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


def probe(station: StationConfig, recipe: Recipe) -> Probed:
    """Load the recipe as the station would, warm it up, and end the process again; takes at most start_timeout_s."""
    return trial(PoolSettings(recipe.folder, station.camera, station.engine, station.worker, station.frames))


def trial(settings: PoolSettings) -> Probed:
    """The same of a recipe that belongs to no station yet."""
    try:
        return asyncio.run(_probe(settings))
    except OSError as error:
        return Probed(None, f"the vision process cannot be started ({error.strerror}); see what this computer lacks")


async def _probe(settings: PoolSettings) -> Probed:
    ring = make_ring(settings.frames)
    try:
        ear = _Ear()
        worker = WorkerProcess(settings, settings.recipe, ring, ear)
        try:
            outcome = await _outcome(ear, settings.worker.start_timeout_s)
            if isinstance(outcome, ModelFacts) and settings.camera.exclusive:
                await _look(worker, ear)
        finally:
            ended = await end(worker)
    finally:
        os.close(ring)
    if isinstance(outcome, ModelFacts):
        return Probed(outcome, camera=ear.camera)
    # Of a crash the first line is for people; what stacks it left says the log of a running gateway.
    return Probed(None, f"{outcome}: {ended}".splitlines()[0] if ear.died else outcome, ear.camera)


async def _outcome(ear: _Ear, seconds: float) -> ModelFacts | str:
    try:
        async with asyncio.timeout(seconds):
            return await ear.outcome
    except TimeoutError:
        return f"not loaded after {seconds:g} s (worker.start_timeout_s)"


async def _look(worker: WorkerProcess, ear: _Ear) -> None:
    """Have the camera opened, which such a process does only when it is told to, and closed again."""
    worker.send(wire.Lead())
    try:
        async with asyncio.timeout(CAMERA):
            await ear.looked.wait()
    except TimeoutError:
        ear.camera = f"the camera was not open after {CAMERA:g} s"
    worker.stop()
    await _gone(worker, CLOSING)


async def end(worker: WorkerProcess) -> str:
    """Kill the process and see it gone; how it ended."""
    worker.kill()
    return await _gone(worker, REAP) or "and the process cannot be ended; the computer may need a restart"


async def _gone(worker: WorkerProcess, seconds: float) -> str | None:
    give_up = asyncio.get_running_loop().time() + seconds
    while (ended := worker.reap()) is None:
        if asyncio.get_running_loop().time() > give_up:
            return None
        await asyncio.sleep(0.01)
    return ended
