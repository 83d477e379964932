"""From findings and recipe to a verdict. Pure: the same findings in any order give the same word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from gateway.inspection import Finding, Judged, Verdict
from gateway.recipe import Recipe
from gateway.recipe_rules import Condition, Plain, Selection, Value
from protocols.faults import Code

INVALID = "invalid finding"
"""The rule's name in a verdict that no rule gave, because a finding made no sense."""
MAX_PIXEL = 1e6
"""No box reaches farther, else an area could overflow and slip past every limit."""
CORNERS = 4
"""Of an oriented box."""

Point = tuple[float, float]


def judge(recipe: Recipe, findings: Iterable[Finding]) -> Judged:
    """The verdict: the first rule that fires, else OK; never OK when a finding makes no sense.

    The score is that of the best finding of the rule that fired (0 where it fired because nothing was there); for OK
    the highest score seen, which stayed below every limit.
    """
    everything, classes = tuple(findings), recipe.classes
    sound = tuple(finding for finding in everything if _sound(finding, classes))
    scene = Scene(sound, {zone.name: zone.corners for zone in recipe.zones}, recipe.mm_per_px or 1.0)
    checks = 0
    for bit, check in enumerate(recipe.checks):
        checks |= _fires(check.when, scene) << bit
    values = tuple(_value(value, scene) for value in recipe.values)
    for rule in recipe.rules:
        if _fires(rule.when, scene):
            best = _best(scene.selected(rule.when))
            return Judged(Verdict[rule.verdict], rule.code, rule.name, best.score if best else 0.0, checks, values)
    best = _best(sound)
    score = best.score if best else 0.0
    if len(sound) < len(everything):
        return Judged(Verdict.RECHECK, int(Code.OUTPUT_INVALID), INVALID, score, checks, values)
    return Judged(Verdict.OK, 0, "", score, checks, values)


def _sound(finding: Finding, classes: tuple[str, ...] | None) -> bool:
    """Whether a finding can be judged: score 0…1, corners in order, a label that may occur, numbers that are some."""
    x1, y1, x2, y2 = finding.box
    return (
        0.0 <= finding.score <= 1.0
        and all(-MAX_PIXEL <= edge <= MAX_PIXEL for edge in finding.box)
        and x1 <= x2
        and y1 <= y2
        and (classes is None or finding.label in classes)
        and _sound_details(finding)
    )


def _sound_details(finding: Finding) -> bool:
    numbers = [edge for corner in finding.outline for edge in corner]
    numbers += [edge for x, y, _ in finding.points for edge in (x, y)]
    return (
        all(-MAX_PIXEL <= number <= MAX_PIXEL for number in numbers)
        and all(0.0 <= score <= 1.0 for _, _, score in finding.points)
        and len(finding.outline) not in (1, 2)
        and (finding.angle is None or math.isfinite(finding.angle))
        and (finding.value is None or math.isfinite(finding.value))
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """What was seen of one part; `scale` is the unit of lengths for each pixel."""

    findings: tuple[Finding, ...]
    zones: Mapping[str, tuple[Point, ...]]
    scale: float

    def selected(self, selection: Selection) -> list[Finding]:
        """The findings that count."""
        plain = [finding for finding in self.findings if self._counts(selection, finding)]
        near = selection.near
        if near is None:
            return plain
        return [
            finding
            for finding in plain
            if (distance := self.distance(finding, near.to)) is not None
            and _within(distance, near.min_distance, near.max_distance)
        ]

    def distance(self, finding: Finding, to: Plain) -> float | None:
        """From the centre of a finding to that of the nearest other one that counts; None where there is none."""
        x, y = _centre(finding)
        others = (_centre(other) for other in self.findings if other is not finding and self._counts(to, other))
        return min((math.hypot(ox - x, oy - y) * self.scale for ox, oy in others), default=None)

    def length(self, finding: Finding) -> float:
        """The longer side of the box, of an oriented one along its own sides."""
        if finding.angle is not None and len(finding.outline) == CORNERS:
            return max(math.dist(a, b) for a, b in pairwise(finding.outline)) * self.scale
        x1, y1, x2, y2 = finding.box
        return max(x2 - x1, y2 - y1) * self.scale

    def area(self, finding: Finding) -> float:
        """Within the outline where there is one, else of the box."""
        if finding.outline:
            return enclosed(finding.outline) * self.scale**2
        x1, y1, x2, y2 = finding.box
        return (x2 - x1) * (y2 - y1) * self.scale**2

    def _counts(self, selection: Plain, finding: Finding) -> bool:
        labels = selection.wanted
        return (
            (labels is None or finding.label in labels)
            and _within(finding.score, selection.min_score, selection.max_score)
            and _within(self.area(finding), selection.min_area, selection.max_area)
            and _within(self.length(finding), selection.min_length, selection.max_length)
            and (selection.zone is None or inside(_centre(finding), self.zones[selection.zone]))
            and (selection.outside is None or not inside(_centre(finding), self.zones[selection.outside]))
        )


def enclosed(corners: tuple[Point, ...]) -> float:
    """The area of a polygon (shoelace formula), whichever way round its corners are."""
    left, top = corners[0]  # from there, so that the products of a small polygon far out stay exact
    around = zip(corners, (*corners[1:], corners[0]), strict=True)
    return abs(sum((x1 - left) * (y2 - top) - (x2 - left) * (y1 - top) for (x1, y1), (x2, y2) in around)) / 2


def inside(point: Point, corners: tuple[Point, ...]) -> bool:
    """Whether a point lies in a polygon or on its edge; where edges cross, by the even-odd rule."""
    x, y = point
    odd = False
    for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True):
        side = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        if side == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
            return True
        if (y1 > y) != (y2 > y) and (side > 0) == (y2 > y1):
            odd = not odd
    return odd


def _within(value: float, least: float, most: float | None) -> bool:
    return least <= value and (most is None or value < most)


def _fires(when: Condition, scene: Scene) -> bool:
    count = len(scene.selected(when))
    return when.min_count <= count and (when.max_count is None or count <= when.max_count)


def _best(findings: Iterable[Finding]) -> Finding | None:
    """The finding with the highest score; among equals what else it has decides, not the order."""
    return max(findings, key=_rank, default=None)


def _rank(finding: Finding) -> tuple[object, ...]:
    numbers = [(number is None, number or 0.0) for number in (finding.angle, finding.value)]
    return finding.score, finding.label, finding.box, finding.outline, finding.points, finding.text, *numbers


def _centre(finding: Finding) -> Point:
    x1, y1, x2, y2 = finding.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def _value(value: Value, scene: Scene) -> float:
    selected = scene.selected(value.of)
    if value.take == "count":
        return float(len(selected))
    best = _best(selected)
    if best is None:
        return math.nan
    if value.take == "distance":
        distance = scene.distance(best, value.of.near.to) if value.of.near is not None else None
        return math.nan if distance is None else distance
    return _TAKE[value.take](best, scene)


_TAKE: dict[str, Callable[[Finding, Scene], float]] = {
    "max_score": lambda finding, scene: finding.score,
    "x": lambda finding, scene: _centre(finding)[0] * scene.scale,
    "y": lambda finding, scene: _centre(finding)[1] * scene.scale,
    "width": lambda finding, scene: (finding.box[2] - finding.box[0]) * scene.scale,
    "height": lambda finding, scene: (finding.box[3] - finding.box[1]) * scene.scale,
    "area": lambda finding, scene: scene.area(finding),
    "length": lambda finding, scene: scene.length(finding),
}
