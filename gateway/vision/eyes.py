"""What looks at the pictures of one step: a network with its task, or a task alone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from gateway.inspection import Finding
from gateway.recipe import Recipe
from gateway.recipe_step import ModelFile, Step
from gateway.vision import proof
from gateway.vision.engine_settings import EngineConfig
from gateway.vision.engines import EngineError, Tensor, make_engine
from gateway.vision.frames import Pixels
from gateway.vision.image import Placement, Resizer
from gateway.vision.proof import Runs
from gateway.vision.tasks import make_look, make_task
from protocols.faults import Code

BATCH = 8
"""Most pictures of a step that go through its network in one run."""
WARM_UPS = 3
"""Runs before Ready: the first one allocates, the last one is what a first inspection will take."""

Check = Callable[[Pixels], None]
"""Raises what speaks against judging a picture."""
Findings = tuple[Finding, ...]


class Eye(Protocol):
    """What looks at pictures in one step."""

    labels: tuple[str, ...]
    size: tuple[int, int]
    """Width and height of the network's input; 0, 0 without one."""
    provider: str
    """What runs the network; empty without one."""
    runs: Runs | None
    """The same in full; None without one."""
    missed: str
    """Why not what was wished first; empty if it does."""
    spent: float
    """Seconds the network ran at the last look."""

    def warm_up(self) -> float:
        """Run a few times; seconds of the last run. EngineError 2001."""

    def look(self, pictures: Iterable[Pixels], check: Check | None = None) -> list[Findings]:
        """The findings of each picture in pixels of it, best first; a picture is used up before the next is taken.

        `check` is shown what is looked at first. EngineError, TaskError.
        """


class NetworkEye:
    """Resize, network, task."""

    def __init__(self, recipe: Recipe, step: Step, model: ModelFile, config: EngineConfig, *, proven: bool) -> None:
        self._engine = make_engine(config)
        several = step.on is not None or step.picture.tiles is not None
        info = self._engine.load(_model_bytes(recipe, model), model.input, BATCH if several else 1)
        runs = Runs(info.engine, info.provider, info.precision, info.device)
        if proven:
            _demand_proof(recipe, model, runs, config)
        self.runs: Runs | None = runs
        self.missed = info.missed
        self._task = make_task(step.task, info)
        self._resizers = [Resizer(target, self._task.resize) for target in (info.input, *info.more)]
        self.labels, self.provider = self._task.labels, info.provider
        height, width = info.input.shape[:2]
        self.size = width, height
        self.spent = 0.0

    def warm_up(self) -> float:
        """Run a few times."""
        try:
            for _ in range(WARM_UPS - 1):
                self._engine.run()
            begin = time.perf_counter()
            self._engine.run()
        except EngineError as error:
            raise EngineError(Code.MODEL_LOAD, error.text) from error
        seconds = time.perf_counter() - begin
        self._try_together()
        return seconds

    def _try_together(self) -> None:
        """A network that says it takes several pictures, but does not, is given one after the other."""
        count = len(self._resizers)
        try:
            if count > 1:
                _apart(self._engine.run(count), count)
        except EngineError:
            del self._resizers[1:]

    def look(self, pictures: Iterable[Pixels], check: Check | None = None) -> list[Findings]:
        """The check sees the picture as it was resized, where a sensor's noise is averaged out."""
        found: list[Findings] = []
        placed: list[Placement] = []
        self.spent = 0.0
        for picture in pictures:
            resizer = self._resizers[len(placed)]
            placed.append(resizer.put(picture))
            if check is not None:
                check(resizer.picture)
                check = None
            if len(placed) == len(self._resizers):
                found += self._run(placed)
                placed.clear()
        return found + self._run(placed) if placed else found

    def _run(self, placed: list[Placement]) -> list[Findings]:
        begin = time.perf_counter()
        outputs = self._engine.run(len(placed))
        self.spent += time.perf_counter() - begin
        pairs = zip(_apart(outputs, len(placed)), placed, strict=True)
        return [self._task.decode(one, placement) for one, placement in pairs]


def _apart(outputs: Mapping[str, Tensor], count: int) -> Iterator[Mapping[str, Tensor]]:
    """The outputs of each picture, as if it had been alone; EngineError 2005."""
    if count == 1:
        return iter([outputs])
    for name, tensor in outputs.items():
        if tensor.ndim == 0 or len(tensor) != count:
            text = f"output {name} has shape {list(tensor.shape)} for {count} pictures"
            raise EngineError(Code.OUTPUT_INVALID, text)
    return ({name: tensor[at : at + 1] for name, tensor in outputs.items()} for at in range(count))


class PlainEye:
    """A task that needs no network."""

    size, provider, missed = (0, 0), "", ""
    runs: Runs | None = None

    def __init__(self, recipe: Recipe, step: Step) -> None:
        self._look = make_look(step.task, recipe.folder)
        self.labels = self._look.labels
        self.spent = 0.0

    def warm_up(self) -> float:
        """Nothing to do."""
        return 0.0

    def look(self, pictures: Iterable[Pixels], check: Check | None = None) -> list[Findings]:
        """The task's time counts as that of a network."""
        found: list[Findings] = []
        self.spent = 0.0
        for picture in pictures:
            if check is not None and not found:
                check(picture)
            begin = time.perf_counter()
            found.append(self._look.look(picture))
            self.spent += time.perf_counter() - begin
        return found


def make_eye(recipe: Recipe, step: Step, config: EngineConfig, *, proven: bool = True) -> Eye:
    """What looks in this step; EngineError, TaskError. `proven`: by an engine that passed the comparison alone."""
    if step.model is None:
        return PlainEye(recipe, step)
    return NetworkEye(recipe, step, step.model, config, proven=proven)


def _demand_proof(recipe: Recipe, model: ModelFile, runs: Runs, config: EngineConfig) -> None:
    if proof.proven(recipe.folder, model.sha256, runs):
        return
    command = " ".join(["gateway model compare", str(recipe.folder), *proof.options(config), "--pictures FOLDER"])
    text = f"on {runs} {model.file} has not been compared with the reference, or the comparison failed; say {command}"
    raise EngineError(Code.ENGINE_UNPROVEN, text)


def _model_bytes(recipe: Recipe, model: ModelFile) -> bytes:
    """The model file, read once: what is hashed is what is loaded."""
    path = recipe.path(model)
    try:
        content = path.read_bytes()
    except OSError as error:
        text = f"{path} cannot be read ({error.strerror}); copy the model file again"
        raise EngineError(Code.MODEL_LOAD, text) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != model.sha256:
        named = f"{path} has SHA-256 {digest}, recipe.yaml names {model.sha256}"
        text = f"{named}; restore the file, or enter the new value after a test"
        raise EngineError(Code.MODEL_HASH, text)
    return content
