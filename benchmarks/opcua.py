"""OPC UA: reads and notifications a second, and a job of OPC 40100-1, against node-opcua's server with one client."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks import opcua_rig, parts, report, rig
from benchmarks.report import Goal, Table
from tests.interop.node_opcua import Certificates
from tests.interop.node_peer import Node

SERVERS = ("gateway", "node-opcua")
STATIONS, PERIOD = 20, 0.025
"""So many variables change so often that no client can be told of all: 20 x 25 every 25 ms are 20 000 a second."""
CASES = {"1 value": (1, 1), "100 values": (100, 1), "1 value, 16 in flight": (1, 16)}
"""Values a request, requests in flight."""
INTERVAL, SLOW = 10, 1000
"""Publishing intervals asked for, in ms; with immediate publish it is the slow one."""
PAUSE = 20
"""Milliseconds from a job's end to the next one."""

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Rates by server, ms of StartSingleJob → ResultReady by server and way of publishing."""
    opcua_rig.check()
    seconds, rounds, jobs = (0.7, 2, 60) if quick else (4.0, 5, 500)
    with rig.folder() as place:
        made = opcua_rig.papers(place)
        rates = asyncio.run(_rates(made, seconds, rounds))
        return {**rates, "jobs": _jobs(made, place, jobs), "rounds": rounds}


# ---------------------------------------------------------------- reads and notifications


async def _rates(made: Certificates, seconds: float, rounds: int) -> dict[str, Any]:
    reads: dict[str, dict[str, list[Figures]]] = {name: {case: [] for case in CASES} for name in SERVERS}
    told: dict[str, list[Figures]] = {name: [] for name in SERVERS}
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(opcua_rig.our_server(made, STATIONS, PERIOD))
        peer, peer_url = await stack.enter_async_context(opcua_rig.node_server(made))
        others = (await peer.do("variables", count=len(ours.ids)))["ids"]
        clients = {
            "gateway": (await stack.enter_async_context(opcua_rig.client(made, ours.url)), ours.ids),
            "node-opcua": (await stack.enter_async_context(opcua_rig.client(made, peer_url)), others),
        }
        for _ in range(rounds):
            for case, (batch, flight) in CASES.items():
                for name, (client, nodes) in clients.items():
                    reads[name][case].append(await _read(client, nodes, batch, flight, seconds))
            await ours.change(True)
            told["gateway"].append(await _notified(*clients["gateway"], seconds))
            await ours.change(False)
            await peer.do("change", every=PERIOD * 1000)
            told["node-opcua"].append(await _notified(*clients["node-opcua"], seconds))
            await peer.do("change", every=0)
    return {
        "reads": {name: {case: report.middle(each) for case, each in by.items()} for name, by in reads.items()},
        "notified": {name: report.middle(each) for name, each in told.items()},
        "items": len(ours.ids),
    }


_MAIN = {"as": "main"}


async def _notified(client: Node, nodes: list[str], seconds: float) -> Figures:
    found: Figures = await client.do("notified", **_MAIN, nodes=nodes, interval=INTERVAL, seconds=seconds)
    return found


async def _read(client: Node, nodes: list[str], batch: int, flight: int, seconds: float) -> Figures:
    found: Figures = await client.do("reads", **_MAIN, nodes=nodes, batch=batch, inFlight=flight, seconds=seconds)
    return found


# ---------------------------------------------------------------- jobs


def _jobs(made: Certificates, place: Path, count: int) -> dict[str, Any]:
    """A station with a network that computes next to nothing; node-opcua's has its result at once."""
    found = {}
    recipe, camera = parts.null_recipe(place), parts.frames(place, parts.SMALL, 1)
    for name, at_once, interval in (("10 ms", False, INTERVAL), ("immediate", True, SLOW)):
        port = rig.free_port()
        keys = opcua_rig.server_keys(made, port, publish_at_once=at_once)
        with rig.gateway(recipe, camera, opcua=keys, pictures={"keep": 0}) as gateway:
            gateway.settle()
            _released(gateway)
            url = f"opc.tcp://127.0.0.1:{port}"
            pauses = (PAUSE, 0) if at_once else (PAUSE,)
            for pause, each in zip(pauses, asyncio.run(_gateway_jobs(made, url, count, interval, pauses)), strict=True):
                found[f"gateway, {name}{'' if pause else ', no pause'}"] = each
            found[f"gateway, {name}"]["verdict"] = _verdict(gateway, count * len(pauses))
    found["node-opcua, 10 ms"] = asyncio.run(_node_jobs(made, count))
    return found


