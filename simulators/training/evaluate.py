"""All numbers of the model card from the ONNX file alone: `python -m simulators.training.evaluate MODEL`."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.parts import LABELS, Part, PartSource

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INPUT = (320, 256)
MATCH_IOU = 0.5
BAD = 0.5
FLOOR = 0.02  # detections below are not looked at
VERDICTS = ("OK", "RECHECK", "NG")

Box = tuple[float, float, float, float]
Picture = NDArray[np.uint8]
Limits = dict[str, tuple[float, float]]  # label: lo, hi


@dataclass(frozen=True, slots=True)
class Seen:
    """One detection: its label, score 0..1, box in pixels of the full frame."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Looked:
    """What was true of a part and what the model saw of it."""

    part: Part
    seen: tuple[Seen, ...]

    def best(self, label: str) -> float:
        """The highest score of a label, 0 where none was seen."""
        return max((found.score for found in self.seen if found.label == label), default=0.0)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return wide * high / (sum(areas) - wide * high)


def average_precision(looked: Sequence[Looked], label: str, match: float = MATCH_IOU) -> float:
    """Area under the precision-recall curve, precision made non-increasing; NaN where the label never occurs.

    Best scores first, each detection takes the free true box of its picture that it overlaps most, if by `match`.
    """
    wanted = [[d.box for d in one.part.defects if d.label == label] for one in looked]
    total = sum(map(len, wanted))
    if total == 0:
        return float("nan")
    ranked = [(s.score, i, s.box) for i, one in enumerate(looked) for s in one.seen if s.label == label]
    ranked.sort(key=lambda row: -row[0])
    hits = np.array([_take(wanted[i], box, match) for _, i, box in ranked], dtype=float)
    recall = np.cumsum(hits) / total
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def _take(free: list[Box], box: Box, match: float) -> bool:
    """Whether the box hits one of the free true boxes; that one is then no longer free."""
    overlaps = [iou(box, other) for other in free]
    if not overlaps or max(overlaps) < match:
        return False
    del free[overlaps.index(max(overlaps))]
    return True


def limits(looked: Sequence[Looked]) -> Limits:
    """Choose lo and hi for each label on parts kept for this purpose; the good ones decide.

    hi: a fifth above the highest score on any good part, within 0.30..0.60.
    lo: a tenth above what 98.5 % of the good parts stay under, from 0.10 to hi: the rest is the price of a second look.
    """
    chosen: Limits = {}
    for label in LABELS:
        good = np.array([one.best(label) for one in looked if one.part.good])
        high = float(np.clip(1.2 * good.max(), 0.30, 0.60))
        low = float(np.clip(1.1 * np.quantile(good, 0.985), 0.10, high))
        chosen[label] = (round(low, 2), round(high, 2))
    return chosen


def verdict(one: Looked, chosen: Limits) -> str:
    """NG at hi of any label, RECHECK from lo to hi, else OK."""
    scores = [(one.best(label), *chosen[label]) for label in LABELS]
    if any(score >= high for score, _, high in scores):
        return "NG"
    return "RECHECK" if any(score >= low for score, low, _ in scores) else "OK"


def confusion(looked: Sequence[Looked], chosen: Limits) -> dict[str, dict[str, int]]:
    """How many good and bad parts got which verdict."""
    table = {truth: dict.fromkeys(VERDICTS, 0) for truth in ("good", "bad")}
    for one in looked:
        table["good" if one.part.good else "bad"][verdict(one, chosen)] += 1
    return table


def look(
    session: InferenceSession, seed: int, count: int, change: Callable[[Picture], Picture] | None = None
) -> list[Looked]:
    """Run the model over parts 0..count-1 of a seed, half of them bad; `change` spoils each small picture."""
    source = PartSource(seed, BAD)
    frame: Picture | None = None
    scale = source.size[0] / INPUT[0]
    looked = []
    for number in range(count):
        frame = source.render(number, frame)
        small = np.asarray(cv2.resize(frame, INPUT, interpolation=cv2.INTER_AREA), np.uint8)
        small = small if change is None else change(small)
        (rows,) = session.run(None, {"image": small[None]})
        looked.append(Looked(source.truth(number), decode(rows[0], scale)))
    return looked


