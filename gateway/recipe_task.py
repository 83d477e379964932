"""The part of a recipe that says how pictures become tensors and tensors become findings."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gateway.recipe_measure import Measure, Quantity
from gateway.recipe_parts import Label, Part, Score

Resize = Literal["stretch", "letterbox", "letterbox_corner", "crop"]
DetectFormat = Literal[
    "end2end",
    "yolov5",
    "yolov8",
    "yolov8_grid",
    "yolox",
    "yolox_grid",
    "detr",
    "boxes",
    "tf_boxes",
    "ssd",
    "fastestdet",
    "detection_output",
]
ANOMALY, REGION = "anomaly", "region"
"""Labels of an anomaly task: the picture as a whole, and each place that stands out."""

UNSEEN = "unseen"
"""Label of a step that has nothing to look at."""


class Input(Part):
    """How the network wants its picture: value = (pixel * scale - mean) / std, for each colour."""

    size: tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]] | None = None
    """Width and height, of a network whose input is of open size."""
    colour: Literal["bgr", "rgb"] | None = None
    """Order of the colours; default rgb, of an input of bytes bgr."""
    scale: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Default 1/255, so that values lie in 0..1; of an input of bytes 1."""
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Taken off after scaling, in the order of the colours."""
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Divided by at last, in the order of the colours."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not all(math.isfinite(value) for value in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise ValueError("mean and std must be finite numbers, and std more than 0")
        return self


class _Task(Part):
    needs_model: ClassVar[bool] = True
    """Whether a network is needed; a task without one looks at the picture itself."""
    quantity: ClassVar[Quantity] = "other"
    min_score: Score = 0.25
    """What scores less is no finding at all."""
    resize: Resize | None = None
    """How a picture is fitted to the input; default: as the format's family is trained.

    stretch; letterbox: scaled evenly, grey borders around; letterbox_corner: the same, picture in the upper left
    corner; crop: scaled evenly until it fills the input, what sticks out is cut off.
    """


class _Boxes(_Task):
    """What all networks that find things by boxes have."""

    classes: Annotated[tuple[Label, ...], Field(min_length=1, max_length=1000)] | None = None
    """Labels by class number; None: as the model's metadata names them."""
    boxes: Literal["centre", "corners"] | None = None
    """Centre and size, or two corners; default: as usual for the format."""
    max_overlap: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Of two boxes of one class that overlap more (intersection over union) the better stays."""
    background: Literal["none", "first", "last"] | None = None
    """Which class number means nothing at all, default as usual for the format; first: labels begin with number 1."""


class Detect(_Boxes):
    """Boxes with label and score."""

    kind: Literal["detect"]
    format: DetectFormat | None = None
    """What the outputs hold; left out: as the model's metadata or the names of its outputs tell."""


class Oriented(_Boxes):
    """Turned boxes with label, score and angle."""

    kind: Literal["oriented"]
    format: Literal["yolov8", "end2end"] | None = None
    """What the outputs hold; left out: as the model's metadata tells."""


class Segment(_Boxes):
    """Boxes with label, score and the outline of a mask."""

    kind: Literal["segment"]
    format: Literal["yolov8", "end2end", "detr", "boxes"] | None = None
    """What the outputs hold; left out: as the model's metadata or the names of its outputs tell."""


class Keypoints(_Boxes):
    """Boxes with label, score and named places of the thing."""

    kind: Literal["keypoints"]
    format: Literal["yolov8", "end2end"] | None = None
    """What the outputs hold; left out: as the model's metadata tells."""
    points: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many; left out: as the model's metadata (`kpt_shape`) tells."""
    point_numbers: Annotated[int, Field(ge=2, le=3)] = 3
    """Numbers for each point, where `points` is given: x, y and score, or x and y."""


class Semantic(_Task):
    """A class for each pixel; each place of one class is a finding with its outline."""

    kind: Literal["semantic"]
    format: Literal["logits", "probabilities", "labels"] | None = None
    """One plane for each class: logits (sigmoid is taken of a single one) or probabilities; or a map of class numbers.

    Left out: as the model's metadata tells.
    """
    classes: Annotated[tuple[Label, ...], Field(min_length=1, max_length=1000)] | None = None
    """Labels by class number, without the background; None: as the model's metadata names them."""
    background: Literal["none", "first"] = "first"
    """Whether class number 0 means nothing, and labels begin with number 1; of no matter where there is one plane."""
    min_region: Annotated[int, Field(ge=1, le=1_000_000)] = 9
    """Regions of fewer pixels of the map are left out."""


class Classify(_Task):
    """One label or several for the whole picture."""

    kind: Literal["classify"]
    format: Literal["probabilities", "logits", "multilabel"]
    """probabilities: used as they are; logits: softmax is taken; multilabel: each label for itself, by sigmoid."""
    classes: Annotated[tuple[Label, ...], Field(min_length=1, max_length=1000)] | None = None
    """Labels by class number; None: as the model's metadata names them."""


class Scaling(Part):
    """How raw distances become scores: (x - threshold) / (max - min) + 0.5; anomalib 1 gives it in metadata.json."""

    image_threshold: float
    pixel_threshold: float
    min: float
    max: float

    @model_validator(mode="after")
    def _usable(self) -> Self:
        values = (self.image_threshold, self.pixel_threshold, self.min, self.max)
        if not all(math.isfinite(value) for value in values) or self.max <= self.min:
            raise ValueError("all four must be finite numbers, and max more than min")
        return self


class Anomaly(_Task):
    """How unlike the good parts a picture is: one score, and regions of the anomaly map. 0.5 is the trained limit."""

    kind: Literal["anomaly"]
    min_score: Score = 0.0
    """Scores below are no finding; 0 keeps the score of good parts, which shows how near to the limit they are."""
    region_score: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Pixels of the map from this score on belong to a region."""
    min_region: Annotated[int, Field(ge=1, le=1_000_000)] = 9
    """Regions of fewer pixels of the map are left out."""
    scaling: Scaling | None = None
    """Of a network that gives raw distances; left out: it gives scores from 0 to 1."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of its findings."""
        return (ANOMALY, REGION)


Network = Detect | Oriented | Segment | Keypoints | Semantic | Classify | Anomaly
Task = Annotated[Network | Measure, Field(discriminator="kind")]
