"""Instance segmentation: boxes with label, score and the outline of a mask."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Segment as SegmentSettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import Candidates, finite, placed, without_overlaps
from gateway.vision.tasks.detect import part_names, reading
from gateway.vision.tasks.formats import MASKED
from gateway.vision.tasks.labels import labels_of
from gateway.vision.tasks.outlines import budget, framed, outlined, polygon
from protocols.faults import Code

MIDDLE = 0.5
"""Of a mask that comes as probabilities."""
_PLANES = 3


class Segment:
    """Formats of `formats.MASKED`; the mask is cut to its box, and where it is empty the box stands for it."""

    def __init__(self, settings: SegmentSettings, info: EngineInfo, name: str) -> None:
        self._layout, self._name = MASKED[name], name
        self._max_overlap = settings.max_overlap
        self.labels = settings.classes or labels_of(info.metadata)
        self.resize = settings.resize or self._layout.resize
        names = _by_dimensions(info.outputs, name) if self._coefficients else part_names(self._layout, info, name)
        self._reading = reading(settings, info, self._layout, names, self.labels)

    @property
    def _coefficients(self) -> bool:
        """Masks come as sums of prototypes."""
        return self._name in ("yolov8", "end2end")

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The findings in pixels of the frame, best first; TaskError."""
        masks = self._masks(outputs)
        r = replace(self._reading, extra=len(masks)) if self._coefficients else self._reading
        found = self._layout.read(outputs, r)
        found = found.best()
        if self._layout.overlaps:
            found = without_overlaps(found, self._max_overlap)
        seen = placed(found, self.labels, placement)[:MAX_FINDINGS]
        most = budget(len(seen))
        return tuple(
            outlined(finding, framed(self._corners(outputs, masks, found, index, most), placement))
            for index, finding in seen
        )

    def _masks(self, outputs: Mapping[str, Tensor]) -> Tensor:
        """[n, height, width]: prototypes, or the mask of each row."""
        name = self._reading.names["masks"]
        masks = finite(outputs[name], name)
        if masks.ndim == _PLANES + 1 and masks.shape[0 if self._name != "boxes" else 1] == 1:
            masks = masks[0] if self._name != "boxes" else masks[:, 0]
        if masks.ndim != _PLANES or 0 in masks.shape[1:]:
            raise TaskError(Code.OUTPUT_INVALID, f"output {name} has shape {list(outputs[name].shape)}")
        return masks

    def _corners(
        self, outputs: Mapping[str, Tensor], masks: Tensor, found: Candidates, index: int, most: int
    ) -> Tensor:
        """The polygon of one candidate in pixels of the input."""
        row = int(found.rows[index])
        height, width = masks.shape[1:]
        across, down = self._reading.width / width, self._reading.height / height
        x1, y1, x2, y2 = _inside(found.boxes[index].tolist(), self._reading.width, self._reading.height)
        left, top = max(0, math.floor(x1 / across) - 1), max(0, math.floor(y1 / down) - 1)
        right, bottom = min(width, math.ceil(x2 / across) + 1), min(height, math.ceil(y2 / down) + 1)
        part = masks[:, top:bottom, left:right]
        if self._coefficients:
            plane = np.tensordot(self._row(outputs, row), part, 1)
        elif row < len(part):
            plane = part[row] - (MIDDLE if self._name == "boxes" else 0)
        else:
            raise TaskError(Code.OUTPUT_INVALID, f"the network gives {len(part)} masks, but more boxes")
        wide, high = round((right - left) * across), round((bottom - top) * down)
        whole = cv2.resize(plane.astype(np.float32), (wide, high), interpolation=cv2.INTER_LINEAR)
        corner = np.array((left * across, top * down))
        inner = [round(edge) for edge in (x1 - corner[0], y1 - corner[1], x2 - corner[0], y2 - corner[1])]
        mask = np.zeros(whole.shape, np.uint8)
        box = slice(inner[1], inner[3]), slice(inner[0], inner[2])
        mask[box] = whole[box] > 0
        return np.asarray(polygon(mask, most) + corner)

    def _row(self, outputs: Mapping[str, Tensor], row: int) -> Tensor:
        """The coefficients of one candidate."""
        rows = self._reading.take(outputs, "rows", 2)
        return rows[4 + len(self.labels) :, row] if self._name == "yolov8" else rows[row, 6:]


def _inside(box: list[float], width: int, height: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)


def _by_dimensions(outputs: Mapping[str, tuple[int, ...]], name: str) -> dict[str, str]:
    """Rows have three dimensions and prototypes four, whatever an export calls them; TaskError 2006."""
    rows = [known for known, shape in outputs.items() if len(shape) == _PLANES]
    masks = [known for known, shape in outputs.items() if len(shape) == _PLANES + 1]
    if len(outputs) != 2 or len(rows) != 1 or len(masks) != 1:
        found = "; ".join(f"{known} {list(shape)}" for known, shape in list(outputs.items())[:4])
        text = f"format {name} has rows of three dimensions and prototypes of four, the model has {found or 'none'}"
        raise TaskError(Code.MODEL_MISMATCH, f"{text}; give another task.format")
    return {"rows": rows[0], "masks": masks[0]}
