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
        self.outcome: asyncio.Future[ModelFacts | str] = asyncio.get_running_loop().create_future()

    def received(self, worker: Worker, message: wire.FromWorker) -> None:
        match message:
            case wire.Ready(facts):
                self._tell(facts)
            case wire.Failed(_, text):
                self._tell(text)
            case wire.CameraDown(_, text):
                self.camera = text
            case _:
                pass

    def ended(self, worker: Worker, reason: str) -> None:
        self.died = not self.outcome.done()
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
            async with asyncio.timeout(settings.worker.start_timeout_s):
                outcome = await ear.outcome
        except TimeoutError:
            outcome = f"not loaded after {settings.worker.start_timeout_s:g} s (worker.start_timeout_s)"
        finally:
            ended = await end(worker)
    finally:
        os.close(ring)
    if isinstance(outcome, ModelFacts):
        return Probed(outcome, camera=ear.camera)
    return Probed(None, f"{outcome}: {ended}" if ear.died else outcome, ear.camera)


async def end(worker: WorkerProcess) -> str:
    """Kill the process and see it gone; how it ended."""
    worker.kill()
    give_up = asyncio.get_running_loop().time() + REAP
    while (ended := worker.reap()) is None:
        if asyncio.get_running_loop().time() > give_up:
            return "and the process cannot be ended; the computer may need a restart"
        await asyncio.sleep(0.01)
    return ended