def decode(rows: NDArray[np.float32], scale: float) -> tuple[Seen, ...]:
    """Rows [n, 6] of the model to detections in the full frame."""
    return tuple(
        Seen(LABELS[int(label)], score, (x1 * scale, y1 * scale, x2 * scale, y2 * scale))
        for x1, y1, x2, y2, score, label in rows.tolist()
        if score >= FLOOR
    )


def open_session(path: Path) -> InferenceSession:
    """The model on one thread; onnxruntime's telemetry is off before its import."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def milliseconds(session: InferenceSession, runs: int = 200) -> dict[str, float]:
    """Median and 99th percentile of the network's time on one thread, in ms."""
    picture = cv2.resize(PartSource(7).render(0), INPUT, interpolation=cv2.INTER_AREA)[None]
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        session.run(None, {"image": picture})
        took.append(1e3 * (time.perf_counter() - began))
    return {"median": round(float(np.median(took)), 2), "p99": round(float(np.quantile(took, 0.99)), 2)}


def beyond(session: InferenceSession, seed: int, count: int, chosen: Limits) -> dict[str, dict[str, dict[str, int]]]:
    """The confusion on pictures that the model was not trained for."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 12, (INPUT[1], INPUT[0], 3)).astype(np.float32)
    shrink = np.array([[0.7, 0, 48], [0, 0.7, 38]], dtype=np.float32)
    changes: dict[str, Callable[[Picture], Picture]] = {
        "half the light": lambda picture: _bytes(0.5 * picture),
        "1.5 times the light": lambda picture: _bytes(1.5 * picture),
        "noise of 12 grey levels": lambda picture: _bytes(picture + grain),
        "out of focus (sigma 1.5)": lambda picture: _bytes(cv2.GaussianBlur(picture, (0, 0), 1.5)),
        "part 0.7 times the size": lambda picture: _bytes(cv2.warpAffine(picture, shrink, INPUT, borderMode=1)),
        "turned by 180 degrees": lambda picture: _bytes(picture[::-1, ::-1]),
    }
    return {name: confusion(look(session, seed, count, change), chosen) for name, change in changes.items()}


def _bytes(values: NDArray[Any]) -> Picture:
    return np.ascontiguousarray(np.clip(values, 0, 255), dtype=np.uint8)


def evaluate(path: Path, seeds: tuple[int, int, int], count: int) -> dict[str, Any]:
    """The card's numbers: mAP on the first seed, limits chosen on the second, verdicts on the third."""
    session = open_session(path)
    first = look(session, seeds[0], count)
    each = {label: round(average_precision(first, label), 4) for label in LABELS}
    chosen = limits(look(session, seeds[1], count))
    third = look(session, seeds[2], count)
    table = confusion(third, chosen)
    escaped = [one.part.number for one in third if not one.part.good and verdict(one, chosen) == "OK"]
    rejected = [one.part.number for one in third if one.part.good and verdict(one, chosen) == "NG"]
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "parts_each_seed": count,
        "seeds": {"map": seeds[0], "limits": seeds[1], "verdicts": seeds[2]},
        "map50": round(float(np.mean(list(each.values()))), 4),
        "ap50": each,
        "limits_lo_hi": chosen,
        "verdicts": table,
        "escapes": {"rate": round(len(escaped) / max(1, sum(table["bad"].values())), 4), "parts": escaped},
        "false_rejects": {"rate": round(len(rejected) / max(1, sum(table["good"].values())), 4), "parts": rejected},
        "beyond_its_world": beyond(session, seeds[2], min(count, 200), chosen),
        "ms_one_thread": milliseconds(session),
    }


def main() -> None:
    """Read the command line, print the numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m simulators.training.evaluate", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pictures", type=int, default=1000, help="parts for each of the three seeds")
    parser.add_argument("--seeds", type=int, nargs=3, default=(9001, 9002, 9003), metavar=("MAP", "LIMITS", "VERDICTS"))
    wanted = parser.parse_args()
    seeds = (wanted.seeds[0], wanted.seeds[1], wanted.seeds[2])
    sys.stdout.write(json.dumps(evaluate(wanted.model, seeds, wanted.pictures), indent=2) + "\n")


if __name__ == "__main__":
    main()
