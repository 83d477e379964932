"""Blobs: connected places that are darker or brighter than a limit."""

from __future__ import annotations

import cv2
import numpy as np

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_measure import BlobTask
from gateway.vision.engines import Tensor
from gateway.vision.frames import Pixels
from gateway.vision.tasks.edges import grey
from gateway.vision.tasks.outlines import budget, polygon


class Blob:
    """Findings of `BlobTask`."""

    def __init__(self, settings: BlobTask) -> None:
        self.labels, self._settings = settings.classes, settings

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """Largest first, at most 100; none in a picture without contrast."""
        s = self._settings
        mask = self._mask(np.ascontiguousarray(grey(picture)))
        if mask is None:
            return ()
        _, marks, stats, _ = cv2.connectedComponentsWithStats(mask)
        areas = stats[1:, cv2.CC_STAT_AREA]
        order = np.argsort(-areas, kind="stable")
        fitting = areas[order] >= s.min_size
        if s.max_size is not None:
            fitting &= areas[order] <= s.max_size
        chosen = (order[fitting][:MAX_FINDINGS] + 1).tolist()
        most = budget(len(chosen))
        return tuple(self._finding(marks, stats[number].tolist(), number, most) for number in chosen)

    def _mask(self, image: Tensor) -> Tensor | None:
        """1 where a blob is; None where otsu finds no two sides."""
        s = self._settings
        limit = s.threshold
        if limit == "otsu":
            limit = int(cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]) + 1
            dark = image < limit
            if not 0 < dark.sum() < dark.size or image[~dark].mean() - image[dark].mean() < s.min_step:
                return None
        return ((image < limit) if s.looks == "dark" else (image >= limit)).astype(np.uint8)

    def _finding(self, marks: Tensor, stats: list[int], number: int, most: int) -> Finding:
        x, y, width, height, area = stats
        part = (marks[y : y + height, x : x + width] == number).astype(np.uint8)
        outline = tuple((left + x, top + y) for left, top in polygon(part, most).tolist())
        box = float(x), float(y), float(x + width), float(y + height)
        return Finding(self._settings.label, 1.0, box, outline, value=float(area))
