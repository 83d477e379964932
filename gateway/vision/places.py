"""Where a picture lies in the frame, and how what was found in it comes back to the frame. Plain Python."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.inspection import Finding

Point = tuple[float, float]
QUARTERS = {(1.0, 0.0): 0, (0.0, 1.0): 1, (-1.0, 0.0): 2, (0.0, -1.0): 3}
"""Direction of a picture's x axis in the frame → quarter turns of it, clockwise as one looks at the frame."""


@dataclass(frozen=True, slots=True)
class Place:
    """A picture of so many pixels cut from a frame without scaling: turned by its x axis, then put at its origin.

    Coordinates are those of edges: a picture reaches from 0 to its width, the middle of its first pixel is 0.5.
    """

    width: int
    height: int
    origin: Point = (0.0, 0.0)
    """Where the upper left corner of the picture lies in the frame."""
    axis: Point = (1.0, 0.0)
    """Direction of the picture's x axis in the frame: cosine and sine, exact for quarter turns."""

    @property
    def angle(self) -> float:
        """Degrees of the x axis, from that of the frame towards its y axis."""
        return math.degrees(math.atan2(self.axis[1], self.axis[0]))

    @property
    def quarter(self) -> int | None:
        """Quarter turns, 0 to 3; None for any other angle."""
        return QUARTERS.get(self.axis)

    def point(self, x: float, y: float) -> Point:
        """A point of the picture, in the frame."""
        cosine, sine = self.axis
        return self.origin[0] + cosine * x - sine * y, self.origin[1] + sine * x + cosine * y

    @property
    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Of the picture, in the frame: its upper left one, then around clockwise."""
        w, h = float(self.width), float(self.height)
        return self.point(0, 0), self.point(w, 0), self.point(w, h), self.point(0, h)

    def turned(self, degrees: float) -> Place:
        """The picture turned clockwise by so much, in a frame that holds all of it."""
        if degrees % 360 == 0:
            return self
        (cosine, sine), (ax, ay) = direction(-degrees), self.axis
        across = abs(self.width * cosine) + abs(self.height * sine)
        down = abs(self.width * sine) + abs(self.height * cosine)
        size = max(1, math.ceil(across - 1e-9)), max(1, math.ceil(down - 1e-9))
        axis = ax * cosine - ay * sine, ax * sine + ay * cosine
        return around(self.point(self.width / 2, self.height / 2), size, axis)


def direction(degrees: float) -> Point:
    """Cosine and sine, without rounding for quarter turns."""
    quarters, rest = divmod(degrees % 360, 90)
    if rest == 0:
        return next(axis for axis, number in QUARTERS.items() if number == quarters % 4)
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def around(centre: Point, size: tuple[int, int], axis: Point) -> Place:
    """The picture of this size with its middle at `centre`."""
    (cosine, sine), (w, h) = axis, size
    x = centre[0] - cosine * w / 2 + sine * h / 2
    y = centre[1] - sine * w / 2 - cosine * h / 2
    return Place(w, h, (x, y), axis)


def hull(points: Iterable[Point]) -> tuple[float, float, float, float]:
    """The upright box around points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def corners_of(box: tuple[float, float, float, float]) -> tuple[Point, Point, Point, Point]:
    """Of an upright box: the upper left one, then around clockwise."""
    x1, y1, x2, y2 = box
    return (x1, y1), (x2, y1), (x2, y2), (x1, y2)


def on_frame(finding: Finding, place: Place, width: int, height: int) -> Finding:
    """What was found in a picture, in pixels of the frame of this size; its box is cut to the frame.

    An upright box of a picture that is turned becomes an oriented one.
    """
    outline = tuple(place.point(x, y) for x, y in finding.outline)
    corners = tuple(place.point(x, y) for x, y in corners_of(finding.box))
    angle = finding.angle
    if place.quarter is None and not outline:
        outline, angle = corners, angle or 0.0
    x1, y1, x2, y2 = hull(corners if place.quarter is not None else outline)
    box = cut_to((x1, y1, x2, y2), width, height)
    points = tuple((*place.point(x, y), score) for x, y, score in finding.points)
    if angle is not None:
        angle = math.remainder(angle + place.angle, 360.0)
    return replace(finding, box=box, outline=outline, points=points, angle=angle)


def cut_to(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, float, float, float]:
    """What of a box lies in a frame of this size."""
    x1, y1, x2, y2 = box
    across, down = (
        [min(max(x, 0.0), float(width)) for x in (x1, x2)],
        [min(max(y, 0.0), float(height)) for y in (y1, y2)],
    )
    return across[0], down[0], across[1], down[1]
