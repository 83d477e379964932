"""A reference picture, looked for by the correlation of grey values."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import cv2
import numpy as np

from gateway.inspection import Finding
from gateway.recipe_measure import TemplateTask
from gateway.vision.engines import Tensor
from gateway.vision.frames import Pixels
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.edges import grey, peak
from gateway.vision.tasks.outlines import around
from protocols.faults import Code

CONTRAST = 4.0
"""Grey levels (standard deviation) below which a picture has nothing to be compared by."""
APART = 0.5
"""Of the reference's smaller side: nearer to each other than so are one and the same."""
LARGEST = 32 * 2**20
"""Bytes of a reference picture."""
Match = tuple[float, float, float, float]
"""Score, middle x and y in the picture, angle in degrees."""


class Template:
    """Findings of `TemplateTask`."""

    def __init__(self, settings: TemplateTask, folder: Path) -> None:
        self.labels, self._settings = settings.classes, settings
        self._reference = _reference(settings, folder)
        count = int(settings.rotate / settings.rotate_step)
        self._angles = [settings.rotate_step * turn for turn in range(-count, count + 1)]

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """Best first; none where the picture is smaller than the reference, or shows nothing."""
        image = np.ascontiguousarray(grey(picture))
        height, width = self._reference.shape
        if image.shape[0] < height or image.shape[1] < width:
            return ()
        found = sorted((match for angle in self._angles for match in self._matches(image, angle)), reverse=True)
        kept: list[Match] = []
        for match in found:
            apart = APART * min(height, width)
            if len(kept) < self._settings.most and all(math.dist(match[1:3], o[1:3]) >= apart for o in kept):
                kept.append(match)
        return tuple(self._finding(match, image.shape) for match in kept)

    def _matches(self, image: Tensor, angle: float) -> list[Match]:
        """The best places at one angle: the picture is turned back, the reference stays as it is."""
        height, width = self._reference.shape
        rows, columns = image.shape
        turn = cv2.getRotationMatrix2D((columns / 2 - 0.5, rows / 2 - 0.5), angle, 1.0)
        turned = cv2.warpAffine(image, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE) if angle else image
        scores = cv2.matchTemplate(turned, self._reference, cv2.TM_CCOEFF_NORMED)
        scores[~np.isfinite(scores)] = -1.0  # where the picture is of one grey
        found: list[Match] = []
        for _ in range(self._settings.most):
            _, best, _, (x, y) = cv2.minMaxLoc(scores)
            if best < self._settings.min_score:
                break
            window = turned[y : y + height, x : x + width]
            if window.std() >= CONTRAST:
                at = peak(scores[y], x) + (width - 1) / 2, peak(scores[:, x], y) + (height - 1) / 2
                back = cv2.invertAffineTransform(turn) @ (*at, 1.0)
                found.append((min(best, 1.0), float(back[0]) + 0.5, float(back[1]) + 0.5, angle))
            near_y, near_x = max(1, height // 2), max(1, width // 2)
            scores[max(0, y - near_y) : y + near_y + 1, max(0, x - near_x) : x + near_x + 1] = -1.0
        return found

    def _finding(self, match: Match, shape: tuple[int, ...]) -> Finding:
        score, x, y, angle = match
        height, width = self._reference.shape
        right, down = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        side, other = np.array((right, down)) * width / 2, np.array((-down, right)) * height / 2
        corners = np.array((x, y)) + np.stack((-side - other, side - other, side + other, other - side))
        outline = tuple((left, top) for left, top in corners.tolist())
        x1, y1, x2, y2 = around(outline)
        box = max(x1, 0.0), max(y1, 0.0), min(x2, float(shape[1])), min(y2, float(shape[0]))
        return Finding(self._settings.label, score, box, outline, angle=angle)


def _reference(settings: TemplateTask, folder: Path) -> Tensor:
    """The reference in grey; TaskError 2001 not readable, 2002 another file, 2006 of no use."""
    path = folder / settings.image.file
    try:
        if path.stat().st_size > LARGEST:
            raise TaskError(Code.MODEL_LOAD, f"{path} has more than {LARGEST >> 20} MB; use a smaller picture")
        content = path.read_bytes()
    except OSError as error:
        text = f"{path} cannot be read ({error.strerror}); copy the picture again"
        raise TaskError(Code.MODEL_LOAD, text) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != settings.image.sha256:
        named = f"{path} has SHA-256 {digest}, recipe.yaml names {settings.image.sha256}"
        text = f"{named}; restore the file, or enter the new value after a test"
        raise TaskError(Code.MODEL_HASH, text)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        image = None
    if image is None:
        raise TaskError(Code.MODEL_LOAD, f"{path} is no picture; save it as PNG")
    if min(image.shape) < 4 or image.std() < CONTRAST:
        raise TaskError(Code.MODEL_MISMATCH, f"{path} shows nothing that could be recognised; cut out another part")
    return image
