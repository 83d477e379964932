"""What it costs to turn a network's outputs into findings, family by family, and to look without a network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from pydantic import TypeAdapter

from benchmarks.report import Table
from gateway.recipe_measure import BlobTask, CircleTask, CodeTask, ColourTask, WidthTask
from gateway.recipe_task import Task
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from gateway.vision.tasks import make_task
from gateway.vision.tasks.blob import Blob
from gateway.vision.tasks.code import CodeReader
from gateway.vision.tasks.colour import Colour
from gateway.vision.tasks.gauge import Circle, Width

SIDE, CELLS, THINGS = 640, 8400, 12
"""Input of 640 x 640, rows of its three grids, things in the picture, each seen by five neighbouring cells."""
LABELS = tuple(f"class{number}" for number in range(8))
PLACEMENT = Placement(0.5, 0.5, 0, 64, 1280, 1024)
_SETTINGS: TypeAdapter[Any] = TypeAdapter(Task)
Outputs = dict[str, Tensor]


def _columns(extra: int = 0) -> Tensor:
    random = np.random.default_rng(7)
    rows = np.zeros((CELLS, 4 + len(LABELS) + extra), np.float32)
    rows[:, :4] = random.uniform(20, 600, (CELLS, 4))
    rows[:, 4 : 4 + len(LABELS)] = random.uniform(0, 0.2, (CELLS, len(LABELS)))
    for thing in range(THINGS):
        x, y = 80 + 150 * (thing % 4), 120 + 180 * (thing // 4)
        for near in range(5):
            row = rows[700 * thing + near]
            row[:4] = x + near, y, 90, 60
            row[4 + thing % len(LABELS)] = 0.9 - near / 20
    if extra:
        rows[:, -extra:] = random.uniform(0, 1, (CELLS, extra))
    return np.ascontiguousarray(rows.T)[None]


def _finished(extra: int = 0) -> Tensor:
    rows = np.zeros((1, 300, 6 + extra), np.float32)
    for thing in range(THINGS):
        x, y = 80 + 150 * (thing % 4), 120 + 180 * (thing // 4)
        rows[0, thing, :6] = x - 45, y - 30, x + 45, y + 30, 0.9, thing % len(LABELS)
    return rows


def _heads() -> Outputs:
    made = {}
    for stride in (8, 16, 32):
        planes = np.zeros((1, 64 + len(LABELS), SIDE // stride, SIDE // stride), np.float32)
        planes[0, 64:] = -6
        planes[0, 64, 2::16, 2::16] = 2 if stride == 16 else -6
        made[f"stride{stride}"] = planes
    return made


def _classes() -> Tensor:
    planes = np.zeros((1, len(LABELS) + 1, 512, 512), np.float32)
    planes[0, 0] = 1
    for thing in range(THINGS):
        plane = planes[0, 1 + thing % len(LABELS)]
        cv2.circle(plane, (80 + 110 * (thing % 4), 90 + 150 * (thing // 4)), 40, 5.0, cv2.FILLED)
    return planes


def _families() -> Mapping[str, tuple[dict[str, Any], Outputs]]:
    prototypes = np.random.default_rng(3).normal(0, 1, (1, 32, 160, 160)).astype(np.float32)
    prototypes = cv2.GaussianBlur(prototypes[0].transpose(1, 2, 0), (0, 0), 6).transpose(2, 0, 1)[None]
    queries = np.full((1, 300, len(LABELS)), -6, np.float32)
    queries[0, :THINGS, 0] = 2
    boxes = np.tile(np.array((0.5, 0.5, 0.2, 0.1), np.float32), (1, 300, 1))
    return {
        "detect end2end": ({"kind": "detect", "format": "end2end"}, {"out": _finished()}),
        "detect yolov8": ({"kind": "detect", "format": "yolov8"}, {"out": _columns()}),
        "detect yolov8_grid": ({"kind": "detect", "format": "yolov8_grid"}, _heads()),
        "detect detr": ({"kind": "detect", "format": "detr"}, {"dets": boxes, "labels": queries}),
        "oriented yolov8": ({"kind": "oriented", "format": "yolov8"}, {"out": _columns(1)}),
        "segment yolov8": ({"kind": "segment", "format": "yolov8"}, {"out": _columns(32), "masks": prototypes}),
        "keypoints yolov8": ({"kind": "keypoints", "format": "yolov8", "points": 17}, {"out": _columns(51)}),
        "semantic logits": ({"kind": "semantic", "format": "logits"}, {"out": _classes()}),
        "semantic labels": ({"kind": "semantic", "format": "labels"}, {"out": _classes().argmax(axis=1)}),
    }


def _decoder(given: dict[str, Any], outputs: Outputs) -> Callable[[], object]:
    settings = _SETTINGS.validate_python({"classes": LABELS, "min_score": 0.25} | given)
    shapes = {name: tensor.shape for name, tensor in outputs.items()}
    task = make_task(settings, EngineInfo("", np.zeros((SIDE, SIDE, 3), np.uint8), shapes, {}))
    return lambda: task.decode(outputs, PLACEMENT)


def _looks() -> Mapping[str, Callable[[], object]]:
    """Without a network, on a picture of 640 x 480."""
    picture = np.full((480, 640, 3), 200, np.uint8)
    cv2.rectangle(picture, (60, 60), (240, 180), (40, 40, 40), cv2.FILLED)
    cv2.circle(picture, (460, 300), 90, (30, 30, 30), cv2.FILLED)
    printed = cv2.resize(cv2.QRCodeEncoder.create().encode("SN-0042"), None, fx=6, fy=6, interpolation=0)
    picture[300 : 300 + printed.shape[0], 60 : 60 + printed.shape[1]] = printed[:, :, None]
    made = (
        ("width", Width(WidthTask(kind="width", line=(20, 120, 300, 120)))),
        ("circle", Circle(CircleTask(kind="circle", centre=(460, 300), radii=(60, 120)))),
        ("blob", Blob(BlobTask(kind="blob", looks="dark"))),
        ("colour", Colour(ColourTask(kind="colour", low=(0, 0, 0), high=(360, 100, 50)))),
        ("code", CodeReader(CodeTask(kind="code"))),
    )
    return {f"{name}, no network": _looker(task, picture) for name, task in made}


def _looker(task: Any, picture: Any) -> Callable[[], object]:
    return lambda: task.look(picture)


def run(quick: bool) -> dict[str, Any]:
    """All in turns in one process, so that the ratios are of one moment."""
    cv2.setNumThreads(1)
    calls = {name: _decoder(*given) for name, given in _families().items()} | dict(_looks())
    found = {name: len(call()) for name, call in calls.items()}  # type: ignore[arg-type]
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(40 if quick else 200):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            took[name].append(time.perf_counter() - start)
    return {
        name: {"findings": found[name], "p50_us": round(statistics.median(times) * 1e6)}
        | {"p95_us": round(statistics.quantiles(times, n=20)[18] * 1e6)}
        for name, times in took.items()
    }


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row for each family, against the cheapest."""
    least = found["detect end2end"]["p50_us"]
    rows = [
        [name, row["findings"], row["p50_us"], row["p95_us"], f"{row['p50_us'] / least:.1f}"]
        for name, row in found.items()
    ]
    text = (
        f"µs from a network's outputs to findings: input {SIDE} x {SIDE}, {CELLS} rows, {len(LABELS)} classes, "
        f"{THINGS} things; masks from prototypes of 160 x 160, class maps of 512 x 512. Below: tasks without a "
        "network on 640 x 480."
    )
    return (Table("Decoding", text, ("task, format", "findings", "p50", "p95", "against end2end"), rows),)
