"""What gauging measured in pixels, in the unit of the recipe's ruler. Pure."""

from __future__ import annotations

import math
from dataclasses import replace

from gateway.inspection import Finding
from gateway.recipe_measure import Quantity
from gateway.ruler import Point, Ruler, enclosed

RECTANGLE, CORNERS = 4, 3
"""Corners of the outline of a width, and of any outline at least."""


def in_unit(finding: Finding, quantity: Quantity, ruler: Ruler) -> Finding:
    """The finding with its value in the ruler's unit, judged by how its outline lies on the part.

    One whose outline cannot be measured has no value any more: pixels must never pass for millimetres.
    """
    if finding.value is None or quantity == "other":
        return finding
    factor = _length(finding.outline, ruler) if quantity == "length" else _spread(finding.outline, quantity, ruler)
    value = finding.value * factor
    return replace(finding, value=value if math.isfinite(value) else None)


def _length(outline: tuple[Point, ...], ruler: Ruler) -> float:
    """Units for each pixel along a width: its outline runs from the first edge to the last, and back."""
    if len(outline) != RECTANGLE:
        return math.nan
    one, other = _middle(outline[0], outline[3]), _middle(outline[1], outline[2])
    pixels = math.dist(one, other)
    return ruler.distance(one, other) / pixels if pixels > 0 else math.nan


def _spread(outline: tuple[Point, ...], quantity: Quantity, ruler: Ruler) -> float:
    """Of an area, or of the diameter of what is round."""
    pixels = enclosed(outline) if len(outline) >= CORNERS else 0.0
    if pixels <= 0:
        return math.nan
    times = ruler.area(outline) / pixels
    return times if quantity == "area" else math.sqrt(times)


def _middle(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
