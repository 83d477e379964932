"""The part of a recipe that says what one step looks at, with which network, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.recipe_measure import Reference, TemplateTask
from gateway.recipe_parts import Label, Score
from gateway.recipe_task import UNSEEN, Input, Task
from gateway.yamlfile import Location

STEPS = 8
"""Most steps of a recipe; the least of them is a network's run."""
SPOTS = 32
"""Most parts of the frame that one step looks at because of what an earlier one found."""
TILES = 64
"""Most tiles of one picture."""
StepName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


Edge = Annotated[int, Field(ge=0, le=65535)]
Offset = Annotated[float, Field(ge=-1e5, le=1e5)]
Box = tuple[Offset, Offset, Offset, Offset]
Side = Annotated[int, Field(ge=16, le=16384)]


class ModelFile(_Part):
    """The network: a file inside the recipe folder and the SHA-256 that it must have."""

    file: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name; no path out of the folder."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """As `sha256sum` prints it; another file is not loaded (2002)."""
    input: Input = Input()


class CalibrationFile(_Part):
    """What `gateway camera calibrate` made: a file inside the recipe folder and the SHA-256 that it must have."""

    file: Annotated[str, Field(min_length=1, max_length=200)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Tiles(_Part):
    """A large picture is looked at piece by piece; what lies in two pieces is told once."""

    size: tuple[Side, Side]
    """Width and height of a piece, in pixels of the frame."""
    overlap: Annotated[int, Field(ge=0, le=8192)]
    """Pixels that neighbours have in common: the size of what is looked for, or of what tells it apart."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if 2 * self.overlap > min(self.size):
            raise ValueError("overlap must be at most half of the smaller side")
        return self


class Picture(_Part):
    """What a step is shown; all positions it finds are told in pixels of the frame all the same."""

    region: tuple[Edge, Edge, Edge, Edge] | None = None
    """x1, y1, x2, y2 in pixels of the frame; a frame that is smaller ends as 1005. Left out: the whole frame."""
    rotate: Annotated[float, Field(gt=-360, lt=360)] = 0.0
    """Degrees clockwise; by any but quarter turns the picture grows, its corners are grey."""
    undistort: bool = False
    """Take the lens's distortion off, by the recipe's calibration; then region is in pixels of the straight picture."""
    tiles: Tiles | None = None
    """Look at it piece by piece."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.region is not None and not (self.region[0] < self.region[2] and self.region[1] < self.region[3]):
            raise ValueError("region is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        return self


class On(_Part):
    """Look at what an earlier step found, in place of the frame: each is cut out, straightened if it is turned."""

    step: StepName
    labels: Annotated[tuple[Label, ...], Field(min_length=1, max_length=100)] | None = None
    """Only at these; left out: at all."""
    min_score: Score = 0.0
    """Only at findings of this score and more."""
    min_side: Annotated[float, Field(ge=0, le=65535)] = 0.0
    """Only at findings whose shorter side has so many pixels."""
    best: Annotated[int, Field(ge=1, le=SPOTS)] | None = None
    """Only at so many, those with the highest scores; left out: at all, and more than can be looked at are unseen."""
    margin: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Added on each side, in parts of the finding's width and height."""
    regions: Annotated[tuple[Box, ...], Field(max_length=8)] = ()
    """Look at these parts instead: x1, y1, x2, y2 in pixels from the finding's middle, along its angle."""
    required: bool = True
    """Where there is nothing to look at, or a region leaves the frame, the part is not OK: RECHECK, or what a rule
    on the label `unseen` says."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        for x1, y1, x2, y2 in self.regions:
            if not (x1 + 2 <= x2 and y1 + 2 <= y2):
                raise ValueError("a region is x1, y1, x2, y2 with at least two pixels between x1 and x2, and y1 and y2")
        if self.regions and self.margin:
            raise ValueError("margin has no place beside regions; make them larger")
        return self


class Step(_Part):
    """One look at the frame: a network, or a task that needs none, and what it finds."""

    name: StepName
    on: On | None = None
    """What an earlier step found; left out: the frame."""
    picture: Picture = Picture()
    model: ModelFile | None = None
    """The network; left out where the task needs none."""
    task: Task

    @property
    def files(self) -> tuple[tuple[Location, ModelFile | Reference], ...]:
        """What it needs of the recipe's folder, and where that is named: a network, or a reference picture."""
        if self.model is not None:
            return ((("model", "file"), self.model),)
        return ((("task", "image", "file"), self.task.image),) if isinstance(self.task, TemplateTask) else ()


def step_mistakes(step: Step) -> Iterator[tuple[Location, str]]:
    """What is wrong within one step: place in it and one sentence."""
    kind = step.task.kind
    if step.task.needs_model and step.model is None:
        yield ("task", "kind"), f"{kind!r} needs a network; name its file and SHA-256 under model"
    if step.model is not None and not step.task.needs_model:
        yield ("model",), f"task.kind {kind!r} needs no network; remove it"
    classes = step.task.classes or ()
    if len(set(classes)) != len(classes):
        yield ("task", "classes"), "a label is listed twice; every class needs one of its own"
    if UNSEEN in classes:
        yield ("task", "classes"), f"{UNSEEN!r} is said where a step has nothing to look at; name the class otherwise"
    if step.on is not None and step.picture.region is not None:
        yield ("picture", "region"), "has no place beside on; use on.regions or on.margin"


def chain_mistakes(steps: Sequence[Step]) -> Iterator[tuple[Location, str]]:
    """What is wrong between the steps: place in their list and one sentence."""
    earlier: dict[str, Step] = {}
    for index, step in enumerate(steps):
        if step.on is not None:
            first = earlier.get(step.on.step)
            if first is None:
                names = ", ".join(earlier) or "none, as it is the first"
                yield (index, "on", "step"), f"{step.on.step!r} is no earlier step; use one of these: {names}"
            elif first.task.classes is not None:
                for label in sorted(set(step.on.labels or ()) - set(first.task.classes)):
                    known = ", ".join(first.task.classes)
                    yield (index, "on", "labels"), f"step {first.name!r} knows no {label!r}; use one of {known}"
        earlier.setdefault(step.name, step)


def outside(folder: Path, name: str) -> str | None:
    """Why `name` is not a file inside the folder; a link may lead to another place of the folder only.

    A hard link is let pass: it cannot be told from a file, backups and package stores make them, and the hash holds
    for the content whatever its name.
    """
    parts = PurePosixPath(name).parts
    if "\\" in name or "\0" in name or ":" in name or name.startswith("/") or ".." in parts:
        return f"{name!r} does not stay in the recipe folder; put the file there and name it without a path"
    folder = folder.resolve()
    try:
        inside = (folder / name).resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a loop of links; RuntimeError until Python 3.12
        inside = False
    return None if inside else f"{name!r} is a link that leads out of the recipe folder; copy the file into it"
