"""What follows the frame: step by step, from the picture to findings in pixels of the frame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe import Recipe
from gateway.recipe_step import Step, Tiles
from gateway.recipe_task import UNSEEN
from gateway.vision import spots, tiles
from gateway.vision.cuts import Cutter
from gateway.vision.engine_settings import EngineConfig
from gateway.vision.engines import EngineError
from gateway.vision.eyes import Check, Eye, Findings, make_eye
from gateway.vision.frames import Pixels
from gateway.vision.image import FrameCheck
from gateway.vision.lens import Lens
from gateway.vision.places import Place, on_frame
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.outlines import fitted
from protocols.faults import Code


class Pipeline:
    """The steps of one recipe, ready to look at frames. EngineError and TaskError name the step."""

    def __init__(self, recipe: Recipe, config: EngineConfig, *, proven: bool = True) -> None:
        """`proven`: a network runs on what has passed the comparison alone, else EngineError 2009."""
        self._looks: list[_Look] = []
        self._many = len(recipe.steps) > 1
        self._lens = None if recipe.lens is None else Lens(recipe.lens)
        for step in recipe.steps:
            with self._named(step):
                eye = make_eye(recipe, step, config, proven=proven)
                self._looks.append(_Look(step, eye, self._lens))
        eyes = [look.eye for look in self._looks]
        labels = [label for look in self._looks for label in look.labels]
        self.labels = tuple(dict.fromkeys(labels))
        self.provider = ", ".join(dict.fromkeys(eye.provider for eye in eyes if eye.provider))
        self.runs = [eye.runs for eye in eyes if eye.runs is not None]
        """What runs each network, in full."""
        self.missed = next((eye.missed for eye in eyes if eye.missed), "")
        """Why it is not what was wished first."""
        self.size = next((eye.size for eye in eyes if eye.provider), (0, 0))
        """Width and height of the first network's input."""

    def warm_up(self) -> float:
        """Seconds the networks of one inspection take; runs all but the camera. EngineError 2001, TaskError 2006."""
        seconds = 0.0
        for look in self._looks:
            with self._named(look.step):
                seconds += look.eye.warm_up()
        self._rehearse()
        return seconds

    def _rehearse(self) -> None:
        """So that the first part does not pay for first uses; TaskError 2006 where recipe and network do not fit."""
        try:
            self.look(np.zeros((1024, 1280, 3), np.uint8), rehearsed)
        except (EngineError, TaskError) as error:
            if error.code is Code.MODEL_MISMATCH:
                raise

    def look(self, frame: Pixels, check: Check) -> tuple[Findings, float]:
        """The findings of all steps in pixels of the frame, and the seconds that networks ran.

        `check` is shown once what the first step looks at. EngineError, TaskError, and what `check` raises.
        """
        self._fits(frame)
        by_step: dict[str, Findings] = {}
        unseen: list[Finding] = []
        for number, look in enumerate(self._looks):
            with self._named(look.step):
                by_step[look.step.name], seen = look.at(frame, by_step, check if number == 0 else None)
            if not seen:
                height, width = frame.shape[:2]
                unseen.append(Finding(UNSEEN, 1.0, (0.0, 0.0, float(width), float(height)), text=look.step.name))
        found = [finding for findings in by_step.values() for finding in findings]
        if len(found) + len(unseen) > MAX_FINDINGS:
            text = f"the steps found {len(found)} things, at most {MAX_FINDINGS} are judged; raise task.min_score"
            raise TaskError(Code.OUTPUT_INVALID, text)
        return fitted((*found, *unseen)), sum(look.eye.spent for look in self._looks)

    def _fits(self, frame: Pixels) -> None:
        """A frame of another size than the calibration's would be straightened and measured wrongly."""
        if self._lens is None:
            return
        made, (height, width) = self._lens.calibration, frame.shape[:2]
        if (made.width, made.height) != (width, height):
            text = f"the frame has {width} x {height} pixels, the calibration was made for {made.width} x {made.height}"
            raise TaskError(Code.IMAGE_FORMAT, f"{text}; set the camera as it was then, or calibrate again")

    @contextlib.contextmanager
    def _named(self, step: Step) -> Iterator[None]:
        """Errors of a recipe of several steps begin with the step's name."""
        try:
            yield
        except (EngineError, TaskError) as error:
            if not self._many:
                raise
            raise type(error)(error.code, f"step {step.name!r}: {error.text}") from error


class _Look:
    """One step: where to look, the cuts, the eye, and the way back to the frame."""

    def __init__(self, step: Step, eye: Eye, lens: Lens | None) -> None:
        self.step, self.eye = step, eye
        self._lens = lens if step.picture.undistort else None
        self._required = step.on is not None and step.on.required
        self.labels = (*eye.labels, UNSEEN) if self._required else eye.labels
        self._cutter = Cutter()

    def at(self, frame: Pixels, earlier: dict[str, Findings], check: Check | None) -> tuple[Findings, bool]:
        """The findings in pixels of the frame; False where a step that must look could not look at all it should."""
        height, width = frame.shape[:2]
        places, seen = self._places(earlier, width, height)
        self.eye.spent = 0.0
        settings = self.step.picture.tiles
        if settings is None:
            found = self.eye.look((self._cut(frame, place) for place in places), check)
        else:
            found = [self._in_pieces(self._cut(frame, place), settings, check) for place in places]
        pairs = zip(places, found, strict=True)
        back = tuple(self._back(finding, place, width, height) for place, findings in pairs for finding in findings)
        return back, seen or not self._required

    def _cut(self, frame: Pixels, place: Place) -> Pixels:
        return self._cutter.cut(frame if self._lens is None else self._lens.straight(frame, place), place)

    def _back(self, finding: Finding, place: Place, width: int, height: int) -> Finding:
        """From pixels of a cut to those of the frame."""
        if place != Place(width, height):
            finding = on_frame(finding, place, width, height)
        return finding if self._lens is None else self._lens.bent(finding)

    def _places(self, earlier: dict[str, Findings], width: int, height: int) -> tuple[list[Place], bool]:
        on, picture = self.step.on, self.step.picture
        if on is None:
            return [spots.fixed(picture, width, height)], True
        findings = earlier[on.step]
        if self._lens is not None:
            findings = tuple(self._lens.straightened(finding) for finding in findings)
        places, whole = spots.found(on, findings, width, height)
        return [place.turned(picture.rotate) for place in places], whole

    def _in_pieces(self, picture: Pixels, settings: Tiles, check: Check | None) -> Findings:
        """The check sees the whole picture, for a piece may well show nothing."""
        if check is not None:
            check(picture)
        height, width = picture.shape[:2]
        parts = tiles.pieces(settings, width, height)
        cutter, spent = Cutter(), self.eye.spent
        found = self.eye.look(cutter.cut(picture, part) for part in parts)
        self.eye.spent += spent
        return tiles.merged(parts, found, width, height)


def rehearsed(picture: Pixels) -> None:
    """A check that lets everything pass, once gone through."""
    FrameCheck(frozen_check=True).fault(picture)
