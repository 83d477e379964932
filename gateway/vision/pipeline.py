"""What follows the frame: step by step, from the picture to findings in pixels of the frame."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from gateway.inspection import Finding
from gateway.recipe import Recipe
from gateway.recipe_step import ModelFile, Step
from gateway.vision.engines import EngineError, make_engine
from gateway.vision.finding_rows import MAX_FINDINGS
from gateway.vision.frames import Pixels
from gateway.vision.image import FrameCheck, Resizer
from gateway.vision.settings import EngineConfig
from gateway.vision.tasks import TaskError, make_look, make_task
from protocols.faults import Code

WARM_UPS = 3
"""Runs before Ready: the first one allocates, the last one is what a first inspection will take."""

Check = Callable[[Pixels], None]
"""Raises what speaks against judging a picture."""


class Eye(Protocol):
    """What looks at a picture in one step."""

    labels: tuple[str, ...]
    size: tuple[int, int]
    """Width and height of the network's input; 0, 0 without one."""
    provider: str
    """What runs the network; empty without one."""
    spent: float
    """Seconds the network ran at the last look."""

    def warm_up(self) -> float:
        """Run a few times; seconds of the last run. EngineError 2001."""

    def look(self, picture: Pixels, check: Check | None = None) -> tuple[Finding, ...]:
        """The findings in pixels of the picture, best first; `check` is shown what is looked at. EngineError,
        TaskError."""


class NetworkEye:
    """Resize, network, task."""

    def __init__(self, recipe: Recipe, step: Step, model: ModelFile, config: EngineConfig) -> None:
        self._engine = make_engine(config)
        info = self._engine.load(_model_bytes(recipe, model), model.input)
        self._task = make_task(step.task, info)
        self._resizer = Resizer(info.input, self._task.resize)
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
        return time.perf_counter() - begin

    def look(self, picture: Pixels, check: Check | None = None) -> tuple[Finding, ...]:
        """The check sees the picture as it was resized, where a sensor's noise is averaged out."""
        placement = self._resizer.put(picture)
        if check is not None:
            check(self._resizer.picture)
        begin = time.perf_counter()
        outputs = self._engine.run()
        self.spent = time.perf_counter() - begin
        return self._task.decode(outputs, placement)


class PlainEye:
    """A task that needs no network."""

    size, provider = (0, 0), ""

    def __init__(self, step: Step) -> None:
        self._look = make_look(step.task)
        self.labels = self._look.labels
        self.spent = 0.0

    def warm_up(self) -> float:
        """Nothing to do."""
        return 0.0

    def look(self, picture: Pixels, check: Check | None = None) -> tuple[Finding, ...]:
        """The task's time counts as that of a network."""
        if check is not None:
            check(picture)
        begin = time.perf_counter()
        try:
            return self._look.look(picture)
        finally:
            self.spent = time.perf_counter() - begin


class Pipeline:
    """The steps of one recipe, ready to look at frames. EngineError and TaskError name the step."""

    def __init__(self, recipe: Recipe, config: EngineConfig) -> None:
        self._steps: list[tuple[Step, Eye]] = []
        self._many = len(recipe.steps) > 1
        for step in recipe.steps:
            with self._named(step):
                eye = PlainEye(step) if step.model is None else NetworkEye(recipe, step, step.model, config)
                self._steps.append((step, eye))
        self.labels = tuple(dict.fromkeys(label for _, eye in self._steps for label in eye.labels))
        self.provider = ", ".join(dict.fromkeys(eye.provider for _, eye in self._steps if eye.provider))
        self.size = next((eye.size for _, eye in self._steps if eye.provider), (0, 0))
        """Width and height of the first network's input."""

    def warm_up(self) -> float:
        """Seconds that the networks of one inspection take; runs everything once but the camera. EngineError 2001."""
        seconds = 0.0
        for step, eye in self._steps:
            with self._named(step):
                seconds += eye.warm_up()
        with contextlib.suppress(EngineError, TaskError):  # so that the first part does not pay for first uses
            self.look(np.zeros((1024, 1280, 3), np.uint8), rehearsed)
        return seconds

    def look(self, frame: Pixels, check: Check) -> tuple[tuple[Finding, ...], float]:
        """The findings of all steps in pixels of the frame, and the seconds that networks ran.

        `check` is shown once what the first step looks at. EngineError, TaskError, and what `check` raises.
        """
        found: list[Finding] = []
        spent = 0.0
        for number, (step, eye) in enumerate(self._steps):
            with self._named(step):
                found += eye.look(frame, check if number == 0 else None)
            spent += eye.spent
        if len(found) > MAX_FINDINGS:
            text = f"the steps found {len(found)} things, at most {MAX_FINDINGS} are judged; raise task.min_score"
            raise TaskError(Code.OUTPUT_INVALID, text)
        return tuple(found), spent

    @contextlib.contextmanager
    def _named(self, step: Step) -> Iterator[None]:
        """Errors of a recipe of several steps begin with the step's name."""
        try:
            yield
        except (EngineError, TaskError) as error:
            if not self._many:
                raise
            raise type(error)(error.code, f"step {step.name!r}: {error.text}") from error


def rehearsed(picture: Pixels) -> None:
    """A check that lets everything pass, once gone through."""
    FrameCheck(frozen_check=True).fault(picture)


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
