"""What a reader of a network's outputs must know, and what all readers do alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gateway.vision.engines import Tensor
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import Candidates, corners
from protocols.faults import Code


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
            text = f"output {name} has shape {list(outputs[name].shape)}, which is none of this format"
            raise TaskError(Code.MODEL_MISMATCH, f"{text}; compare task.format with the model")
        return tensor

    def without_background(self, scores: Tensor) -> Tensor:
        """The columns of scores [n, classes (+ background)] that mean something."""
        return scores[:, 1:] if self.background == "first" else scores[:, :-1] if self.background == "last" else scores

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
