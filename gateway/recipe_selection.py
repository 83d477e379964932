"""The part of a recipe that says which findings count: by label, limits, text, place, and what is near."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway import validation
from gateway.recipe_parts import Label, Score
from gateway.yamlfile import Location

Name = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$")]
Length = Annotated[float, Field(ge=0, le=1e6)]
Quantity = Annotated[float, Field(ge=-1e9, le=1e9)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
Words = Annotated[str, Field(min_length=1, max_length=200)]
Pixel = Annotated[float, Field(ge=-1e6, le=1e6)]
Point = tuple[Pixel, Pixel]

LIMITED = ("score", "area", "length", "value", "angle")
"""What of a finding itself a selection may limit: min_… counts, max_… does not count any more."""


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
    """Of the outline, else of the box, in square pixels of the frame (or mm², see mm_per_px); this area counts."""
    max_area: Annotated[float, Field(gt=0)] | None = None
    """This area does not count any more."""
    min_length: Length = 0.0
    """Longer side of the box, in pixels of the frame (or mm); this length counts."""
    max_length: Annotated[float, Field(gt=0)] | None = None
    """This length does not count any more."""
    min_value: Quantity | None = None
    """Of what was measured (gauging, colour, blobs), in its own unit; this value counts."""
    max_value: Quantity | None = None
    """This value does not count any more."""
    min_angle: Degrees | None = None
    """In degrees; this angle counts."""
    max_angle: Degrees | None = None
    """This angle does not count any more."""
    text: Words | None = None
    """It says just this, as a code does."""
    pattern: Words | None = None
    """What it says looks like this: # is a digit, @ a letter, ? one character, * any number of them."""
    text_is: Literal["serial"] | None = None
    """`text_is: serial`: it says what the PLC gave as SERIAL with the trigger."""
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

    @property
    def reads(self) -> bool:
        """Whether it asks for what a finding says."""
        return self.text is not None or self.pattern is not None or self.text_is is not None


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

    def holds(self, count: int) -> bool:
        """Whether that many make it fire."""
        return self.min_count <= count and (self.max_count is None or count <= self.max_count)


class Expected(Selection):
    """What must be there: `count` of them, or min_count to max_count; fires when it is not so."""

    count: Annotated[int, Field(ge=0, le=1000)] | None = None
    """Just so many."""
    min_count: Annotated[int, Field(ge=0, le=1000)] = 1
    """Or at least so many."""
    max_count: Annotated[int, Field(ge=0, le=1000)] | None = None
    """And at most so many."""

    def holds(self, count: int) -> bool:
        """Whether that many make it fire, as something is missing or too much."""
        if self.count is not None:
            return count != self.count
        return count < self.min_count or (self.max_count is not None and count > self.max_count)


def moved(selection: Condition | Expected, by: dict[str, float], sign: int) -> Condition | Expected:
    """The same with each of its limits moved: +1 lets more findings count, -1 fewer; what is no limit stays."""
    new: dict[str, object] = {}
    for what, far in by.items():
        if what != "distance":
            new |= _moved(selection, what, sign * far)
        elif selection.near is not None:
            new["near"] = selection.near.model_copy(update=_moved(selection.near, what, sign * far))
    return selection.model_copy(update=new)


def _moved(where: Plain | Near, what: str, far: float) -> dict[str, float]:
    least, most = getattr(where, f"min_{what}"), getattr(where, f"max_{what}")
    new = {f"min_{what}": least - far} if limits(what, least) else {}
    return new | ({f"max_{what}": most + far} if most is not None else {})


def limits(what: str, least: float | None) -> bool:
    """Whether a lower limit is one: a score, area, length or distance is never below 0 anyway."""
    return least is not None and (what in ("value", "angle") or least > 0)


def selection_mistakes(
    selection: Plain, classes: tuple[str, ...] | None, zones: frozenset[str]
) -> Iterator[tuple[Location, str]]:
    """What is wrong between a selection, the labels and the zones: place and one sentence."""
    yield from _label_mistakes(selection, classes)
    for what in LIMITED:
        least, most = getattr(selection, f"min_{what}"), getattr(selection, f"max_{what}")
        if least is not None and most is not None and most <= least:
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
    if isinstance(selection, Condition | Expected):
        yield from _count_mistakes(selection)


def _count_mistakes(selection: Condition | Expected) -> Iterator[tuple[Location, str]]:
    never = "it never fires" if isinstance(selection, Condition) else "no part is ever good"
    if selection.max_count is not None and selection.max_count < selection.min_count:
        yield ("max_count",), f"must not be less than min_count ({selection.min_count}), or {never}"
    if not isinstance(selection, Expected):
        return
    if selection.count is not None and {"min_count", "max_count"} & selection.model_fields_set:
        yield ("count",), "is given beside min_count or max_count; use one way to say how many"
    if selection.count is None and selection.min_count == 0 and selection.max_count is None:
        yield ("min_count",), "expects nothing and forbids nothing, so it never fires; raise it, or add max_count"


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
