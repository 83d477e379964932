"""Pictures cut out of a frame into a buffer that is made once."""

from __future__ import annotations

import math

import cv2
import numpy as np

from gateway.vision.frames import Pixels
from gateway.vision.image import PADDING
from gateway.vision.places import Place

_TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}
"""Quarter turns of a picture's x axis in the frame → what brings the cut upright."""


class Cutter:
    """Cuts one picture after the other; each is valid until the next."""

    def __init__(self) -> None:
        self._buffer = np.empty(0, np.uint8)

    def cut(self, frame: Pixels, place: Place) -> Pixels:
        """The picture at `place`: the frame's own pixels where it stands upright; grey where it leaves the frame."""
        (x, y), quarter = place.origin, place.quarter
        if quarter is not None and x.is_integer() and y.is_integer():
            xs, ys = [corner[0] for corner in place.corners], [corner[1] for corner in place.corners]
            left, top, right, bottom = int(min(xs)), int(min(ys)), int(max(xs)), int(max(ys))
            if left >= 0 and top >= 0 and right <= frame.shape[1] and bottom <= frame.shape[0]:
                part = frame[top:bottom, left:right]
                return part if quarter == 0 else cv2.rotate(part, _TURNS[quarter], dst=self._into(place, frame))  # type: ignore[return-value]
        return self._warped(frame, place)

    def _warped(self, frame: Pixels, place: Place) -> Pixels:
        cosine, sine = place.axis
        # OpenCV counts from the middle of the first pixel.
        x, y = place.point(0.5, 0.5)
        matrix = np.array([[cosine, -sine, x - 0.5], [sine, cosine, y - 0.5]])
        into = self._into(place, frame)
        cv2.warpAffine(
            frame,
            matrix,
            (place.width, place.height),
            dst=into,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(PADDING, PADDING, PADDING),
        )
        return into

    def _into(self, place: Place, frame: Pixels) -> Pixels:
        shape = (place.height, place.width, *frame.shape[2:])
        size = math.prod(shape)
        if self._buffer.size < size:
            self._buffer = np.empty(size, np.uint8)
        return self._buffer[:size].reshape(shape)
