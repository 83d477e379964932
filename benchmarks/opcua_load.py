"""What twenty OPC UA clients do to a PLC's polls: subscriptions, logins and browses beside Modbus masters."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import bare, noise, opcua_rig, parts, polls, report, rig
from benchmarks.report import Goal, Table
from protocols.opcua.plain_map import CONTRACT_NODES, node_id
from tests.interop.node_opcua import Certificates
from tests.interop.node_peer import Node

STATIONS = 2
SUBSCRIBERS, COMERS, BROWSERS = 14, 3, 3
PROCESSES = {
    "pki-listeners": {"subscribers": SUBSCRIBERS, "comers": 0, "browsers": 0},
    "pki-visitors": {"subscribers": 0, "comers": COMERS, "browsers": BROWSERS},
}
"""What all subscribers are told keeps a process of theirs busy: beside it nobody would come to log in."""
ITEMS, INTERVAL = 100, 20
"""Of each subscriber; ms, so that all it is told of changes at 50 Hz can reach it."""
POLL_US, PAUSE_US = 2000, 16_000
"""Of the PLCs that trigger: some 50 parts a second each."""
STATES = ("without", "with 20 clients")
WARM_UP, PATIENCE = 2.0, 60.0

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Round trips of four masters in microseconds with and without the clients, in turns, while stations inspect."""
    opcua_rig.check()
    seconds, rounds = (2.0, 5) if quick else (10.0, 5)
    seen: dict[str, list[Figures]] = {state: [] for state in STATES}
    floor: dict[str, list[dict[str, Figures]]] = {state: [] for state in STATES}
    done: list[Figures] = []
    with rig.folder() as place:
        made = opcua_rig.papers(place)
        port = rig.free_port()
        recipe, camera = parts.null_recipe(place), parts.frames(place, parts.SMALL, 1)
        keys = opcua_rig.server_keys(made, port)
        with rig.gateway(recipe, camera, stations=STATIONS, opcua=keys, pictures={"keep": 0}) as gateway:
            gateway.settle(STATIONS)
            units = range(1, STATIONS + 1)
            inspecting = [gateway.cycle_command(unit, poll_us=POLL_US, pause_us=PAUSE_US, depth=1) for unit in units]
            with rig.beside(inspecting):
                time.sleep(WARM_UP)
                for _ in range(rounds):
                    for state in STATES:
                        clients = asyncio.run(_during(made, port, gateway, seconds, loaded=state != STATES[0]))
                        seen[state].append(clients.polls)
                        floor[state].append(clients.floor)
                        if clients.done:
                            done.append(clients.done)
    return {
        "figures": {state: report.middle(each) for state, each in seen.items()},
        "noise": {
            state: {kind: report.middle([late[kind] for late in each]) for kind in each[0]}
            for state, each in floor.items()
        },
        "ratio": _ratio([figures["p99_us"] for figures in seen[state]] for state in STATES),
        "floor": {
            kind: _ratio([late[kind]["p99"] for late in floor[state]] for state in STATES)
            for kind in floor[STATES[0]][0]
        },
        "load": report.middle(done),
        "rounds": rounds,
    }


def _ratio(states: Iterable[list[float]]) -> float:
    """Of the second state to the first: the median of the rounds, each with its own neighbour in time."""
    without, loaded = states
    return statistics.median(after / before for before, after in zip(without, loaded, strict=True))


@dataclass(frozen=True)
class Measured:
    """What one turn gave."""

    polls: Figures
    floor: dict[str, Figures]
    done: Figures
    """By the clients, a second; empty without them."""


async def _during(made: Certificates, port: int, gateway: rig.Gateway, seconds: float, *, loaded: bool) -> Measured:
    """One turn; the clients give way to everything, as they would be on computers of their own."""
    if not loaded:
        return await asyncio.to_thread(_measured, gateway, seconds)
    url = f"opc.tcp://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        clients = []
        for name, counts in PROCESSES.items():
            client = await stack.enter_async_context(opcua_rig.client(made, url, nice=bare.NICE, pki=name))
            keys = opcua_rig.client_keys(made, url, name)
            await client.do("load", **keys, nodes=_items(), interval=INTERVAL, **counts)
            clients.append(client)
        await _there(clients)
        before, began = await _done(clients), time.monotonic()
        measured = await asyncio.to_thread(_measured, gateway, seconds)
        after, took = await _done(clients), time.monotonic() - began
    rates = {name: (after[name] - before[name]) / took for name in ("notifications", "sessions", "browses", "errors")}
    if not rates["notifications"] or not after["sessions"]:
        raise RuntimeError(f"the clients do nothing: {after}")
    return replace(measured, done=rates)


async def _done(clients: list[Node]) -> Counter[str]:
    """By all of them together."""
    each = [await client.do("loaded") for client in clients]
    return sum((Counter({name: n for name, n in done.items() if name != "last"}) for done in each), Counter())


async def _there(clients: list[Node]) -> None:
    """All that stay have come."""
    try:
        async with asyncio.timeout(PATIENCE):
            while (await _done(clients))["there"] < SUBSCRIBERS + BROWSERS:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise RuntimeError(f"the clients did not come: {await _done(clients)}") from None


def _measured(gateway: rig.Gateway, seconds: float) -> Measured:
    return Measured(polls.polls(gateway.port, gateway.pid, seconds), noise.late(seconds / 3), {})


def _items() -> list[str]:
    """Status and result of both stations."""
    names = [node.path for node in CONTRACT_NODES if node.path.startswith(("Result.", "Status."))]
    return [node_id(f"cell{unit}", path) for path in names for unit in range(1, STATIONS + 1)][-ITEMS:]


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Both states, with their ratio."""
    points, keys = ("p50", "p99", "p99.9", "max"), ("p50_us", "p99_us", "p99_9_us", "max_us")
    figures, load = found["figures"], found["load"]
    ratios = ("", f"{found['ratio']:.2f}")
    rows: list[Sequence[object]] = [
        [f"gateway, {state}", *report.cells(figures[state], keys), ratio]
        for state, ratio in zip(STATES, ratios, strict=True)
    ]
    for kind in found["noise"][STATES[0]]:
        for state, ratio in zip(STATES, ("", f"{found['floor'][kind]:.2f}"), strict=True):
            rows.append([f"noise floor {kind}, {state}", *report.cells(found["noise"][state].get(kind), points), ratio])
    text = (
        f"µs for a read of {polls.REGISTERS} input registers, {polls.CONNECTIONS} connections x {polls.RATE} a second, "
        f"while {STATIONS} stations inspect some 50 parts a second each. The clients, on node-opcua, two processes of "
        f"nice {bare.NICE}: {SUBSCRIBERS} subscriptions of {ITEMS} items at {INTERVAL} ms, {COMERS} that log in and "
        f"out again and again, {BROWSERS} that browse everything again and again; together "
        f"{load['notifications']:.0f} notifications, {load['sessions']:.1f} secure sessions and {load['browses']:.1f} "
        f"whole browses a second, {load['errors']:.1f} errors. Median of {found['rounds']} interleaved rounds; a "
        "ratio is the median of the rounds' own. What the noise floor's is above 1, this computer has done."
    )
    goal = Goal("PLC polls: p99 with 20 OPC UA clients / without", found["ratio"], "≤", 1.2)
    return (Table("PLC polls beside OPC UA clients", text, ("µs", *points, "p99 / without"), rows, (goal,)),)
