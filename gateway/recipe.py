"""A recipe folder: what to look for, with which model, and the limits. No image code, no network engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from gateway import calibration, validation, yamlfile
from gateway.calibration import Calibration
from gateway.recipe_measure import Quantity, Reference
from gateway.recipe_rules import Check, Rule, Value, rule_mistakes
from gateway.recipe_selection import Name, Selection, Zone, selection_mistakes
from gateway.recipe_step import STEPS, CalibrationFile, ModelFile, Picture, Step, chain_mistakes, outside, step_mistakes
from gateway.recipe_task import REGION, UNSEEN, Task
from gateway.recipe_variant import VARIANTS, UnknownPart, Variant
from gateway.ruler import Ruler
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


ONLY = "look"
"""Name of the one step of a recipe that lists none."""


class Recipe(_Part):
    """What to check and the limits: the first rule that fires gives the verdict, none is OK."""

    recipe: Name
    number: Annotated[int, Field(ge=1, le=65535)]
    revision: Annotated[int, Field(ge=0, le=65535)] = 1
    description: Annotated[str, Field(max_length=500)] = ""
    model: ModelFile | None = None
    """Of the only step; with `task` the short form of a recipe of one step."""
    task: Task | None = None
    """Of the only step."""
    picture: Picture | None = None
    """Of the only step."""
    steps: Annotated[tuple[Step, ...], Field(max_length=STEPS)] = ()
    """Several looks at one frame, in their order, in place of model and task."""
    checks: Annotated[tuple[Check, ...], Field(max_length=CHECKS)] = ()
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=100)]
    values: Annotated[tuple[Value, ...], Field(max_length=VALUES)] = ()
    zones: Annotated[tuple[Zone, ...], Field(max_length=100)] = ()
    """Places of the frame that conditions name."""
    mm_per_px: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Millimetres of the part for each pixel of the frame; then lengths, distances, areas and positions are in mm."""
    calibration: CalibrationFile | None = None
    """Of the camera, for `undistort`; with a plane, lengths, distances, areas and positions are in mm."""
    variants: Annotated[tuple[Variant, ...], Field(max_length=VARIANTS)] = ()
    """Limits of their own for some parts, by PART_ID or SERIAL."""
    unknown_part: UnknownPart | None = None
    """What is said of a part that no variant fits; goes with variants."""
    _folder: Path = PrivateAttr(default=Path())
    _lens: Calibration | None = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe

    @property
    def folder(self) -> Path:
        """Where the recipe was read."""
        return self._folder

    @property
    def lens(self) -> Calibration | None:
        """The calibration, which `load` or `complete` has read."""
        if (self._lens is None) != (self.calibration is None):
            raise RuntimeError(f"the calibration of recipe {self.name} was not read")
        return self._lens

    @property
    def ruler(self) -> Ruler:
        """What lengths and positions are measured by."""
        if self.lens is not None and self.lens.plane is not None:
            return Ruler(plane=self.lens)
        return Ruler(self.mm_per_px or 1.0)

    @property
    def models(self) -> tuple[ModelFile | Reference, ...]:
        """The networks and reference pictures, in the order of the steps."""
        return tuple(file for step in self.steps for _, file in step.files)

    @property
    def model_mark(self) -> str:
        """SHA-256 that stands for all of `models`: of one its own, of several that of theirs in a row."""
        found = [model.sha256 for model in self.models]
        if len(found) == 1:
            return found[0]
        import hashlib  # OpenSSL takes some milliseconds to load, and most recipes do without

        return hashlib.sha256(bytes.fromhex("".join(found))).hexdigest()

    @cached_property
    def classes(self) -> tuple[str, ...] | None:
        """All labels that findings may have, each once; None where a model's metadata names some."""
        found: dict[str, None] = {}
        for step in self.steps:
            if step.task.classes is None:
                return None
            found |= dict.fromkeys(step.task.classes)
        if any(step.on is not None and step.on.required for step in self.steps):
            found[UNSEEN] = None
        return tuple(found)

    @cached_property
    def quantities(self) -> Mapping[str, Quantity]:
        """What was measured under which label, where the recipe is written in mm; empty where pixels stay pixels."""
        if self.ruler == Ruler():
            return {}
        measured = ((step.task.classes or (), step.task.quantity) for step in self.steps)
        return {label: quantity for labels, quantity in measured for label in labels if quantity != "other"}

    @cached_property
    def varied(self) -> Mapping[str, Recipe]:
        """What each variant judges by: a recipe without variants, by the variant's name."""
        return {variant.name: self._with(variant) for variant in self.variants}

    def _with(self, variant: Variant) -> Recipe:
        own: dict[str, Any] = {"rules": variant.rules, "zones": variant.zones}
        changed = {key: value for key, value in own.items() if value is not None}
        return self.model_copy(update={**changed, "variants": (), "unknown_part": None})

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """Of the recipe and its variants."""
        return (*self.rules, *(rule for variant in self.variants for rule in variant.rules or ()))

    def path(self, model: ModelFile | Reference) -> Path:
        """Where a model file is, which `load` has found to lie inside the folder."""
        return self.folder / model.file

    @property
    def tags(self) -> tuple[tuple[int, str], ...]:
        """Which rules ask for which tags."""
        return tuple((index, rule.tag.of) for index, rule in enumerate(self.all_rules) if rule.tag is not None)

    def placed(self, folder: Path) -> Self:
        """This recipe, told that it stands in `folder`."""
        self._folder = folder
        return self

    @model_validator(mode="after")
    def _in_steps(self) -> Self:
        """The short form is told as one step, so that nobody has to know two forms."""
        if self.task is None:
            if self.model is not None or self.picture is not None or not self.steps:
                raise ValueError("needs either task (with model and picture) or steps")
        elif self.steps:
            raise ValueError("has both task and steps; move task, model and picture into a step of their own")
        else:
            only = Step(name=ONLY, picture=self.picture or Picture(), model=self.model, task=self.task)
            object.__setattr__(self, "steps", (only,))
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The form that was read, and of what may be left out only what is there."""
        content: dict[str, Any] = inner(self)
        for key in ("model", "task", "picture", "calibration"):
            if content[key] is None:
                del content[key]
        if self.task is not None:
            del content["steps"]
        if not self.variants:
            del content["variants"], content["unknown_part"]
        return content


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
    for location, step in located(recipe):
        for place, needed in step.files:
            if wrong := outside(folder, needed.file):
                problem = document.problem((*location, *place), wrong)
                raise RecipeError(Code.MODEL_LOAD, str(problem), (problem,))
    if recipe.calibration is not None and (wrong := outside(folder, recipe.calibration.file)):
        problem = document.problem(("calibration", "file"), wrong)
        raise RecipeError(Code.CONFIG_INVALID, str(problem), (problem,))
    problems = tuple(document.problem(location, message) for location, message in mistakes(recipe))
    if problems:
        raise RecipeError(Code.CONFIG_INVALID, "\n".join(str(problem) for problem in problems), problems)
    return complete(recipe)


def complete(recipe: Recipe) -> Recipe:
    """Read what lies beside recipe.yaml and is needed to judge: the calibration; RecipeError 7001."""
    if recipe.calibration is None:
        return recipe
    import hashlib  # OpenSSL takes some milliseconds to load

    path = recipe.folder / recipe.calibration.file
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != recipe.calibration.sha256:
            text = f"{path}: the file has SHA-256 {found}, {FILE} names {recipe.calibration.sha256}"
            raise RecipeError(Code.CONFIG_INVALID, f"{text}; restore the file, or enter the new value after a test")
        recipe._lens = calibration.parse(content.decode("utf-8", "replace"), str(path))
    except OSError as error:
        text = f"{path}: the calibration cannot be read ({error.strerror}); copy it into the recipe's folder"
        raise RecipeError(Code.CONFIG_INVALID, text) from None
    except FileError as error:
        raise RecipeError(Code.CONFIG_INVALID, str(error), tuple(error.problems)) from None
    if recipe.mm_per_px is not None and recipe._lens.plane is not None:
        text = f"{recipe.folder / FILE}: mm_per_px has no place beside a calibration with a plane; remove it"
        raise RecipeError(Code.CONFIG_INVALID, text)
    return recipe


def verify(recipe: Recipe) -> None:
    """Compare the model files with the recipe's SHA-256; raises RecipeError (2001 not readable, 2002 another file)."""
    for model in recipe.models:
        _verify(recipe, model)


