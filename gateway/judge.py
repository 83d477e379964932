"""From findings, recipe and trigger to a verdict. Pure: the same findings in any order give the same word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from gateway.inspection import MAX_FINDINGS, Finding, Judged, Trigger, Verdict
from gateway.measured import in_unit
from gateway.recipe import Recipe
from gateway.recipe_rules import Rule, TagLimit, Value
from gateway.recipe_task import UNSEEN
from gateway.scene import Scene, centre
from protocols.faults import Code
from protocols.tags import NOT_READ, Quality

INVALID = "invalid finding"
"""The rule's name in a verdict that no rule gave, because a finding made no sense."""
NO_VARIANT = "no variant"
"""The same, because the recipe knows no such part."""
TOO_MANY = "too many findings"
"""The same, because there may be more than were told."""
MAX_PIXEL = 1e6
"""No box reaches farther, else an area could overflow and slip past every limit."""
NOBODY = Trigger(cycle=0, trigger_seq=0)


class _Word(NamedTuple):
    verdict: Verdict
    reason: int
    rule: str
    best: Finding | None


def judge(recipe: Recipe, findings: Iterable[Finding], trigger: Trigger = NOBODY) -> Judged:
    """The verdict: the first rule that surely fires; else RECHECK by the first that may; else OK.

    By the recipe's first variant that fits the part; a part that none fits is never OK.

    The score is that of the best finding of the rule that fired (0 where it fired because nothing was there); for OK
    the highest score seen, which stayed below every limit.
    """
    variant = next((known for known in recipe.variants if known.fits(trigger.part_id, trigger.serial)), None)
    judged = _judge(recipe if variant is None else recipe.varied[variant.name], tuple(findings), trigger)
    if variant is not None:
        return replace(judged, variant=variant.name)
    if recipe.unknown_part is not None:
        verdict, code = Verdict[recipe.unknown_part.verdict], recipe.unknown_part.code
        return replace(judged, verdict=verdict, reason=code, rule=NO_VARIANT)
    return judged


def _judge(recipe: Recipe, everything: tuple[Finding, ...], trigger: Trigger) -> Judged:
    classes = recipe.classes
    sound = tuple(finding for finding in everything if _sound(finding, classes))
    if quantities := recipe.quantities:
        sound = tuple(in_unit(finding, quantities.get(finding.label, "other"), recipe.ruler) for finding in sound)
    scene = Scene(sound, {zone.name: zone.corners for zone in recipe.zones}, recipe.ruler, trigger.serial)
    # What no ruler can measure lies within no limit: it would slip past every rule.
    whole = len(sound) == len(everything) and all(scene.measurable(finding) for finding in sound)
    checks = 0
    for bit, check in enumerate(recipe.checks):
        checks |= check.when.holds(len(scene.selected(check.when))) << bit
    values = tuple(_value(value, scene) for value in recipe.values)
    wrong = INVALID if not whole else TOO_MANY if len(everything) >= MAX_FINDINGS else ""
    word = _word(recipe, scene, trigger, wrong)
    return Judged(word.verdict, word.reason, word.rule, word.best.score if word.best else 0.0, checks, values)


def _word(recipe: Recipe, scene: Scene, trigger: Trigger, wrong: str) -> _Word:
    doubts: list[_Word] = []
    for rule in recipe.rules:
        told = True if rule.tag is None else _told(rule.tag, trigger)
        if told is False:
            continue
        if told and (word := _fired(rule, scene)) is not None:
            return word
        if not doubts and (word := _doubtful(rule, scene, told)) is not None:
            doubts.append(word)
    best = _best(finding for finding in scene.findings if finding.label != UNSEEN)
    if wrong:
        return _Word(Verdict.RECHECK, int(Code.OUTPUT_INVALID), wrong, best)
    if doubts:
        return doubts[0]
    if any(finding.label == UNSEEN for finding in scene.findings):
        return _Word(Verdict.RECHECK, int(Code.NOTHING_TO_LOOK_AT), UNSEEN, best)
    return _Word(Verdict.OK, 0, "", best)


