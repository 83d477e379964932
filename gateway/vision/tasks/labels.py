"""Labels by class number, as a model's metadata names them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping

from gateway.vision.finding_rows import MAX_LABEL
from gateway.vision.tasks import TaskError
from gateway.vision.wire import MAX_LABELS
from protocols.faults import Code


def labels_of(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Labels from the model's metadata `names`: a JSON list or object, or Python's writing of one."""
    text = metadata.get("names", "")
    names: object = None
    for read in (json.loads, ast.literal_eval):
        try:
            names = read(text) if len(text) < 100_000 else None
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if isinstance(names, dict):
        try:
            numbered = {int(key): value for key, value in names.items()}
            names = [numbered[index] for index in range(len(numbered))]
        except (ValueError, TypeError, KeyError):
            names = None
    if not isinstance(names, list | tuple) or not 0 < len(names) <= MAX_LABELS:
        raise TaskError(
            Code.MODEL_MISMATCH, "the model does not name its classes; list them in recipe.yaml, task.classes"
        )
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_LABEL for name in names):
        raise TaskError(
            Code.MODEL_MISMATCH, "the model's class names are no short texts; list them in recipe.yaml, task.classes"
        )
    return tuple(names)
