"""Start-up and memory of the whole gateway, as an operator sees them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import parts, rig
from benchmarks.report import Goal, Table

WHEN = {"answers": "Modbus answers", "ready": "Ready"}
INSPECTIONS = 200
"""Before memory is counted: every buffer and every slot of the frame ring has been used."""


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds from the process's start to the first answer and to Ready; MiB after some inspections."""
    count, inspections = (5, 50) if quick else (15, INSPECTIONS)
    with rig.folder() as place:
        cameras: dict[str, dict[str, Any]] = {
            "simulated": {"kind": "simulated"},
            "folder": parts.frames(place, parts.FRAME),
        }
        starts = {name: _starts(camera, count) for name, camera in cameras.items()}
        sizes = {name: _sizes(camera, inspections) for name, camera in cameras.items()}
    return {"start_ms": starts, "pss_mib": sizes}


def _starts(camera: dict[str, Any], count: int) -> dict[str, dict[str, float]]:
    answers, ready = [], []
    for attempt in range(count + 1):
        with rig.gateway(parts.DEMO, camera) as gateway:
            at = gateway.ready()
        if attempt:  # the first start warms the disk cache and compiles Python files
            answers.append((gateway.answered - gateway.started) * 1e3)
            ready.append((at - gateway.started) * 1e3)
    return {"answers": _range(answers), "ready": _range(ready)}


def _sizes(camera: dict[str, Any], inspections: int) -> list[float]:
    with rig.gateway(parts.DEMO, camera) as gateway:
        gateway.settle()
        gateway.cycles(inspections, poll_us=2000)
        return [pss(pid) for pid in gateway.family()]


def _range(values: Sequence[float]) -> dict[str, float]:
    return {
        "best": round(min(values), 1),
        "median": round(statistics.median(values), 1),
        "worst": round(max(values), 1),
    }


def pss(pid: int) -> float:
    """Proportional set size in MiB: shared pages counted by their share."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise RuntimeError(f"the system does not tell the memory of process {pid}")


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Start and memory, by camera."""
    starts, sizes = found["start_ms"], found["pss_mib"]
    rows: list[Sequence[object]] = []
    for camera, by in starts.items():
        rows += [[f"{camera} camera: {name}", *by[key].values()] for key, name in WHEN.items()]
    text = "From the start of the process, the demonstration's recipe; disk cache warm, Python files compiled."
    goals = [
        Goal(f"start → {name}, {camera} camera", by[key]["median"] / 1e3, "≤", limit, " s")
        for camera, by in starts.items()
        for (key, name), limit in zip(WHEN.items(), (0.2, 1.0), strict=True)
    ]
    start = Table("Start", text, ("ms", "best", "median", "worst"), rows, goals)
    memory = Table(
        "Memory",
        "Proportional set size in MiB after some inspections; the ring of frames is shared. The simulated camera keeps "
        "its textures in each vision process.",
        ("MiB", "control process", "active", "standby", "together"),
        [[f"{camera} camera", *each, round(sum(each), 1)] for camera, each in sizes.items()],
        [Goal(f"memory of all three, {camera} camera", sum(each), "≤", 300, " MiB") for camera, each in sizes.items()],
    )
    return start, memory
