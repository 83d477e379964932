"""A frame as a lens without distortion would show it, with maps that are made once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from gateway.calibration import Calibration
from gateway.inspection import Finding
from gateway.vision.frames import Pixels
from gateway.vision.image import PADDING
from gateway.vision.places import Place, Point, corners_of, cut_to, hull

RIM = 2
"""Pixels around a place that are made as well, as what is turned mixes neighbours."""


class Lens:
    """Straight pixels of frames, and the way of findings between both."""

    def __init__(self, calibration: Calibration) -> None:
        """MemoryError for a frame of more pixels than this process may hold."""
        self.calibration = calibration
        fx, fy, cx, cy = calibration.camera
        matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
        size = calibration.width, calibration.height
        try:
            self._maps = cv2.initUndistortRectifyMap(
                matrix, np.array(calibration.distortion), np.eye(3), matrix, size, cv2.CV_16SC2
            )
        except cv2.error as error:
            if error.code == cv2.Error.STS_NO_MEM:
                raise MemoryError from error
            raise
        self._straight = np.empty((calibration.height, calibration.width, 3), np.uint8)

    def straight(self, frame: Pixels, place: Place) -> Pixels:
        """The straight frame; only its pixels around `place` are made, valid until the next call."""
        x1, y1, x2, y2 = hull(place.corners)
        columns = slice(max(0, math.floor(x1) - RIM), max(0, math.ceil(x2) + RIM))
        rows = slice(max(0, math.floor(y1) - RIM), max(0, math.ceil(y2) + RIM))
        into = self._straight[rows, columns]
        if into.size:
            cv2.remap(
                frame,
                self._maps[0][rows, columns],
                self._maps[1][rows, columns],
                cv2.INTER_LINEAR,
                dst=into,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(PADDING, PADDING, PADDING),
            )
        return self._straight

    def straightened(self, finding: Finding) -> Finding:
        """A finding of the frame, in straight pixels."""
        return self._moved(finding, self.calibration.straighten)

    def bent(self, finding: Finding) -> Finding:
        """A finding in straight pixels, in those of the frame, its box cut to it."""
        found = self._moved(finding, self.calibration.bend)
        return replace(found, box=cut_to(found.box, self.calibration.width, self.calibration.height))

    def _moved(self, finding: Finding, at: Callable[[float, float], Point]) -> Finding:
        x1, y1, x2, y2 = finding.box
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        edges = (*corners_of(finding.box), (x, y1), (x2, y), (x, y2), (x1, y))  # straight edges become bows
        outline = tuple(at(*point) for point in finding.outline)
        angle = finding.angle
        if angle is not None:
            there = at(x + math.cos(math.radians(angle)), y + math.sin(math.radians(angle)))
            here = at(x, y)
            angle = math.degrees(math.atan2(there[1] - here[1], there[0] - here[0]))
        return replace(
            finding,
            box=hull(outline or (at(*point) for point in edges)),
            outline=outline,
            points=tuple((*at(px, py), score) for px, py, score in finding.points),
            angle=angle,
        )
