"""What the outputs of the families of detectors hold, each read into candidates. Shapes are those of one picture.

The layouts are those of the families' own exports; docs/recipes.md lists them with the projects they come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gateway.vision.engines import Tensor
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import Candidates, corners, finite
from protocols.faults import Code

STRIDES = (8, 16, 32)
"""Pixels of the input for each cell of the three grids of YOLOX."""
ROW = 6
"""Numbers of a finished detection."""
MOST_BINS = 64
_LARGEST = 20.0
"""Exponent of a box side in cells: more is no box, and would overflow."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader must know: names of the outputs by their part, input size, limit, number of labels, and layout."""

    names: Mapping[str, str]
    width: int
    height: int
    min_score: float
    labels: int
    centre: bool
    background: str = "none"
    extra: int = 0
    """Numbers behind the class scores of each row: angle, coefficients of a mask, keypoints."""

    @property
    def least(self) -> float:
        """`min_score` before the sigmoid."""
        if 0 < self.min_score < 1:
            return math.log(self.min_score / (1 - self.min_score))
        return -math.inf if self.min_score <= 0 else math.inf

    def take(self, outputs: Mapping[str, Tensor], part: str, dims: int) -> Tensor:
        """The output for this part without the dimension of the batch, `dims` dimensions; TaskError 2005."""
        name = self.names.get(part, part)
        tensor = outputs[name]
        while tensor.ndim > dims and tensor.shape[0] == 1:
            tensor = tensor[0]
        if tensor.ndim != dims:
            raise TaskError(Code.OUTPUT_INVALID, f"output {name} has shape {list(outputs[name].shape)}")
        return tensor

    def cornered(self, boxes: Tensor) -> Tensor:
        """As two corners, whatever the network gives."""
        return corners(boxes) if self.centre else boxes

    def best_class(self, boxes: Tensor, scores: Tensor, rows: Tensor, weight: Tensor | None = None) -> Candidates:
        """One class for each of n boxes [n, 4] from its scores [n, classes], times its weight [n]."""
        self.counted(scores.shape[1])
        numbers = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), numbers]
        if weight is not None:
            best = best * weight
        kept = np.flatnonzero(best >= self.min_score)
        return Candidates(self.cornered(boxes[kept]), best[kept], numbers[kept], rows[kept])

    def counted(self, classes: int) -> None:
        """TaskError 2006 if the network knows another number of classes than there are labels."""
        if classes != self.labels:
            text = f"the network knows {classes} classes, the recipe (or the model's metadata) names {self.labels}"
            raise TaskError(Code.MODEL_MISMATCH, f"{text}; compare task.classes and task.format with the model")


