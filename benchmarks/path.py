"""From trigger to result over the wire, without frame and network: what the gateway itself takes of a cycle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import noise, parts, report, rig
from benchmarks.report import Goal, Table

PAUSE_US = 20_000
"""Between a result's acknowledgement and the next trigger: some 25 parts a second."""
POLL_US = 100
"""Between an answer and the next read. Without it PLC and control process would share one core, and one PLC be a load
that no real one is."""


def run(quick: bool) -> dict[str, Any]:
    """Microseconds from the trigger's write to the shown result, minus grab (and network, where it is not null)."""
    count = 200 if quick else 2000
    with rig.folder() as place:
        null, small = parts.null_recipe(place), parts.frames(place, parts.SMALL, 1)
        demo, full = parts.DEMO, parts.frames(place, parts.FRAME)
        off = {"keep": 0}
        return {
            "null": _case(null, small, count, network=True, pictures=off),
            "null, no pause": _case(null, small, count, network=True, pause=0, pictures=off),
            "null, no pause, polled back to back": _case(
                null, small, count, network=True, pause=0, poll=0, pictures=off
            ),
            "demo": _case(demo, full, count // 2),
            "demo, no pictures": _case(demo, full, count // 2, pictures=off),
            "demo, no pictures, nice 0": _case(demo, full, count // 2, pictures=off, worker={"nice": 0}),
            "demo, no pictures, no pause": _case(demo, full, count // 2, pause=0, pictures=off),
            "commit": _commit(count // 2),
            "noise": noise.late(1 if quick else 4),
        }


def _case(
    recipe: Path,
    camera: dict[str, Any],
    count: int,
    *,
    network: bool = False,
    pause: int = PAUSE_US,
    poll: int = POLL_US,
    **settings: Any,
) -> dict[str, Any]:
    """One arrangement; `network`: the network's time stays in."""
    with rig.gateway(recipe, camera, **settings) as gateway:
        gateway.settle()
        gateway.cycles(20, poll_us=poll, pause_us=pause)
        cycles = gateway.cycles(count, poll_us=poll, pause_us=pause)
        rows = gateway.recorded(count)
    own: list[float] = []
    verdicts: list[float] = []
    for cycle in cycles:
        row = rows[cycle.trigger_seq]
        apart = row.grab if network else row.grab + row.infer
        own.append(cycle.took - apart)
        verdicts.append(row.total - apart)
    return {
        "own": report.tail(own),
        "verdict": report.tail(verdicts),
        "grab": report.tail([row.grab for row in rows.values()]),
        "infer": report.tail([row.infer for row in rows.values()]),
    }


def _commit(count: int) -> dict[str, float]:
    """The part of it that the disk takes: bare writes of two pages there."""
    from benchmarks import history

    with rig.folder() as place:
        return history.disk(place, count)


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """One row an arrangement."""
    points = ("p50", "p99", "p99.9", "max")
    cases = [name for name in found if name not in ("commit", "noise")]
    rows = [
        [
            name,
            *report.cells(found[name]["own"], points),
            *(found[name][part]["p50"] for part in ("verdict", "grab", "infer")),
        ]
        for name in cases
    ]
    disk = found["commit"]
    rows.append(["one fdatasync of 8 KiB", disk["p50_us"], disk["p99_us"], *[""] * 5])
    rows += [[f"noise floor, {name}", *report.cells(late, points), *[""] * 3] for name, late in found["noise"].items()]
    text = (
        "µs from the PLC's write of the trigger to the answer that shows the result, commit to the disk included, "
        "minus GRAB; minus the network's time too for the demonstration's model (1280 x 1024, folder camera). The null "
        f"network gets a 64 x 64 frame. The PLC reads {POLL_US} µs after each answer, on one connection, and waits "
        f"{PAUSE_US // 1000} ms between parts; no pause: it does not wait. To verdict: the share before the commit."
    )
    null, demo = found["null"]["own"], found["demo"]["own"]
    goals = (
        Goal("null network: trigger → result, p50", null["p50"] / 1e3, "≤", 0.5, " ms"),
        Goal("demo model: own share, p50", demo["p50"] / 1e3, "≤", 1.2, " ms"),
        Goal("demo model: own share, p99", demo["p99"] / 1e3, "≤", 2.5, " ms"),
    )
    return (
        Table("Path of a trigger", text, ("µs", *points, "to verdict p50", "grab p50", "network p50"), rows, goals),
    )
