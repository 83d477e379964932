"""A recipe on another engine, compared with the reference on real pictures: a process of its own, as a model may
crash, hang or eat memory."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from gateway import child
from gateway.inspection import Finding
from gateway.vision.engine_settings import EngineConfig, OnnxRuntimeConfig

if TYPE_CHECKING:
    from gateway.recipe import Recipe
    from gateway.vision.frames import Pixels

Point = tuple[float, float]
Outline = tuple[Point, ...]
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


@dataclass(slots=True)
class Compared:
    """What the comparison has found so far."""

    pictures: int = 0
    findings: int = 0
    score: float = 0.0
    box: float = 0.0
    worst: str = ""
    """The picture with the largest difference of a box, or of a score where no box moved."""
    alone: list[str] = field(default_factory=list)
    """Findings of one engine that the other has not."""
    verdicts: list[str] = field(default_factory=list)
    """Pictures that are judged otherwise."""


def main(arguments: list[str]) -> None:
    """ORDER (JSON), PARENT: print what was found, or {"error": sentence}."""
    order, parent = json.loads(arguments[0]), int(arguments[1])
    child.die_with(parent)
    child.limit_memory(order["memory_mb"])
    answer = child.quiet()
    from gateway.recipe import RecipeError
    from gateway.vision.engines import EngineError
    from gateway.vision.tasks import TaskError

    try:
        told = _compare(order)
    except (EngineError, TaskError, RecipeError) as error:
        told = {"error": error.text}
    except MemoryError:
        told = {"error": f"it needs more than {order['memory_mb']} MB of memory"}
    with answer:
        answer.write(json.dumps(told))


def _compare(order: dict[str, Any]) -> dict[str, Any]:
    from gateway import recipe as recipes
    from gateway.vision.pipeline import Pipeline

    recipe = recipes.load(Path(order["recipe"]))
    config: EngineConfig = TypeAdapter(EngineConfig).validate_python(order["engine"])
    reference, other = Pipeline(recipe, OnnxRuntimeConfig()), Pipeline(recipe, config, proven=False)
    found = Compared()
    for name, picture in pictures(Path(order["pictures"])):
        theirs, ours = reference.look(picture, _any)[0], other.look(picture, _any)[0]
        found.pictures += 1
        note(found, recipe, name, theirs, ours, order["most_score"])
    return {**asdict(found), "runs": [asdict(runs) for runs in other.runs], "missed": other.missed}


def pictures(folder: Path) -> Iterator[tuple[str, Pixels]]:
    """The pictures below a folder in the order of their names; what is none is left out."""
    import cv2
    import numpy as np

    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            yield str(path.relative_to(folder)), np.asarray(picture, np.uint8)


def note(
    found: Compared, recipe: Recipe, name: str, theirs: Sequence[Finding], ours: Sequence[Finding], margin: float
) -> None:
    """Pair the findings of both engines of one picture, and keep the largest differences.

    One that scores less than `margin` above the limit may fail to be found by the other.
    """
    from gateway.judge import judge

    kinds = tuple(recipe.varied.values()) or (recipe,)  # a part may be of any variant
    if any(judge(kind, theirs).verdict is not judge(kind, ours).verdict for kind in kinds):
        found.verdicts.append(name)
    found.findings += len(theirs)
    left = list(ours)
    for finding in theirs:
        pair = min((o for o in left if o.label == finding.label), key=lambda o: distance(o, finding), default=None)
        if pair is None:
            _alone(found, recipe, name, finding, margin)
            continue
        left.remove(pair)
        moved, changed = distance(pair, finding), abs(pair.score - finding.score)
        if (moved, changed) > (found.box, found.score):
            found.worst = name
        found.box, found.score = max(found.box, moved), max(found.score, changed)
    for finding in left:
        _alone(found, recipe, name, finding, margin)


def _alone(found: Compared, recipe: Recipe, name: str, finding: Finding, margin: float) -> None:
    if finding.score > min(step.task.min_score for step in recipe.steps) + margin:
        found.alone.append(f"{name}: {finding.label} {finding.score:.2f}")


def distance(one: Finding, other: Finding) -> float:
    """How far the corners, outlines and points of two findings lie apart, in pixels."""
    if len(one.points) != len(other.points) or bool(one.outline) is not bool(other.outline):
        return float("inf")
    pairs = [*zip(one.box, other.box, strict=True)]
    pairs += [pair for a, b in zip(one.points, other.points, strict=True) for pair in zip(a[:2], b[:2], strict=True)]
    far = max(abs(a - b) for a, b in pairs)
    return max(far, _astray(one.outline, other.outline), _astray(other.outline, one.outline))


def _astray(corners: Outline, outline: Outline) -> float:
    """How far the corner that lies farthest from an outline lies from it."""
    sides = [*zip(outline, (*outline[1:], *outline[:1]), strict=True)]
    return max((min(_off(corner, *side) for side in sides) for corner in corners), default=0.0)


def _off(point: Point, begin: Point, end: Point) -> float:
    (x, y), (x1, y1), (x2, y2) = point, begin, end
    length = (x2 - x1) ** 2 + (y2 - y1) ** 2
    along = min(1.0, max(0.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length)) if length else 0.0
    return math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1))


def _any(picture: Pixels) -> None:
    """Every picture may be judged."""


if __name__ == "__main__":
    main(sys.argv[1:])
