"""Cameras: what a worker asks of any of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.inspection import FrameFacts
from gateway.vision.camera_settings import (
    AnyCamera,
    AravisCamera,
    BaslerCamera,
    FolderCamera,
    GenicamCamera,
    OpenCvCamera,
)
from gateway.vision.frames import Pixels
from protocols.faults import Code


class CameraError(Exception):
    """No frame: fault code and one sentence. `lost`: the camera is gone and has to be opened again.

    `hung`: its driver does not return any more, and only another process can have the camera.
    """

    def __init__(self, code: Code, text: str, lost: bool = False, hung: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.lost = lost
        self.hung = hung


@dataclass(frozen=True, slots=True)
class Order:
    """What a frame is wanted for, the seconds it may take, and when the trigger came (monotonic)."""

    cycle: int
    part_id: int
    budget: float
    triggered: float = field(default_factory=time.monotonic)
    frame: int = 0
    """The frame that is the trigger, as `came` numbered it; 0: none is."""


class Grabbed(NamedTuple):
    """A frame, height x width x 3, BGR, at the start of the memory given; and what is known of it."""

    pixels: Pixels
    facts: FrameFacts


class Camera(Protocol):
    """A source of frames; each is given once, and for no trigger that came after its exposure."""

    simulated: bool
    """The frame shows no part of this line: results carry the Simulated bit."""
    frozen_check: bool
    """A frame with the very content of the one before is a fault."""
    exclusive: bool
    """One process at a time can have it: it is opened when its worker becomes the active one."""

    def open(self) -> None:
        """Connect and warm up, or go on with it; again after each loss.

        CameraError while it is not there, with 5007 while nothing is wrong and it only takes its time.
        """

    def grab(self, out: Pixels, order: Order) -> Grabbed:
        """A new frame within the order's budget, at the start of the flat `out`; CameraError."""

    def news(self) -> int | None:
        """A descriptor to be read from when a frame has come that is a trigger itself; None: frames are none."""

    def came(self) -> list[int]:
        """The numbers of such frames since the last call, for `Order.frame`."""

    def check(self) -> None:
        """Whether the camera is still there, in some microseconds; CameraError if not."""

    def close(self) -> None:
        """Let go of the camera; never raises, takes a second at most."""


class OnDemand:
    """What holds for cameras that make a frame when they are asked for one, in any process."""

    exclusive = False

    def news(self) -> int | None:
        """No frame comes by itself."""
        return None

    def came(self) -> list[int]:
        """None ever does."""
        return []


def make_camera(config: AnyCamera) -> Camera:
    """The camera that the settings describe, not yet opened."""
    if isinstance(config, FolderCamera):
        from gateway.vision.cameras.folder import make as make_folder

        return make_folder(config)
    if isinstance(config, GenicamCamera | BaslerCamera | AravisCamera):
        from gateway.vision.cameras.drivers import driven

        return driven(config)
    if isinstance(config, OpenCvCamera):
        from gateway.vision.cameras.opencv import make

        return make(config)
    from gateway.vision.cameras.simulated import Simulated

    return Simulated(config)


def made_now(pixels: Pixels) -> Grabbed:
    """A frame that was made for its trigger, just now."""
    return Grabbed(pixels, FrameFacts(arrived=time.monotonic()))


def fit(out: Pixels, height: int, width: int) -> Pixels:
    """The view of the flat `out` for a colour frame of that size; CameraError 1005 if it is too large."""
    size = height * width * 3
    if size > out.size:
        text = f"a frame of {width} x {height} needs {size} bytes, frames.max_bytes allows {out.size}"
        raise CameraError(Code.IMAGE_FORMAT, text)
    return out[:size].reshape(height, width, 3)
