"""One inspection after the other: frame, check, the recipe's steps, answer. Lives in the vision process."""

from __future__ import annotations

import contextlib
import mmap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2

from gateway import recipe as recipes
from gateway.inspection import Finding, FrameFacts, Observation
from gateway.vision import picture, wire
from gateway.vision.camera_settings import AnyCamera
from gateway.vision.cameras import CameraError, Order, make_camera
from gateway.vision.engine_settings import EngineConfig
from gateway.vision.engines import EngineError
from gateway.vision.frames import FrameRing, Pixels
from gateway.vision.image import FrameCheck
from gateway.vision.inject import Faults
from gateway.vision.pipeline import Pipeline, rehearsed
from gateway.vision.settings import FramesConfig
from gateway.vision.tasks import TaskError
from protocols.faults import Code


@dataclass(slots=True)
class Look:
    """One trigger on its way through the vision process; seconds."""

    order: wire.Inspect
    pixels: Pixels | None = None
    frame: FrameFacts = field(default_factory=FrameFacts)
    findings: tuple[Finding, ...] = ()
    fault: Code = Code.NONE
    detail: str = ""
    grab: float = 0.0
    infer: float = 0.0
    utc: float = 0.0


class Inspector:
    """Camera and pipeline of one recipe, and the frame ring."""

    def __init__(
        self,
        send: Callable[[wire.FromWorker], None],
        camera: AnyCamera,
        engine: EngineConfig,
        frames: FramesConfig,
        ring: int,
    ) -> None:
        cv2.setNumThreads(1)
        self._send = send
        self.camera = make_camera(camera)
        self.lost: CameraError | None = None
        """Why the camera has to be opened again, or None."""
        self._check = FrameCheck(self.camera.frozen_check)
        self._faults = Faults(camera)
        self._engine = engine
        self._frames = FrameRing(ring, frames)
        self._canvas: Pixels | None = None
        self._fresh = True
        """No trigger has come yet: a standby, or one just started."""
        self._touched: set[int] = set()
        self._slots = frames.slots
        self.facts = wire.ModelFacts()

    def load(self, folder: Path, content: dict[str, Any] | None = None) -> None:
        """Load the model; `content` stands for recipe.yaml if given. RecipeError, EngineError, TaskError."""
        recipe = (
            recipes.load(folder)
            if content is None
            else recipes.complete(recipes.Recipe.model_validate(content).placed(folder))
        )
        pipeline = self._pipeline = Pipeline(recipe, self._engine)
        warm_up = pipeline.warm_up()
        width, height = pipeline.size
        self.facts = wire.ModelFacts(
            recipe=recipe.number,
            recipe_name=recipe.name,
            sha256=recipe.model_mark,
            model_crc=wire.model_crc(recipe.model_mark),
            provider=pipeline.provider,
            missed=pipeline.missed,
            warm_up=warm_up,
            labels=pipeline.labels,
            input_width=width,
            input_height=height,
            simulated=self.camera.simulated,
        )

    def inspect(self, order: wire.Inspect) -> None:
        """Answer one trigger: exposed as soon as the frame is there, then observed, whatever goes wrong."""
        self.judge(self.take(order))

    def take(self, order: wire.Inspect) -> Look:
        """Expose; why there is no frame stands in the look, for `judge` to tell."""
        self._fresh = False
        look = Look(order)
        with _answered(look):
            self._frame(look)
        return look

    def judge(self, look: Look) -> None:
        """The second half of an inspection; it may run beside `take` for the next one, but not beside itself."""
        order = look.order
        pixels = look.pixels
        if pixels is not None:
            with _answered(look):
                self._faults.after_exposure(order.part_id, order.attempt)
                look.findings, look.infer = self._pipeline.look(
                    pixels, lambda shown: self._judgeable(shown, order.reuse_frame)
                )
        self._faults.before_answer(order.part_id)
        seen = Observation(
            look.findings,
            look.fault,
            look.detail,
            look.grab,
            look.infer,
            look.utc,
            self.camera.simulated,
            look.frame,
        )
        try:
            self._send(wire.Observed(order.cycle, seen))
        except ValueError as error:  # numbers that are none, or more than a message holds
            detail = f"what was found cannot be told: {error}"
            seen = replace(seen, findings=(), fault=Code.OUTPUT_INVALID, detail=detail)
            self._send(wire.Observed(order.cycle, seen))

    def rehearse(self) -> None:
        """Nothing to do: a standby goes once through what it will have to do at once, on frames the active one took.

        The first use of code, buffers and pages of the ring costs some ten milliseconds otherwise.
        """
        if not self._fresh or len(self._touched) == self._slots:
            return
        for slot in set(range(self._slots)) - self._touched:
            found = self._frames.frame(slot, self._frames.holds(slot))
            if found is None:
                continue
            found[0].reshape(-1)[:: mmap.PAGESIZE].max()
            if not self._touched:
                with contextlib.suppress(EngineError, TaskError):
                    self._pipeline.look(found[0], rehearsed)
            self._touched.add(slot)

    def picture(self, order: wire.Picture) -> None:
        """Draw and write a picture; whatever goes wrong is told, and harms nothing."""
        path = Path(order.path)
        error = ""
        try:
            pixels = self._copy(order)
            if pixels is None:
                error = "a newer frame has taken its place"
            else:
                picture.write(picture.draw(pixels, order.verdict, order.caption, order.findings), path)
                picture.keep_newest(path.parent, path.suffix, order.keep)
        except (OSError, ValueError, MemoryError, cv2.error) as failure:
            error = str(failure) or type(failure).__name__
        self._send(wire.PictureDone(order.cycle, order.path, error))

    def _frame(self, look: Look) -> None:
        """The frame of a trigger, wall clock of its exposure, seconds it took."""
        order = look.order
        if order.reuse_frame:
            found = self._frames.frame(order.slot, order.cycle)
            if found is None:
                raise CameraError(Code.WORKER_DIED, "the vision process died and the frame it took is lost")
            look.pixels, look.utc = found
            return
        self._faults.before_exposure(order.part_id, order.attempt)
        if self.lost is not None:
            raise self.lost
        begin = time.perf_counter()
        try:
            wanted = Order(order.cycle, order.part_id, order.grab_budget, order.triggered, order.frame)
            pixels, look.frame = self.camera.grab(self._frames.begin(order.slot), wanted)
        except CameraError as error:
            self.lost = error if error.lost else None
            raise
        look.utc, look.grab = time.time() - (time.monotonic() - look.frame.arrived), time.perf_counter() - begin
        self._frames.commit(order.slot, order.cycle, pixels, look.utc)
        self._send(wire.Exposed(order.cycle, look.utc, look.grab))
        look.pixels = pixels

    def _judgeable(self, pixels: Pixels, repeated: bool) -> None:
        wrong = self._check.fault(pixels)
        if wrong is not None and not (repeated and wrong[0] is Code.FRAME_REPEATED):
            raise CameraError(*wrong)

    def _copy(self, order: wire.Picture) -> Pixels | None:
        """A copy of the frame to draw on; None if the slot holds another one, or does so by the time it is copied."""
        found = self._frames.frame(order.slot, order.cycle)
        if found is None:
            return None
        pixels = found[0]
        if self._canvas is None or self._canvas.shape != pixels.shape:
            self._canvas = pixels.copy()
        else:
            self._canvas[:] = pixels
        return self._canvas if self._frames.frame(order.slot, order.cycle) is not None else None


@contextlib.contextmanager
def _answered(look: Look) -> Iterator[None]:
    """Whatever goes wrong becomes the look's fault: a bad frame must have an answer, not end the worker."""
    try:
        yield
    except (CameraError, EngineError, TaskError) as error:
        look.fault, look.detail = error.code, error.text
    except MemoryError:
        look.fault, look.detail = Code.MEMORY, "the vision process has no more memory; raise worker.memory_limit_mb"
    except Exception as error:  # noqa: BLE001 - the process boundary
        look.fault, look.detail = Code.INTERNAL, f"the inspection failed: {type(error).__name__}: {error}"