def _verify(recipe: Recipe, model: ModelFile | Reference) -> None:
    import hashlib  # OpenSSL takes some milliseconds to load, and nobody who only judges needs it

    path = recipe.path(model)
    digest = hashlib.sha256()
    try:
        if not path.is_file():
            raise FileNotFoundError(2, "no such file")
        with path.open("rb") as stream:
            while block := stream.read(2**20):
                digest.update(block)
    except OSError as error:
        text = f"{path}: the file cannot be read ({error.strerror}); copy it again"
        raise RecipeError(Code.MODEL_LOAD, text) from None
    found = digest.hexdigest()
    if found != model.sha256:
        raise RecipeError(
            Code.MODEL_HASH,
            f"{path}: the file has SHA-256 {found}, {FILE} names {model.sha256}; "
            f"restore the file, or put the new value into {recipe.folder / FILE} after a test",
        )


def located(recipe: Recipe) -> Iterator[tuple[Location, Step]]:
    """The steps and where each stands in the file."""
    for index, step in enumerate(recipe.steps):
        yield ("steps", index) if recipe.task is None else (), step


def mistakes(recipe: Recipe) -> Iterator[tuple[Location, str]]:
    """What is wrong between the parts of a recipe: place in the file and one sentence."""
    zones, classes = frozenset(zone.name for zone in recipe.zones), recipe.classes
    for place, step in located(recipe):
        yield from (((*place, *location), message) for location, message in step_mistakes(step))
        if step.picture.undistort and recipe.calibration is None:
            yield (*place, "picture", "undistort"), "needs a calibration; see `gateway camera calibrate`"
    yield from ((("steps", *location), message) for location, message in chain_mistakes(recipe.steps))
    for part in ("steps", "checks", "rules", "values", "zones", "variants"):
        first: dict[str, int] = {}
        for index, item in enumerate(getattr(recipe, part)):
            if first.setdefault(item.name, index) != index:
                message = f"{item.name!r} is already the name of {part}[{first[item.name]}]; give it another one"
                yield (part, index, "name"), message
            for location, message in _within(item, classes, zones):
                yield (part, index, *location), message
    yield from _variant_mistakes(recipe)
    yield from _quantity_mistakes(recipe)


