"""From pixels of the frame to the unit that a recipe is written in: pixels, or millimetres on the part. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.calibration import Calibration

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Ruler:
    """`scale` units for each pixel; or, by a calibration with a plane, where the points lie on the part."""

    scale: float = 1.0
    plane: Calibration | None = None

    def at(self, point: Point) -> Point:
        """The place of a point of the frame."""
        if self.plane is not None:
            return self.plane.on_part(*point)
        return point[0] * self.scale, point[1] * self.scale

    def distance(self, one: Point, other: Point) -> float:
        """Between two points of the frame."""
        if self.plane is not None:
            return math.dist(self.at(one), self.at(other))
        return math.hypot(other[0] - one[0], other[1] - one[1]) * self.scale

    def area(self, corners: tuple[Point, ...]) -> float:
        """Of a polygon of the frame."""
        if self.plane is not None:
            return enclosed(tuple(self.at(corner) for corner in corners))
        return enclosed(corners) * self.scale**2


def enclosed(corners: tuple[Point, ...]) -> float:
    """The area of a polygon (shoelace formula), whichever way round its corners are."""
    left, top = corners[0]  # from there, so that the products of a small polygon far out stay exact
    around = zip(corners, (*corners[1:], corners[0]), strict=True)
    return abs(sum((x1 - left) * (y2 - top) - (x2 - left) * (y1 - top) for (x1, y1), (x2, y2) in around)) / 2
