"""Semantic segmentation: a class for each pixel; each place of one class is a finding with its outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_task import Semantic as SemanticSettings
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import ROUNDING, finite, on_frame
from gateway.vision.tasks.labels import labels_of
from gateway.vision.tasks.outlines import budget, framed, outlined, polygon
from protocols.faults import Code

SAMPLE = 2000
"""Pixels of a region that its score is the mean of."""
_PLANES = 3
Region = tuple[int, int, tuple[int, int, int, int], Tensor]
"""Pixels, class number, box in the map, mask within the box."""


class Semantic:
    """One output: a plane for each class, or a map of class numbers."""

    def __init__(self, settings: SemanticSettings, info: EngineInfo, name: str) -> None:
        self.labels = settings.classes or labels_of(info.metadata)
        self.resize = settings.resize or "stretch"
        self._settings, self._format = settings, name
        self._shift = 1 if settings.background == "first" else 0
        self._size = info.input.shape[1], info.input.shape[0]
        self._left_out = 0
        if len(info.outputs) != 1:
            text = f"a network of format {name} has one output, the model has {', '.join(info.outputs) or 'none'}"
            raise TaskError(Code.MODEL_MISMATCH, text)
        self._output = next(iter(info.outputs))

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The regions, largest first, each with the mean probability of its pixels; TaskError."""
        planes, numbers = self._read(outputs[self._output])
        regions = sorted(self._regions(numbers), key=lambda region: -region[0])
        seen = [
            (region, score) for region in regions if (score := self._score(planes, region)) >= self._settings.min_score
        ][:MAX_FINDINGS]
        if self._left_out and len(seen) < MAX_FINDINGS:
            text = f"{self._left_out} regions are left out as smaller than {MAX_FINDINGS} others that score too little"
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; raise task.min_region")
        most = budget(len(seen))
        return tuple(self._finding(region, score, numbers.shape, placement, most) for region, score in seen)

    def _read(self, output: Tensor) -> tuple[Tensor | None, Tensor]:
        """Planes [classes, height, width] as they come, and the number of each pixel's label; -1: none."""
        name = self._output
        if self._format == "labels":
            return None, self._numbered(output)
        planes = finite(output, name)
        planes = planes[0] if planes.ndim == _PLANES + 1 and planes.shape[0] == 1 else planes
        if planes.ndim != _PLANES or 0 in planes.shape:
            text = f"output {name} has shape {list(output.shape)}, not [1, classes, height, width]"
            raise TaskError(Code.OUTPUT_INVALID, text)
        if self._format == "probabilities" and not -ROUNDING <= planes.min() <= planes.max() <= 1 + ROUNDING:
            text = f"the network gave {planes.min():g} to {planes.max():g}, which are no probabilities"
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; is task.format logits?")
        if len(planes) == 1:
            self._counted(1, 0)
            low = planes[0] < (0.5 if self._format == "probabilities" else 0.0)
            return planes, -low.astype(np.int16)
        self._counted(len(planes) - self._shift, self._shift)
        return planes, _highest(planes) - self._shift

    def _numbered(self, output: Tensor) -> Tensor:
        numbers = output
        while numbers.ndim > _PLANES - 1 and numbers.shape[0] == 1:
            numbers = numbers[0]
        if numbers.ndim != _PLANES - 1 or numbers.dtype.kind not in "iu" or 0 in numbers.shape:
            text = (
                f"output {self._output} is {numbers.dtype} {list(output.shape)}, not whole numbers [1, height, width]"
            )
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; give another task.format")
        if numbers.min() < 0 or numbers.max() >= len(self.labels) + self._shift:
            text = f"the network named class {numbers.max()}, outside 0..{len(self.labels) + self._shift - 1}"
            raise TaskError(Code.OUTPUT_INVALID, f"{text}; compare task.classes with the model")
        return numbers.astype(np.int16) - self._shift

    def _counted(self, classes: int, background: int) -> None:
        if classes != len(self.labels):
            text = f"the network knows {classes + background} classes"
            text += ", of which the first is the background" if background else ""
            text += f"; the recipe (or the model's metadata) names {len(self.labels)}"
            raise TaskError(Code.MODEL_MISMATCH, f"{text}; compare task.classes and task.background with the model")

    def _regions(self, numbers: Tensor) -> Iterator[Region]:
        """The largest places of each class; counts those left out."""
        self._left_out = 0
        for number in range(len(self.labels)):
            hot = (numbers == number).view(np.uint8)
            left, top, wide, high = cv2.boundingRect(hot)
            if not wide:
                continue
            _, marks, stats, _ = cv2.connectedComponentsWithStats(hot[top : top + high, left : left + wide])
            areas = stats[1:, cv2.CC_STAT_AREA]
            order = np.argsort(-areas, kind="stable")
            fitting = order[areas[order] >= self._settings.min_region]
            self._left_out += max(0, len(fitting) - MAX_FINDINGS)
            for index in fitting[:MAX_FINDINGS].tolist():
                x, y, width, height, area = stats[index + 1].tolist()
                part = marks[y : y + height, x : x + width] == index + 1
                x, y = x + left, y + top
                yield area, number, (x, y, x + width, y + height), part.view(np.uint8)

    def _score(self, planes: Tensor | None, region: Region) -> float:
        """Mean probability of the class over the region; 1 where the network tells none."""
        if planes is None:
            return 1.0
        _, number, (left, top, _, _), part = region
        down, across = np.nonzero(part)
        step = -(-len(down) // SAMPLE)
        values = planes[:, top + down[::step], left + across[::step]].astype(np.float64)
        at = number + self._shift if len(values) > 1 else 0
        if self._format == "probabilities":
            return min(max(float(values[at].mean()), 0.0), 1.0)
        if len(values) == 1:
            return float((1 / (1 + np.exp(-np.clip(values[0], -500, 500)))).mean())
        parts = np.exp(values - values.max(axis=0))
        return float((parts[at] / parts.sum(axis=0)).mean())

    def _finding(self, region: Region, score: float, shape: tuple[int, ...], p: Placement, most: int) -> Finding:
        _, number, (x1, y1, x2, y2), part = region
        scale = self._size[0] / shape[1], self._size[1] / shape[0]
        (left, top), (right, bottom) = on_frame(np.array([[x1, y1], [x2, y2]]) * scale, p).tolist()
        plain = Finding(self.labels[number], score, (left, top, right, bottom))
        return outlined(plain, framed((polygon(part, most) + np.array((x1, y1))) * scale, p))


def _highest(planes: Tensor) -> Tensor:
    """Number of the highest plane at each pixel; plane by plane, which costs a fifth of argmax."""
    best = planes[0].copy()
    numbers = np.zeros(best.shape, np.int16)
    for number in range(1, len(planes)):
        np.copyto(numbers, np.int16(number), where=planes[number] > best)
        np.maximum(best, planes[number], out=best)
    return numbers
