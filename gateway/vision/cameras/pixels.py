"""From what a camera sends to what the pipeline needs: height x width x 3, BGR, 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway.vision.camera_settings import PixelFormat
from gateway.vision.cameras import CameraError, fit
from gateway.vision.frames import Pixels
from protocols.faults import Code

Raw = NDArray[Any]
"""Pixels as they came: height x width for one channel (mono, bayer), height x width x channels for others."""

_COLOURS: Mapping[PixelFormat, int] = {
    "mono8": cv2.COLOR_GRAY2BGR,
    "rgb8": cv2.COLOR_RGB2BGR,
    "yuyv": cv2.COLOR_YUV2BGR_YUYV,
    # OpenCV names a Bayer pattern by its second row's second pixel, GenICam by the first of the first row
    "bayer_rg8": cv2.COLOR_BayerBG2BGR,
    "bayer_gb8": cv2.COLOR_BayerGR2BGR,
    "bayer_gr8": cv2.COLOR_BayerGB2BGR,
    "bayer_bg8": cv2.COLOR_BayerRG2BGR,
}
_DEEP: Mapping[PixelFormat, int] = {"mono10": 10, "mono12": 12, "mono16": 16}
_CHANNELS: Mapping[PixelFormat, int] = {"bgr8": 3, "rgb8": 3, "yuyv": 2}


def to_bgr(raw: Raw, kind: PixelFormat, out: Pixels) -> Pixels:
    """The frame in colour at the start of the flat `out`; CameraError 1005 if it is not what `kind` says, or too large.

    Deep mono formats keep their upper eight bits.
    """
    _expect(raw, kind)
    pixels = fit(out, *raw.shape[:2])
    if kind == "bgr8":
        pixels[:] = raw
        return pixels
    if kind in _DEEP:
        raw = cv2.convertScaleAbs(raw, alpha=2.0 ** (8 - _DEEP[kind]))
        kind = "mono8"
    cv2.cvtColor(np.ascontiguousarray(raw), _COLOURS[kind], dst=pixels)
    return pixels


def decode(data: Pixels, name: str) -> Pixels:
    """The picture of an image file's bytes, in colour; CameraError 1004 if it is damaged, none, or too large.

    OPENCV_IO_MAX_IMAGE_PIXELS makes OpenCV refuse too many pixels before it decodes one.
    """
    try:
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (cv2.error, MemoryError) as error:
        raise CameraError(Code.IMAGE_INVALID, f"{name} is no picture of a size that fits") from error
    if picture is None:
        raise CameraError(Code.IMAGE_INVALID, f"{name} is damaged or no picture")
    return picture.astype(np.uint8, copy=False)


def _expect(raw: Raw, kind: PixelFormat) -> None:
    channels = _CHANNELS.get(kind, 1)
    deep = np.uint16 if kind in _DEEP else np.uint8
    shape = raw.shape if raw.ndim == 3 else (*raw.shape, 1)
    if len(shape) != 3 or shape[2] != channels or raw.dtype != deep or 0 in shape:
        told = " x ".join(map(str, raw.shape))
        text = f"the camera sent {told} values of {raw.dtype}, which is no {kind} frame; mend pixel_format"
        raise CameraError(Code.IMAGE_FORMAT, text)
