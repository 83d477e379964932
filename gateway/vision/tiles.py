"""A large picture as pieces that overlap, and the findings of the pieces as those of the whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_step import TILES, Tiles
from gateway.vision.finding_rows import MAX_OUTLINE
from gateway.vision.places import Place, Point, corners_of, hull, on_frame
from gateway.vision.tasks import TaskError
from protocols.faults import Code

MOST = 4 * MAX_FINDINGS
"""Findings of all pieces: each is compared with each, and a thing lies in four pieces at most."""
SAME = 0.5
"""Two pieces mean the same thing where what they tell of their common zone overlaps by so much."""

Box = tuple[float, float, float, float]


def pieces(tiles: Tiles, width: int, height: int) -> list[Place]:
    """The pieces of a picture of this size, row by row, the last ones at its edge; TaskError 1005 for too many."""
    columns = _starts(width, tiles.size[0], tiles.overlap)
    rows = _starts(height, tiles.size[1], tiles.overlap)
    if len(columns) * len(rows) > TILES:
        text = f"picture.tiles cuts {width} x {height} into {len(columns)} x {len(rows)} pieces, at most {TILES} go"
        raise TaskError(Code.IMAGE_FORMAT, f"{text}; make them larger")
    size = min(tiles.size[0], width), min(tiles.size[1], height)
    return [Place(*size, (float(x), float(y))) for y in rows for x in columns]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    count = max(1, math.ceil((length - overlap) / (size - overlap)))
    return [min(number * (size - overlap), max(0, length - size)) for number in range(count)]


@dataclass(frozen=True, slots=True)
class _Part:
    finding: Finding
    tile: int
    zone: Box


def merged(tiles: Sequence[Place], found: Sequence[Sequence[Finding]], width: int, height: int) -> tuple[Finding, ...]:
    """The findings of the pieces in pixels of the picture, best first; what two pieces tell of one thing is one.

    It has the highest score, the box around all, and of outlines the union; its other details are those of the
    largest part. TaskError 2005 for too many.
    """
    parts = [
        _Part(on_frame(finding, tile, width, height), number, _zone(tile))
        for number, (tile, findings) in enumerate(zip(tiles, found, strict=True))
        for finding in findings
    ]
    if len(parts) > MOST:
        text = f"the pieces show {len(parts)} things, at most {MOST} are joined to wholes; raise task.min_score"
        raise TaskError(Code.OUTPUT_INVALID, text)
    groups: list[list[_Part]] = []
    for part in parts:
        same = [group for group in groups if any(_same(part, other) for other in group)]
        groups = [group for group in groups if group not in same]
        groups.append([part, *(other for group in same for other in group)])
    whole = [_united([part.finding for part in group]) for group in groups]
    return tuple(sorted(whole, key=lambda finding: (-finding.score, finding.label, finding.box))[:MAX_FINDINGS])


def _zone(tile: Place) -> Box:
    return hull(tile.corners)


def _same(one: _Part, other: _Part) -> bool:
    """Whether both tell the same of the zone that their pieces have in common."""
    if one.tile == other.tile or one.finding.label != other.finding.label:
        return False
    zone = _common(one.zone, other.zone)
    a, b = _common(one.finding.box, zone), _common(other.finding.box, zone)
    both = _area(_common(a, b))
    return both > 0 and both >= SAME * (_area(a) + _area(b) - both)


def _common(a: Box, b: Box) -> Box:
    return max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _united(findings: list[Finding]) -> Finding:
    if len(findings) == 1:
        return findings[0]
    largest = max(findings, key=lambda finding: (_area(finding.box), finding.score))
    box = hull(corner for finding in findings for corner in corners_of(finding.box))
    outline: tuple[Point, ...] = ()
    if any(finding.outline for finding in findings):
        outline = _union([finding.outline or corners_of(finding.box) for finding in findings], box)
    return replace(largest, score=max(finding.score for finding in findings), box=box, outline=outline)


def _union(outlines: Sequence[Sequence[Point]], box: Box) -> tuple[Point, ...]:
    """The outline of all together, to the pixel; of parts that do not meet the largest."""
    left, top = math.floor(box[0]), math.floor(box[1])
    canvas = np.zeros((math.ceil(box[3]) - top + 1, math.ceil(box[2]) - left + 1), np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [np.round(np.subtract(outline, (left, top))).astype(np.int32)], 1)
    contours, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    contour = max(contours, key=cv2.contourArea)
    coarse = 0.5
    while len(contour) > MAX_OUTLINE:
        contour, coarse = cv2.approxPolyDP(contour, coarse, closed=True), 2 * coarse
    return tuple((float(x + left), float(y + top)) for x, y in contour[:, 0].tolist())
