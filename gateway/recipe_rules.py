"""The part of a recipe that says which findings count, and what they mean for the part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway import validation
from gateway.recipe_task import Label, Score
from gateway.yamlfile import Location

Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$")]
Length = Annotated[float, Field(ge=0, le=1e6)]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = tuple[Pixel, Pixel]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Zone(_Part):
    """A named place of the frame: a box or a polygon, in pixels of the frame; its edge belongs to it."""

    name: Name
    box: tuple[Pixel, Pixel, Pixel, Pixel] | None = None
    """x1, y1, x2, y2."""
    polygon: Annotated[tuple[Point, ...], Field(min_length=3, max_length=100)] | None = None
    """Corners in their order; the last is joined to the first."""

    @property
    def corners(self) -> tuple[Point, ...]:
        """As a polygon."""
        if self.box is None:
            return self.polygon or ()
        x1, y1, x2, y2 = self.box
        return ((x1, y1), (x2, y1), (x2, y2), (x1, y2))

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.box is None) == (self.polygon is None):
            raise ValueError("needs either box or polygon")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("box is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        return self


class Plain(_Part):
    """Which findings count: of these labels, min_score <= score < max_score; sizes alike."""

    label: Label | None = None
    """This one; or use labels, or any."""
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=100)] | None = None
    """Any of these."""
    any: Literal[True] | None = None
    """`any: true` is every label."""
    min_score: Score = 0.0
    """This score counts."""
    max_score: Annotated[float, Field(gt=0, le=1)] | None = None
    """This score does not count any more."""
    min_area: Annotated[float, Field(ge=0)] = 0.0
    """Of the box, in square pixels of the frame (or mm², see mm_per_px); this area counts."""
    max_area: Annotated[float, Field(gt=0)] | None = None
    """This area does not count any more."""
    min_length: Length = 0.0
    """Longer side of the box, in pixels of the frame (or mm); this length counts."""
    max_length: Annotated[float, Field(gt=0)] | None = None
    """This length does not count any more."""
    zone: Name | None = None
    """The centre of the box lies in this zone."""
    outside: Name | None = None
    """The centre of the box does not lie in this zone."""

    @property
    def wanted(self) -> frozenset[str] | None:
        """The labels that count; None is every label."""
        if self.any:
            return None
        return frozenset(self.labels or ((self.label,) if self.label is not None else ()))


class Near(_Part):
    """How far the nearest other finding of a kind is: min_distance <= distance of the centres < max_distance."""

    to: Plain
    """Which others count."""
    min_distance: Length = 0.0
    """In pixels of the frame (or mm); this distance counts."""
    max_distance: Annotated[float, Field(gt=0)] | None = None
    """This distance does not count any more."""


class Selection(Plain):
    """Which findings count, also by what is around them."""

    near: Near | None = None
    """There is another finding at such a distance; where there is none at all the finding does not count."""


class Condition(Selection):
    """Fires when min_count <= number of selected findings <= max_count."""

    min_count: Annotated[int, Field(ge=0, le=1000)] = 1
    max_count: Annotated[int, Field(ge=0, le=1000)] | None = None


class Check(_Part):
    """A named check with a bit of its own in RESULT_BITS (8 for the first): 1 = it found something."""

    name: Name
    when: Condition


class Rule(_Part):
    """What a condition means for the part. `code` is shown as REASON; below 1000, so it is never a fault code."""

    name: Name
    when: Condition
    verdict: Literal["NG", "RECHECK"]
    code: Annotated[int, Field(ge=1, le=999)]


class Value(_Part):
    """A number for the PLC, from the findings selected by `of`: VALUE_0 for the first, in pixels of the frame or mm.

    x and y are the centre of the best finding's box, length its longer side, distance how far the nearest finding of
    `of.near.to` is from it; count is a number of findings; NaN where there is none.
    """

    name: Name
    take: Literal["count", "max_score", "x", "y", "width", "height", "area", "length", "distance"]
    of: Selection

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.take == "distance" and self.of.near is None:
            raise ValueError("take: distance needs of.near.to, which says to what")
        return self


def selection_mistakes(
    selection: Plain, classes: tuple[str, ...] | None, zones: frozenset[str]
) -> Iterator[tuple[Location, str]]:
    """What is wrong between a selection, the labels and the zones: place and one sentence."""
    yield from _label_mistakes(selection, classes)
    for what in ("score", "area", "length"):
        least, most = getattr(selection, f"min_{what}"), getattr(selection, f"max_{what}")
        if most is not None and most <= least:
            yield (f"max_{what}",), f"must be more than min_{what} ({least}), or nothing is ever selected"
    for key, zone in (("zone", selection.zone), ("outside", selection.outside)):
        if zone is not None and zone not in zones:
            yield (key,), f"{zone!r} is not one of zones; {_hint(zone, sorted(zones))}"
    if isinstance(selection, Selection) and (near := selection.near) is not None:
        if near.max_distance is not None and near.max_distance <= near.min_distance:
            text = f"must be more than min_distance ({near.min_distance}), or nothing is ever selected"
            yield ("near", "max_distance"), text
        for location, message in selection_mistakes(near.to, classes, zones):
            yield ("near", "to", *location), message
    if isinstance(selection, Condition) and (most := selection.max_count) is not None and most < selection.min_count:
        yield ("max_count",), f"must not be less than min_count ({selection.min_count}), or it never fires"


def _label_mistakes(selection: Plain, classes: tuple[str, ...] | None) -> Iterator[tuple[Location, str]]:
    given = [key for key in ("label", "labels", "any") if getattr(selection, key) is not None]
    if len(given) != 1:
        found = " and ".join(given) if given else "none of them"
        yield (), f"must say one of label, labels and any: true, but says {found}"
    for label in sorted((selection.wanted or frozenset()) - set(classes or ())) if classes else ():
        location = ("label",) if selection.label == label else ("labels",)
        yield location, f"{label!r} is not one of task.classes; {_hint(label, list(classes or ()))}"


def _hint(word: str, known: list[str]) -> str:
    nearest = validation.nearest(word, known)
    return f"did you mean {nearest}?" if nearest else f"use one of {', '.join(known) or 'those you add to zones'}"
