"""From frame to network input: is the picture one that can be judged, and its resizing into a prepared buffer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from gateway.vision.frames import Pixels
from protocols.faults import Code

SAMPLES = 2000
"""Pixels looked at: enough for brightness and identity, some ten microseconds whatever the picture's size."""
UNIFORM, BLACK, WHITE = 6, 8, 247
"""Grey levels: spread below which a frame shows nothing, mean below which it is black, above which saturated."""
PADDING = 114
"""Grey of a letterbox's borders, as the YOLO families are trained."""


def sample(pixels: Pixels) -> Pixels:
    """A view of about SAMPLES pixels spread over the frame."""
    step = max(1, math.isqrt(pixels.shape[0] * pixels.shape[1] // SAMPLES))
    return pixels[step // 2 :: step, step // 2 :: step]


class FrameCheck:
    """Tells frames that cannot be judged: black, saturated, uniform, or the one before once more."""

    def __init__(self, frozen_check: bool) -> None:
        self._frozen_check = frozen_check
        self._last: bytes | None = None

    def fault(self, pixels: Pixels) -> tuple[Code, str] | None:
        """Why this new frame, as it is or resized, cannot be judged; or None."""
        points = sample(pixels).copy()
        if self._frozen_check:
            last, self._last = self._last, points.tobytes()
            if last == self._last:
                return Code.FRAME_REPEATED, "the frame is the one before: the camera stands still"
        flat = points.reshape(1, -1, points.shape[2]) if points.ndim == 3 else points.reshape(1, -1)
        mean = sum(cv2.mean(flat)) / (points.shape[2] if points.ndim == 3 else 1)
        spread = int((cv2.reduce(flat, 1, cv2.REDUCE_MAX) - cv2.reduce(flat, 1, cv2.REDUCE_MIN)).max())
        if mean < BLACK:
            return Code.IMAGE_INVALID, f"the frame is black (mean grey {mean:.0f})"
        if mean > WHITE:
            return Code.IMAGE_INVALID, f"the frame is saturated (mean grey {mean:.0f})"
        if spread < UNIFORM:
            return Code.IMAGE_INVALID, f"the frame shows nothing (one colour, {spread} levels apart)"
        return None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the frame lies in the network's input: x_input = x_frame * scale_x + left."""

    scale_x: float
    scale_y: float
    left: float
    top: float
    width: int
    height: int
    """Size of the frame."""


class Resizer:
    """Brings frames into the network's input buffer, height x width x 3; no memory is taken once running."""

    def __init__(self, target: Pixels, mode: str = "stretch") -> None:
        self._target = target
        self._mode = mode
        self._cut = (slice(None), slice(None))
        self._key: tuple[int, int] | None = None
        self._steps: tuple[tuple[Pixels, int], ...] = ()
        self._placement = Placement(1, 1, 0, 0, target.shape[1], target.shape[0])
        self.picture = target
        """What of the buffer the frame covers: all but a letterbox's borders."""

    def put(self, pixels: Pixels) -> Placement:
        """Write the frame into the buffer; where it came to lie."""
        if self._key != pixels.shape[:2]:
            self._key = None  # half a plan, as after want of memory, must not be taken for a whole one
            self._plan(*pixels.shape[:2])
            self._key = pixels.shape[:2]
        if self._mode == "crop":
            pixels = pixels[self._cut]
        for into, method in self._steps:
            cv2.resize(pixels, (into.shape[1], into.shape[0]), dst=into, interpolation=method)
            pixels = into
        return self._placement

    def _plan(self, height: int, width: int) -> None:
        rows, columns = self._target.shape[:2]
        if self._mode == "crop":
            self._plan_crop(height, width)
            return
        top = left = 0
        if self._mode != "stretch":
            scale = min(columns / width, rows / height)
            inner_rows, inner_columns = max(1, round(height * scale)), max(1, round(width * scale))
            if self._mode == "letterbox":
                top, left = (rows - inner_rows) // 2, (columns - inner_columns) // 2
            rows, columns = inner_rows, inner_columns
            self._target[:] = PADDING
        inner = self.picture = self._target[top : top + rows, left : left + columns]
        self._steps = tuple(_steps(height, width, inner))
        self._placement = Placement(columns / width, rows / height, left, top, width, height)

    def _plan_crop(self, height: int, width: int) -> None:
        """The middle of the frame, in the shape of the input."""
        rows, columns = self._target.shape[:2]
        scale = max(columns / width, rows / height)
        high, wide = min(height, max(1, round(rows / scale))), min(width, max(1, round(columns / scale)))
        y, x = (height - high) // 2, (width - wide) // 2
        self._cut = slice(y, y + high), slice(x, x + wide)
        self.picture = self._target
        self._steps = tuple(_steps(high, wide, self._target))
        across, down = columns / wide, rows / high
        self._placement = Placement(across, down, -x * across, -y * down, width, height)


def _steps(height: int, width: int, inner: Pixels) -> Iterator[tuple[Pixels, int]]:
    """Buffers and methods that lead to `inner`: halvings first, for the mean over an area costs a third so."""
    rows, columns = inner.shape[:2]
    while height % 2 == width % 2 == 0 and height >= 2 * rows and width >= 2 * columns:
        if height % rows == width % columns == 0 and (height // rows % 2 or width // columns % 2):
            break  # an odd whole factor: one exact step
        height, width = height // 2, width // 2
        if (height, width) == (rows, columns):
            yield inner, cv2.INTER_AREA
            return
        yield np.empty((height, width, 3), np.uint8), cv2.INTER_AREA
    whole = height % rows == width % columns == 0
    yield inner, cv2.INTER_AREA if whole else cv2.INTER_LINEAR
