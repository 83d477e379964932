"""From candidate boxes to findings: what overlaps is told once, and boxes come back to the frame. Plain numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.vision.engines import Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from protocols.faults import Code

MOST = 2 * MAX_FINDINGS
"""Things that are kept apart; some of them may yet turn out to lie outside the frame."""
MIN_SIDE = 1.0
"""Pixels of the frame: a box thinner than this, once cut to the frame, is dropped."""
ROUNDING = 1e-3
"""What a score may lie outside 0..1, as 32-bit sums do."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes [n, 4] as x1, y1, x2, y2 in pixels of the input, scores [n], class numbers [n].

    `rows` [n] says at which place of the network's own list each stands, to find there what else it says of it.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    rows: Tensor

    def only(self, chosen: Tensor | list[int]) -> Candidates:
        """Those at these places, in this order."""
        return Candidates(self.boxes[chosen], self.scores[chosen], self.classes[chosen], self.rows[chosen])

    def best(self) -> Candidates:
        """Best first; among equals the order of the network."""
        return self.only(np.argsort(-self.scores, kind="stable"))


def corners(boxes: Tensor) -> Tensor:
    """Centre and size → two corners; [n, 4]."""
    half = boxes[:, 2:] / 2
    return np.concatenate((boxes[:, :2] - half, boxes[:, :2] + half), axis=1)


def sigmoid(values: Tensor) -> Tensor:
    """In double precision."""
    return np.asarray(1 / (1 + np.exp(-values.astype(np.float64))))


def finite(tensor: Tensor, name: str) -> Tensor:
    """The tensor; TaskError when it holds NaN or infinity: one pass, as both survive a sum."""
    if tensor.dtype.kind != "f":
        raise TaskError(Code.OUTPUT_INVALID, f"output {name} holds {tensor.dtype} numbers, not floating point")
    if not np.isfinite(tensor.sum(dtype=np.float64)):
        raise TaskError(Code.OUTPUT_INVALID, f"output {name} holds NaN or infinite numbers")
    return tensor


def without_overlaps(found: Candidates, max_overlap: float) -> Candidates:
    """Greedy non-maximum suppression within each class; `found` best first, and all of it.

    To compare the best candidates alone would let many of one thing hide another that is less sure.
    """
    boxes = found.boxes.astype(np.float64)
    low, high = boxes[:, :2], boxes[:, 2:]
    area = np.clip(high - low, 0, None).prod(axis=1)
    alive = np.ones(len(boxes), bool)
    kept: list[int] = []
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        if len(kept) == MOST:
            break
        inner = np.clip(np.minimum(high[index], high) - np.maximum(low[index], low), 0, None).prod(axis=1)
        union = area[index] + area - inner
        alive &= (inner <= max_overlap * union) | (found.classes != found.classes[index])
    return found.only(kept)


def findings(found: Candidates, labels: tuple[str, ...], p: Placement) -> tuple[Finding, ...]:
    """The candidates as findings in pixels of the frame, cut to it; TaskError 2005 for a score or class that cannot be.

    `found` best first.
    """
    return tuple(finding for _, finding in placed(found, labels, p))[:MAX_FINDINGS]


def placed(found: Candidates, labels: tuple[str, ...], p: Placement) -> list[tuple[int, Finding]]:
    """Those that lie in the frame: place among the candidates, and the finding. TaskError 2005."""
    checked(found, labels)
    boxes = on_frame(found.boxes.reshape(-1, 2, 2), p).reshape(-1, 4).tolist()
    seen = []
    for index, (score, number) in enumerate(zip(found.scores.tolist(), found.classes.tolist(), strict=True)):
        x1, y1, x2, y2 = boxes[index]
        if x2 - x1 >= MIN_SIDE and y2 - y1 >= MIN_SIDE:
            seen.append((index, Finding(labels[int(number)], min(score, 1.0), (x1, y1, x2, y2))))
    return seen


def on_frame(points: Tensor, p: Placement) -> Tensor:
    """Points [..., 2] of the input in pixels of the frame, cut to it."""
    parts = (points.astype(np.float64) - (p.left, p.top)) / (p.scale_x, p.scale_y)
    return np.asarray(np.clip(parts, 0, (p.width, p.height)))


def checked(found: Candidates, labels: tuple[str, ...]) -> None:
    """TaskError 2005 for a score or class that cannot be; `found` best first."""
    if not len(found.scores):
        return
    if found.scores[0] > 1 + ROUNDING:
        text = f"the network gave a score of {found.scores[0]:g}; it must lie in 0..1, so the format is another"
        raise TaskError(Code.OUTPUT_INVALID, text)
    if found.classes.min() < 0 or found.classes.max() >= len(labels):
        text = f"the network named a class outside 0..{len(labels) - 1}"
        raise TaskError(Code.OUTPUT_INVALID, f"{text}; compare task.classes with the model")
