"""Tasks: from the network's tensors to findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gateway.inspection import Finding
from gateway.recipe_measure import BlobTask, CircleTask, CodeTask, ColourTask, TemplateTask, WidthTask
from gateway.recipe_task import Anomaly, Classify, Detect, Keypoints, Oriented, Segment, Semantic
from gateway.recipe_task import Task as Settings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.frames import Pixels
from gateway.vision.image import Placement
from protocols.faults import Code


class TaskError(Exception):
    """Output that fits neither model nor recipe: fault code and one sentence."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Task(Protocol):
    """Decodes what one network says."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All that its findings may be called."""

    @property
    def resize(self) -> str:
        """How pictures are fitted to the input: `recipe_task.Resize`."""

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The findings in pixels of the frame, best first; TaskError 2005 for nonsense."""


class Look(Protocol):
    """A task without a network: it looks at the picture itself."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All that its findings may be called."""

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """The findings in pixels of the picture (height x width x 3 or 1), best first; TaskError 2005."""


def make_look(settings: Settings, folder: Path) -> Look:
    """The task of a step without a model, of a recipe in `folder`; TaskError 2001, 2002 or 2006."""
    from gateway.vision.tasks import blob, code, colour, gauge, template

    match settings:
        case CodeTask():
            return code.CodeReader(settings)
        case TemplateTask():
            return template.Template(settings, folder)
        case WidthTask():
            return gauge.Width(settings)
        case CircleTask():
            return gauge.Circle(settings)
        case ColourTask():
            return colour.Colour(settings)
        case BlobTask():
            return blob.Blob(settings)
        case _:
            pass
    raise TaskError(Code.MODEL_MISMATCH, f"task.kind {settings.kind!r} needs a network; give the step a model")


def make_task(settings: Settings, info: EngineInfo) -> Task:
    """The task of a recipe for a loaded network; TaskError 2006 if they do not fit."""
    match settings:
        case Classify():
            from gateway.vision.tasks import classify

            return classify.Classify(settings, info)
        case Anomaly():
            from gateway.vision.tasks import anomaly

            return anomaly.Anomaly(settings, info)
        case Detect() | Oriented() | Segment() | Keypoints() | Semantic():
            return _told(settings, info)
        case _:
            raise TaskError(Code.MODEL_MISMATCH, f"task.kind {settings.kind!r} needs no network; remove the model")


def _told(settings: Detect | Oriented | Segment | Keypoints | Semantic, info: EngineInfo) -> Task:
    """Of a kind whose format the model may tell."""
    from gateway.vision.tasks import detect, end2end, family, keypoints, oriented, segment, semantic

    name = settings.format or family.format_of(info, settings.kind)
    match settings:
        case Detect() if name == "end2end":
            return end2end.EndToEnd(settings, info, "letterbox" if settings.format is None else "stretch")
        case Detect():
            return detect.Detect(settings, info, name)
        case Oriented():
            return oriented.Oriented(settings, info, name)
        case Segment():
            return segment.Segment(settings, info, name)
        case Keypoints():
            return keypoints.Keypoints(settings, info, name)
        case Semantic():
            return semantic.Semantic(settings, info, name)
