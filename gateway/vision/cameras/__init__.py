"""Cameras: what a worker asks of any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.vision.frames import Pixels
from gateway.vision.settings import FolderCamera, SimulatedCamera
from protocols.faults import Code


class CameraError(Exception):
    """No frame: fault code and one sentence. `lost`: the camera is gone and has to be opened again."""

    def __init__(self, code: Code, text: str, lost: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.lost = lost


@dataclass(frozen=True, slots=True)
class Order:
    """What a frame is wanted for, and the seconds it may take."""

    cycle: int
    part_id: int
    budget: float


class Camera(Protocol):
    """A source of frames exposed on demand, never before."""

    simulated: bool
    """The frame shows no part of this line: results carry the Simulated bit."""
    frozen_check: bool
    """A frame with the very content of the one before is a fault."""

    def open(self) -> None:
        """Connect and warm up; CameraError. May be called again after a loss."""

    def grab(self, out: Pixels, order: Order) -> Pixels:
        """A new frame, height x width x 3, BGR, at the start of the flat `out`; CameraError."""

    def check(self) -> None:
        """Whether the camera is still there, in some microseconds; CameraError if not."""

    def close(self) -> None:
        """Let go of the camera; never raises."""


def make_camera(config: SimulatedCamera | FolderCamera) -> Camera:
    """The camera that the settings describe, not yet opened."""
    if isinstance(config, FolderCamera):
        from gateway.vision.cameras.folder import Folder

        return Folder(config)
    from gateway.vision.cameras.simulated import Simulated

    return Simulated(config)


def fit(out: Pixels, height: int, width: int) -> Pixels:
    """The view of the flat `out` for a colour frame of that size; CameraError 1005 if it is too large."""
    size = height * width * 3
    if size > out.size:
        text = f"a frame of {width} x {height} needs {size} bytes, frames.max_bytes allows {out.size}"
        raise CameraError(Code.IMAGE_FORMAT, text)
    return out[:size].reshape(height, width, 3)
