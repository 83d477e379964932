"""A recipe folder: what to look for, with which model, and the limits. No image code, no network engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from gateway import validation, yamlfile
from gateway.recipe_rules import Check, Name, Rule, Selection, Value, Zone, selection_mistakes
from gateway.recipe_task import REGION, Input, Task
from gateway.yamlfile import FileError, Location, Problem
from protocols.faults import Code
from protocols.signals import CHECKS, VALUES

FILE = "recipe.yaml"


class RecipeError(Exception):
    """A recipe that cannot be used: the code for the PLC, and what is wrong and what to do for people."""

    def __init__(self, code: Code, text: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.problems = problems


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ModelFile(_Part):
    """The network: a file inside the recipe folder and the SHA-256 that it must have."""

    file: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name; no path out of the folder."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """As `sha256sum` prints it; another file is not loaded (2002)."""
    input: Input = Input()


class Recipe(_Part):
    """What to check and the limits: the first rule that fires gives the verdict, none is OK."""

    recipe: Name
    number: Annotated[int, Field(ge=1, le=65535)]
    revision: Annotated[int, Field(ge=0, le=65535)] = 1
    description: Annotated[str, Field(max_length=500)] = ""
    model: ModelFile
    task: Task
    checks: Annotated[tuple[Check, ...], Field(max_length=CHECKS)] = ()
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=100)]
    values: Annotated[tuple[Value, ...], Field(max_length=VALUES)] = ()
    zones: Annotated[tuple[Zone, ...], Field(max_length=100)] = ()
    """Places of the frame that conditions name."""
    mm_per_px: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Millimetres of the part for each pixel of the frame; then lengths, distances, areas and positions are in mm."""
    _folder: Path = PrivateAttr(default=Path())

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe

    @property
    def folder(self) -> Path:
        """Where the recipe was read."""
        return self._folder

    @property
    def model_path(self) -> Path:
        """The model file, which `load` has found to lie inside the folder."""
        return self.folder / self.model.file

    def placed(self, folder: Path) -> Self:
        """This recipe, told that it stands in `folder`."""
        self._folder = folder
        return self


def load(folder: Path) -> Recipe:
    """The recipe in `folder`, checked; raises RecipeError (7001, or 2001 for a model outside the folder).

    Reads recipe.yaml alone: `verify` reads the model file.
    """
    file = folder / FILE
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir() raises for a name that is too long
        raise RecipeError(Code.CONFIG_INVALID, f"{folder}: there is no such recipe folder; check the path")
    try:
        document = yamlfile.read(file)
        recipe = validation.build(document, Recipe).placed(folder)
    except FileError as error:
        raise RecipeError(Code.CONFIG_INVALID, str(error), tuple(error.problems)) from None
    if wrong := _outside(recipe):
        problem = document.problem(("model", "file"), wrong)
        raise RecipeError(Code.MODEL_LOAD, str(problem), (problem,))
    problems = tuple(document.problem(location, message) for location, message in mistakes(recipe))
    if problems:
        raise RecipeError(Code.CONFIG_INVALID, "\n".join(str(problem) for problem in problems), problems)
    return recipe


def verify(recipe: Recipe) -> None:
    """Compare the model file with the recipe's SHA-256; raises RecipeError (2001 not readable, 2002 another file)."""
    import hashlib  # OpenSSL takes some milliseconds to load, and nobody who only judges needs it

    path = recipe.model_path
    digest = hashlib.sha256()
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "no such file")
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    except OSError as error:
        text = f"{path}: the model cannot be read ({error.strerror}); copy the model file again"
        raise RecipeError(Code.MODEL_LOAD, text) from None
    found = digest.hexdigest()
    if found != recipe.model.sha256:
        raise RecipeError(
            Code.MODEL_HASH,
            f"{path}: the file has SHA-256 {found}, {FILE} names {recipe.model.sha256}; "
            f"restore the file, or put the new value into {recipe.folder / FILE} after a test",
        )


def _outside(recipe: Recipe) -> str | None:
    """Why model.file is not a file inside the folder; a link may lead to another place of the folder only.

    A hard link is let pass: it cannot be told from a file, backups and package stores make them, and the hash holds
    for the content whatever its name.
    """
    name = recipe.model.file
    parts = PurePosixPath(name).parts
    if "\\" in name or "\0" in name or ":" in name or name.startswith("/") or ".." in parts:
        return f"{name!r} does not stay in the recipe folder; put the model there and name it without a path"
    folder = recipe.folder.resolve()
    try:
        inside = (folder / name).resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a loop of links; RuntimeError until Python 3.12
        inside = False
    return None if inside else f"{name!r} is a link that leads out of the recipe folder; copy the model into it"


def mistakes(recipe: Recipe) -> Iterator[tuple[Location, str]]:
    """What is wrong between the parts of a recipe: place in the file and one sentence."""
    zones = frozenset(zone.name for zone in recipe.zones)
    for part in ("checks", "rules", "values", "zones"):
        first: dict[str, int] = {}
        for index, item in enumerate(getattr(recipe, part)):
            if first.setdefault(item.name, index) != index:
                message = f"{item.name!r} is already the name of {part}[{first[item.name]}]; give it another one"
                yield (part, index, "name"), message
            if part == "zones":
                continue
            key = "of" if part == "values" else "when"
            for location, message in selection_mistakes(getattr(item, key), recipe.task.classes, zones):
                yield (part, index, key, *location), message
    classes = recipe.task.classes or ()
    if len(set(classes)) != len(classes):
        yield ("task", "classes"), "a label is listed twice; every class needs one of its own"


def doubts(recipe: Recipe) -> Iterator[str]:
    """What is allowed in a recipe but seldom meant."""
    for rule in recipe.rules:
        if rule.when.max_score is not None and rule.when.max_score <= recipe.task.min_score:
            text = f"rule {rule.name!r} never fires, as nothing below task.min_score ({recipe.task.min_score}) is found"
            yield f"{text}; lower that, or raise max_score"
    covered: set[str] = set()
    for rule in recipe.rules:
        if rule.when.wanted is None:
            return
        covered |= rule.when.wanted
    if unused := sorted(set(recipe.task.classes or ()) - covered - {REGION}):  # what is a region is an anomaly already
        yield f"no rule looks at {', '.join(unused)}: such a part is OK; add a rule if it is not"


def unknown_labels(recipe: Recipe, labels: tuple[str, ...]) -> Iterator[str]:
    """Labels that the recipe waits for and the model never says."""

    named: list[tuple[str, Selection]] = [
        *((f"check {check.name!r}", check.when) for check in recipe.checks),
        *((f"rule {rule.name!r}", rule.when) for rule in recipe.rules),
        *((f"value {value.name!r}", value.of) for value in recipe.values),
    ]
    for name, selection in named:
        others = selection.near.to.wanted if selection.near is not None else None
        for label in sorted(((selection.wanted or frozenset()) | (others or frozenset())) - set(labels)):
            yield f"{name}: the model knows no {label!r}; use one of {', '.join(labels)}"
