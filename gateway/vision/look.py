"""What a camera shows, for `gateway camera`: a process of its own, as a driver may hang; lines of JSON in and out."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from gateway.vision.cameras import Camera, Grabbed

OPENING = 30.0
"""Seconds a camera may take to be there, whatever its own time-outs; the parent allows some more."""


def main() -> None:
    """Do what the line on stdin asks for."""
    asked = json.loads(sys.stdin.readline())
    if asked["action"] == "list":
        _list(asked["kind"], asked["network"])
        return
    # OpenCV reads it when it is loaded: no picture may unpack to more than a slot of the ring holds.
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(asked["max_bytes"])
    from gateway.vision.cameras import CameraError

    try:
        _show(asked)
    except CameraError as error:
        _say(error=error.text, code=int(error.code))


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _list(kind: str, network: bool) -> None:
    from gateway.vision.cameras import CameraError
    from gateway.vision.cameras.finders import FINDERS

    try:
        for found in FINDERS[kind](network):
            _say(**found._asdict())
    except CameraError as error:
        _say(error=error.text)


def _show(asked: dict[str, Any]) -> None:
    from gateway.vision.camera_settings import CameraConfig
    from gateway.vision.cameras import make_camera

    camera = make_camera(TypeAdapter(CameraConfig).validate_python(asked["camera"]))
    begin = time.monotonic()
    _open(camera)
    _say(opened=time.monotonic() - begin)
    try:
        {"grab": _grab, "stream": _stream}[asked["action"]](camera, asked)
    finally:
        camera.close()


def _open(camera: Camera) -> None:
    from gateway.vision.cameras import CameraError
    from protocols.faults import Code

    end = time.monotonic() + OPENING
    while True:
        try:
            camera.open()
            return
        except CameraError as error:
            if error.code is not Code.STARTING or time.monotonic() > end:
                raise


def _taker(camera: Camera, asked: dict[str, Any]) -> Callable[[int], tuple[Grabbed, float]]:
    import numpy as np

    from gateway.vision.cameras import Order

    out = np.empty(asked["max_bytes"], np.uint8)

    def take(cycle: int) -> tuple[Grabbed, float]:
        begin = time.monotonic()
        return camera.grab(out, Order(cycle, 0, asked["budget"])), time.monotonic() - begin

    return take


def _grab(camera: Camera, asked: dict[str, Any]) -> None:
    grabbed, seconds = _taker(camera, asked)(1)
    _tell(grabbed, seconds, asked["out"])


def _tell(grabbed: Grabbed, seconds: float, out: str) -> None:
    import cv2

    height, width = grabbed.pixels.shape[:2]
    _write(grabbed, Path(out))
    _say(
        width=width,
        height=height,
        mean=round(sum(cv2.mean(grabbed.pixels)[:3]) / 3, 1),
        grab=seconds,
        number=grabbed.facts.number,
        device_time=grabbed.facts.device_time,
        out=out,
    )


def _write(grabbed: Grabbed, path: Path) -> None:
    import cv2

    from gateway.vision.cameras import CameraError
    from protocols.faults import Code

    try:
        written = cv2.imwrite(str(path), grabbed.pixels)
    except cv2.error:
        written = False
    if not written:
        raise CameraError(Code.STORE_WRITE, f"{path} cannot be written; name a .png or .jpg in a folder that is there")


def _stream(camera: Camera, asked: dict[str, Any]) -> None:
    from gateway.vision.cameras import CameraError
    from gateway.vision.image import FrameCheck

    take, check = _taker(camera, asked), FrameCheck(camera.frozen_check)
    end = time.monotonic() + asked["seconds"]
    grabs: list[float] = []
    arrivals: list[float] = []
    faults: Counter[str] = Counter()
    last: tuple[Grabbed, float] | None = None
    cycle = 0
    while time.monotonic() < end:
        cycle += 1
        try:
            last = take(cycle)
        except CameraError as error:
            faults[f"{int(error.code)} {error.text}"] += 1
            if error.lost:
                break
            continue
        grabs.append(last[1])
        arrivals.append(last[0].facts.arrived)
        if (wrong := check.fault(last[0].pixels)) is not None:
            faults[f"{int(wrong[0])} {wrong[1]}"] += 1
    gaps = [later - sooner for sooner, later in pairwise(arrivals)]
    if last is not None:
        _tell(*last, asked["out"])
    _say(
        frames=len(arrivals),
        rate=1 / statistics.fmean(gaps) if gaps and statistics.fmean(gaps) else None,
        jitter=statistics.pstdev(gaps) if gaps else None,
        longest=max(gaps, default=None),
        grab_p50=statistics.median(grabs) if grabs else None,
        grab_max=max(grabs, default=None),
        missed=last[0].facts.missed if last is not None else 0,
        faults=dict(faults.most_common(10)),
    )


if __name__ == "__main__":
    main()
