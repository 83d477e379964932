"""Detection with the boxes decoded in the graph: rows of x1, y1, x2, y2, score, class in pixels of the input."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Detect
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.labels import labels_of
from protocols.faults import Code

COLUMNS = 6
MIN_SIDE = 1.0
"""Pixels of the frame: a box thinner than this, once cut to the frame, is dropped."""
ROUNDING = 1e-3
"""What a score may lie outside 0..1, as 32-bit sums do."""


class EndToEnd:
    """Format end2end: one output [1, n, 6] or [n, 6]."""

    def __init__(self, settings: Detect, info: EngineInfo, resize: str = "stretch") -> None:
        self._min_score = settings.min_score
        self._centre = settings.boxes == "centre"
        self.resize = settings.resize or resize
        self._output = _output_name(info.outputs)
        self.labels = settings.classes or labels_of(info.metadata)

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """Rows of at least min_score, mapped back to the frame and cut to it."""
        rows = outputs[self._output]
        if rows.ndim == 3 and rows.shape[0] == 1:
            rows = rows[0]
        if rows.ndim != 2 or rows.shape[1] != COLUMNS or rows.dtype.kind != "f":
            raise TaskError(Code.OUTPUT_INVALID, f"the network's output has shape {rows.shape}, not [1, n, 6]")
        if not math.isfinite(rows.sum(dtype=np.float64)):  # one pass: NaN and infinity survive a sum
            raise TaskError(Code.OUTPUT_INVALID, "the network's output holds NaN or infinite numbers")
        kept = rows[rows[:, 4] >= self._min_score].tolist()
        return self._findings(kept, placement) if kept else ()

    def _findings(self, rows: list[list[float]], p: Placement) -> tuple[Finding, ...]:
        """In plain Python: for the few rows of a part it costs a third of what array calls do."""
        rows.sort(key=_by_score)
        if rows[0][4] > 1 + ROUNDING:
            raise TaskError(Code.OUTPUT_INVALID, f"the network gave a score of {rows[0][4]:g}; it must lie in 0..1")
        found: list[Finding] = []
        for row in rows:
            left, top, right, bottom, score, number = _cornered(row) if self._centre else row
            if number != int(number) or not 0 <= number < len(self.labels):
                text = f"the network named a class outside 0..{len(self.labels) - 1}"
                raise TaskError(Code.OUTPUT_INVALID, f"{text}; compare task.classes with the model")
            x1, x2 = _within((left - p.left) / p.scale_x, p.width), _within((right - p.left) / p.scale_x, p.width)
            y1, y2 = _within((top - p.top) / p.scale_y, p.height), _within((bottom - p.top) / p.scale_y, p.height)
            if x2 - x1 >= MIN_SIDE and y2 - y1 >= MIN_SIDE and len(found) < MAX_FINDINGS:
                found.append(Finding(self.labels[int(number)], min(score, 1.0), (x1, y1, x2, y2)))
        return tuple(found)


def _cornered(row: list[float]) -> list[float]:
    """Centre and size → two corners, as some exports with built-in suppression leave them."""
    x, y, width, height, *rest = row
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2, *rest]


def _by_score(row: list[float]) -> float:
    return -row[4]


def _within(value: float, limit: int) -> float:
    return min(max(value, 0.0), float(limit))


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
