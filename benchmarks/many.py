"""Many masters at once: 64 connections read the whole block every 10 ms while ten parts a second are inspected."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Sequence
from typing import Any

from benchmarks import native, noise, parts, polls, report, rig
from benchmarks.report import Goal, Table

CONNECTIONS, RATE = 64, 100
PARTS_A_SECOND = 10
POLL_US = 10_000
"""Of the PLC that triggers."""

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Round trips in microseconds with and without inspections, in turns; what the PLC and the history say of them."""
    seconds, rounds = (4.0, 1) if quick else (15.0, 3)
    seen: dict[str, list[Figures]] = {"not inspecting": [], "inspecting": []}
    took: list[float] = []
    with rig.folder() as place:
        camera = parts.frames(place, parts.FRAME)
        link = {"max_connections": 2 * CONNECTIONS}
        with rig.gateway(parts.DEMO, camera, link=link, pictures={"keep": 0}) as gateway:
            gateway.settle()
            gateway.cycles(10, poll_us=POLL_US)
            for _ in range(rounds):
                seen["not inspecting"].append(_polled(gateway, seconds, took, inspecting=False))
                seen["inspecting"].append(_polled(gateway, seconds, took, inspecting=True))
            floor = noise.late(seconds / 2)
            recorded = gateway.recorded(10 + len(took))
    return {
        "figures": {state: report.middle(figures) for state, figures in seen.items()},
        "noise": floor,
        "inspections": len(took),
        "recorded": len(recorded) - 10,
        "result_ms": {"p50": round(statistics.median(took) * 1e3, 2), "max": round(max(took) * 1e3, 2)},
        "rounds": rounds,
    }


def _polled(gateway: rig.Gateway, seconds: float, took: list[float], *, inspecting: bool) -> Figures:
    """The masters' figures; a wrong answer to one of them, or an inspection that ends as FAULT, is a RuntimeError."""
    arguments = (gateway.port, CONNECTIONS, seconds, RATE, polls.READ_INPUT, polls.REGISTERS, gateway.pid)
    command = [str(native.compiled("load")), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if inspecting:
            count = round(1.2 * seconds * PARTS_A_SECOND)
            pause = 1_000_000 // PARTS_A_SECOND - 2 * POLL_US
            took += [cycle.took for cycle in gateway.cycles(count, poll_us=POLL_US, pause_us=pause, first_part=1)]
        answer, _ = process.communicate(timeout=30 + 2 * seconds)
    if process.returncode:
        raise RuntimeError(f"the masters got wrong answers: {answer}")
    figures: Figures = json.loads(answer)
    return figures


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row a state."""
    points = ("p50", "p99", "p99.9", "max")
    keys = ("p50_us", "p99_us", "p99_9_us", "max_us", "requests_per_s", "cpu_us_per_request")
    rows: list[Sequence[object]] = [[state, *report.cells(row, keys)] for state, row in found["figures"].items()]
    rows += [[f"noise floor {kind}", *report.cells(late, points), "", ""] for kind, late in found["noise"].items()]
    text = (
        f"µs for a read of {polls.REGISTERS} input registers, {CONNECTIONS} connections x {RATE} a second, timed from "
        f"the moment each was due. Inspecting: a PLC that polls every {POLL_US // 1000} ms has {PARTS_A_SECOND} parts "
        f"a second inspected (1280 x 1024 frames); {found['inspections']} inspections, trigger to result "
        f"{found['result_ms']['p50']} ms (p50), {found['result_ms']['max']} ms at most. Median of {found['rounds']} "
        "turns."
    )
    goals = (
        Goal(
            f"{CONNECTIONS} masters every {1000 // RATE} ms: p99",
            found["figures"]["inspecting"]["p99_us"] / 1e3,
            "≤",
            5,
            " ms",
        ),
        Goal("of these inspections recorded, each once", found["recorded"] / found["inspections"], "≥", 1),
    )
    return (Table("Many masters beside inspections", text, ("µs", *points, "reads/s", "CPU"), rows, goals),)
