"""Oriented boxes: box, label, score and the angle that it is turned by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np

from gateway.inspection import Finding
from gateway.recipe_task import Oriented as OrientedSettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.finding_rows import MAX_FINDINGS
from gateway.vision.image import Placement
from gateway.vision.tasks.boxes import MIN_SIDE, Candidates, checked
from gateway.vision.tasks.detect import part_names, reading
from gateway.vision.tasks.formats import TURNED
from gateway.vision.tasks.labels import labels_of
from gateway.vision.tasks.outlines import around

MOST = 300
"""Candidates that are compared with each other; of more, the best."""
Turned = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, size, angle in degrees: a rectangle of OpenCV."""


class Oriented:
    """Formats of `formats.TURNED`: centre, width, height, and the angle in radians behind all else."""

    def __init__(self, settings: OrientedSettings, info: EngineInfo, name: str) -> None:
        self._layout, self._columns = TURNED[name], name == "yolov8"
        self._max_overlap = settings.max_overlap
        self.labels = settings.classes or labels_of(info.metadata)
        self.resize = settings.resize or self._layout.resize
        names = part_names(self._layout, info, name)
        self._reading = replace(reading(settings, info, self._layout, names, self.labels), extra=1)

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The findings in pixels of the frame, best first, outlined by their corners; TaskError."""
        found = self._layout.read(outputs, self._reading).best(MOST)
        checked(found, self.labels)
        rows = self._reading.take(outputs, "rows", 2)
        angles = rows[-1, found.rows] if self._columns else rows[found.rows, -1]
        turned = [_turned(box, angle) for box, angle in zip(found.boxes.tolist(), angles.tolist(), strict=True)]
        kept = _apart(found, turned, self._max_overlap) if self._layout.overlaps else range(len(turned))
        seen = (
            _finding(self.labels[int(found.classes[i])], float(found.scores[i]), turned[i], placement) for i in kept
        )
        return tuple(finding for finding in seen if finding is not None)[:MAX_FINDINGS]


def _turned(box: list[float], angle: float) -> Turned:
    x1, y1, x2, y2 = box
    return ((x1 + x2) / 2, (y1 + y2) / 2), (max(x2 - x1, 0.0), max(y2 - y1, 0.0)), math.degrees(angle) % 360


def _finding(label: str, score: float, turned: Turned, p: Placement) -> Finding | None:
    """Where its middle lies in the frame; corners may lie outside, or the angle would be no more true."""
    (x, y), (width, height), angle = turned
    right, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    side, other = np.array((right, down)) * width / 2, np.array((-down, right)) * height / 2
    corners = np.array((x, y)) + np.stack((-side - other, side - other, side + other, other - side))
    corners = (corners - (p.left, p.top)) / (p.scale_x, p.scale_y)
    middle = corners.mean(axis=0)
    if not (0 <= middle[0] <= p.width and 0 <= middle[1] <= p.height):
        return None
    if min(math.dist(corners[0], corners[1]), math.dist(corners[1], corners[2])) < MIN_SIDE:
        return None
    outline = tuple((left, top) for left, top in corners.tolist())
    x1, y1, x2, y2 = around(outline)
    box = max(x1, 0.0), max(y1, 0.0), min(x2, float(p.width)), min(y2, float(p.height))
    along = corners[1] - corners[0]
    return Finding(label, min(score, 1.0), box, outline, angle=math.degrees(math.atan2(along[1], along[0])))


def _apart(found: Candidates, turned: list[Turned], most: float) -> list[int]:
    """Of two of one class that overlap more (intersection over union) the better; `found` best first."""
    area = np.array([width * height for _, (width, height), _ in turned])
    middle = np.array([centre for centre, _, _ in turned]).reshape(-1, 2)
    reach = np.array([math.hypot(*size) / 2 for _, size, _ in turned])
    kept: list[int] = []
    for index in range(len(turned)):
        near = [
            other
            for other in kept
            if found.classes[other] == found.classes[index]
            and math.dist(middle[other], middle[index]) < reach[other] + reach[index]
        ]
        if all(_common(turned[index], turned[o]) <= most * (area[index] + area[o]) / (1 + most) for o in near):
            kept.append(index)
    return kept


def _common(one: Turned, other: Turned) -> float:
    """The area that two rectangles share."""
    kind, corners = cv2.rotatedRectangleIntersection(one, other)
    return 0.0 if kind == cv2.INTERSECT_NONE else float(cv2.contourArea(cv2.convexHull(corners)))
