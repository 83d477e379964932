"""What a recipe made of pictures of known truth: escapes, false rejects, and what moving a limit does. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.inspection import Observation, Trigger
from gateway.judge import judge
from gateway.labelled import Labelled
from gateway.recipe import Recipe
from gateway.recipe_rules import Rule
from gateway.recipe_selection import LIMITED, limits
from protocols.faults import Code
from protocols.signals import Judgement

CONFIDENCE = 0.95
FACTORS = (0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2.0)
STEPS = (-0.2, -0.1, -0.05, -0.02, 0.02, 0.05, 0.1, 0.2)
"""For scores, which have an end."""


@dataclass(frozen=True, slots=True)
class Case:
    """One picture, what was seen on it, and the word on it."""

    picture: Labelled
    seen: Observation
    judgement: Judgement
    reason: int = 0
    rule: str = ""
    score: float = 0.0

    @property
    def escaped(self) -> bool:
        """A bad part that would have passed."""
        return not self.picture.good and self.judgement is Judgement.OK

    @property
    def rejected(self) -> bool:
        """A good part called bad."""
        return self.picture.good and self.judgement is Judgement.NG


def case(recipe: Recipe, picture: Labelled, seen: Observation) -> Case:
    """The word of the judge that also stands in the gateway."""
    if seen.fault is not Code.NONE:
        return Case(picture, seen, Judgement.FAULT, int(seen.fault), seen.detail)
    trigger = Trigger(cycle=1, trigger_seq=1, part_id=picture.part_id, serial=picture.serial)
    judged = judge(recipe, seen.findings, trigger)
    word = Judgement(judged.verdict.value)
    return Case(picture, seen, word, judged.reason, judged.rule, judged.score)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, and what the share is at most, as far as so few pictures can tell (one-sided 95 %)."""

    count: int
    of: int

    @property
    def bound(self) -> float:
        """The upper limit of Clopper and Pearson; of none in n it is nearly 3/n. 1 where there is nothing to count."""
        if self.count >= self.of:
            return 1.0
        low, high = self.count / self.of, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self._at_most(middle) > 1 - CONFIDENCE else (low, middle)
        return high

    def _at_most(self, share: float) -> float:
        """The probability of so few, if that were the share."""
        n = self.of
        terms = (
            math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
            + k * math.log(share) + (n - k) * math.log1p(-share)
            for k in range(self.count + 1)
        )  # fmt: skip
        return math.fsum(math.exp(term) for term in terms) if 0 < share < 1 else float(share <= 0)


@dataclass(frozen=True, slots=True)
class Figures:
    """How often which word was given for good and for bad parts."""

    good: dict[Judgement, int]
    bad: dict[Judgement, int]

    @property
    def escapes(self) -> Share:
        """Bad parts that would have passed."""
        return Share(self.bad[Judgement.OK], sum(self.bad.values()))

    @property
    def rejects(self) -> Share:
        """Good parts called bad."""
        return Share(self.good[Judgement.NG], sum(self.good.values()))

    @property
    def rechecks(self) -> int:
        """Parts of either kind that somebody must look at."""
        return self.good[Judgement.RECHECK] + self.bad[Judgement.RECHECK]


WORDS = (Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT)


def figures(cases: Iterable[Case]) -> Figures:
    """Counted."""
    counts = Figures(dict.fromkeys(WORDS, 0), dict.fromkeys(WORDS, 0))
    for one in cases:
        (counts.good if one.picture.good else counts.bad)[one.judgement] += 1
    return counts


def worst(cases: Sequence[Case], count: int) -> list[Case]:
    """What to look at first: escapes, the least suspicious first; false rejects, the surest first; faults; rechecks;
    then those that were right by the least."""

    def rank(one: Case) -> tuple[int, float, str]:
        name = str(one.picture.path)
        if one.escaped:
            return 0, one.score, name
        if one.rejected:
            return 1, -one.score, name
        if one.judgement is Judgement.FAULT:
            return 2, 0.0, name
        if one.judgement is Judgement.RECHECK:
            return 3, -one.score, name
        return 4, -one.score if one.picture.good else one.score, name

    return sorted(cases, key=rank)[:count]


