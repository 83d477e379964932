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
STATES = ("idle", "cores full", "inspecting")
WARM_UP = 2.0
"""Seconds for the load to come up to speed."""

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Round trips in microseconds by server and state, the median of interleaved rounds; the noise of both states."""
    seconds, rounds = (3.0, 2) if quick else (8.0, 5)
    names = ("gateway", "libmodbus")
    seen: dict[str, dict[str, list[Figures]]] = {state: {name: [] for name in names} for state in STATES}
    floor: dict[str, list[dict[str, Figures]]] = {state: [] for state in STATES}
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
            for state in STATES:
                with rig.beside(_load(gateway, state)):
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


def _load(gateway: rig.Gateway, state: str) -> list[list[str]]:
    """Cores full: a network runs on each. Inspecting: besides, every station inspects without a pause."""
    if state == "idle":
        return []
    networks = [bare.command(parts.DEMO / "model.onnx", bare.ENDLESS) for _ in range(os.cpu_count() or 1)]
    if state == "cores full":
        return networks
    return networks + [gateway.cycle_command(unit, poll_us=2000, depth=2) for unit in range(1, STATIONS + 1)]


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Each server in each state, with its ratio to idle."""
    points = ("p50", "p99", "p99.9", "max")
    keys = ("p50_us", "p99_us", "p99_9_us", "max_us")
    rows: list[Sequence[object]] = []
    for name in ("gateway", "libmodbus"):
        idle = found["figures"]["idle"].get(name)
        if idle is None:
            rows.append([f"{name}: {found['skipped'].get(name, '')}", *[""] * 5])
            continue
        for state in STATES:
            figures = found["figures"][state][name]
            rows.append([f"{name}, {state}", *report.cells(figures, keys), f"{figures['p99_us'] / idle['p99_us']:.2f}"])
    for kind in found["noise"]["idle"]:
        for state in STATES:
            rows.append([f"noise floor {kind}, {state}", *report.cells(found["noise"][state].get(kind), points), ""])
    text = (
        f"µs for a read of {REGISTERS} input registers, {CONNECTIONS} connections x {RATE} a second, timed from the "
        f"moment each was due. Cores full: each core runs a network at nice {bare.NICE}. Inspecting: besides "
        f"{STATIONS} stations of the gateway inspect 1280 x 1024 frames without a pause. Median of {found['rounds']} "
        "interleaved rounds."
    )
    gateway = {state: found["figures"][state]["gateway"]["p99_us"] for state in STATES}
    goals = [Goal(f"PLC polls: p99 {state} / idle", gateway[state] / gateway["idle"], "≤", 1.5) for state in STATES[1:]]
    return (Table("PLC polls beside inference", text, ("µs", *points, "p99 / idle"), rows, goals),)