def _verdict(gateway: rig.Gateway, count: int) -> float:
    """ms from trigger to verdict, p50, as the history has it of the newest inspections."""
    return statistics.median(row.total for row in gateway.recorded(count).values()) * 1000


def _released(gateway: rig.Gateway) -> None:
    """The PLC lets go: nobody else may drive while it enables."""
    plc = rig.Plc(gateway.port)
    plc.control(0)
    plc.close()


async def _gateway_jobs(
    made: Certificates, url: str, count: int, interval: int, pauses: Sequence[int]
) -> list[Figures]:
    async with opcua_rig.client(made, url) as client:
        return [await _some(client, opcua_rig.SYSTEM, count, interval, pause) for pause in pauses]


async def _node_jobs(made: Certificates, count: int) -> Any:
    async with opcua_rig.node_server(made) as (peer, url), opcua_rig.client(made, url) as client:
        system = (await peer.do("vision", took=0))["system"]
        return await _some(client, system, count, INTERVAL, PAUSE)


async def _some(client: Node, system: str, count: int, interval: int, pause: int) -> Any:
    await client.do("prepare", **_MAIN, system=system)
    await client.do("jobs", **_MAIN, system=system, count=10, interval=interval)
    return await client.do("jobs", 600, **_MAIN, system=system, count=count, interval=interval, pause=pause)


# ---------------------------------------------------------------- tables


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Rates, then jobs."""
    return _rates_table(found), _jobs_table(found["jobs"])


def _rates_table(found: dict[str, Any]) -> Table:
    reads, told = found["reads"], found["notified"]
    rows: list[Sequence[object]] = [
        [
            name,
            *(f"{reads[name][case]['values']:.0f}" for case in CASES),
            f"{reads[name]['1 value']['p50']:.2f}",
            f"{reads[name]['1 value']['p99']:.2f}",
            f"{told[name]['rate']:.0f}",
        ]
        for name in SERVERS
    ]
    ratios = [reads["gateway"][case]["values"] / reads["node-opcua"][case]["values"] for case in CASES]
    notified = told["gateway"]["rate"] / told["node-opcua"]["rate"]
    rows.append(["gateway / node-opcua", *(f"{ratio:.2f}" for ratio in ratios), "", "", f"{notified:.2f}"])
    text = (
        "Values read a second by node-opcua's client, each server alone in a process, Basic256Sha256, signed and "
        "encrypted; ms of a request for one value. Notified: values a second that one subscription is told of, of "
        f"{found['items']} variables that all change every {PERIOD * 1000:g} ms, at a publishing interval of "
        f"{INTERVAL} ms. Median of {found['rounds']} interleaved rounds."
    )
    return Table("OPC UA: reads and notifications", text, ("", *CASES, "p50, ms", "p99, ms", "notified"), rows)


def _jobs_table(jobs: dict[str, Any]) -> Table:
    rows = [
        [
            name,
            *report.cells(each["call"], ("p50", "p99"), 2),
            *report.cells(each["result"], ("p50", "p99", "max"), 2),
            *report.cells(each, ("verdict",), 2),
        ]
        for name, each in jobs.items()
    ]
    text = (
        "ms from the call of StartSingleJob to its answer, and to the ResultReady event, in the client (node-opcua, "
        f"Basic256Sha256); each job {PAUSE} ms after the one before; no pause: at once. The gateway inspects a 64 x 64 "
        "frame with a network that computes next to nothing and records the result on the disk; of that, verdict: from "
        "the trigger that it accepted to the verdict, before the commit. node-opcua's server has its result at once. "
        f"Publishing interval {INTERVAL} ms; with immediate publish {SLOW} ms, which then does not matter."
    )
    goal = Goal(
        "StartSingleJob → ResultReady, immediate publish, p50",
        jobs["gateway, immediate"]["result"]["p50"],
        "≤",
        4,
        " ms",
    )
    columns = ("ms", "call p50", "p99", "result p50", "p99", "max", "verdict p50")
    return Table("OPC UA: a job of OPC 40100-1", text, columns, rows, (goal,))
