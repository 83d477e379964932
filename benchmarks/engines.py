"""ONNX Runtime against OpenVINO: the demonstration's network, run after run and paced like a line, interleaved."""

from __future__ import annotations

import json
import statistics
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.native import MissingError
from benchmarks.report import Table
from gateway import trial

MODEL = Path(__file__).parents[1] / "configs" / "recipes" / "bracket" / "model.onnx"
EVERY = 0.1
"""Seconds from part to part."""
THREADS = (1, 2)
KINDS = ("onnxruntime", "openvino")


def run(quick: bool = False) -> dict[str, Any]:
    """Milliseconds by engine and threads; the median of interleaved rounds, each in a process of its own."""
    if find_spec("openvino") is None:
        raise MissingError("openvino is not installed (make extras)")
    rounds: dict[str, list[dict[str, Any]]] = {f"{kind} {count}": [] for count in THREADS for kind in KINDS}
    for _ in range(2 if quick else 5):
        for count in THREADS:
            for kind in KINDS:
                rounds[f"{kind} {count}"].append(_once(kind, count, 1.0 if quick else 3.0))
    return {name: _middle(figures) for name, figures in rounds.items()}


def _once(kind: str, threads: int, seconds: float) -> dict[str, Any]:
    order = {
        "engine": {"kind": kind, "threads": threads},
        "model": str(MODEL),
        "input": {},
        "seconds": seconds,
        "every": EVERY,
        "memory_mb": 2048,
        "nice": 10,
    }
    return trial.ask("gateway.vision.bench", [json.dumps(order)], kind, 60 + 20 * seconds)


def _middle(figures: list[dict[str, Any]]) -> dict[str, float]:
    found = {
        f"{pace}_{name}": statistics.median(one[pace][name] for one in figures)
        for pace in ("full", "paced")
        for name in ("p50_ms", "p99_ms", "cpu_ms")
    }
    return {name: round(value, 2) for name, value in found.items()} | {
        "rss_mb": round(statistics.median(one["rss_mb"] for one in figures))
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """One row for each engine and number of threads, and their ratios."""
    names = ("full_p50_ms", "full_p99_ms", "full_cpu_ms", "paced_p50_ms", "paced_p99_ms", "paced_cpu_ms", "rss_mb")
    rows: list[list[object]] = []
    for count in THREADS:
        ours, others = (found[f"{kind} {count}"] for kind in KINDS)
        for kind, figures in zip(KINDS, (ours, others), strict=True):
            rows.append([f"{kind}, {count} thread{'s' * (count > 1)}", *(figures[name] for name in names)])
        rows.append(["openvino / onnxruntime", *(round(others[name] / ours[name], 2) for name in names)])
    text = (
        f"ms; the demonstration's network in float32, run after run, then one each {EVERY * 1000:g} ms, with the "
        "processor time of each; MiB of the process. Median of interleaved rounds."
    )
    columns = ("", "p50", "p99", "CPU", "paced p50", "paced p99", "paced CPU", "MiB")
    return [Table("Engines", text, columns, rows)]