@dataclass(frozen=True, slots=True)
class Moved:
    """One limit at another value, and what would have come of it."""

    rule: str
    limit: str
    value: float
    figures: Figures
    now: bool
    """It is the value in the recipe."""


def moves(recipe: Recipe, cases: Sequence[Case]) -> Iterator[Moved]:
    """Every limit of every rule at values around its own; nothing is looked at again, only judged."""
    least = min(step.task.min_score for step in recipe.steps)
    for title, rule, put in _rules(recipe):
        for name, value, change in _limits(rule):
            for other in sorted({value, *_around(name, value)}):
                if name.endswith("_score") and not max(least, 1e-9) <= other <= 1:
                    continue  # such findings never came from the vision process
                if other < 0 and "value" not in name and "angle" not in name:
                    continue
                changed = put(change(other))
                again = (case(changed, one.picture, one.seen) for one in cases)
                yield Moved(title, name, other, figures(again), other == value)


def _rules(recipe: Recipe) -> Iterator[tuple[str, Rule, Callable[[Rule], Recipe]]]:
    """Every rule, also those of variants, and how to put another one in its place."""
    for index, rule in enumerate(recipe.rules):
        yield rule.name, rule, partial(_with, recipe, index)
    for number, variant in enumerate(recipe.variants):
        for index, rule in enumerate(variant.rules or ()):
            yield f"{variant.name}: {rule.name}", rule, partial(_with_varied, recipe, number, index)


def _with(recipe: Recipe, index: int, rule: Rule) -> Recipe:
    return _anew(recipe, rules=(*recipe.rules[:index], rule, *recipe.rules[index + 1 :]))


def _with_varied(recipe: Recipe, number: int, index: int, rule: Rule) -> Recipe:
    variant = recipe.variants[number]
    rules = variant.rules or ()
    other = variant.model_copy(update={"rules": (*rules[:index], rule, *rules[index + 1 :])})
    return _anew(recipe, variants=(*recipe.variants[:number], other, *recipe.variants[number + 1 :]))


def _anew(recipe: Recipe, **parts: Any) -> Recipe:
    """A copy with other parts, which has worked out nothing yet: what a model has cached goes with its copy."""
    changed = recipe.model_copy(update=parts)
    changed.__dict__.pop("varied", None)
    return changed


_Change = Callable[[float], Rule]


def _limits(rule: Rule) -> Iterator[tuple[str, float, _Change]]:
    """Name, value and how to change it."""
    asks = rule.asks
    if asks is None:
        return
    key = "when" if rule.when is not None else "expect"

    def put(name: str) -> _Change:
        return lambda value: rule.model_copy(update={key: asks.model_copy(update={name: value})})

    def put_near(name: str) -> _Change:
        def change(value: float) -> Rule:
            near = asks.near.model_copy(update={name: value}) if asks.near is not None else None
            return rule.model_copy(update={key: asks.model_copy(update={"near": near})})

        return change

    for what in LIMITED:
        yield from _pair(what, asks, put)
    if asks.near is not None:
        yield from _pair("distance", asks.near, put_near)
    for name in ("count", "min_count", "max_count"):
        value = getattr(asks, name, None)
        if value is not None and name in asks.model_fields_set:
            yield name, value, put(name)


def _pair(what: str, where: Any, put: Callable[[str], _Change]) -> Iterator[tuple[str, float, _Change]]:
    least, most = getattr(where, f"min_{what}"), getattr(where, f"max_{what}")
    if limits(what, least):
        yield f"min_{what}", least, put(f"min_{what}")
    if most is not None:
        yield f"max_{what}", most, put(f"max_{what}")


def _around(name: str, value: float) -> Iterator[float]:
    if name.endswith("count"):
        yield from (value - 1, value + 1)
    elif name.endswith("_score"):
        yield from (round(value + step, 4) for step in STEPS)
    else:
        yield from (value * factor for factor in FACTORS)
