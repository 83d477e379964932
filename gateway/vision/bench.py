"""How long a network takes on one engine with so many threads, and what it costs: a process of its own."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from gateway import child
from gateway.recipe_task import Input
from gateway.vision.engine_settings import EngineConfig

WARM_UPS = 5
FEWEST = 20
"""Runs of each kind, whatever the time."""


def main(arguments: list[str]) -> None:
    """ORDER (JSON), PARENT: print the figures, or {"error": sentence}."""
    order, parent = json.loads(arguments[0]), int(arguments[1])
    child.die_with(parent)
    child.give_way(order["nice"])
    child.limit_memory(order["memory_mb"])
    answer = child.quiet()
    from gateway.vision.engines import EngineError

    try:
        told = _measure(order)
    except EngineError as error:
        told = {"error": error.text}
    except MemoryError:
        told = {"error": f"it needs more than {order['memory_mb']} MB of memory"}
    with answer:
        answer.write(json.dumps(told))


def _measure(order: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    from gateway.vision.engines import make_engine

    config: EngineConfig = TypeAdapter(EngineConfig).validate_python(order["engine"])
    begin = time.perf_counter()
    engine = make_engine(config)
    info = engine.load(Path(order["model"]).read_bytes(), Input(**order["input"]))
    loaded = time.perf_counter() - begin
    info.input[:] = np.random.default_rng(1).integers(0, 256, info.input.shape, np.uint8)
    for _ in range(WARM_UPS):
        engine.run()
    return {
        "provider": info.provider,
        "engine": info.engine,
        "precision": info.precision,
        "device": info.device,
        "missed": info.missed,
        "load_ms": loaded * 1000,
        "full": _runs(engine, order["seconds"], 0.0),
        "paced": _runs(engine, order["seconds"], order["every"]),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _runs(engine: Any, seconds: float, every: float) -> dict[str, float]:
    """Milliseconds of a run, and of processor time for each; `every`: seconds from one to the next, 0: none."""
    took: list[float] = []
    processor, begin = time.process_time(), time.perf_counter()
    while len(took) < FEWEST or time.perf_counter() < begin + seconds:
        due = begin + len(took) * every
        while every and (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        start = time.perf_counter()
        engine.run()
        took.append(time.perf_counter() - start)
    processor = time.process_time() - processor
    took.sort()
    return {
        "runs": len(took),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[min(len(took) - 1, len(took) * 99 // 100)] * 1000,
        "cpu_ms": processor / len(took) * 1000,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
