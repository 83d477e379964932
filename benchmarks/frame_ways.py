"""How long a frame takes to the worker: trigger → frame, or frame sent → frame there, for each kind of camera."""

from __future__ import annotations

import mmap
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import report
from benchmarks.report import Table
from gateway.vision.camera_settings import AnyCamera, FolderCamera, OpenCvCamera, SimulatedCamera, TriggeredCamera
from gateway.vision.cameras import Camera, CameraError, Order, make_camera
from gateway.vision.cameras.device import DeviceCamera
from protocols.faults import Code
from tests.contract.played_camera import PlayedDevice

WIDTH, HEIGHT = 1280, 1024
BLOCK = 32
PICTURES = 16
"""Different pictures of a stream; each tells its number in its first blocks."""
RATE = 50.0
_SENT = struct.Struct("<d")

SERVER = """
import mmap, socket, struct, sys, time
from pathlib import Path
folder, table = Path(sys.argv[1]), open(sys.argv[2], "r+b")
times = mmap.mmap(table.fileno(), 0)
payloads = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
client, _ = listener.accept()
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.sendall(b"HTTP/1.0 200 OK\\r\\nContent-Type: multipart/x-mixed-replace; boundary=frame\\r\\n\\r\\n")
number, due = 0, time.monotonic()
while True:
    data = payloads[number % len(payloads)]
    head = b"--frame\\r\\nContent-Type: image/jpeg\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(data)
    struct.pack_into("<d", times, 8 * (number % len(payloads)), time.monotonic())
    client.sendall(head + data + b"\\r\\n")
    number, due = number + 1, due + 1 / float(sys.argv[3])
    time.sleep(max(0.0, due - time.monotonic()))
"""


def run(quick: bool) -> dict[str, Any]:
    """Seconds by kind, and those of one copy of such a frame in memory, in turns."""
    count = 40 if quick else 200
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, take in _kinds(folder):
            with take as one:
                seconds = [one(cycle) for cycle in range(1, count + 4)][3:]
            copies = [_copy() for _ in range(count)]
            found[name] = report.tail(seconds) | {
                "copies": round(statistics.median(seconds) / statistics.median(copies), 1)
            }
    return found


def _kinds(folder: Path) -> Iterator[tuple[str, Any]]:
    yield "device, software trigger, mono8: command → frame", _device("mono8")
    yield "device, software trigger, bgr8: command → frame", _device("bgr8")
    yield "device, software trigger, bayer_rg8: command → frame", _device("bayer_rg8")
    for suffix in (".bmp", ".png", ".jpg"):
        shown = _pictures(folder / suffix[1:], suffix)
        yield f"folder, {suffix[1:]}: trigger → frame", _asked(FolderCamera(path=shown))
    yield "opencv, video file (MJPG): trigger → frame", _asked(OpenCvCamera(path=_video(folder / "line.avi")))
    yield "simulated: trigger → frame", _asked(SimulatedCamera())
    yield "folder watched, bmp: renamed → frame", _watched(folder)
    yield f"opencv, http (MJPEG, {RATE:g}/s): sent → frame", _stream(folder)


def _copy() -> float:
    begin = time.perf_counter()
    np.copyto(_INTO, _FROM)
    return time.perf_counter() - begin


_FROM, _INTO = (np.zeros((HEIGHT, WIDTH, 3), np.uint8) for _ in range(2))
_OUT = np.zeros(WIDTH * HEIGHT * 3, np.uint8)


def _picture(number: int) -> np.ndarray[Any, Any]:
    """Something that compresses as a part does, its number in black and white blocks at the top."""
    coarse = np.random.default_rng(number).integers(60, 190, (HEIGHT // 64, WIDTH // 64, 3), np.uint8)
    shown = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for bit in range(8):
        shown[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 255 * (number >> bit & 1)
    return shown


def _number(pixels: np.ndarray[Any, Any]) -> int:
    return sum(1 << bit for bit in range(8) if pixels[BLOCK // 2, bit * BLOCK + BLOCK // 2, 0] > 127)


def _pictures(folder: Path, suffix: str) -> Path:
    folder.mkdir()
    for number in range(PICTURES):
        cv2.imwrite(str(folder / f"{number:03}{suffix}"), _picture(number))
    return folder


def _video(path: Path) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (WIDTH, HEIGHT))
    for number in range(PICTURES):
        writer.write(_picture(number))
    writer.release()
    return path


@contextmanager
def _opened(camera: Camera) -> Iterator[Camera]:
    while True:
        try:
            camera.open()
            break
        except CameraError as error:
            if error.code is not Code.STARTING:
                raise
    try:
        yield camera
    finally:
        camera.close()


@contextmanager
def _asked(config: AnyCamera) -> Iterator[Callable[[int], float]]:
    with _opened(make_camera(config)) as camera:
        yield lambda cycle: _grab(camera, cycle)


def _grab(camera: Camera, cycle: int) -> float:
    begin = time.perf_counter()
    camera.grab(_OUT, Order(cycle, 0, 5.0))
    return time.perf_counter() - begin


@contextmanager
def _device(kind: str) -> Iterator[Callable[[int], float]]:
    device = _Ready(kind)
    with _opened(DeviceCamera(device, TriggeredCamera())) as camera:
        yield lambda cycle: _grab(camera, cycle)


class _Ready(PlayedDevice):
    """Its frames are there as soon as they are commanded: what remains is ours."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.format = kind  # type: ignore[assignment]
        shape = (HEIGHT, WIDTH, 3) if kind == "bgr8" else (HEIGHT, WIDTH)
        self._shown = np.random.default_rng(1).integers(0, 255, shape, np.uint8)

    def _picture(self, number: int) -> np.ndarray[Any, Any]:
        return self._shown


@contextmanager
def _watched(folder: Path) -> Iterator[Callable[[int], float]]:
    path = folder / "incoming"
    path.mkdir()
    with _opened(make_camera(FolderCamera(path=path, watch=True, frozen_check=False))) as camera:

        def one(cycle: int) -> float:
            cv2.imwrite(str(folder / "next.bmp"), _picture(cycle % 256))
            begin = time.perf_counter()
            (folder / "next.bmp").rename(path / "now.bmp")
            camera.grab(_OUT, Order(cycle, 0, 5.0))
            return time.perf_counter() - begin

        yield one


@contextmanager
def _stream(folder: Path) -> Iterator[Callable[[int], float]]:
    times = folder / "times"
    times.write_bytes(bytes(_SENT.size * PICTURES))
    shown = _pictures(folder / "stream", ".jpg")
    command = [sys.executable, "-c", SERVER, str(shown), str(times), str(RATE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/"
        config = OpenCvCamera(url=url, latency_ms=0, open_timeout_s=10, frozen_check=False)
        try:
            with (
                times.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as sent,
                _opened(make_camera(config)) as camera,
            ):

                def one(cycle: int) -> float:
                    pixels = camera.grab(_OUT, Order(cycle, 0, 5.0)).pixels
                    (begin,) = _SENT.unpack_from(sent, _SENT.size * _number(pixels))
                    return time.monotonic() - float(begin)

                yield one
        finally:
            process.kill()


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row a kind."""
    text = f"ms; {WIDTH} x {HEIGHT}. Copies: p50 in copies of such a frame in memory, taken in the same run."
    rows = [
        [name, *(f"{figures[point] / 1000:.2f}" for point in ("p50", "p99", "max")), f"{figures['copies']:.1f}"]
        for name, figures in found.items()
    ]
    return [Table("Frames' ways", text, ["", "p50", "p99", "max", "copies"], rows)]
