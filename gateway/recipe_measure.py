"""The part of a recipe that says what is looked for without a network: codes, a template, edges, colours, blobs."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gateway.recipe_parts import Label, Part, Score

Place = Annotated[float, Field(ge=0, le=65535)]
Step = Annotated[float, Field(ge=1, le=255)]
Triple = tuple[float, float, float]
Edge = Literal["rising", "falling", "any"]
Symbology = Literal[
    "qr", "ean13", "ean8", "upca", "datamatrix", "aztec", "pdf417", "microqr", "upce", "code128", "code39", "code93",
    "codabar", "itf",
]  # fmt: skip
PLAIN_CODES = frozenset({"qr", "ean13", "ean8", "upca"})
"""What OpenCV reads."""


Quantity = Literal["length", "diameter", "area", "other"]
"""What a task's value is: the first three are measured in pixels, and told in mm where the recipe knows them."""


class _Look(Part):
    needs_model: ClassVar[bool] = False
    quantity: ClassVar[Quantity] = "other"
    label: Label
    """What its findings are called."""
    min_score: Score = 0.0
    """What scores less is no finding at all."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of its findings."""
        return (self.label,)


class CodeTask(_Look):
    """Codes that can be read, each a finding with `text`, outline and score 1; one that cannot be read is none."""

    kind: Literal["code"]
    label: Label = "code"
    """What its findings are called."""
    symbologies: Annotated[tuple[Symbology, ...], Field(min_length=1)] = ("qr",)
    """What may be read; all but qr, ean13, ean8 and upca need `reader: zxing`."""
    reader: Literal["opencv", "zxing"] = "opencv"
    """zxing reads all, worse prints too, and is the extra `codes`."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        others = sorted(set(self.symbologies) - PLAIN_CODES)
        if self.reader == "opencv" and others:
            raise ValueError(f"OpenCV reads no {', '.join(others)}; say reader: zxing")
        return self


class Reference(Part):
    """A picture inside the recipe folder and the SHA-256 that it must have."""

    file: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name; no path out of the folder."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """As `sha256sum` prints it; another file is not used (2002)."""


class TemplateTask(_Look):
    """Where the picture looks like a reference: score is the correlation of grey values, outline its turned frame."""

    kind: Literal["template"]
    label: Label = "template"
    """What its findings are called."""
    image: Reference
    min_score: Annotated[float, Field(ge=0.3, le=1)] = 0.7
    """Correlation from which on it is one; noise alone reaches 0.3."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    """Degrees that it may be turned either way."""
    rotate_step: Annotated[float, Field(ge=0.5, le=90)] = 5.0
    """Degrees between two tries; each costs a search of the whole picture."""
    most: Annotated[int, Field(ge=1, le=100)] = 1
    """How many are looked for."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.rotate / self.rotate_step > MOST_TURNS:
            raise ValueError(f"more than {2 * MOST_TURNS + 1} angles are tried; raise rotate_step, or lower rotate")
        return self


MOST_TURNS = 36


class WidthTask(_Look):
    """The distance between two edges along a line as `value`, in pixels or mm; no finding where one is missing."""

    quantity: ClassVar[Quantity] = "length"

    kind: Literal["width"]
    label: Label = "width"
    """What its findings are called."""
    line: tuple[Place, Place, Place, Place]
    """From x1, y1 to x2, y2 in pixels of the picture that the step is shown."""
    across: Annotated[int, Field(ge=1, le=500)] = 9
    """Pixels beside the line that are averaged; edges should be square to the line."""
    first: Edge = "any"
    """The edge looked for from the beginning of the line: dark to bright (rising), bright to dark (falling), or any."""
    last: Edge = "any"
    """The edge looked for from the end of the line backwards, rising and falling as seen from the beginning."""
    min_step: Step = 20.0
    """Grey levels that an edge must rise or fall."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        x1, y1, x2, y2 = self.line
        if math.hypot(x2 - x1, y2 - y1) < SHORTEST:
            raise ValueError(f"line must be at least {SHORTEST} pixels long")
        return self


SHORTEST = 8


class CircleTask(_Look):
    """The diameter of a round edge as `value`, in pixels or mm; score is the part of the rays that met the edge."""

    quantity: ClassVar[Quantity] = "diameter"

    kind: Literal["circle"]
    label: Label = "circle"
    """What its findings are called."""
    centre: tuple[Place, Place]
    """About where its middle is, in pixels of the picture that the step is shown."""
    radii: tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(le=65535)]]
    """The edge lies between these distances from there."""
    edge: Edge = "any"
    """Going outwards: dark to bright (rising), bright to dark (falling), or any; the sharpest on each ray counts."""
    rays: Annotated[int, Field(ge=8, le=720)] = 90
    """In how many directions the edge is looked for."""
    round_within: Annotated[float, Field(gt=0, le=100)] = 2.0
    """Pixels: an edge farther from the circle is another thing's, or a burr."""
    min_score: Annotated[float, Field(ge=0.5, le=1)] = 0.7
    """Of the rays, so many must show the edge on one circle, or there is no finding."""
    min_step: Step = 20.0
    """Grey levels that an edge must rise or fall."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.radii[1] - self.radii[0] < SHORTEST:
            raise ValueError(f"radii are the smallest and the largest, at least {SHORTEST} pixels apart")
        return self


class ColourTask(_Look):
    """The part of the picture that has a colour (0 to 1), or the mean of one channel, as `value`."""

    kind: Literal["colour"]
    label: Label = "colour"
    """What its findings are called."""
    space: Literal["hsv", "lab"] = "hsv"
    """hsv: hue 0 to 360 degrees, saturation and value 0 to 100; lab: L 0 to 100, a and b about -128 to 127."""
    low: Triple | None = None
    """Least of each channel; with `high` the value is the share of pixels within; a hue may wrap: low 340, high 20."""
    high: Triple | None = None
    """Most of each channel."""
    mean: Literal["h", "s", "v", "l", "a", "b"] | None = None
    """In place of low and high: the mean of this channel; of the hue only over pixels that have a colour."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.low is None) != (self.high is None) or (self.low is None) == (self.mean is None):
            raise ValueError("needs either low and high, or mean")
        if self.mean is not None and self.mean not in self.space:
            raise ValueError(f"{self.space} has no channel {self.mean!r}; use one of {', '.join(self.space)}")
        first = 1 if self.space == "hsv" else 0
        if self.low and self.high and any(a > b for a, b in zip(self.low[first:], self.high[first:], strict=True)):
            raise ValueError("low must not be more than high, but for the hue")
        return self


class BlobTask(_Look):
    """Connected places darker or brighter than a limit, largest first: outline, score 1, area as `value`."""

    quantity: ClassVar[Quantity] = "area"

    kind: Literal["blob"]
    label: Label = "blob"
    """What its findings are called."""
    looks: Literal["dark", "bright"]
    """dark: grey below the threshold; bright: from it on."""
    threshold: Annotated[int, Field(ge=1, le=255)] | Literal["otsu"] = "otsu"
    """Grey level; otsu: where the picture's greys fall apart best, with at least min_step between both means."""
    min_step: Step = 20.0
    """Of otsu: a picture whose two sides are nearer has no blobs."""
    min_size: Annotated[int, Field(ge=1)] = 25
    """Pixels; what is smaller is no blob."""
    max_size: Annotated[int, Field(ge=1)] | None = None
    """Pixels; what is larger is no blob."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.max_size is not None and self.max_size < self.min_size:
            raise ValueError("max_size must not be less than min_size")
        return self


Measure = CodeTask | TemplateTask | WidthTask | CircleTask | ColourTask | BlobTask
