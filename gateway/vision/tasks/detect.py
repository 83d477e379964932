"""Detection: the outputs of any of the usual families to boxes with label and score."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.inspection import Finding
from gateway.recipe_task import Detect as DetectSettings
from gateway.recipe_task import Keypoints, Oriented, Segment
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import findings, without_overlaps
from gateway.vision.tasks.formats import FORMATS, Format
from gateway.vision.tasks.labels import labels_of
from gateway.vision.tasks.reading import Reading
from protocols.faults import Code

AnyDetect = DetectSettings | Oriented | Segment | Keypoints


class Detect:
    """Formats of `formats.FORMATS`."""

    def __init__(self, settings: DetectSettings, info: EngineInfo, name: str) -> None:
        self._format = FORMATS[name]
        self._max_overlap = settings.max_overlap
        self.labels = settings.classes or labels_of(info.metadata)
        self.resize = settings.resize or self._format.resize
        self._reading = reading(settings, info, self._format, part_names(self._format, info, name), self.labels)

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The findings in pixels of the frame, best first; TaskError."""
        found = self._format.read(outputs, self._reading)
        found = found.best()
        if self._format.overlaps:
            found = without_overlaps(found, self._max_overlap)
        return findings(found, self.labels, placement)


def reading(
    settings: AnyDetect, info: EngineInfo, layout: Format, names: Mapping[str, str], labels: tuple[str, ...]
) -> Reading:
    """What the reader of a format must know."""
    height, width = info.input.shape[:2]
    centre = layout.centre if settings.boxes is None else settings.boxes == "centre"
    background = settings.background or layout.background
    return Reading(names, width, height, settings.min_score, len(labels), centre, background)


def part_names(layout: Format, info: EngineInfo, name: str) -> dict[str, str]:
    """Which output is which part; TaskError 2006 when one is missing."""
    outputs = info.outputs
    if not layout.parts:
        return {}
    if len(layout.parts) == 1:
        if len(outputs) != 1:
            text = f"format {name} has one output, the model has {', '.join(outputs)}"
            raise TaskError(Code.MODEL_MISMATCH, f"{text}; give another task.format")
        return {layout.parts[0][0]: next(iter(outputs))}
    found = {part: next((known for known in names if known in outputs), "") for part, names in layout.parts}
    if name == "boxes" and not found["scores"] and outputs.get(found["boxes"], (0,))[-1] == FIVE:
        del found["scores"]
    missing = [names for part, names in layout.parts if found.get(part) == ""]
    if missing:
        wanted = " and ".join(" or ".join(names) for names in missing)
        text = f"format {name} needs an output named {wanted}, the model has {', '.join(outputs)}"
        raise TaskError(Code.MODEL_MISMATCH, f"{text}; give another task.format")
    return found


FIVE = 5
"""Columns of a `boxes` output that carries its scores along."""
