"""Start-up and memory of the whole gateway, as an operator sees them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import parts, rig
from benchmarks.report import Goal, Table

INSPECTIONS = 200
"""Before memory is counted: every buffer and every slot of the frame ring has been used."""


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds from the process's start to the first answer and to Ready; MiB after some inspections."""
    count = 5 if quick else 15
    camera: dict[str, Any] = {"kind": "simulated"}
    answers, ready = [], []
    for attempt in range(count + 1):
        with rig.gateway(parts.DEMO, camera) as gateway:
            at = gateway.ready()
        if attempt:  # the first start warms the disk cache and compiles Python files
            answers.append((gateway.answered - gateway.started) * 1e3)
            ready.append((at - gateway.started) * 1e3)
    with rig.gateway(parts.DEMO, camera) as gateway:
        gateway.settle()
        gateway.cycles(50 if quick else INSPECTIONS, poll_us=2000)
        sizes = [pss(pid) for pid in gateway.family()]
    return {"answers_ms": _range(answers), "ready_ms": _range(ready), "pss_mib": sizes}


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
    """Start and memory."""
    answers, ready, sizes = found["answers_ms"], found["ready_ms"], found["pss_mib"]
    columns = ("ms", "best", "median", "worst")
    rows: list[Sequence[object]] = [["Modbus answers", *answers.values()], ["Ready", *ready.values()]]
    text = (
        "From the start of the process with the demonstration's configuration; disk cache warm, Python files compiled."
    )
    goals = (
        Goal("start → Modbus answers", answers["median"] / 1e3, "≤", 0.2, " s"),
        Goal("start → Ready", ready["median"] / 1e3, "≤", 1.0, " s"),
    )
    start = Table("Start", text, columns, rows, goals)
    names = ["control process", *(f"vision process {number}" for number in range(1, len(sizes)))]
    memory = Table(
        "Memory",
        "Proportional set size after some inspections; the ring of frames is shared.",
        ("", "MiB"),
        [*zip(names, sizes, strict=True), ["together", round(sum(sizes), 1)]],
        (Goal("memory of control process, worker and standby", sum(sizes), "≤", 300, " MiB"),),
    )
    return start, memory
