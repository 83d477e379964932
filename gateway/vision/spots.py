"""Which parts of a frame a step looks at: all of it, a fixed region, or what earlier steps found. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gateway.inspection import Finding
from gateway.recipe_step import SPOTS, Box, On, Picture
from gateway.vision.places import Place, Point, around, corners_of, direction
from gateway.vision.tasks import TaskError
from protocols.faults import Code

LEAST = 2
"""Pixels: a part of the frame thinner than this shows nothing."""


def fixed(picture: Picture, width: int, height: int) -> Place:
    """The part of a frame of this size that the recipe names; TaskError 1005 where the frame is too small for it."""
    if picture.region is None:
        return Place(width, height).turned(picture.rotate)
    x1, y1, x2, y2 = picture.region
    if x2 > width or y2 > height:
        text = f"picture.region {list(picture.region)} does not lie in the frame of {width} x {height}"
        raise TaskError(Code.IMAGE_FORMAT, f"{text}; adapt it to the camera")
    return Place(x2 - x1, y2 - y1, (float(x1), float(y1))).turned(picture.rotate)


def found(on: On, findings: Sequence[Finding], width: int, height: int) -> tuple[list[Place], bool]:
    """The parts of a frame of this size around findings, best first; whether they are all that should be looked at."""
    chosen = [finding for finding in findings if _counts(on, finding)]
    chosen = sorted(chosen, key=lambda finding: (-finding.score, finding.label, finding.box))[: on.best]
    places: list[Place] = []
    whole = bool(chosen)
    for finding in chosen:
        parts = list(_regions(on, finding) if on.regions else _margin(on, finding, width, height))
        whole = whole and bool(parts)
        for place in parts:
            if on.regions and not _inside(place, width, height):
                whole = False
            elif len(places) == SPOTS:
                return places, False
            else:
                places.append(place)
    return places, whole


def _counts(on: On, finding: Finding) -> bool:
    _, (wide, high), _ = _pose(finding)
    return (
        (on.labels is None or finding.label in on.labels)
        and finding.score >= on.min_score
        and min(wide, high) >= on.min_side
    )


def _pose(finding: Finding) -> tuple[Point, tuple[float, float], Point]:
    """Middle, size along the finding's own axes, and direction of the first of them."""
    axis = direction(finding.angle or 0.0)
    cosine, sine = axis
    points = finding.outline if finding.angle is not None and finding.outline else corners_of(finding.box)
    along = [x * cosine + y * sine for x, y in points]
    across = [y * cosine - x * sine for x, y in points]
    u, v = (min(along) + max(along)) / 2, (min(across) + max(across)) / 2
    size = max(along) - min(along), max(across) - min(across)
    return (u * cosine - v * sine, u * sine + v * cosine), size, axis


def _margin(on: On, finding: Finding, width: int, height: int) -> Iterator[Place]:
    """The finding with a border around, straightened where it has an angle; upright cuts end at the frame."""
    centre, (wide, high), axis = _pose(finding)
    wide, high = wide * (1 + 2 * on.margin), high * (1 + 2 * on.margin)
    if axis != (1.0, 0.0):
        yield around(centre, (max(LEAST, math.ceil(wide)), max(LEAST, math.ceil(high))), axis)
        return
    box = (centre[0] - wide / 2, centre[1] - high / 2, centre[0] + wide / 2, centre[1] + high / 2)
    left, right = max(0, math.floor(box[0])), min(width, math.ceil(box[2]))
    top, bottom = max(0, math.floor(box[1])), min(height, math.ceil(box[3]))
    if right - left >= LEAST and bottom - top >= LEAST:
        yield Place(right - left, bottom - top, (float(left), float(top)))


def _regions(on: On, finding: Finding) -> Iterator[Place]:
    """Boxes seen from the finding's middle, along its own axes."""
    (x, y), _, (cosine, sine) = _pose(finding)
    for region in on.regions:
        u, v = _middle(region)
        centre = x + u * cosine - v * sine, y + u * sine + v * cosine
        size = math.ceil(region[2] - region[0]), math.ceil(region[3] - region[1])
        place = around(centre, size, (cosine, sine))
        if place.quarter == 0:  # whole pixels cost nothing
            place = Place(*size, (float(round(place.origin[0])), float(round(place.origin[1]))))
        yield place


def _middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _inside(place: Place, width: int, height: int) -> bool:
    return all(0 <= x <= width and 0 <= y <= height for x, y in place.corners)
