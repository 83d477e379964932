"""Edges along a line, to parts of a pixel: where the grey values rise or fall most."""

from __future__ import annotations

import cv2
import numpy as np

from gateway.vision.engines import Tensor
from gateway.vision.frames import Pixels

SOFT = 1.0
"""Pixels (sigma) over which profiles are smoothed before edges are looked for."""
_REACH = 3
"""Pixels on either side of an edge between which its step is told."""


def grey(picture: Pixels) -> Tensor:
    """Height x width in grey levels 0 to 255."""
    if picture.ndim == 2 or picture.shape[2] == 1:
        return picture.reshape(picture.shape[:2])
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)


def profiles(image: Tensor, starts: Tensor, ways: Tensor, length: float) -> tuple[Tensor, float]:
    """Grey values [n, samples] along n lines from `starts` [n, 2] in directions `ways` [n, 2] of length 1, and the
    step between samples in pixels; coordinates are those of the picture's pixel edges, NaN outside the picture."""
    count = max(2, int(np.ceil(length)) + 1)
    at = np.linspace(0.0, length, count)
    x = starts[:, :1] + ways[:, :1] * at - 0.5
    y = starts[:, 1:] + ways[:, 1:] * at - 0.5
    seen = cv2.remap(
        image.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    height, width = image.shape
    outside = (x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5)
    return np.where(outside, np.nan, seen), length / (count - 1)


def steepness(profile: Tensor) -> Tensor:
    """Grey levels per sample of each profile [n, samples], smoothed; 0 at the ends and where the picture ends."""
    filled = np.where(np.isfinite(profile), profile, 0.0).astype(np.float32)
    known = np.isfinite(profile).astype(np.float32)
    size = 2 * int(np.ceil(3 * SOFT)) + 1
    blurred = cv2.GaussianBlur(filled, (size, 1), SOFT, borderType=cv2.BORDER_REPLICATE)
    slope = np.zeros_like(blurred)
    slope[:, 1:-1] = (blurred[:, 2:] - blurred[:, :-2]) / 2
    near_the_end = cv2.erode(known, np.ones((1, size + 2), np.uint8), borderValue=1.0) < 1
    slope[near_the_end] = 0.0
    return slope


def edges(slope: Tensor, profile: Tensor, kind: str, min_step: float) -> list[float]:
    """Places of all edges of one profile [samples], in samples: peaks of its slope around which the grey changes by
    at least `min_step`."""
    signed = np.abs(slope) if kind == "any" else slope if kind == "rising" else -slope
    peaks = np.flatnonzero((signed[1:-1] > 0) & (signed[1:-1] >= signed[:-2]) & (signed[1:-1] > signed[2:])) + 1
    logarithms = np.log(
        np.maximum(signed, 1e-6)
    )  # a smoothed edge has the slope of a bell, whose logarithm is a parabola
    return [peak(logarithms, index) for index in peaks.tolist() if step(profile, index) >= min_step]


def step(profile: Tensor, index: int) -> float:
    """Grey levels between both sides of a place."""
    low, high = max(0, index - _REACH), min(len(profile) - 1, index + _REACH)
    change = abs(float(profile[high]) - float(profile[low]))
    return change if np.isfinite(change) else 0.0


def peak(values: Tensor, index: int) -> float:
    """The top of a parabola through a highest sample and its neighbours."""
    if not 0 < index < len(values) - 1:
        return float(index)
    before, top, after = (float(value) for value in values[index - 1 : index + 2])
    bend = before - 2 * top + after
    return index + (before - after) / (2 * bend) if bend < 0 else float(index)
