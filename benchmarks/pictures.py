"""What the vision process does around the network: the picture's way in, cuts, and the decoding of each family."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks import report
from benchmarks.report import Table
from gateway.calibration import Calibration
from gateway.inspection import Finding
from gateway.recipe_step import Tiles
from gateway.recipe_task import Detect
from gateway.vision import tiles
from gateway.vision.cuts import Cutter
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement, Resizer
from gateway.vision.lens import Lens
from gateway.vision.places import Place, around, direction, on_frame
from gateway.vision.tasks import make_task

WIDTH, HEIGHT, SIDE = 1280, 1024, 640
LABELS = tuple(f"c{number}" for number in range(10))
CANDIDATES, SEEN = 8400, 20
"""Rows of a network of 640 x 640, and things in the picture."""


def run(quick: bool) -> dict[str, Any]:
    """Microseconds, median and p99, one thread; `memcpy` of one frame beside it, as the computer's own measure."""
    cv2.setNumThreads(1)
    count = 50 if quick else 500
    random = np.random.default_rng(1)
    frame = random.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    into = np.empty_like(frame)
    found = {"memcpy": _timed(lambda: np.copyto(into, frame), count)}
    for name, work in {**_pictures(frame), **_families(random)}.items():
        found[name] = _timed(work, count)
    return found


def _timed(work: Callable[[], object], count: int) -> dict[str, float]:
    spent = []
    for _ in range(count + 5):
        begin = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begin)
    return report.tail(spent[5:])


def _pictures(frame: np.ndarray[Any, np.dtype[np.uint8]]) -> Mapping[str, Callable[[], object]]:
    target = np.empty((SIDE, SIDE, 3), np.uint8)
    cutter, whole = Cutter(), Place(WIDTH, HEIGHT)
    lens = Lens(
        Calibration.model_validate(
            {"kind": "camera calibration", "width": WIDTH, "height": HEIGHT, "camera": (1400, 1400, 639.5, 511.5),
             "distortion": (-0.2, 0.05, 0, 0, 0), "boards": 1, "error_px": 0}
        )
    )  # fmt: skip
    region, slanting = Place(SIDE, SIDE, (300.0, 200.0)), around((640, 512), (300, 200), direction(30))
    resizers = {mode: Resizer(target, mode) for mode in ("stretch", "letterbox")}
    spread = [[Finding("a", 0.5, (10.0 * n, 10, 10.0 * n + 8, 20)) for n in range(5)] for _ in range(6)]
    pieces = tiles.pieces(Tiles(size=(SIDE, SIDE), overlap=100), WIDTH, HEIGHT)
    return {
        "stretch": lambda: resizers["stretch"].put(frame),
        "letterbox": lambda: resizers["letterbox"].put(frame),
        f"region {SIDE} x {SIDE}": lambda: cutter.cut(frame, region),
        "turned by 90 degrees": lambda: cutter.cut(frame, whole.turned(90)),
        "straightened cut 300 x 200": lambda: cutter.cut(frame, slanting),
        "undistorted, whole frame": lambda: lens.straight(frame, whole),
        f"undistorted, region {SIDE} x {SIDE}": lambda: lens.straight(frame, region),
        "merging of 6 tiles with 30 findings": lambda: tiles.merged(pieces, spread, WIDTH, HEIGHT),
        "20 findings back to the frame": lambda: [on_frame(one, slanting, WIDTH, HEIGHT) for one in spread[0] * 4],
    }


def _families(random: np.random.Generator) -> Mapping[str, Callable[[], object]]:
    """Decoders of the formats, fed with what a network of 640 x 640 gives: few things, many rows below the limit."""
    scores = random.uniform(0, 0.1, (CANDIDATES, len(LABELS))).astype(np.float32)
    boxes = np.column_stack((random.uniform(50, 590, (CANDIDATES, 2)), random.uniform(10, 60, (CANDIDATES, 2))))
    boxes = boxes.astype(np.float32)
    scores[:SEEN, 0] = 0.9
    rows = np.column_stack((boxes, scores))[None]
    five = np.column_stack((boxes, np.ones((CANDIDATES, 1), np.float32), scores))[None]
    few = np.zeros((1, 300, 6), np.float32)
    few[0, :SEEN] = np.column_stack((boxes[:SEEN, :2], boxes[:SEEN, :2] + 20, scores[:SEEN, :1], np.zeros((SEEN, 1))))
    outputs: dict[str, dict[str, Tensor]] = {
        "end2end": {"out": few},
        "yolov8": {"out": np.ascontiguousarray(rows.transpose(0, 2, 1))},
        "yolov5": {"out": five},
        "detr": {"dets": boxes[None, :300] / SIDE, "labels": np.log(scores[None, :300] / (1 - scores[None, :300]))},
    }
    placement = Placement(SIDE / WIDTH, SIDE / HEIGHT, 0, 0, WIDTH, HEIGHT)
    found: dict[str, Callable[[], object]] = {}
    for name, tensors in outputs.items():
        info = EngineInfo(
            "", np.empty((SIDE, SIDE, 3), np.uint8), {key: value.shape for key, value in tensors.items()}, {}
        )
        task = make_task(Detect.model_validate({"kind": "detect", "format": name, "classes": LABELS}), info)
        found[f"decoding of {name}, {SEEN} things"] = _decode(task.decode, tensors, placement)
    return found


def _decode(decode: Callable[..., object], tensors: Mapping[str, Tensor], placement: Placement) -> Callable[[], object]:
    return lambda: decode(tensors, placement)


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row for each kind of work, against the copy of a frame."""
    copy = found["memcpy"]
    names = ["p50", "p99"]
    rows = [
        (name, *report.cells(figures, names), f"{figures['p50'] / copy['p50']:.2f}") for name, figures in found.items()
    ]
    text = f"A frame of {WIDTH} x {HEIGHT}, one thread, microseconds; last column: p50 in copies of the frame."
    return [Table("Around the network", text, ("work", *names, "in copies"), rows)]
