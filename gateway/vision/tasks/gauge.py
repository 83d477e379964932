"""Measuring by edges: a width along a line, the diameter of a circle. What is not seen is not measured."""

from __future__ import annotations

import math

import numpy as np

from gateway.inspection import Finding
from gateway.recipe_measure import CircleTask, WidthTask
from gateway.vision.engines import Tensor
from gateway.vision.frames import Pixels
from gateway.vision.tasks.edges import edges, grey, profiles, steepness
from gateway.vision.tasks.outlines import around

CIRCLE = 64
"""Corners of a circle's outline."""
OFF = 3.0
"""Times the usual distance from the circle beyond which an edge is another thing's."""
ROUNDS = 4
LEAST_OFF = 0.5
"""Pixels from the circle that are always allowed."""


class Width:
    """The two edges of `WidthTask`."""

    def __init__(self, settings: WidthTask) -> None:
        self.labels, self._settings = settings.classes, settings

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """One finding, its outline from edge to edge; none where an edge is missing or the line leaves the picture."""
        s, image = self._settings, grey(picture)
        x1, y1, x2, y2 = s.line
        length = math.dist((x1, y1), (x2, y2))
        way = np.array(((x2 - x1) / length, (y2 - y1) / length))
        beside = np.array((-way[1], way[0]))
        offsets = np.arange(s.across) - (s.across - 1) / 2
        starts = np.array((x1, y1)) + offsets[:, None] * beside
        seen, pitch = profiles(image, starts, np.tile(way, (s.across, 1)), length)
        profile = seen.mean(axis=0, keepdims=True)
        if not np.isfinite(profile).all():
            return ()
        slope = steepness(profile)[0]
        first = edges(slope, profile[0], s.first, s.min_step)
        last = edges(slope, profile[0], s.last, s.min_step)
        if not first or not last or last[-1] <= first[0]:
            return ()
        ends = [np.array((x1, y1)) + way * place * pitch for place in (first[0], last[-1])]
        half = beside * max(s.across / 2, 1.0)
        corners = np.clip([ends[0] - half, ends[1] - half, ends[1] + half, ends[0] + half], 0, image.shape[::-1])
        outline = tuple((x, y) for x, y in corners.tolist())
        return (Finding(s.label, 1.0, around(outline), outline, value=(last[-1] - first[0]) * pitch),)


class Circle:
    """The round edge of `CircleTask`."""

    def __init__(self, settings: CircleTask) -> None:
        self.labels, self._settings = settings.classes, settings
        turns = np.arange(settings.rays) * (2 * math.pi / settings.rays)
        self._ways = np.stack((np.cos(turns), np.sin(turns)), axis=1)

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """One finding; none where fewer than min_score of the rays meet the edge on one circle."""
        s, image = self._settings, grey(picture)
        low, high = s.radii
        starts = np.array(s.centre) + self._ways * low
        seen, pitch = profiles(image, starts, self._ways, high - low)
        slopes = steepness(seen)
        points = []
        for ray in range(s.rays):
            places = edges(slopes[ray], seen[ray], s.edge, s.min_step)
            if places:
                sharpest = max(places, key=lambda place: abs(slopes[ray][round(place)]))
                points.append(starts[ray] + self._ways[ray] * sharpest * pitch)
        if len(points) < max(3, s.min_score * s.rays):
            return ()
        centre, radius, kept = _fitted(np.array(points), s.round_within)
        score = kept / s.rays
        if score < s.min_score or not low <= radius <= high:
            return ()
        turns = np.arange(CIRCLE) * (2 * math.pi / CIRCLE)
        round_about = centre + radius * np.stack((np.cos(turns), np.sin(turns)), axis=1)
        outline = tuple((x, y) for x, y in np.clip(round_about, 0, image.shape[::-1]).tolist())
        return (Finding(s.label, score, around(outline), outline, value=2 * radius),)


def _fitted(points: Tensor, within: float) -> tuple[Tensor, float, int]:
    """Centre, radius and how many of the points lie on it: least squares, again and again without those far off."""
    kept = points
    for _ in range(ROUNDS):
        centre, radius = _circle(kept)
        off = np.abs(np.hypot(*(points - centre).T) - radius)
        usual = 1.4826 * float(np.median(off))  # of a normal distribution the median is 0.6745 sigma
        kept = points[off <= max(LEAST_OFF, OFF * usual)]
    centre, radius = _circle(kept)
    off = np.abs(np.hypot(*(points - centre).T) - radius)
    return centre, radius, int((off <= within).sum())


def _circle(points: Tensor) -> tuple[Tensor, float]:
    """Centre and radius by least squares of x² + y² = 2ax + 2by + c (Kåsa 1976), about the points' middle."""
    middle = points.mean(axis=0)
    x, y = (points - middle).T
    unknown, *_ = np.linalg.lstsq(np.stack((2 * x, 2 * y, np.ones_like(x)), axis=1), x * x + y * y, rcond=None)
    a, b, c = unknown.tolist()
    return middle + np.array((a, b)), math.sqrt(max(c + a * a + b * b, 0.0))
