"""Oriented boxes: box, label, score and the angle that it is turned by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Oriented as OrientedSettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import MIN_SIDE, Candidates, checked
from gateway.vision.tasks.detect import part_names, reading
from gateway.vision.tasks.formats import TURNED
from gateway.vision.tasks.labels import labels_of
from gateway.vision.tasks.outlines import around
from protocols.faults import Code

MOST = 2000
"""Candidates that are compared with each other: what their pairs cost is told before it is spent."""
Turned = tuple[tuple[float, float], tuple[float, float], float]
"""Centre, size, angle in degrees."""


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
        found = self._layout.read(outputs, self._reading).best()
        checked(found, self.labels)
        if len(found.scores) > MOST:
            text = f"the network gave {len(found.scores)} candidates, at most {MOST} are compared; raise task.min_score"
            raise TaskError(Code.OUTPUT_INVALID, text)
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
    classes = found.classes.tolist()
    kept: list[int] = []
    for index, one in enumerate(turned):
        if not any(classes[other] == classes[index] and _overlap(turned[other], one) > most for other in kept):
            kept.append(index)
        if len(kept) == 2 * MAX_FINDINGS:  # some may yet lie outside the frame
            break
    return kept


def _overlap(one: Turned, other: Turned) -> float:
    """Intersection over union."""
    if math.dist(one[0], other[0]) >= (math.hypot(*one[1]) + math.hypot(*other[1])) / 2:
        return 0.0
    common = shared(one, other)
    union = one[1][0] * one[1][1] + other[1][0] * other[1][1] - common
    return common / union if union > 0 else 0.0


def shared(one: Turned, other: Turned) -> float:
    """The area that two rectangles share: the other, seen along the first one's sides, is cut at each of them.

    OpenCV has two functions for it; both are wrong now and then where sides lie on one another (5.0.0).
    """
    (x, y), (width, height), angle = other
    right, down = math.cos(math.radians(one[2])), math.sin(math.radians(one[2]))
    x, y = x - one[0][0], y - one[0][1]
    x, y = right * x + down * y, right * y - down * x
    turn = math.radians(angle - one[2])
    right, down = math.cos(turn), math.sin(turn)
    a, b = (right * width / 2, down * width / 2), (-down * height / 2, right * height / 2)
    corners = [(x + i * a[0] + j * b[0], y + i * a[1] + j * b[1]) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    for axis, limit in ((0, one[1][0] / 2), (1, one[1][1] / 2)):
        corners = _cut(_cut(corners, axis, limit, 1), axis, limit, -1)
    left, top = corners[0] if corners else (0.0, 0.0)
    around = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(sum((x1 - left) * (y2 - top) - (x2 - left) * (y1 - top) for (x1, y1), (x2, y2) in around)) / 2


def _cut(corners: list[tuple[float, float]], axis: int, limit: float, side: int) -> list[tuple[float, float]]:
    """The part of a convex polygon where side * coordinate <= limit (Sutherland and Hodgman 1974)."""
    kept = []
    for index, here in enumerate(corners):
        before = corners[index - 1]
        to, since = limit - side * here[axis], limit - side * before[axis]
        if (to < 0) != (since < 0):
            part = since / (since - to)
            kept.append((before[0] + part * (here[0] - before[0]), before[1] + part * (here[1] - before[1])))
        if to >= 0:
            kept.append(here)
    return kept
