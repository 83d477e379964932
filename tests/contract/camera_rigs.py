"""The kinds of cameras that the contract suite looks at: one row each, with what stands around the camera.

A row is a function that yields a `Rig`; one that is not installed here skips with its reason. Add it to RIGS.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gateway.vision.camera_settings import FolderCamera, OpenCvCamera, RealCamera, SimulatedCamera, TriggeredCamera
from gateway.vision.cameras import Camera, CameraError, Grabbed, Order, make_camera
from gateway.vision.cameras.device import DeviceCamera
from protocols.faults import Code
from tests.contract.mjpeg_server import MjpegServer
from tests.contract.played_camera import PlayedDevice

Image = np.ndarray[Any, Any]
COMING = 20.0
"""Seconds a camera may take to be there: a bound for the test, not a promise."""


def nothing() -> None:
    """The camera needs no help."""


@dataclass
class Rig:
    """One kind of camera, and what the line, the wire and a clumsy person do to it; None: cannot be done."""

    make: Callable[[], Camera]
    simulated: bool = False
    repeatable: bool = False
    """Two of them show the same for the same cycle."""
    expose: Callable[[], None] = nothing
    """What happens on the line at a trigger: the wire of a hardware trigger."""
    unplug: Callable[[], None] | None = None
    plug: Callable[[], None] = nothing
    silence: Callable[[], None] | None = None
    """From now on the camera is there, and sends nothing."""
    resize: Callable[[], None] | None = None
    """From now on its frames have another size."""

    def opened(self) -> Camera:
        camera = self.make()
        come(camera)
        return camera

    def grab(self, camera: Camera, cycle: int, budget: float = 10.0, out: Image | None = None) -> Grabbed:
        order = Order(cycle, 0, budget)
        self.expose()
        return camera.grab(buffer() if out is None else out, order)


def come(camera: Camera) -> None:
    """Open the camera as a worker does: again and again, until it is there."""
    end = time.monotonic() + COMING
    while True:
        try:
            camera.open()
            return
        except CameraError as error:
            if time.monotonic() > end:
                raise
            if error.code is not Code.STARTING:
                time.sleep(0.02)


def buffer(size: int = 16 * 2**20) -> Image:
    return np.zeros(size, np.uint8)


def picture(seed: int, width: int = 320, height: int = 256) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def pictures(folder: Path) -> Path:
    """A folder of three pictures and something else."""
    folder.mkdir()
    for number, suffix in enumerate(("png", "bmp", "png")):
        cv2.imwrite(str(folder / f"{number}.{suffix}"), picture(number))
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    return folder


def simulated(tmp_path: Path) -> Iterator[Rig]:
    settings = SimulatedCamera(width=320, height=256)
    yield Rig(lambda: make_camera(settings), simulated=True, repeatable=True)


def folder(tmp_path: Path) -> Iterator[Rig]:
    path = pictures(tmp_path / "pictures")
    away = tmp_path / "away"
    settings = FolderCamera(path=path)
    yield Rig(
        lambda: make_camera(settings),
        simulated=True,
        repeatable=True,
        unplug=lambda: void(path.rename(away)),
        plug=lambda: void(away.rename(path)),
    )


def played_software(tmp_path: Path) -> Iterator[Rig]:
    device = PlayedDevice()
    yield _played(device, TriggeredCamera(trigger="software"))


def played_hardware(tmp_path: Path) -> Iterator[Rig]:
    device = PlayedDevice()
    rig = _played(device, TriggeredCamera(trigger="hardware"))
    rig.expose = lambda: device.send() if device.answers else None
    yield rig


def played_free(tmp_path: Path) -> Iterator[Rig]:
    yield _played(PlayedDevice(streams=True), TriggeredCamera(trigger="free"))


def _played(device: PlayedDevice, settings: RealCamera) -> Rig:
    def silence() -> None:
        device.answers = device.streams = False

    def resize() -> None:
        device.size = (24, 64)

    return Rig(
        lambda: DeviceCamera(device, settings),
        unplug=device.unplug,
        plug=device.plug,
        silence=silence,
        resize=resize,
    )


def opencv_http(tmp_path: Path) -> Iterator[Rig]:
    with MjpegServer() as server:
        settings = OpenCvCamera(url=server.url, silence_s=0.5, latency_ms=0)
        yield Rig(
            lambda: make_camera(settings),
            unplug=server.unplug,
            plug=server.plug,
            silence=server.silence,
            resize=server.resize,
        )


def opencv_file(tmp_path: Path) -> Iterator[Rig]:
    path, away = video(tmp_path / "line.avi"), tmp_path / "away.avi"
    settings = OpenCvCamera(path=path)
    yield Rig(
        lambda: make_camera(settings),
        simulated=True,
        repeatable=True,
        unplug=lambda: void(path.rename(away)),
        plug=lambda: void(away.rename(path)),
    )


def folder_watched(tmp_path: Path) -> Iterator[Rig]:
    path, away = tmp_path / "incoming", tmp_path / "away"
    path.mkdir()
    size = {"width": 64, "height": 48}
    numbers = itertools.count(1)
    dead: list[bool] = []

    def expose() -> None:
        if not dead and path.is_dir():
            number = next(numbers)
            cv2.imwrite(str(tmp_path / "next.png"), picture(number, **size))
            (tmp_path / "next.png").rename(path / f"{number:04}.png")

    settings = FolderCamera(path=path, watch=True)
    yield Rig(
        lambda: make_camera(settings),
        expose=expose,
        unplug=lambda: void(path.rename(away)),
        plug=lambda: void(away.rename(path)),
        silence=lambda: dead.append(True),
        resize=lambda: size.update(width=32),
    )


def video(path: Path, count: int = 4) -> Path:
    """A file of so many pictures, each in another grey."""
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 256))
    for number in range(count):
        writer.write(picture(number) // 4 + np.uint8(40 * number))
    writer.release()
    return path


def void(value: object) -> None:
    """Drop what a call returns."""


RIGS: dict[str, Callable[[Path], Iterator[Rig]]] = {
    "simulated": simulated,
    "folder": folder,
    "played-software": played_software,
    "played-hardware": played_hardware,
    "played-free": played_free,
    "folder-watched": folder_watched,
    "opencv-http": opencv_http,
    "opencv-file": opencv_file,
}
