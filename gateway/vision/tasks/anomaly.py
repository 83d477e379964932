"""Anomaly detection: one score for the picture, and the regions of the anomaly map that stand out.

Outputs as anomalib 2 names them (pred_score, anomaly_map, pred_mask), or the single output of anomalib 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import ANOMALY, REGION
from gateway.recipe_task import Anomaly as AnomalySettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import ROUNDING, finite
from protocols.faults import Code

SCORE, MAP = "pred_score", "anomaly_map"
_MAP_DIMS = 2


class Anomaly:
    """Findings: `anomaly`, the whole frame with the picture's score; `region`, a box with the highest score in it."""

    labels = (ANOMALY, REGION)

    def __init__(self, settings: AnomalySettings, info: EngineInfo) -> None:
        self.resize = settings.resize or "stretch"
        self._settings = settings
        self._size = info.input.shape[1], info.input.shape[0]
        names = set(info.outputs)
        self._score = SCORE if SCORE in names else None
        self._map = MAP if MAP in names else None
        self._only = next(iter(names)) if len(names) == 1 and not (self._score or self._map) else None
        if not (self._score or self._map or self._only):
            text = f"an anomaly model has outputs {SCORE} and {MAP}, or one; this one has {', '.join(info.outputs)}"
            raise TaskError(Code.MODEL_MISMATCH, text)

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The picture's finding first, then regions, best first; TaskError 2005."""
        score, heat = self._read(outputs)
        whole = (0.0, 0.0, float(placement.width), float(placement.height))
        seen = [Finding(ANOMALY, score, whole)] if score >= self._settings.min_score else []
        if heat is not None:
            regions = sorted(self._regions(heat, placement), key=lambda finding: -finding.score)
            seen += regions[: MAX_FINDINGS - len(seen)]
        return tuple(seen)

    def _read(self, outputs: Mapping[str, Tensor]) -> tuple[float, Tensor | None]:
        """The score and the map, both as trained: 0.5 is the limit."""
        heat = value = None
        if (name := self._map or self._only) and outputs[name].size > 1:
            heat = _plane(finite(outputs[name], name), name)
        if name := self._score or (self._only if heat is None else None):
            value = float(finite(outputs[name], name).ravel()[0])
        scaling = self._settings.scaling
        if scaling is not None:
            spread = scaling.max - scaling.min
            if value is None and heat is not None:
                value = float(heat.max())
            if value is not None:
                value = min(max((value - scaling.image_threshold) / spread + 0.5, 0.0), 1.0)
            if heat is not None:
                heat = np.clip((heat - scaling.pixel_threshold) / spread + 0.5, 0, 1)
        elif value is None and heat is not None:
            value = float(heat.max())
        if value is None or not -ROUNDING <= value <= 1 + ROUNDING:
            text = f"the network gave a score of {value}, which does not lie in 0..1"
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; does the recipe miss task.scaling?")
        return min(max(value, 0.0), 1.0), heat

    def _regions(self, heat: Tensor, placement: Placement) -> list[Finding]:
        hot = (heat >= self._settings.region_score).astype(np.uint8)
        count, marks, stats, _ = cv2.connectedComponentsWithStats(hot)
        p, (rows, columns) = placement, heat.shape
        found = []
        for number in range(1, count):
            x, y, width, height, area = stats[number].tolist()
            if area < self._settings.min_region:
                continue
            best = float(heat[y : y + height, x : x + width][marks[y : y + height, x : x + width] == number].max())
            box = self._on_frame((x / columns, y / rows, (x + width) / columns, (y + height) / rows), p)
            found.append(Finding(REGION, min(best, 1.0), box))
        return found

    def _on_frame(self, part: tuple[float, float, float, float], p: Placement) -> tuple[float, float, float, float]:
        """Parts of the input's size → pixels of the frame."""
        x1, y1, x2, y2 = part
        columns, rows = self._size
        across = [min(max((x * columns - p.left) / p.scale_x, 0.0), float(p.width)) for x in (x1, x2)]
        down = [min(max((y * rows - p.top) / p.scale_y, 0.0), float(p.height)) for y in (y1, y2)]
        return across[0], down[0], across[1], down[1]


def _plane(tensor: Tensor, name: str) -> Tensor:
    while tensor.ndim > _MAP_DIMS and tensor.shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != _MAP_DIMS:
        raise TaskError(Code.OUTPUT_INVALID, f"output {name} has shape {list(tensor.shape)}, not [1, 1, height, width]")
    return tensor.astype(np.float32)
