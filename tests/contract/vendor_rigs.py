"""Rows of the camera suite for cameras behind drivers: pylon's emulator, genicam's own producer, Aravis' played camera.

None of them sends anything beyond this machine: the emulator and the producer open no socket, and Aravis is given an
address of the loopback, so that no search goes out.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from gateway.vision.camera_settings import AravisCamera, BaslerCamera, GenicamCamera, Region
from gateway.vision.cameras import CameraError, gvcp
from gateway.vision.cameras.aravis import Aravis
from gateway.vision.cameras.aravis_library import AravisError, library
from gateway.vision.cameras.basler import Basler
from gateway.vision.cameras.device import Arrival, DeviceCamera
from gateway.vision.cameras.genicam import Genicam
from tests.contract.camera_rigs import Rig, picture

FAKE_CAMERA = "arv-fake-gv-camera-0.8"
LOCK = Path(tempfile.gettempdir()) / "gvcp-3956.lock"
ADDRESS = "127.0.0.1"
STARTED = 10.0


def need(package: str, extra: str) -> None:
    """Skip where an optional package is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: make extras (or pip install 'vision-plc-gateway[{extra}]')")


# pylon's emulator


def emulator(folder: Path, **settings: object) -> BaslerCamera:
    """The emulated camera, showing a folder of pictures of 320 x 256."""
    need("pypylon", "basler")
    plain: dict[str, object] = {"pixel_format": "bgr8", "roi": Region(width=320, height=256), "exposure_us": 1000}
    return BaslerCamera.model_validate({**plain, "transport": "emulator", "pictures": folder, **settings})


def shown(folder: Path, count: int = 3) -> Path:
    """A folder of pictures that the emulator can show."""
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    return folder


def basler(trigger: str) -> Callable[[Path], Iterator[Rig]]:
    def rig(tmp_path: Path) -> Iterator[Rig]:
        settings = emulator(shown(tmp_path / "shown"), trigger=trigger)
        device = Basler(settings)

        def expose() -> None:
            # the emulator takes the command whatever the source: it plays the wire, once the camera is ready for it
            if trigger == "hardware" and device.features is not None:
                with contextlib.suppress(CameraError):
                    device.fire()

        yield Rig(
            lambda: DeviceCamera(device, settings, simulated=True),
            simulated=True,
            expose=expose,
            silence=lambda: stop(device),
        )

    return rig


# genicam's own producer


def producer() -> Path:
    """Viky, the test producer of the GenICam group: three cameras with a bouncing ball, without triggers."""
    need("harvesters", "genicam")
    spec = importlib.util.find_spec("genicam")
    if spec is None or spec.origin is None:
        pytest.skip("genicam is not installed: make extras (or pip install 'vision-plc-gateway[genicam]')")
    return Path(spec.origin).with_name("viky.cti")


def viky(**settings: object) -> GenicamCamera:
    """Its second camera; a large ball in a small picture, as what is nearly white counts as saturated."""
    plain: dict[str, object] = {
        "producer": producer(),
        "serial": "1",
        "trigger": "free",
        "pixel_format": "mono8",
        "roi": Region(width=100, height=100),
        "features": {"AcquisitionFrameRate": 100, "BouncingBallSize": 40},
    }
    return GenicamCamera.model_validate({**plain, **settings})


def genicam(tmp_path: Path) -> Iterator[Rig]:
    settings = viky()
    device = Genicam(settings)
    cut = [0]

    def make() -> DeviceCamera:
        return DeviceCamera(Cut(settings, device, cut), settings)

    yield Rig(make, silence=lambda: stop(device), resize=lambda: cut.__setitem__(0, 4))


class Cut:
    """A device whose frames lose rows: no camera of ours changes its size while it streams."""

    def __init__(self, settings: GenicamCamera, device: Genicam, rows: list[int]) -> None:
        self._device = device
        self._rows = rows
        self.open, self.fire, self.restart, self.close = device.open, device.fire, device.restart, device.close

    def next(self, wait: float) -> Arrival | None:
        arrival = self._device.next(wait)
        if arrival is None:
            return None
        return replace(arrival, pixels=arrival.pixels[: arrival.pixels.shape[0] - self._rows[0]])


# Aravis' played GigE Vision camera


class FakeCamera:
    """The process that plays a GigE Vision camera on the loopback; one at a time on a machine, for it has one port."""

    def __init__(self, *arguments: str) -> None:
        self._command = [FAKE_CAMERA, "-i", ADDRESS, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + STARTED
        while not gvcp.answers(ADDRESS):
            assert time.monotonic() < end, f"{FAKE_CAMERA} did not answer"

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def need_aravis() -> None:
    """Skip where the library is not installed."""
    try:
        library()
    except AravisError as error:
        pytest.skip(str(error))


def own() -> AravisCamera:
    """The library's own test camera, in this process."""
    need_aravis()
    return AravisCamera(interface="fake", pixel_format="mono8", frozen_check=False)


@contextlib.contextmanager
def fake_camera(*arguments: str) -> Iterator[FakeCamera]:
    """A played camera, started; skips where Aravis is not installed."""
    if shutil.which(FAKE_CAMERA) is None:
        pytest.skip(f"{FAKE_CAMERA} is not installed (Debian: aravis-tools)")
    need_aravis()
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        camera = FakeCamera(*arguments)
        try:
            camera.start()
            yield camera
        finally:
            camera.stop()


def gige(**settings: object) -> AravisCamera:
    """That camera's settings."""
    plain: dict[str, object] = {
        "address": ADDRESS,
        "pixel_format": "mono8",
        "roi": Region(width=256, height=128),
        "exposure_us": 3000,
        "frozen_check": False,
        # few packets a frame: the played camera must not be kept from its processor for long within one
        "features": {"AcquisitionFrameRate": 100.0, "ArvGevSCPSPacketSize": 8000},
        "trigger_line": "Line0",
    }
    return AravisCamera.model_validate({**plain, **settings})


def aravis(trigger: str) -> Callable[[Path], Iterator[Rig]]:
    def rig(tmp_path: Path) -> Iterator[Rig]:
        with fake_camera() as camera:
            settings = gige(trigger=trigger)
            device = Aravis(settings)
            yield Rig(
                lambda: DeviceCamera(device, settings),
                expose=lambda: wire(device) if trigger == "hardware" else None,
                unplug=camera.stop,
                plug=camera.start,
                silence=lambda: stop(device),
                resize=lambda: narrow(device),
            )

    return rig


def stop(device: Basler | Genicam | Aravis) -> None:
    """The camera is there, and sends nothing."""
    assert device.features is not None
    device.features.execute("AcquisitionStop")


def wire(device: Aravis) -> None:
    """The played camera has no input: with its trigger off it exposes a hundred times a second, as a wire might."""
    if device.features is not None and device.features.text("TriggerMode") == "On":
        device.features.write("TriggerMode", "Off")


def narrow(device: Aravis) -> None:
    """Somebody else's tool changes the region while the camera streams."""
    assert device.features is not None
    device.features.write("Width", 128)


VENDOR_RIGS: dict[str, Callable[[Path], Iterator[Rig]]] = {
    "basler-software": basler("software"),
    "basler-hardware": basler("hardware"),
    "basler-free": basler("free"),
    "genicam-free": genicam,
    "aravis-software": aravis("software"),
    "aravis-hardware": aravis("hardware"),
    "aravis-free": aravis("free"),
}
