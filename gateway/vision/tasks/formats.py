"""What the outputs of the families of detectors hold, each read into candidates. Shapes are those of one picture.

The layouts are those of the families' own exports; docs/recipes.md lists them with the projects they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gateway.vision.engines import Tensor
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import Candidates, finite, sigmoid
from gateway.vision.tasks.heads import fastestdet, yolov8_grid, yolox_grid
from gateway.vision.tasks.reading import Reading
from protocols.faults import Code

ROW = 6
"""Numbers of a finished detection."""


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


def detr(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """boxes [1, n, 4] as parts of the input's size, logits [1, n, classes (+ background)]; sigmoid, no overlaps."""
    boxes = finite(r.take(outputs, "boxes", 2), r.names["boxes"])
    logits = r.without_background(finite(r.take(outputs, "scores", 2), r.names["scores"]))
    r.counted(logits.shape[1])
    query, number = np.nonzero(logits >= r.least)
    size = np.array((r.width, r.height) * 2, np.float32)
    return Candidates(r.cornered(boxes[query] * size), sigmoid(logits[query, number]), number, query)


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


def ssd(outputs: Mapping[str, Tensor], r: Reading) -> Candidates:
    """boxes [1, n, 4] as parts of the input's size, scores [1, n, classes (+ background)] after softmax or sigmoid."""
    rows = finite(r.take(outputs, "boxes", 2), r.names["boxes"])
    scores = r.without_background(finite(r.take(outputs, "scores", 2), r.names["scores"]))
    if len(rows) != len(scores):
        raise TaskError(Code.OUTPUT_INVALID, f"the network gives {len(rows)} boxes and {len(scores)} rows of scores")
    size = np.array((r.width, r.height) * 2, np.float32)
    return r.best_class(rows * size, scores, np.arange(len(rows)))


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
_CANDIDATES = (("boxes", ("boxes",)), ("scores", ("scores",)))
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
    "ssd": Format(ssd, _CANDIDATES, False, True, "stretch", "first"),
    "fastestdet": Format(fastestdet, ROWS, False, True, "stretch"),
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
