"""Classification: one label or several for the whole picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Classify as ClassifySettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import ROUNDING, finite
from gateway.vision.tasks.labels import labels_of
from protocols.faults import Code


class Classify:
    """One output [1, classes]; each finding's box is the whole frame."""

    def __init__(self, settings: ClassifySettings, info: EngineInfo) -> None:
        self.labels = settings.classes or labels_of(info.metadata)
        self.resize = settings.resize or "crop"
        self._format, self._min_score = settings.format, settings.min_score
        if len(info.outputs) != 1:
            text = f"a classifier has one output, the model has {', '.join(info.outputs) or 'none'}"
            raise TaskError(Code.MODEL_MISMATCH, text)
        self._name, shape = next(iter(info.outputs.items()))
        if shape and shape[-1] > 0 and shape[-1] != len(self.labels):
            text = f"the network knows {shape[-1]} classes, the recipe (or the model's metadata) names"
            raise TaskError(Code.MODEL_MISMATCH, f"{text} {len(self.labels)}; compare task.classes with the model")

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The labels of at least min_score, best first; TaskError 2005."""
        values = finite(outputs[self._name], self._name).astype(np.float64).ravel()
        if len(values) != len(self.labels):
            text = f"output {self._name} has {len(values)} numbers, not {len(self.labels)}"
            raise TaskError(Code.OUTPUT_INVALID, text)
        scores = self._scores(values)
        whole = (0.0, 0.0, float(placement.width), float(placement.height))
        # Of labels that share one sum the hundredth has no word in it; of others it may have, and the judge is to know.
        most = MAX_FINDINGS if self._format == "multilabel" else MAX_FINDINGS - 1
        best = np.argsort(-scores, kind="stable")[:most]
        return tuple(
            Finding(self.labels[number], float(scores[number]), whole)
            for number in best.tolist()
            if scores[number] >= self._min_score
        )

    def _scores(self, values: Tensor) -> Tensor:
        if self._format == "logits":
            parts = np.exp(values - values.max())
            return np.asarray(parts / parts.sum())
        if self._format == "multilabel":
            return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
        if values.min() < -ROUNDING or values.max() > 1 + ROUNDING:
            text = f"the network gave {values.min():g} to {values.max():g}, which are no probabilities"
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; is task.format logits?")
        return np.clip(values, 0, 1)
