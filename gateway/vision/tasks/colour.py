"""Colour: how much of the picture has it, or the mean of a channel."""

from __future__ import annotations

import cv2
import numpy as np

from gateway.inspection import Finding
from gateway.recipe_measure import ColourTask
from gateway.vision.engines import Tensor
from gateway.vision.frames import Pixels

COLOURED = 10.0
"""Per cent of saturation and of value from which on a pixel has a hue at all."""
ENOUGH = 0.01
"""Of the picture: fewer coloured pixels have no mean hue."""


class Colour:
    """One finding: the whole picture."""

    def __init__(self, settings: ColourTask) -> None:
        self.labels, self._settings = settings.classes, settings

    def look(self, picture: Pixels) -> tuple[Finding, ...]:
        """The share is the score too; no finding for the mean hue of a picture without colours."""
        s = self._settings
        channels = _channels(picture, s.space)
        value = self._share(channels) if s.mean is None else _mean(channels, s.space, s.mean)
        if value is None:
            return ()
        score = value if s.mean is None else 1.0
        if score < s.min_score:
            return ()
        height, width = picture.shape[:2]
        return (Finding(s.label, score, (0.0, 0.0, float(width), float(height)), value=value),)

    def _share(self, channels: Tensor) -> float:
        low, high = self._settings.low or (), self._settings.high or ()
        within = np.ones(channels.shape[:2], bool)
        for plane, least, most in zip(np.moveaxis(channels, 2, 0), low, high, strict=True):
            within &= (plane >= least) & (plane <= most) if least <= most else (plane >= least) | (plane <= most)
        return float(within.mean())


def _channels(picture: Pixels, space: str) -> Tensor:
    """In the units of `ColourTask`."""
    colours = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 or picture.shape[2] == 1 else picture
    parts = colours.astype(np.float32) / 255
    if space == "lab":
        return cv2.cvtColor(parts, cv2.COLOR_BGR2LAB)
    return cv2.cvtColor(parts, cv2.COLOR_BGR2HSV) * np.array((1, 100, 100), np.float32)


def _mean(channels: Tensor, space: str, channel: str) -> float | None:
    plane = channels[:, :, space.index(channel)]
    if channel != "h":
        return float(plane.mean(dtype=np.float64))
    coloured = (channels[:, :, 1] >= COLOURED) & (channels[:, :, 2] >= COLOURED)
    if coloured.mean() < ENOUGH:
        return None
    turns = np.radians(plane[coloured].astype(np.float64))
    return float(np.degrees(np.arctan2(np.sin(turns).mean(), np.cos(turns).mean())) % 360)
