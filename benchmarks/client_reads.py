"""Values a second that a Modbus client reads: planned requests against pymodbus, asked for each value by itself.

One device (this server on uvloop, in a process of its own), one connection, closed loop, one request at a time. The
values are the fields of status and result, and single registers apart. The rounds of all readers are interleaved, and
the best of each counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from benchmarks import modbus_server
from benchmarks.report import Goal, Table
from protocols.modbus.planning import Answer, Limits, Place, plan, values
from protocols.modbus.registers import FIELDS, Block
from protocols.modbus.registers import Table as Registers

FIELD_PLACES = [Place(Registers.INPUT, f.word, f.words) for f in FIELDS if f.block in (Block.STATUS, Block.RESULT)]
SCATTERED = [Place(Registers.INPUT, word) for word in range(0, 64, 3)]
"""Single registers with two that nobody wants between them."""

Reader = Callable[[], Awaitable[int]]
"""Reads all its values once and says how many they were."""


def run(quick: bool) -> dict[str, Any]:
    """Values a second by reader, and the ratios."""
    import uvloop

    seconds, rounds = (0.5, 3) if quick else (2.0, 5)
    command = [sys.executable, "-m", "benchmarks.modbus_server", "uvloop"]
    with modbus_server.serving(command) as (port, _):
        found = uvloop.run(_measure(port, seconds, rounds))
    ratios = {
        "all fields": found["planned, all fields"] / found["pymodbus, field by field"],
        "every third register, gaps read along": found["planned, scattered"] / found["pymodbus, scattered"],
        "one register a request": found["exchange, register by register"] / found["pymodbus, scattered"],
    }
    return {"values": found, "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()}}


async def _measure(port: int, seconds: float, rounds: int) -> dict[str, float]:
    from pymodbus.client import AsyncModbusTcpClient

    from protocols.modbus.tcp_exchange import TcpExchange

    exchange = TcpExchange("127.0.0.1", port)
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.5, retries=0, reconnect_delay=0)
    await exchange.open()
    await client.connect()

    def planned(places: Sequence[Place], limits: Limits) -> Reader:
        requests = plan(places, limits)

        async def read() -> int:
            answers: list[Answer] = [await exchange.read_registers(1, r.table, r.address, r.count) for r in requests]
            return len(values(places, requests, answers))

        return read

    def one_by_one(places: Sequence[Place]) -> Reader:
        async def read() -> int:
            for place in places:
                reply = await client.read_input_registers(place.address, count=place.size, device_id=1)
                assert len(reply.registers) == place.size  # noqa: S101 - a benchmark of wrong answers is none
            return len(places)

        return read

    readers = {
        "planned, all fields": planned(FIELD_PLACES, Limits(max_gap=1)),
        "pymodbus, field by field": one_by_one(FIELD_PLACES),
        "planned, scattered": planned(SCATTERED, Limits(max_gap=2)),
        "pymodbus, scattered": one_by_one(SCATTERED),
        "exchange, register by register": planned(SCATTERED, Limits()),
    }
    best = dict.fromkeys(readers, 0.0)
    for _ in range(rounds):
        for name, reader in readers.items():
            best[name] = max(best[name], await _rate(reader, seconds))
    exchange.close()
    client.close()
    return best


async def _rate(reader: Reader, seconds: float) -> float:
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        count += await reader()
    return count / passed


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Values a second, and the ratios."""
    rows: list[Sequence[object]] = [[name, f"{rate:.0f}"] for name, rate in found["values"].items()]
    rows += [[f"ratio, {name}", f"{ratio:.2f}"] for name, ratio in found["ratios"].items()]
    text = (
        f"Values a second over one connection: the {len(FIELD_PLACES)} fields of status and result, and "
        f"{len(SCATTERED)} single registers, every third one. pymodbus is asked for each value by itself."
    )
    goals = [Goal("client: values/s planned / pymodbus one by one", found["ratios"]["all fields"], "≥", 10)]
    return (Table("Modbus client reads", text, ("", "values/s"), rows, goals),)
