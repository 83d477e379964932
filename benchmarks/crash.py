"""A vision process that dies of SIGSEGV in mid-inspection: how late its result comes, and what the PLC notices."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks import native, parts, polls, report, rig
from benchmarks.report import Goal, Table
from protocols.signals import Control

CRASH = 50_001
"""Parts from here on kill the process that inspects them first."""
MOST = 100
SETTLE = 1.5
"""Seconds for a new standby to start and to warm up."""
TURN = 2
"""Crashes in a row; three within a minute would be a crash loop, so the PLC clears the fault after each."""


def run(quick: bool) -> dict[str, Any]:
    """Milliseconds from trigger to result, usual and with a crash; four masters' polls with crashes and without."""
    crashes = 4 if quick else 16
    camera = {"kind": "simulated", "inject": {"crash_at": list(range(CRASH, CRASH + MOST))}}
    usual: list[float] = []
    crashed: list[float] = []
    seen: dict[str, list[dict[str, float]]] = {"with crashes": [], "without": []}
    with rig.gateway(parts.DEMO, camera, pictures={"keep": 0}) as gateway:
        gateway.settle()
        gateway.cycles(10, poll_us=500)
        for _ in range(crashes // TURN):
            for state, take in (("without", usual), ("with crashes", crashed)):
                with _polled(gateway, TURN * (SETTLE + 0.3)) as figures:
                    for _ in range(TURN):
                        first = CRASH + len(crashed) if state == "with crashes" else 1 + len(usual)
                        take += [cycle.took for cycle in gateway.cycles(1, poll_us=500, first_part=first)]
                        _clear(gateway)
                        time.sleep(SETTLE)
                seen[state].append(figures)
    return {
        "usual_ms": round(statistics.median(usual) * 1e3, 2),
        "extra_ms": [round((took - statistics.median(usual)) * 1e3, 2) for took in sorted(crashed)],
        "polls": {state: report.middle(rounds) for state, rounds in seen.items()},
    }


@contextmanager
def _polled(gateway: rig.Gateway, seconds: float) -> Iterator[dict[str, float]]:
    """Four masters poll meanwhile; their figures are there at the end."""
    arguments = (gateway.port, polls.CONNECTIONS, seconds, polls.RATE, polls.READ_INPUT, polls.REGISTERS, gateway.pid)
    figures: dict[str, float] = {}
    command = [str(native.compiled("load")), *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(0.2 * seconds)  # its warm-up
        yield figures
        said, _ = process.communicate(timeout=30)
        figures.update(json.loads(said))


def _clear(gateway: rig.Gateway) -> None:
    """ClearFault: the deaths so far are forgotten."""
    plc = rig.Plc(gateway.port)
    plc.control(int(Control.ENABLE | Control.CLEAR_FAULT))
    plc.control(int(Control.ENABLE))
    plc.close()


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """The extra time of each crash, and the polls."""
    extra, seen = found["extra_ms"], found["polls"]
    middle = statistics.median(extra)
    rows: list[Sequence[object]] = [
        ["usual, p50", found["usual_ms"]],
        ["with a crash: more, best", extra[0]],
        ["with a crash: more, median", round(middle, 2)],
        ["with a crash: more, worst", extra[-1]],
    ]
    text = (
        f"ms from trigger to result over the wire (simulated camera, drawing of the part included); {len(extra)} times "
        "the process sends itself SIGSEGV between exposure and result, and the warm standby repeats the inspection."
    )
    goal = Goal("SIGSEGV in mid-inspection: result later by (median)", middle, "≤", 10, " ms")
    keys = ("p50_us", "p99_us", "p99_9_us", "max_us")
    lines: list[Sequence[object]] = [[state, *report.cells(figures, keys)] for state, figures in seen.items()]
    ratio = seen["with crashes"]["p99_us"] / seen["without"]["p99_us"]
    other = (
        f"µs; {polls.CONNECTIONS} connections x {polls.RATE} a second meanwhile, the start of the new standby "
        "included; without: the same inspections, nobody dies."
    )
    return (
        Table("Crash of a vision process", text, ("", "ms"), rows, (goal,)),
        Table(
            "PLC polls meanwhile",
            other,
            ("µs", "p50", "p99", "p99.9", "max"),
            lines,
            (Goal("PLC polls: p99 with crashes / without", ratio, "≤", 1.5),),
        ),
    )
