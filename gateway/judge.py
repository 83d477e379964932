"""From findings and recipe to a verdict. Pure: the same findings in any order give the same word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from gateway.inspection import Finding, Judged, Verdict
from gateway.recipe import Condition, Recipe, Selection, Value
from protocols.faults import Code

INVALID = "invalid finding"
"""The rule's name in a verdict that no rule gave, because a finding made no sense."""
MAX_PIXEL = 1e6
"""No box reaches farther, else an area could overflow and slip past every limit."""


def judge(recipe: Recipe, findings: Iterable[Finding]) -> Judged:
    """The verdict: the first rule that fires, else OK; never OK when a finding makes no sense.

    The score is that of the best finding of the rule that fired (0 where it fired because nothing was there); for OK
    the highest score seen, which stayed below every limit.
    """
    everything = tuple(findings)
    sound = tuple(finding for finding in everything if _sound(finding, recipe.task.classes))
    checks = 0
    for bit, check in enumerate(recipe.checks):
        checks |= _fires(check.when, sound) << bit
    values = tuple(_value(value, sound) for value in recipe.values)
    for rule in recipe.rules:
        if _fires(rule.when, sound):
            best = _best(_selected(rule.when, sound))
            return Judged(Verdict[rule.verdict], rule.code, rule.name, best.score if best else 0.0, checks, values)
    best = _best(sound)
    score = best.score if best else 0.0
    if len(sound) < len(everything):
        return Judged(Verdict.RECHECK, int(Code.OUTPUT_INVALID), INVALID, score, checks, values)
    return Judged(Verdict.OK, 0, "", score, checks, values)


def _sound(finding: Finding, classes: tuple[str, ...] | None) -> bool:
    """Whether a finding can be judged: score 0…1, a box with its corners in order, a label that may occur."""
    x1, y1, x2, y2 = finding.box
    return (
        0.0 <= finding.score <= 1.0
        and all(-MAX_PIXEL <= edge <= MAX_PIXEL for edge in finding.box)
        and x1 <= x2
        and y1 <= y2
        and (classes is None or finding.label in classes)
    )


def _selected(selection: Selection, findings: tuple[Finding, ...]) -> list[Finding]:
    labels = selection.wanted
    return [
        finding
        for finding in findings
        if (labels is None or finding.label in labels)
        and selection.min_score <= finding.score
        and (selection.max_score is None or finding.score < selection.max_score)
        and selection.min_area <= _area(finding)
        and (selection.max_area is None or _area(finding) < selection.max_area)
    ]


def _fires(when: Condition, findings: tuple[Finding, ...]) -> bool:
    count = len(_selected(when, findings))
    return when.min_count <= count and (when.max_count is None or count <= when.max_count)


def _best(findings: Iterable[Finding]) -> Finding | None:
    """The finding with the highest score; among equals label and box decide, not the order."""
    return max(findings, key=lambda finding: (finding.score, finding.label, finding.box), default=None)


def _area(finding: Finding) -> float:
    x1, y1, x2, y2 = finding.box
    return (x2 - x1) * (y2 - y1)


def _value(value: Value, findings: tuple[Finding, ...]) -> float:
    selected = _selected(value.of, findings)
    if value.take == "count":
        return float(len(selected))
    best = _best(selected)
    return math.nan if best is None else _TAKE[value.take](best)


_TAKE: dict[str, Callable[[Finding], float]] = {
    "max_score": lambda finding: finding.score,
    "x": lambda finding: (finding.box[0] + finding.box[2]) / 2,
    "y": lambda finding: (finding.box[1] + finding.box[3]) / 2,
    "width": lambda finding: finding.box[2] - finding.box[0],
    "height": lambda finding: finding.box[3] - finding.box[1],
    "area": _area,
}
