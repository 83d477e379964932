"""What the tests of cameras behind drivers do with a camera: open it, take a frame, see it refused or lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gateway.vision.cameras import CameraError, Order, make_camera
from gateway.vision.cameras.device import DeviceCamera
from gateway.vision.cameras.drivers import Driven
from protocols.faults import Code
from tests.contract.camera_rigs import Image, buffer, come
from tests.contract.vendor_rigs import fake_camera


@contextmanager
def opened(settings: Driven) -> Iterator[DeviceCamera]:
    camera = make_camera(settings)
    assert isinstance(camera, DeviceCamera)
    try:
        come(camera)
        yield camera
    finally:
        camera.close()


def grab(camera: DeviceCamera, cycle: int = 1) -> Image:
    return camera.grab(buffer(), Order(cycle, 0, 10.0)).pixels


def outcome(camera: DeviceCamera, cycle: int, budget: float = 10.0) -> Code:
    """Of a trigger whose frame may be torn: then it is a fault that says so, and the camera is not lost.

    The driver may hand a torn frame over after a newer whole one: that is out of order, and a fault too.
    """
    try:
        camera.grab(buffer(), Order(cycle, 0, budget))
    except CameraError as error:
        if error.lost or not ("not whole" in error.text or error.code in (Code.FRAME_TIMEOUT, Code.FRAME_REPEATED)):
            raise
        return error.code
    return Code.NONE


def refusal(settings: Driven) -> CameraError:
    """What opening a camera with these settings ends in."""
    camera = make_camera(settings)
    try:
        while True:
            try:
                camera.open()
            except CameraError as error:
                if error.code is not Code.STARTING:
                    return error
            else:
                raise AssertionError("the camera was opened")
    finally:
        camera.close()


def loss(camera: DeviceCamera) -> CameraError:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            camera.check()
        except CameraError as error:
            return error
        time.sleep(0.01)
    raise AssertionError("nobody noticed that the camera is gone")


def none() -> Iterator[None]:
    yield None


def played() -> Iterator[Any]:
    with fake_camera() as camera:
        yield camera


PLAYED: dict[str, Callable[[], Iterator[Any]]] = {"basler": none, "genicam": none, "aravis": played}
