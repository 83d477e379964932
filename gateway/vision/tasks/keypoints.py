"""Keypoints: boxes with label, score and named places of the thing, each with its own score."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Keypoints as KeypointsSettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.finding_rows import MAX_KEYPOINTS, MAX_POINTS
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import ROUNDING, on_frame, placed, without_overlaps
from gateway.vision.tasks.detect import part_names, reading
from gateway.vision.tasks.formats import POINTED
from gateway.vision.tasks.labels import labels_of
from protocols.faults import Code

SCORED = 3
"""Numbers of a keypoint with a score."""


class Keypoints:
    """Formats of `formats.POINTED`: x, y (and score) of each point stand behind all else."""

    def __init__(self, settings: KeypointsSettings, info: EngineInfo, name: str) -> None:
        self._layout, self._columns = POINTED[name], name == "yolov8"
        self._max_overlap = settings.max_overlap
        self.labels = settings.classes or labels_of(info.metadata)
        self.resize = settings.resize or self._layout.resize
        self._shape = _shape(settings, info.metadata)
        names = part_names(self._layout, info, name)
        points, numbers = self._shape
        self._reading = replace(reading(settings, info, self._layout, names, self.labels), extra=points * numbers)

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The findings in pixels of the frame, best first; TaskError."""
        found = self._layout.read(outputs, self._reading)
        found = found.best()
        if self._layout.overlaps:
            found = without_overlaps(found, self._max_overlap)
        seen = placed(found, self.labels, placement)[:MAX_FINDINGS]
        if len(seen) > (most := MAX_POINTS // self._shape[0]):
            text = f"the network found {len(seen)} things, of {self._shape[0]} keypoints each at most {most} are judged"
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; raise task.min_score")
        return tuple(
            replace(finding, points=self._points(outputs, int(found.rows[index]), placement)) for index, finding in seen
        )

    def _points(self, outputs: Mapping[str, Tensor], row: int, p: Placement) -> tuple[tuple[float, float, float], ...]:
        rows = self._reading.take(outputs, "rows", 2)
        numbers = rows[-self._reading.extra :, row] if self._columns else rows[row, -self._reading.extra :]
        table = numbers.reshape(self._shape)
        places = on_frame(table[:, :2], p).tolist()
        scores = table[:, 2].tolist() if self._shape[1] == SCORED else [1.0] * len(places)
        if not -ROUNDING <= min(scores) <= max(scores) <= 1 + ROUNDING:
            text = f"the network gave keypoints scores of {min(scores):g} to {max(scores):g}, which do not lie in 0..1"
            raise TaskError(Code.OUTPUT_INVALID, text)
        return tuple((x, y, min(max(score, 0.0), 1.0)) for (x, y), score in zip(places, scores, strict=True))


def _shape(settings: KeypointsSettings, metadata: Mapping[str, str]) -> tuple[int, int]:
    """How many points, and numbers for each; TaskError 2006 when neither recipe nor metadata tell."""
    if settings.points is not None:
        return settings.points, settings.point_numbers
    try:
        points, numbers = json.loads(metadata.get("kpt_shape", "").replace("(", "[").replace(")", "]"))
        if type(points) is type(numbers) is int and 0 < points <= MAX_KEYPOINTS and numbers in (SCORED - 1, SCORED):
            return points, numbers
    except (ValueError, TypeError, RecursionError):
        pass
    text = f"the model's metadata does not tell how many keypoints it gives (1 to {MAX_KEYPOINTS} of 2 or 3 numbers)"
    raise TaskError(Code.MODEL_MISMATCH, f"{text}; give task.points in recipe.yaml")
