"""What the tests of tasks share: networks that are nothing but their outputs."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from gateway.inspection import Finding
from gateway.recipe_task import Task as Settings
from gateway.ruler import enclosed
from gateway.vision.engines import EngineInfo
from gateway.vision.image import Placement
from gateway.vision.tasks import Task, make_task

LABELS = ("scratch", "burr")
WHOLE = Placement(1, 1, 0, 0, 320, 256)
LETTERBOX = Placement(0.5, 0.5, 0, 8, 640, 480)
"""A frame of 640 x 480 in an input of 320 x 256, 8 grey rows above and below."""
_SETTINGS: TypeAdapter[Any] = TypeAdapter(Settings)


def floats(rows: Any) -> np.ndarray:
    return np.asarray(rows, np.float32)


def task(outputs: dict[str, np.ndarray], metadata: dict[str, str] | None = None, **given: Any) -> Task:
    settings = _SETTINGS.validate_python({"classes": LABELS, "min_score": 0.3} | given)
    picture = np.zeros((256, 320, 3), np.uint8)
    shapes = {name: array.shape for name, array in outputs.items()}
    return make_task(settings, EngineInfo("CPU", picture, shapes, metadata or {}))


def decoded(outputs: dict[str, np.ndarray], placement: Placement = WHOLE, **given: Any) -> tuple[Finding, ...]:
    return task(outputs, **given).decode(outputs, placement)


def area(finding: Finding) -> float:
    """Within the outline; 0 where there is none."""
    return enclosed(finding.outline) if finding.outline else 0.0