def yolov5(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """[1, n, 5 + classes]: centre, size, objectness, class scores; pixels of the input, scores after sigmoid."""
    rows = finite(r.take(outputs, "rows", 2), r.names["rows"])
    kept = np.flatnonzero(rows[:, 4] >= r.min_score)  # no class can lift what is no object
    rows = rows[kept]
    return r.best_class(rows[:, :4], rows[:, 5:], kept, rows[:, 4])


def yolov8(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """[1, 4 + classes (+ extra), n]: box, class scores; pixels of the input, scores after sigmoid."""
    columns = finite(r.take(outputs, "rows", 2), r.names["rows"])
    r.counted(columns.shape[0] - 4 - r.extra)
    scores = columns[4 : 4 + r.labels]
    numbers = scores.argmax(axis=0)
    best = np.take_along_axis(scores, numbers[np.newaxis], axis=0)[0]
    kept = np.flatnonzero(best >= r.min_score)
    return Candidates(r.cornered(columns[:4, kept].T), best[kept], numbers[kept], kept)


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
    return boxes, _sigmoid(best[kept]), numbers[kept]


def end2end(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """[1, n, 6 (+ extra)]: box, score, class number; pixels of the input, nothing told twice."""
    rows = finite(r.take(outputs, "rows", 2), r.names["rows"])
    if rows.shape[1] != ROW + r.extra:
        text = f"a row of the network has {rows.shape[1]} numbers, not {ROW + r.extra}"
        raise TaskError(Code.OUTPUT_INVALID, text)
    kept = np.flatnonzero(rows[:, 4] >= r.min_score)
    numbers = np.rint(rows[kept, 5]).astype(np.int64)
    if np.any(numbers != rows[kept, 5]):
        raise TaskError(Code.OUTPUT_INVALID, "the network named a class that is no whole number")
    return Candidates(r.cornered(rows[kept, :4]), rows[kept, 4], numbers, kept)


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


def detr(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """boxes [1, n, 4] as parts of the input's size, logits [1, n, classes (+ background)]; sigmoid, no overlaps."""
    boxes = finite(r.take(outputs, "boxes", 2), r.names["boxes"])
    logits = finite(r.take(outputs, "scores", 2), r.names["scores"])
    if r.background == "last":
        logits = logits[:, :-1]
    elif r.background == "first":
        logits = logits[:, 1:]
    r.counted(logits.shape[1])
    query, number = np.nonzero(logits >= r.least)
    size = np.array((r.width, r.height) * 2, np.float32)
    return Candidates(r.cornered(boxes[query] * size), _sigmoid(logits[query, number]), number, query)


def boxes(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """boxes [n, 4] (or [n, 5] with the score), labels [n], scores [n]; pixels of the input."""
    rows = finite(r.take(outputs, "boxes", 2), r.names["boxes"])
    scores = rows[:, 4] if "scores" not in r.names else finite(r.take(outputs, "scores", 1), r.names["scores"])
    return _chosen(rows[:, :4], scores, r.take(outputs, "labels", 1), r)


def tf_boxes(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """detection_boxes [1, n, 4] as y1, x1, y2, x2 in parts of the input, classes [1, n] from 1, scores [1, n]."""
    rows = finite(r.take(outputs, "boxes", 2), r.names["boxes"])[:, [1, 0, 3, 2]]
    scores = finite(r.take(outputs, "scores", 1), r.names["scores"])
    size = np.array((r.width, r.height) * 2, np.float32)
    return _chosen(rows * size, scores, r.take(outputs, "labels", 1), r)


def detection_output(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """[1, 1, n, 7]: picture, label, score, x1, y1, x2, y2 in parts of the input; the list ends at picture -1."""
    rows = finite(r.take(outputs, "rows", 2), r.names["rows"])
    ends = np.flatnonzero(rows[:, 0] < 0)
    rows = rows[: ends[0]] if len(ends) else rows
    size = np.array((r.width, r.height) * 2, np.float32)
    return _chosen(rows[:, 3:7] * size, rows[:, 2], rows[:, 1], r)


def _chosen(rows: Tensor, scores: Tensor, numbers: Tensor, r: Reading) -> Candidates:
    if not len(rows) == len(scores) == len(numbers):
        text = f"the network gives {len(rows)} boxes, {len(scores)} scores and {len(numbers)} labels"
        raise TaskError(Code.OUTPUT_INVALID, text)
    kept = np.flatnonzero(scores >= r.min_score)
    whole = np.rint(numbers[kept]).astype(np.int64) - (r.background == "first")
    if r.background == "first":
        kept, whole = kept[whole >= 0], whole[whole >= 0]
    return Candidates(r.cornered(rows[kept]), scores[kept], whole, kept)


def _grid(width: int, height: int) -> tuple[Tensor, Tensor]:
    """Column and row of each cell [n, 2], and its stride [n, 1]."""
    grids, steps = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack((columns.ravel(), rows.ravel()), axis=1))
        steps.append(np.full((columns.size, 1), stride))
    return np.concatenate(grids).astype(np.float32), np.concatenate(steps).astype(np.float32)


def _sigmoid(values: Tensor) -> Tensor:
    return np.asarray(1 / (1 + np.exp(-values.astype(np.float64))))


Reader = Callable[[Mapping[str, Tensor], Reading], Candidates]


@dataclass(frozen=True, slots=True)
class Format:
    """A family's layout: reader, parts of the outputs, how boxes are told, and what the family is trained with."""

    read: Reader
    parts: tuple[tuple[str, tuple[str, ...]], ...]
    """Part and the names that exports give it; where one output is all there is, its name does not matter."""
    centre: bool
    overlaps: bool
    """Boxes of one thing may come several times."""
    resize: str
    background: str = "none"


ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (("rows", ()),)
_PARTS = (("boxes", ("boxes",)), ("labels", ("labels",)), ("scores", ("scores",)))
_QUERIES = (("boxes", ("dets", "pred_boxes")), ("scores", ("labels", "logits", "pred_logits")))
FORMATS: Mapping[str, Format] = {
    "yolov5": Format(yolov5, ROWS, True, True, "letterbox"),
    "yolov8": Format(yolov8, ROWS, True, True, "letterbox"),
    "yolov8_grid": Format(yolov8_grid, (), False, True, "letterbox"),
    "yolox": Format(yolov5, ROWS, True, True, "letterbox_corner"),
    "yolox_grid": Format(yolox_grid, ROWS, True, True, "letterbox_corner"),
    "detr": Format(detr, _QUERIES, True, False, "stretch"),
    "boxes": Format(boxes, _PARTS, False, False, "stretch"),
    "tf_boxes": Format(
        tf_boxes,
        (
            ("boxes", ("detection_boxes",)),
            ("labels", ("detection_classes",)),
            ("scores", ("detection_scores",)),
        ),
        False,
        False,
        "stretch",
        "first",
    ),
    "detection_output": Format(detection_output, ROWS, False, False, "stretch"),
}
TURNED: Mapping[str, Format] = {
    "yolov8": FORMATS["yolov8"],
    "end2end": Format(end2end, ROWS, True, False, "letterbox"),
}
"""Of oriented boxes."""
POINTED: Mapping[str, Format] = {
    "yolov8": FORMATS["yolov8"],
    "end2end": Format(end2end, ROWS, False, False, "letterbox"),
}
"""Of keypoints."""
_MASKS = (("masks", ("masks", "pred_masks")),)
MASKED: Mapping[str, Format] = {
    "yolov8": FORMATS["yolov8"],
    "end2end": Format(end2end, ROWS, False, False, "letterbox"),
    "detr": Format(detr, _QUERIES + _MASKS, True, False, "stretch"),
    "boxes": Format(boxes, _PARTS + _MASKS, False, False, "stretch", "first"),
}
"""Of instance segmentation."""
