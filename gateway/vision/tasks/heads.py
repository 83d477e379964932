"""Heads of detectors as they are before their decoder: a cell of a grid tells of a box by where it is itself."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.vision.engines import Tensor
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import Candidates, finite, sigmoid
from gateway.vision.tasks.reading import Reading
from protocols.faults import Code

STRIDES = (8, 16, 32)
"""Pixels of the input for each cell of the three grids of YOLOX."""
MOST_BINS = 64
_LARGEST = 20.0
"""Exponent of a box side in cells: more is no box, and would overflow."""


def yolov8_grid(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """One [1, 4 * bins + classes, height, width] for each stride: how far the four sides are, as a distribution over
    0, 1, 2… cells (distribution focal loss), then class logits; the centre is that of the cell."""
    found = [_cells(finite(r.take({name: tensor}, name, 3), name), r) for name, tensor in outputs.items()]
    boxes, scores, numbers = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Candidates(boxes, scores, numbers, np.arange(len(boxes)))


def _cells(planes: Tensor, r: Reading) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, scores and classes of one stride."""
    channels, height, width = planes.shape
    bins, rest = divmod(channels - r.labels, 4)
    if rest or not 2 <= bins <= MOST_BINS or r.height % height or r.height * width != r.width * height:
        text = f"an output has {channels} channels of {width} x {height}, which are no distances and scores"
        raise TaskError(Code.MODEL_MISMATCH, f"{text} of {r.labels} classes; compare task.classes with the model")
    logits = planes[4 * bins :].reshape(r.labels, -1)
    numbers = logits.argmax(axis=0)
    best = np.take_along_axis(logits, numbers[np.newaxis], axis=0)[0]
    kept = np.flatnonzero(best >= r.least)
    parts = planes[: 4 * bins].reshape(4, bins, -1)[:, :, kept].astype(np.float64)
    parts = np.exp(parts - parts.max(axis=1, keepdims=True))
    far = (parts * np.arange(bins)[:, np.newaxis]).sum(axis=1) / parts.sum(axis=1)
    centre = np.stack((kept % width, kept // width)) + 0.5
    boxes = np.concatenate((centre - far[:2], centre + far[2:])).T * (r.height // height)
    return boxes, sigmoid(best[kept]), numbers[kept]


def yolox_grid(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """[1, n, 5 + classes] in cells of the grids 8, 16, 32: centre = (x + column) * stride, size = exp(w) * stride."""
    rows = finite(r.take(outputs, "rows", 2), r.names["rows"])
    grids, steps = _grid(r.width, r.height)
    if len(grids) != len(rows):
        text = f"the network gives {len(rows)} rows, the grids of {r.width} x {r.height} have {len(grids)} cells"
        raise TaskError(Code.MODEL_MISMATCH, f"{text}; is the format yolox?")
    kept = np.flatnonzero(rows[:, 4] >= r.min_score)
    rows, grids, steps = rows[kept], grids[kept], steps[kept]
    centre = (rows[:, :2] + grids) * steps
    size = np.exp(np.minimum(rows[:, 2:4], _LARGEST)) * steps
    return r.best_class(np.concatenate((centre, size), axis=1), rows[:, 5:], kept, rows[:, 4])


def fastestdet(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """[1, 5 + classes, height, width]: objectness, box, class scores; objectness and scores are decoded, boxes are not.

    Centre = cell + tanh, in cells; size = sigmoid, in parts of the input; score = objectness * class.
    """
    planes = finite(r.take(outputs, "rows", 3), r.names["rows"])
    _, height, width = planes.shape
    r.counted(len(planes) - 5)
    rows = planes.reshape(len(planes), -1).T
    kept = np.flatnonzero(rows[:, 0] >= r.min_score)  # no class can lift what is no object
    rows = rows[kept].astype(np.float64)
    centre = np.stack((kept % width, kept // width), axis=1) + np.tanh(rows[:, 1:3])
    middle, half = centre / (width, height), sigmoid(rows[:, 3:5]) / 2
    boxes = np.concatenate((middle - half, middle + half), axis=1) * ((r.width, r.height) * 2)
    return r.best_class(boxes, rows[:, 5:], kept, rows[:, 0])


def _grid(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Column and row of each cell [n, 2], and its stride [n, 1]."""
    grids, steps = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack((columns.ravel(), rows.ravel()), axis=1))
        steps.append(np.full((columns.size, 1), stride))
    return np.concatenate(grids).astype(np.float32), np.concatenate(steps).astype(np.float32)
