"""Inspections a second against the bare network on the same core."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Sequence
from typing import Any

from benchmarks import bare, parts, rig
from benchmarks.report import Goal, Table

POLL_US = 1000
"""Pause between two reads of the PLC; at nearly the network's speed a PLC without one would be the load itself."""
NETWORK = (320, 256)


def run(quick: bool) -> dict[str, Any]:
    """Runs a second of one station with `overlap` and of `session.run` alone, in turns; one thread each, nice 10."""
    seconds, rounds = (3.0, 2) if quick else (8.0, 5)
    alone: list[float] = []
    rates: dict[str, list[float]] = {"full": [], "small": [], "serial": []}
    against_serial: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in ("full", "small", "full, no grab", "small, no grab")}
    shares: dict[str, dict[str, float]] = {}
    with rig.folder() as place:
        cameras = {"full": parts.frames(place, parts.FRAME), "small": parts.frames(place, NETWORK)}
        for _ in range(rounds):
            alone.append(_bare(seconds))
            for name, camera in cameras.items():
                rate, shares[name] = _inspections(camera, seconds)
                rates[name].append(rate)
                ratios[name].append(rate / alone[-1])
                ratios[f"{name}, no grab"].append(1 / (1 / rate - shares[name]["grab"] / 1e3) / alone[-1])
            rate, shares["serial"] = _inspections(cameras["full"], seconds, overlap=False)
            rates["serial"].append(rate)
            against_serial.append(rates["full"][-1] / rate)
    return {
        "a_second": {name: round(statistics.median(values), 2) for name, values in {"bare": alone, **rates}.items()},
        "ratio": {name: round(statistics.median(values), 3) for name, values in ratios.items()},
        "overlap / serial": round(statistics.median(against_serial), 3),
        "milliseconds": shares,
        "rounds": rounds,
    }


def _bare(seconds: float) -> float:
    command = bare.command(parts.DEMO / "model.onnx", seconds)
    environment = rig.environment()
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=rig.ROOT, env=environment)
    return float(done.stdout)


def _inspections(camera: dict[str, str], seconds: float, *, overlap: bool = True) -> tuple[float, dict[str, float]]:
    """Results a second as the PLC gets them, and the median milliseconds of grab and network in them."""
    settings: dict[str, Any] = {
        "cycle": {"overlap": overlap},
        "worker": {"standby": False},
        "pictures": {"keep": 0},
    }
    with rig.gateway(parts.DEMO, camera, **settings) as gateway:
        gateway.settle()
        depth = 2 if overlap else 1
        gateway.cycles(20, poll_us=POLL_US, depth=depth)
        cycles = gateway.cycles(10**6, seconds=seconds, poll_us=POLL_US, depth=depth)
        rows = gateway.recorded(len(cycles)).values()
    rate = (len(cycles) - 1) / (cycles[-1].at - cycles[0].at)
    grab, infer = (statistics.median(getattr(row, name) for row in rows) * 1e3 for name in ("grab", "infer"))
    return rate, {"grab": round(grab, 2), "network": round(infer, 2), "period": round(1e3 / rate, 2)}


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Rates, the ratio, where the rest goes."""
    rates, shares, ratios = found["a_second"], found["milliseconds"], found["ratio"]
    rows: list[Sequence[object]] = [
        ["session.run alone", f"{rates['bare']:.1f}", "1", "", f"{1e3 / rates['bare']:.2f}", "", ""]
    ]
    for name, label in (("small", "320 x 256 frames"), ("full", "1280 x 1024 frames")):
        share = shares[name]
        figures = [share["period"], share["grab"], share["network"]]
        rows.append([f"station, {label}", f"{rates[name]:.1f}", ratios[name], ratios[f"{name}, no grab"], *figures])
    share = shares["serial"]
    rows.append(
        ["the same without overlap", f"{rates['serial']:.1f}", "", "", share["period"], share["grab"], share["network"]]
    )
    text = (
        f"With overlap {found['overlap / serial']:g} times the inspections of 1280 x 1024 frames that are without. "
        "One station, one engine thread, `overlap`, frames from a folder of uncompressed files (read and decoded by "
        "the vision process itself: GRAB), no pictures kept; against `session.run` in a loop in a process of its own, "
        f"one thread, the same nice {bare.NICE}. Without grab: the ratio if a frame took no time, as from a camera "
        f"that delivers into memory. The PLC polls every {POLL_US} µs. Median of {found['rounds']} turns."
    )
    columns = ("", "a second", "ratio", "without grab", "period ms", "grab ms", "network ms")
    goals = (
        Goal("inspections / bare network runs, frames of the network's size", ratios["small"], "≥", 0.92),
        Goal("the same, 1280 x 1024, without grab", ratios["full, no grab"], "≥", 0.92),
    )
    return (Table("Sustained inspections", text, columns, rows, goals),)