def _quantity_mistakes(recipe: Recipe) -> Iterator[tuple[Location, str]]:
    """One label, one unit."""
    known: dict[str, str] = {}
    for place, step in located(recipe):
        for label in step.task.classes or ():
            first = known.setdefault(label, step.task.quantity)
            if first != step.task.quantity:
                text = f"{label!r} is the label of an earlier step that measures something else; give it another one"
                yield (*place, "task"), text


def _within(
    item: Step | Check | Rule | Value | Zone | Variant, classes: tuple[str, ...] | None, zones: frozenset[str]
) -> Iterator[tuple[Location, str]]:
    if isinstance(item, Rule):
        yield from rule_mistakes(item, classes, zones)
    elif isinstance(item, Check | Value):
        key, selection = ("of", item.of) if isinstance(item, Value) else ("when", item.when)
        yield from (((key, *location), message) for location, message in selection_mistakes(selection, classes, zones))


def _variant_mistakes(recipe: Recipe) -> Iterator[tuple[Location, str]]:
    if recipe.variants and recipe.unknown_part is None:
        yield ("variants",), "need unknown_part, which says what becomes of a part that none fits"
    if not recipe.variants and recipe.unknown_part is not None:
        yield ("unknown_part",), "has no place without variants; remove it"
    plain = (
        set(mistakes(recipe.model_copy(update={"variants": (), "unknown_part": None}))) if recipe.variants else set()
    )
    for index, variant in enumerate(recipe.variants):
        for location, message in mistakes(recipe.varied[variant.name]):
            if getattr(variant, str(location[0]), None) is not None:
                yield ("variants", index, *location), message
            elif (location, message) not in plain:  # what the recipe says does not fit the variant's zones
                yield ("variants", index, "zones"), f"{yamlfile.dotted(location)}: {message}"


SINGLE = frozenset({"code", "width", "circle"})
"""Kinds of tasks that read or measure one thing, and find nothing where it is hidden or missing."""


def doubts(recipe: Recipe) -> Iterator[str]:
    """What is allowed in a recipe but seldom meant."""
    least = min(step.task.min_score for step in recipe.steps)
    for rule in recipe.rules:
        if rule.when is not None and rule.when.max_score is not None and rule.when.max_score <= least:
            text = f"rule {rule.name!r} never fires, as nothing below task.min_score ({least}) is found"
            yield f"{text}; lower that, or raise max_score"
    yield from _unmissed(recipe)
    covered: set[str] = set()
    for asks in (rule.asks for rule in recipe.rules if rule.asks is not None):
        if asks.wanted is None:
            return
        covered |= asks.wanted
    covered |= {REGION, UNSEEN}  # what is a region is an anomaly already, and what is unseen is never OK
    if unused := sorted(set(recipe.classes or ()) - covered):
        yield f"no rule looks at {', '.join(unused)}: such a part is OK; add a rule if it is not"


def _unmissed(recipe: Recipe) -> Iterator[str]:
    """Steps that read or measure one thing, which nobody would miss."""
    for step in (step for step in recipe.steps if step.task.kind in SINGLE):
        labels = frozenset(step.task.classes or ())
        for rules in (kind.rules for kind in (*recipe.varied.values(),) or (recipe,)):
            missed = (rule.asks for rule in rules if rule.asks is not None and rule.asks.holds(0))
            if not any(asks.wanted is None or asks.wanted & labels for asks in missed):
                what = ", ".join(sorted(labels))
                text = f"no rule misses {what}: a part on which step {step.name!r} finds nothing is OK"
                yield f"{text}; add a rule with expect"
                break


def unknown_labels(recipe: Recipe, labels: tuple[str, ...]) -> Iterator[str]:
    """Labels that the recipe waits for and the model never says."""

    named: list[tuple[str, Selection]] = [
        *((f"check {check.name!r}", check.when) for check in recipe.checks),
        *((f"rule {rule.name!r}", rule.asks) for rule in recipe.all_rules if rule.asks is not None),
        *((f"value {value.name!r}", value.of) for value in recipe.values),
    ]
    for name, selection in named:
        others = selection.near.to.wanted if selection.near is not None else None
        for label in sorted(((selection.wanted or frozenset()) | (others or frozenset())) - set(labels)):
            yield f"{name}: the model knows no {label!r}; use one of {', '.join(labels)}"
