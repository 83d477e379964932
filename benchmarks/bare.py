"""The network alone: `session.run` in a loop, in a process of its own, to hold the gateway's rate against."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
if __name__ == "__main__":
    os.nice(int(sys.argv[3]))  # before the imports: their work counts too

import numpy as np
import onnxruntime as ort

ENDLESS = 10**6
NICE = 10
"""As the vision processes have it by default."""


def command(model: Path, seconds: float, nice: int = NICE) -> list[str]:
    """How to start it; it prints runs a second."""
    return [sys.executable, "-m", "benchmarks.bare", str(model), str(seconds), str(nice)]


def main() -> None:
    """Run for some seconds with one thread and the gateway's other settings, after a warm-up."""
    model, seconds = Path(sys.argv[1]), float(sys.argv[2])
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    picture = {name: np.random.default_rng(1).integers(0, 256, shape, np.uint8)}
    for _ in range(20):
        session.run(None, picture)
    begin, runs = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        session.run(None, picture)
        runs += 1
    print(runs / (time.perf_counter() - begin))


if __name__ == "__main__":
    main()