def _fired(rule: Rule, scene: Scene) -> _Word | None:
    """What the rule says, where what was found makes it fire."""
    chosen = scene.selected(rule.asks) if rule.asks is not None else []
    if rule.asks is not None and not rule.asks.holds(len(chosen)):
        return None
    return _Word(Verdict[rule.verdict], rule.code, rule.name, _best(chosen))


def _doubtful(rule: Rule, scene: Scene, told: bool | None) -> _Word | None:
    """RECHECK, where the rule may fire for all that is known; `told` None: its tag does not say."""
    word = _fired(rule, scene)
    if word is None and rule.asks is not None and scene.lacking(rule.asks):
        word = _Word(Verdict.RECHECK, int(Code.OUTPUT_INVALID), rule.name, None)
    if word is None and rule.asks is not None and rule.band is not None:
        most, fewest = (scene.selected(asks) for asks in rule.nearly())
        # One limit may be moved more than another: any number between the two may be the true one.
        if any(rule.asks.holds(count) for count in range(len(fewest), len(most) + 1)):
            code = rule.code if rule.band.code is None else rule.band.code
            word = _Word(Verdict.RECHECK, code, rule.name, _best(most))
    if word is not None and told is None:
        return word._replace(verdict=Verdict.RECHECK, reason=int(Code.TAG_DOUBTFUL))
    return word


def _told(limit: TagLimit, trigger: Trigger) -> bool | None:
    """Whether the tag's reading at the trigger lies within the limit; None where it cannot be trusted or compared."""
    reading = trigger.tags.get(limit.of, NOT_READ).seen(trigger.accepted)
    value = reading.value
    wanted = limit.equals if limit.equals is not None else limit.differs
    if reading.quality is not Quality.GOOD or value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if wanted is not None:
        if _kind(value) is not _kind(wanted):
            return None
        return (value == wanted) is (limit.equals is not None)
    if _kind(value) is not float:
        return None
    assert not isinstance(value, str)  # noqa: S101 - a number by now
    return (limit.min is None or limit.min <= value) and (limit.max is None or value < limit.max)


def _kind(value: float | str) -> type:
    """Whole numbers and others compare with each other, truth values and texts with their like only."""
    return type(value) if isinstance(value, bool | str) else float


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


def _best(findings: Iterable[Finding]) -> Finding | None:
    """The finding with the highest score; among equals what else it is decides, not the order."""
    return max(findings, key=_rank, default=None)


def _rank(finding: Finding) -> tuple[object, ...]:
    numbers = [(number is None, number or 0.0) for number in (finding.angle, finding.value)]
    return finding.score, finding.label, finding.box, finding.outline, finding.points, finding.text, *numbers


def _value(value: Value, scene: Scene) -> float:
    selected = scene.selected(value.of)
    if value.take == "count":
        return float(len(selected))
    best = _best(selected)
    if best is None:
        return math.nan
    if value.take == "distance":
        number = scene.distance(best, value.of.near.to) if value.of.near is not None else None
    else:
        number = _TAKE[value.take](best, scene)
    return math.nan if number is None else number


_TAKE: dict[str, Callable[[Finding, Scene], float | None]] = {
    "max_score": lambda finding, scene: finding.score,
    "x": lambda finding, scene: scene.ruler.at(centre(finding))[0],
    "y": lambda finding, scene: scene.ruler.at(centre(finding))[1],
    "width": lambda finding, scene: scene.sides(finding)[0],
    "height": lambda finding, scene: scene.sides(finding)[1],
    "area": lambda finding, scene: scene.area(finding),
    "length": lambda finding, scene: scene.length(finding),
    "value": lambda finding, scene: finding.value,
    "angle": lambda finding, scene: finding.angle,
}
