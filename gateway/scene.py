"""Which of the findings of one part a recipe's conditions select, and what can be measured on them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from gateway.inspection import Finding
from gateway.recipe_selection import Plain, Selection, limits
from gateway.recipe_task import UNSEEN
from gateway.ruler import Ruler

CORNERS = 4
"""Of an oriented box."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """What was seen of one part; `ruler` knows the unit of lengths."""

    findings: tuple[Finding, ...]
    zones: Mapping[str, tuple[Point, ...]]
    ruler: Ruler
    serial: str = ""

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

    def lacking(self, selection: Selection) -> bool:
        """Whether a finding that would count was not measured or read, so that nobody knows."""
        return any(
            asked is not None and any(self._lacks(asked, finding) for finding in self.findings)
            for asked in (selection, selection.near.to if selection.near is not None else None)
        )

    def distance(self, finding: Finding, to: Plain) -> float | None:
        """From the centre of a finding to that of the nearest other one that counts; None where there is none."""
        here = centre(finding)
        others = (centre(other) for other in self.findings if other is not finding and self._counts(to, other))
        return min((self.ruler.distance(here, there) for there in others), default=None)

    def length(self, finding: Finding) -> float:
        """The longer side of the box, of an oriented one along its own sides."""
        if finding.angle is not None and len(finding.outline) == CORNERS:
            return max(self.ruler.distance(a, b) for a, b in pairwise(finding.outline))
        return max(self.sides(finding))

    def measurable(self, finding: Finding) -> bool:
        """Whether its size and place can be told in the ruler's unit."""
        numbers = self.area(finding), self.length(finding), *self.ruler.at(centre(finding))
        return all(math.isfinite(number) for number in numbers)

    def sides(self, finding: Finding) -> tuple[float, float]:
        """Width and height of the box, through its middle."""
        (x1, y1, x2, y2), (x, y) = finding.box, centre(finding)
        return self.ruler.distance((x1, y), (x2, y)), self.ruler.distance((x, y1), (x, y2))

    def area(self, finding: Finding) -> float:
        """Within the outline where there is one, else of the box."""
        x1, y1, x2, y2 = finding.box
        return self.ruler.area(finding.outline or ((x1, y1), (x2, y1), (x2, y2), (x1, y2)))

    def _counts(self, selection: Plain, finding: Finding) -> bool:
        return (
            self._fits(selection, finding)
            and _measured(finding.value, selection.min_value, selection.max_value)
            and _measured(finding.angle, selection.min_angle, selection.max_angle)
            and (not selection.reads or self._says(selection, finding.text))
        )

    def _lacks(self, selection: Plain, finding: Finding) -> bool:
        missing = (
            (finding.value is None and limited(selection, "value"))
            or (finding.angle is None and limited(selection, "angle"))
            or (selection.reads and not finding.text)
            or (selection.text_is is not None and not self.serial)
        )
        return missing and self._fits(selection, finding)

    def _fits(self, selection: Plain, finding: Finding) -> bool:
        """By what every finding has."""
        labels = selection.wanted
        return (
            (finding.label != UNSEEN if labels is None else finding.label in labels)
            and _within(finding.score, selection.min_score, selection.max_score)
            and _within(self.area(finding), selection.min_area, selection.max_area)
            and _within(self.length(finding), selection.min_length, selection.max_length)
            and (selection.zone is None or inside(centre(finding), self.zones[selection.zone]))
            and (selection.outside is None or not inside(centre(finding), self.zones[selection.outside]))
        )

    def _says(self, selection: Plain, text: str) -> bool:
        return (
            text != ""
            and (selection.text is None or text == selection.text)
            and (selection.pattern is None or alike(text, selection.pattern))
            and (selection.text_is is None or text == self.serial)
        )


def limited(selection: Plain, what: str) -> bool:
    """Whether the selection has a limit of this kind."""
    return limits(what, getattr(selection, f"min_{what}")) or getattr(selection, f"max_{what}") is not None


def centre(finding: Finding) -> Point:
    """Of the box."""
    x1, y1, x2, y2 = finding.box
    return (x1 + x2) / 2, (y1 + y2) / 2


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


def alike(text: str, pattern: str) -> bool:
    """Whether a text looks like a pattern: # a digit, @ a letter, ? one character, * any number of them.

    No regular expression: the control loop waits for the answer, and this takes at most len(text) * len(pattern) steps.
    """
    at = here = 0
    star, mark = -1, 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, here
            at += 1
        elif at < len(pattern) and _same(text[here], pattern[at]):
            at += 1
            here += 1
        elif star >= 0:  # what came after the last * began too early
            mark += 1
            at, here = star + 1, mark
        else:
            return False
    return not pattern[at:].strip("*")


def _same(letter: str, sign: str) -> bool:
    match sign:
        case "#":
            return letter in "0123456789"
        case "@":
            return letter.isascii() and letter.isalpha()
        case "?":
            return True
        case _:
            return letter == sign


def _within(value: float, least: float, most: float | None) -> bool:
    return least <= value and (most is None or value < most)


def _measured(value: float | None, least: float | None, most: float | None) -> bool:
    if least is None and most is None:
        return True
    return value is not None and (least is None or least <= value) and (most is None or value < most)
