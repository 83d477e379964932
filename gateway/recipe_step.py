"""The part of a recipe that says what one step looks at, with which network, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.recipe_task import Input, Task
from gateway.yamlfile import Location

STEPS = 8
"""Most steps of a recipe; the least of them is a network's run."""
StepName = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ModelFile(_Part):
    """The network: a file inside the recipe folder and the SHA-256 that it must have."""

    file: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name; no path out of the folder."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """As `sha256sum` prints it; another file is not loaded (2002)."""
    input: Input = Input()


class Step(_Part):
    """One look at the frame: a network, or a task that needs none, and what it finds."""

    name: StepName
    model: ModelFile | None = None
    """The network; left out where the task needs none."""
    task: Task


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
