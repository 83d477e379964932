"""What industrial cameras call their pixels, by number and by name, and frames out of their drivers' buffers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.vision.camera_settings import PixelFormat
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival
from gateway.vision.cameras.pixels import Raw
from gateway.vision.frames import Pixels
from protocols.faults import Code


@dataclass(frozen=True, slots=True)
class Format:
    """A pixel format that is taken."""

    setting: PixelFormat
    names: tuple[str, ...]
    """The standard's name, and others that cameras use."""
    channels: int = 1
    deep: bool = False
    """Each value lies in two bytes, little endian."""


CODE = 0xFFFFFFFF
"""What of a number is the standard's: drivers may hand it over with a sign."""

# GenICam Pixel Format Values (PFNC) 2.5: GigE Vision, USB3 Vision, GenTL and pylon all use these numbers.
FORMATS: dict[int, Format] = {
    0x01080001: Format("mono8", ("Mono8",)),
    0x01100003: Format("mono10", ("Mono10",), deep=True),
    0x01100005: Format("mono12", ("Mono12",), deep=True),
    0x01100007: Format("mono16", ("Mono16",), deep=True),
    0x01080008: Format("bayer_gr8", ("BayerGR8",)),
    0x01080009: Format("bayer_rg8", ("BayerRG8",)),
    0x0108000A: Format("bayer_gb8", ("BayerGB8",)),
    0x0108000B: Format("bayer_bg8", ("BayerBG8",)),
    0x02180014: Format("rgb8", ("RGB8", "RGB8Packed"), channels=3),
    0x02180015: Format("bgr8", ("BGR8", "BGR8Packed"), channels=3),
    0x02100032: Format("yuyv", ("YUV422_8", "YUV422_YUYV_Packed"), channels=2),
}


def names_of(setting: PixelFormat) -> tuple[str, ...]:
    """What cameras call it."""
    return next(known.names for known in FORMATS.values() if known.setting == setting)


def settings_of(names: tuple[str, ...]) -> str:
    """Which values of `pixel_format` fit a camera that has these formats, in words."""
    fit = [known.setting for known in FORMATS.values() if set(known.names) & set(names)]
    return ", ".join(fit) or "none of these"


def taken(code: int) -> Format:
    """The format of that number; CameraError 1005 for one that is not taken."""
    known = FORMATS.get(code)
    if known is None:
        every = ", ".join(one.setting for one in FORMATS.values())
        text = f"the camera sends pixels of format 0x{code:08X}; taken are {every} (pixel_format)"
        raise CameraError(Code.IMAGE_FORMAT, text)
    return known


def arrival(data: Pixels, code: int, size: tuple[int, int], stamp: Stamp, padding: int = 0) -> Arrival:
    """The frame that a buffer holds; a broken one if it holds less. CameraError 1005: its format is not taken."""
    known = taken(code)
    try:
        return Arrival(unpack(data, known, size, padding), known.setting, stamp)
    except CameraError as error:
        return Arrival.broken_by(error.text, stamp)


def unpack(data: Pixels, known: Format, size: tuple[int, int], padding: int = 0) -> Raw:
    """A copy of the frame that the flat bytes hold; `size` is width and height, `padding` the bytes behind each row.

    CameraError 1004 if the bytes are too few.
    """
    width, height = size
    row = width * known.channels * (2 if known.deep else 1)
    needed = (row + padding) * (height - 1) + row
    if width < 1 or height < 1 or padding < 0 or data.size < needed:
        frame = f"a {known.setting} frame of {width} x {height}"
        text = f"{frame} needs {needed} bytes, the camera sent {data.size}"
        raise CameraError(Code.IMAGE_INVALID, text)
    rows = np.lib.stride_tricks.as_strided(data, (height, row), (row + padding, 1), writeable=False)
    frame_bytes = np.array(rows, order="C", copy=True)
    values: Raw = frame_bytes.view("<u2") if known.deep else frame_bytes
    return values.reshape(height, width, known.channels) if known.channels > 1 else values
