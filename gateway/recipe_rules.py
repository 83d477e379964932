"""The part of a recipe that says what findings and tags mean for the part, and which numbers the PLC gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.recipe_selection import (
    LIMITED,
    Condition,
    Expected,
    Name,
    Quantity,
    Selection,
    limits,
    moved,
    selection_mistakes,
)
from gateway.yamlfile import Location
from protocols.tag_words import REF_PATTERN

TagRef = Annotated[str, Field(max_length=127, pattern=REF_PATTERN)]
Reason = Annotated[int, Field(ge=1, le=999)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Check(_Part):
    """A named check with a bit of its own in RESULT_BITS (8 for the first): 1 = it found something."""

    name: Name
    when: Condition


class TagLimit(_Part):
    """What a tag must say at the trigger for its rule to fire; a reading that is not good ends as RECHECK 3020."""

    of: TagRef
    """device.tag; one that the station records."""
    equals: bool | int | float | str | None = None
    """It is just this."""
    differs: bool | int | float | str | None = None
    """It is anything but this."""
    min: Quantity | None = None
    """This number counts."""
    max: Quantity | None = None
    """This number does not count any more."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        ranged = self.min is not None or self.max is not None
        if ranged + (self.equals is not None) + (self.differs is not None) != 1:
            raise ValueError("needs one of equals, differs, and min or max")
        if self.min is not None and self.max is not None and self.max <= self.min:
            raise ValueError(f"max must be more than min ({self.min}), or the rule never fires")
        return self


class Band(_Part):
    """How near to firing a rule may come before the part is RECHECK: so far may every limit of that kind be moved."""

    score: Annotated[float, Field(gt=0, le=1)] | None = None
    area: Annotated[float, Field(gt=0)] | None = None
    length: Annotated[float, Field(gt=0)] | None = None
    distance: Annotated[float, Field(gt=0)] | None = None
    value: Annotated[float, Field(gt=0)] | None = None
    angle: Annotated[float, Field(gt=0)] | None = None
    code: Reason | None = None
    """REASON of such a RECHECK; left out: the rule's code."""

    @property
    def widths(self) -> dict[str, float]:
        """How far which limits move."""
        known = (*LIMITED, "distance")
        return {what: width for what in known if (width := getattr(self, what)) is not None}


class Rule(_Part):
    """What a condition means for the part. `code` is shown as REASON; below 1000, so it is never a fault code."""

    name: Name
    when: Condition | None = None
    """Fires on what was found."""
    expect: Expected | None = None
    """Fires when this was not found."""
    tag: TagLimit | None = None
    """Fires on what a device said; beside when or expect: only if both are so."""
    band: Band | None = None
    """RECHECK when it nearly fired."""
    verdict: Literal["NG", "RECHECK"]
    code: Reason

    @property
    def asks(self) -> Condition | Expected | None:
        """What it asks of the findings."""
        return self.when or self.expect

    def nearly(self) -> Iterator[Condition | Expected]:
        """What it asks with every limit moved by the band, one way and the other."""
        if self.band is not None and self.asks is not None:
            yield moved(self.asks, self.band.widths, 1)
            yield moved(self.asks, self.band.widths, -1)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.when is not None and self.expect is not None:
            raise ValueError("has both when and expect; make two rules of it")
        if self.asks is None and self.tag is None:
            raise ValueError("needs when, expect or tag: something that makes it fire")
        return self


class Value(_Part):
    """A number for the PLC, from the findings selected by `of`: VALUE_0 for the first, in pixels of the frame or mm.

    x and y are the centre of the best finding's box, length its longer side, value what it measured, angle in degrees,
    distance how far the nearest finding of `of.near.to` is from it; count is a number of findings; NaN where there is
    none.
    """

    name: Name
    take: Literal["count", "max_score", "x", "y", "width", "height", "area", "length", "distance", "value", "angle"]
    of: Selection

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.take == "distance" and self.of.near is None:
            raise ValueError("take: distance needs of.near.to, which says to what")
        return self


def rule_mistakes(rule: Rule, classes: tuple[str, ...] | None, zones: frozenset[str]) -> Iterator[tuple[Location, str]]:
    """What is wrong inside a rule: place and one sentence."""
    if rule.asks is not None:
        key = "when" if rule.when is not None else "expect"
        for location, message in selection_mistakes(rule.asks, classes, zones):
            yield (key, *location), message
    if rule.band is None:
        return
    if not rule.band.widths:
        yield ("band",), "names no width; give score, area, length, distance, value or angle"
    for what in rule.band.widths:
        if not _limited(rule.asks, what):
            yield ("band", what), f"widens nothing, as the rule has no min_{what} or max_{what}; add one, or remove it"


def _limited(asks: Condition | Expected | None, what: str) -> bool:
    where = asks.near if asks is not None and what == "distance" else asks
    return where is not None and (
        limits(what, getattr(where, f"min_{what}")) or getattr(where, f"max_{what}") is not None
    )
