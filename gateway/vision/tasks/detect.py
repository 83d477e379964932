"""Detection with the boxes decoded in the graph: rows of x1, y1, x2, y2, score, class in pixels of the input."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping

import numpy as np

from gateway.inspection import Finding
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError, TaskSettings
from gateway.vision.wire import MAX_FINDINGS, MAX_LABEL, MAX_LABELS
from protocols.faults import Code

COLUMNS = 6
MIN_SIDE = 1.0
"""Pixels of the frame: a box thinner than this, once cut to the frame, is dropped."""
ROUNDING = 1e-3
"""What a score may lie outside 0..1, as 32-bit sums do."""


class Detect:
    """Format end2end: one output [1, n, 6] or [n, 6]."""

    def __init__(self, settings: TaskSettings, info: EngineInfo) -> None:
        self._min_score = settings.min_score
        self._output = _output_name(info.outputs)
        self.labels = settings.classes or _labels_of(info.metadata)

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """Rows of at least min_score, mapped back to the frame and cut to it."""
        rows = outputs[self._output]
        if rows.ndim == 3 and rows.shape[0] == 1:
            rows = rows[0]
        if rows.ndim != 2 or rows.shape[1] != COLUMNS or rows.dtype.kind != "f":
            raise TaskError(Code.OUTPUT_INVALID, f"the network's output has shape {rows.shape}, not [1, n, 6]")
        if not np.isfinite(rows).all():
            raise TaskError(Code.OUTPUT_INVALID, "the network's output holds NaN or infinite numbers")
        kept = rows[rows[:, 4] >= self._min_score]
        return self._findings(kept, placement) if len(kept) else ()

    def _findings(self, rows: Tensor, placement: Placement) -> tuple[Finding, ...]:
        scores, classes = rows[:, 4], rows[:, 5]
        if scores.max() > 1 + ROUNDING:
            raise TaskError(Code.OUTPUT_INVALID, f"the network gave a score of {scores.max():g}; it must lie in 0..1")
        if (classes != np.round(classes)).any() or classes.min() < 0 or classes.max() >= len(self.labels):
            text = f"the network named a class outside 0..{len(self.labels) - 1}; compare task.classes with the model"
            raise TaskError(Code.OUTPUT_INVALID, text)
        p = placement
        boxes = rows[:, :4].astype(np.float64)
        boxes = (boxes - (p.left, p.top, p.left, p.top)) / (p.scale_x, p.scale_y, p.scale_x, p.scale_y)
        np.clip(boxes, 0, (p.width, p.height, p.width, p.height), out=boxes)
        solid = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(axis=1)
        best = np.argsort(-scores[solid], kind="stable")[:MAX_FINDINGS]
        chosen = np.flatnonzero(solid)[best]
        picked = zip(classes[chosen].astype(int).tolist(), scores[chosen].tolist(), boxes[chosen].tolist(), strict=True)
        return tuple(
            Finding(self.labels[number], min(score, 1.0), (x1, y1, x2, y2))
            for number, score, (x1, y1, x2, y2) in picked
        )


def _output_name(outputs: Mapping[str, tuple[int, ...]]) -> str:
    fitting = [
        name
        for name, shape in outputs.items()
        if shape and shape[-1] in (COLUMNS, -1) and (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, -1)))
    ]
    names = [name for name in fitting if outputs[name][-1] == COLUMNS] or fitting
    if len(names) != 1:
        found = "; ".join(f"{name} {list(shape)}" for name, shape in list(outputs.items())[:4])
        text = f"format end2end needs one output [1, n, 6], the model has {found or 'none'}"
        raise TaskError(Code.MODEL_MISMATCH, text)
    return names[0]


def _labels_of(metadata: Mapping[str, str]) -> tuple[str, ...]:
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
