"""How long a frame takes from the command to the picture, for each driver of cameras; beside it the driver alone."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.report import Table
from gateway.vision.camera_settings import GenicamSettings, Region
from gateway.vision.cameras import CameraError, Order
from gateway.vision.cameras.aravis import Aravis
from gateway.vision.cameras.basler import Basler
from gateway.vision.cameras.device import Device, DeviceCamera
from gateway.vision.cameras.genicam import Genicam
from tests.contract.camera_rigs import come, picture
from tests.contract.vendor_rigs import emulator, fake_camera, gige, viky

SIZE = Region(width=1280, height=1024)
BUDGET = 5.0

Row = tuple[GenicamSettings, Callable[[], Device]]


@contextlib.contextmanager
def _basler(folder: Path) -> Iterator[Row]:
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number, SIZE.width, SIZE.height))
    settings = emulator(folder, roi=SIZE)
    yield settings, lambda: Basler(settings)


@contextlib.contextmanager
def _aravis(_: Path) -> Iterator[Row]:
    with fake_camera():
        settings = gige(roi=SIZE)
        yield settings, lambda: Aravis(settings)


@contextlib.contextmanager
def _genicam(_: Path) -> Iterator[Row]:
    settings = viky(roi=Region(width=800, height=800), features={"AcquisitionFrameRate": 50, "BouncingBallSize": 40})
    yield settings, lambda: Genicam(settings)


ROWS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Row]]] = {
    "basler, emulator, bgr8, software": _basler,
    "aravis, played camera on the loopback, mono8, software": _aravis,
    "genicam, its own producer, mono8 800 x 800, free at 50/s": _genicam,
}


def run(quick: bool) -> dict[str, Any]:
    """Each driver with us around it and by itself, in turns; one that is not installed is left out and said to be."""
    found: dict[str, Any] = {}
    for name, row in ROWS.items():
        try:
            with tempfile.TemporaryDirectory() as folder, row(Path(folder)) as (settings, make):
                found[name] = _measure(settings, make, 40 if quick else 200)
        except pytest.skip.Exception as reason:
            found[name] = {"left out": str(reason)}
    return found


def _measure(settings: GenicamSettings, make: Callable[[], Device], count: int) -> dict[str, Any]:
    ours: list[float] = []
    late: list[float] = []
    bare: list[float] = []
    for _ in range(4):
        _grabs(settings, make(), count // 4, ours, late)
        if settings.trigger == "software":
            _alone(make(), count // 4, bare)
    found: dict[str, Any] = {"whole": _millis(ours), "late": _millis(late), "frames": len(ours)}
    if bare:
        found["bare"] = _millis(bare)
        found["ratio"] = round(statistics.median(ours) / statistics.median(bare), 2)
    return found


def _grabs(settings: GenicamSettings, device: Device, count: int, whole: list[float], late: list[float]) -> None:
    """Command → picture, and arrival at the driver → picture in BGR."""
    out = np.zeros(SIZE.width * SIZE.height * 3, np.uint8)
    camera = DeviceCamera(device, settings)
    come(camera)
    try:
        for cycle in range(count + 1):
            begin = time.monotonic()
            try:
                facts = camera.grab(out, Order(cycle, 0, BUDGET)).facts
            except CameraError:
                continue  # the played camera was kept from its processor within a frame; the count below tells
            end = time.monotonic()
            if cycle:  # the first one pays for first uses
                whole.append(end - begin)
                late.append(end - facts.arrived)
    finally:
        camera.close()


def _alone(device: Device, count: int, whole: list[float]) -> None:
    """Command → buffer copied, without the thread between and without colours."""
    device.open()
    try:
        for cycle in range(count + 1):
            begin = time.monotonic()
            device.fire()
            while device.next(0.1) is None:
                if time.monotonic() - begin > BUDGET:
                    raise TimeoutError("the camera sent nothing")
            if cycle:
                whole.append(time.monotonic() - begin)
    finally:
        device.close()


def _millis(seconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": round(cuts[49] * 1e3, 2), "p99": round(cuts[98] * 1e3, 2)}


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row a driver."""
    rows: list[list[object]] = []
    missing = []
    for name, row in found.items():
        if "left out" in row:
            missing.append(f"{name}: {row['left out']}")
            continue
        bare = row.get("bare", {"p50": "", "p99": ""})
        figures = [*row["whole"].values(), *row["late"].values(), *bare.values()]
        rows.append([name, *figures, row.get("ratio", ""), row["frames"]])
    text = (
        "ms; 1280 x 1024 unless said. Emulated cameras take some 10 ms a frame of their own; what is ours is the time "
        "from the frame's arrival to the picture in BGR, and the ratio to the same driver called alone."
    )
    text += "".join(f" Left out: {reason}." for reason in missing)
    columns = ("camera", "grab p50", "p99", "to picture p50", "p99", "driver p50", "p99", "ratio of p50", "frames")
    return (Table("Cameras behind drivers", text, columns, rows),)
