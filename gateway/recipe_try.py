"""Pictures of known truth, looked at by the vision process that would look at them in the plant."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.inspection import Observation
from gateway.labelled import Labelled
from gateway.probe import end
from gateway.recipe import Recipe
from gateway.recipe_figures import Case, case
from gateway.vision import wire
from gateway.vision.camera_settings import FolderCamera
from gateway.vision.engine_settings import EngineConfig
from gateway.vision.settings import FramesConfig, PoolSettings, WorkerConfig
from gateway.worker_process import Worker, WorkerProcess, make_ring
from protocols.faults import Code

PATIENCE = 10.0
"""Seconds for one picture."""
DEATHS = 3
"""Vision processes that may die of pictures before the trial is given up."""
FRAMES = FramesConfig(slots=4, max_bytes=256 * 2**20)


class TrialError(Exception):
    """The trial cannot go on: one sentence why."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture with its findings, to be written to `path`."""

    case: Case
    path: Path


class _Ear:
    """Hears what the vision process says: each message answers the order before it."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[wire.FromWorker | str] = asyncio.Queue()

    def received(self, worker: Worker, message: wire.FromWorker) -> None:
        if not isinstance(message, wire.Exposed | wire.CameraUp):
            self.said.put_nowait(message)

    def ended(self, worker: Worker, reason: str) -> None:
        self.said.put_nowait(reason)


class Trial:
    """A recipe and pictures; one vision process at a time looks at them."""

    def __init__(self, recipe: Recipe, pictures: Sequence[Labelled], engine: EngineConfig, memory_mb: int) -> None:
        self._recipe, self._pictures = recipe, pictures
        self._engine = engine
        self._worker = WorkerConfig(standby=False, memory_limit_mb=max(512, memory_mb))

    def run(self, told: Callable[[int], None] = lambda count: None) -> list[Case]:
        """Look at every picture and judge it; TrialError. `told` hears how many are done."""
        return asyncio.run(self._run(told))

    def draw(self, wanted: Sequence[Drawn]) -> list[Drawn]:
        """Look at these again and write them with their findings drawn; which were written. TrialError."""
        return asyncio.run(self._draw(wanted))

    async def _run(self, told: Callable[[int], None]) -> list[Case]:
        cases: list[Case] = []
        deaths = 0
        while len(cases) < len(self._pictures):
            async with self._looking() as eye:
                while len(cases) < len(self._pictures):
                    seen = await eye.look(len(cases) + 1)
                    cases.append(case(self._recipe, self._pictures[len(cases)], seen))
                    told(len(cases))
                    if seen.fault in (Code.WORKER_DIED, Code.DEADLINE_MISSED):
                        deaths += 1
                        break
            if deaths == DEATHS:
                raise TrialError(f"{DEATHS} vision processes ended at pictures, the last at {cases[-1].picture.path}")
        return cases

    async def _draw(self, wanted: Sequence[Drawn]) -> list[Drawn]:
        written: list[Drawn] = []
        numbers = {picture.path: number for number, picture in enumerate(self._pictures, 1)}
        async with self._looking() as eye:
            for one in wanted:
                await eye.look(numbers[one.case.picture.path])
                why = await eye.draw(numbers[one.case.picture.path], one)
                if not why:
                    written.append(one)
                elif one.case.seen.fault is Code.NONE:  # of a fault there may be no frame to draw on
                    raise TrialError(f"{one.path} cannot be written ({why}); name another place by --out")
        return written

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[_Eye]:
        """A vision process that has loaded the recipe; it is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="gateway-try-") as place:
            self._line_up(Path(place))
            camera = FolderCamera(path=Path(place), loop=False)
            settings = PoolSettings(self._recipe.folder, camera, self._engine, self._worker, FRAMES)
            settings = replace(settings, contents={self._recipe.folder: self._recipe.model_dump(mode="json")})
            ring = make_ring(settings.frames)
            try:
                ear = _Ear()
                worker = WorkerProcess(settings, self._recipe.folder, ring, ear)
                try:
                    eye = _Eye(worker, ear)
                    await eye.ready(settings.worker.start_timeout_s)
                    yield eye
                finally:
                    await end(worker)
            finally:
                os.close(ring)

    def _line_up(self, place: Path) -> None:
        """Links in one folder: the camera shows pictures in the order of their names."""
        for number, picture in enumerate(self._pictures, 1):
            Path(place, f"{number:06d}{picture.path.suffix.lower()}").symlink_to(picture.path.resolve())


class _Eye:
    """A vision process that answers one order after the other."""

    def __init__(self, worker: WorkerProcess, ear: _Ear) -> None:
        self._worker, self._ear = worker, ear

    async def ready(self, patience: float) -> None:
        """Wait until it can look; TrialError."""
        said = await self._answer(patience)
        match said:
            case wire.Ready(facts):
                self._worker.labels = frozenset(facts.labels)
            case wire.Failed(_, text) | wire.CameraDown(_, text):
                raise TrialError(text)
            case _:
                raise TrialError(f"the model was not loaded: {said or 'no answer in time'}")

    async def look(self, number: int) -> Observation:
        """What is seen on a picture; a process that dies or hangs is an answer too."""
        slot = number % FRAMES.slots
        self._worker.send(wire.Inspect(number, slot, number, number, PATIENCE / 2, triggered=time.monotonic()))
        said = await self._answer(PATIENCE)
        if isinstance(said, wire.Observed):
            return said.observation
        if said is None:
            return Observation(fault=Code.DEADLINE_MISSED, detail=f"no answer within {PATIENCE:g} s")
        return Observation(fault=Code.WORKER_DIED, detail=str(said))

    async def draw(self, number: int, one: Drawn) -> str:
        """Write the picture looked at last; why not, if it cannot be."""
        verdict = one.case.judgement.name
        caption = f"{one.case.reason or ''} {one.case.rule}  {one.case.picture.path.name}".strip()[:200]
        slot = number % FRAMES.slots
        order = wire.Picture(number, slot, str(one.path), verdict, caption, one.case.seen.findings, keep=1_000_000)
        self._worker.send(order)
        said = await self._answer(PATIENCE)
        return said.error if isinstance(said, wire.PictureDone) else str(said or "no answer in time")

    async def _answer(self, patience: float) -> wire.FromWorker | str | None:
        try:
            async with asyncio.timeout(patience):
                return await self._ear.said.get()
        except TimeoutError:
            return None
