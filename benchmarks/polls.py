"""A PLC's polls beside inference: four masters read the whole result block every 5 ms, idle and with all cores full."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import bare, modbus_server, native, noise, parts, report, rig
from benchmarks.report import Goal, Table

CONNECTIONS, RATE, READ_INPUT, REGISTERS = 4, 200, 4, 64
STATIONS = 2
WARM_UP = 2.0
"""Seconds for the load to come up to speed."""

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Round trips in microseconds by server and state, the median of interleaved rounds; the noise of both states."""
    seconds, rounds = (3.0, 2) if quick else (8.0, 5)
    names = ("gateway", "libmodbus")
    seen: dict[str, dict[str, list[Figures]]] = {state: {name: [] for name in names} for state in ("idle", "loaded")}
    floor: dict[str, list[dict[str, Figures]]] = {"idle": [], "loaded": []}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        place = stack.enter_context(rig.folder())
        camera = parts.frames(place, parts.FRAME)
        gateway = stack.enter_context(rig.gateway(parts.DEMO, camera, stations=STATIONS, cycle={"overlap": True}))
        gateway.settle(STATIONS)
        servers = {"gateway": (gateway.port, gateway.pid)}
        try:
            command = [str(native.compiled("libmodbus_server", "-lmodbus"))]
            servers["libmodbus"] = stack.enter_context(modbus_server.serving(command))
        except native.MissingError as error:
            skipped["libmodbus"] = str(error)
        for _ in range(rounds):
            for state in ("idle", "loaded"):
                with rig.beside(_load(gateway) if state == "loaded" else []):
                    time.sleep(WARM_UP)
                    for name, server in servers.items():
                        seen[state][name].append(polls(*server, seconds))
                    floor[state].append(noise.late(seconds / 2))
    return {
        "figures": {state: {n: report.middle(r) for n, r in by.items() if r} for state, by in seen.items()},
        "noise": {
            state: {name: report.middle([late[name] for late in r]) for name in r[0]} for state, r in floor.items()
        },
        "rounds": rounds,
        "skipped": skipped,
    }


def polls(port: int, pid: int, seconds: float) -> Figures:
    """Paced reads; a request that waits for the one before is timed from its moment (no coordinated omission)."""
    arguments = (port, CONNECTIONS, seconds, RATE, READ_INPUT, REGISTERS, pid)
    figures: Figures = json.loads("".join(native.lines(native.compiled("load"), *arguments, patience=30 + 2 * seconds)))
    return figures


def _load(gateway: rig.Gateway) -> list[list[str]]:
    """Every station inspects without a pause, two cycles open at once, and every core has one more network to run."""
    lines = [gateway.cycle_command(unit, poll_us=2000, depth=2) for unit in range(1, STATIONS + 1)]
    model = parts.DEMO / "model.onnx"
    return lines + [bare.command(model, bare.ENDLESS) for _ in range(os.cpu_count() or 1)]


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Idle and loaded, with their ratio."""
    points = ("p50", "p99", "p99.9", "max")
    keys = ("p50_us", "p99_us", "p99_9_us", "max_us")
    rows: list[Sequence[object]] = []
    for name in ("gateway", "libmodbus"):
        states = [found["figures"][state].get(name) for state in ("idle", "loaded")]
        if None in states:
            rows.append([f"{name}: {found['skipped'].get(name, '')}", *[""] * 4])
            continue
        for state, figures in zip(("idle", "loaded"), states, strict=True):
            rows.append([f"{name}, {state}", *report.cells(figures, keys)])
        idle, loaded = states
        rows.append([f"{name}, loaded / idle", *(f"{loaded[key] / idle[key]:.2f}" for key in keys)])
    for kind in found["noise"]["loaded"]:
        for state in ("idle", "loaded"):
            rows.append([f"noise floor {kind}, {state}", *report.cells(found["noise"][state].get(kind), points)])
    text = (
        f"µs for a read of {REGISTERS} input registers, {CONNECTIONS} connections x {RATE} a second, timed from the "
        f"moment each was due. Loaded: {STATIONS} stations inspect 1280 x 1024 frames without a pause and each core "
        f"runs one more network at nice {bare.NICE}. Median of {found['rounds']} interleaved rounds."
    )
    gateway = {state: found["figures"][state]["gateway"]["p99_us"] for state in ("idle", "loaded")}
    goal = Goal("PLC polls: p99 loaded / idle", gateway["loaded"] / gateway["idle"], "≤", 1.5)
    return (Table("PLC polls beside inference", text, ("µs", *points), rows, (goal,)),)
