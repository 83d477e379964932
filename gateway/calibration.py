"""A camera's lens and the plane of the part: from pixels of the frame to straight ones, and to millimetres. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway import validation, yamlfile

Point = tuple[float, float]
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
ROUNDS = 40
"""Of the iteration that takes the distortion off; some ten do for a usual lens."""
CLOSE = 0.01
"""Pixels: so near must a point come back to itself, there and back again."""
SAMPLES = 16
"""Points looked at on each edge of the frame."""
FINEST, COARSEST = 1e-6, 1e6
"""Millimetres on the part that a pixel may show, on average over the frame."""


class Calibration(BaseModel):
    """What `gateway camera calibrate` found: a pinhole camera with five numbers of distortion, as OpenCV writes them.

    Points are those of edges: the frame reaches from 0 to its width, the middle of its first pixel is 0.5. In OpenCV's
    numbers that middle is 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: Literal["camera calibration"]
    width: Annotated[int, Field(ge=16, le=65535)]
    height: Annotated[int, Field(ge=16, le=65535)]
    """Of the frame, in pixels."""
    camera: tuple[Number, Number, Number, Number]
    """Focal lengths fx, fy and principal point cx, cy in pixels."""
    distortion: tuple[Number, Number, Number, Number, Number]
    """k1, k2, p1, p2, k3."""
    plane: tuple[Number, Number, Number, Number, Number, Number, Number, Number, Number] | None = None
    """From straight pixels to millimetres on the part: a 3 x 3 matrix, row by row."""
    boards: Annotated[int, Field(ge=1)]
    """Pictures it was made of."""
    error_px: Annotated[float, Field(ge=0)]
    """Root mean square of how far the board's corners lie from where they should, in pixels."""
    plane_error_mm: Annotated[float, Field(ge=0)] | None = None
    """The same on the plane of the part."""

    def bend(self, x: float, y: float) -> Point:
        """From where a lens without distortion would show a point to where it is in the frame."""
        fx, fy, cx, cy = self.camera
        u, v = self._bent((x - 0.5 - cx) / fx, (y - 0.5 - cy) / fy)
        return u * fx + cx + 0.5, v * fy + cy + 0.5

    def straighten(self, x: float, y: float) -> Point:
        """From a point of the frame to where a lens without distortion would show it."""
        fx, fy, cx, cy = self.camera
        u = u0 = (x - 0.5 - cx) / fx
        v = v0 = (y - 0.5 - cy) / fy
        for _ in range(ROUNDS):
            du, dv = self._bent(u, v)
            u, v = u + u0 - du, v + v0 - dv
            if abs(u0 - du) + abs(v0 - dv) < 1e-12 or not math.isfinite(u + v):
                break
        return u * fx + cx + 0.5, v * fy + cy + 0.5

    def on_part(self, x: float, y: float) -> Point:
        """Millimetres on the part of a point of the frame; of one outside, those of the nearest on its edge."""
        if self.plane is None:
            raise ValueError("the calibration has no plane")
        x, y = self.straighten(min(max(x, 0.0), self.width), min(max(y, 0.0), self.height))
        a, b, c, d, e, f, g, h, i = self.plane
        depth = g * x + h * y + i
        return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth

    def _bent(self, u: float, v: float) -> Point:
        k1, k2, p1, p2, k3 = self.distortion
        r = u * u + v * v
        radial = 1 + r * (k1 + r * (k2 + r * k3))
        return u * radial + 2 * p1 * u * v + p2 * (r + 2 * u * u), v * radial + p1 * (r + 2 * v * v) + 2 * p2 * u * v

    @model_validator(mode="after")
    def _usable(self) -> Self:
        """Every point of the frame must have one place on the part, or a finding could be measured as nothing."""
        if min(self.camera[:2]) <= 0:
            raise ValueError("the focal lengths must be more than 0")
        depths = []
        for x, y in _edge(self.width, self.height):
            straight = self.straighten(x, y)
            back = self.bend(*straight)
            if not math.dist(back, (x, y)) < CLOSE:
                raise ValueError(
                    "the distortion is too strong to be taken off; calibrate with boards at the frame's edges"
                )
            if self.plane is not None:
                g, h, i = self.plane[6:]
                depths.append(g * straight[0] + h * straight[1] + i)
        if depths and not min(depths) * max(depths) > 0:
            raise ValueError(
                "the plane's horizon runs through the frame; calibrate with the board flat on the part's place"
            )
        if depths and not FINEST < self._millimetres_a_pixel() < COARSEST:
            raise ValueError("the plane makes nothing, or anything, of a pixel; calibrate again")
        return self

    def _millimetres_a_pixel(self) -> float:
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = (
            self.on_part(x, y) for x, y in ((0, 0), (self.width, 0), (self.width, self.height), (0, self.height))
        )
        twice = (x3 - x1) * (y4 - y2) - (x4 - x2) * (y3 - y1)  # of a quadrilateral, by its diagonals
        return math.sqrt(abs(twice) / 2 / (self.width * self.height))


def parse(text: str, file: str) -> Calibration:
    """The calibration in the text of a file; yamlfile.FileError."""
    return validation.build(yamlfile.parse(text, file), Calibration)


def _edge(width: int, height: int) -> Iterator[Point]:
    for step in range(SAMPLES + 1):
        x, y = width * step / SAMPLES, height * step / SAMPLES
        yield from ((x, 0.0), (x, float(height)), (0.0, y), (float(width), y))
