"""Register reads a second: this server on uvloop and on asyncio, pymodbus's, and libmodbus's, in one run.

Ten input registers are read in a closed loop by our own load generator (`load.c`) on 1, 10 and 50 connections.
The rounds of all servers are interleaved, and the best round of each counts: other programs on the computer only
ever make a round slower.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import native, report, rig
from benchmarks.report import Goal, Table

CONNECTIONS = (1, 10, 50)
READ_INPUT, REGISTERS = 4, 10
PACED_CONNECTIONS, PACED_RATE = 10, 200
PYMODBUS = ("pymodbus_uvloop", "pymodbus_asyncio")

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Figures by server and connections, ratios to libmodbus and pymodbus, and what was skipped and why."""
    seconds, rounds = (0.5, 2) if quick else (2.0, 5)
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        load = native.compiled("load")
        commands = {
            name: [sys.executable, "-m", "benchmarks.modbus_server", name] for name in ("uvloop", "asyncio", *PYMODBUS)
        }
        try:
            commands["libmodbus"] = [str(native.compiled("libmodbus_server", "-lmodbus"))]
        except native.MissingError as error:
            skipped["libmodbus"] = f"{error} (Debian: libmodbus-dev)"
        servers = {name: stack.enter_context(serving(command)) for name, command in commands.items()}
        figures = _measure(load, servers, seconds, rounds)
    return {"reads": figures, "ratios": _ratios(figures), "skipped": skipped}


@contextmanager
def serving(command: list[str]) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process id."""
    port = rig.free_port()
    with subprocess.Popen(
        [*command, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=rig.ROOT
    ) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                raise RuntimeError(f"{command[-1]} did not start")
            yield port, process.pid
        finally:
            process.kill()


def _measure(
    load: Path, servers: dict[str, tuple[int, int]], seconds: float, rounds: int
) -> dict[str, dict[str, Figures]]:
    cases = {str(n): (n, 0) for n in CONNECTIONS} | {"paced": (PACED_CONNECTIONS, PACED_RATE)}
    figures: dict[str, dict[str, Figures]] = {name: {} for name in servers}
    for case, (connections, rate) in cases.items():
        for _ in range(rounds):
            for name, (port, pid) in servers.items():
                new = _one(load, port, connections, seconds, rate, pid)
                best = figures[name].get(case, new)
                better = new["p99_us"] < best["p99_us"] if rate else new["requests_per_s"] > best["requests_per_s"]
                figures[name][case] = new if better else best
    return figures


def _one(load: Path, port: int, connections: int, seconds: float, rate: int, pid: int) -> Figures:
    arguments = (port, connections, seconds, rate, READ_INPUT, REGISTERS, pid)
    done = subprocess.run(
        [load, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=30 + 2 * seconds
    )
    answer: Figures = json.loads(done.stdout)
    return answer


def _ratios(figures: dict[str, dict[str, Figures]]) -> dict[str, dict[str, float]]:
    ours = figures["uvloop"]
    return {
        f"uvloop / {other}": {
            case: round(ours[case]["requests_per_s"] / figures[other][case]["requests_per_s"], 2)
            for case in map(str, CONNECTIONS)
        }
        for other in ("libmodbus", *PYMODBUS, "asyncio")
        if other in figures
    }


def tables(found: dict[str, Any]) -> Sequence[Table]:
    """Reads a second, and paced reads."""
    cases = tuple(map(str, CONNECTIONS))
    reads, ratios, skipped = found["reads"], found["ratios"], found["skipped"]
    rows: list[Sequence[object]] = []
    for name, figures in reads.items():
        rates = [f"{figures[case]['requests_per_s']:.0f}" for case in cases]
        rows.append([name, *rates, *report.cells(figures["paced"], ("p50_us", "p99_us", "cpu_us_per_request"))])
    rows += [[name, *by.values(), "", "", ""] for name, by in ratios.items()]
    rows += [[f"{name}: {why}", *[""] * 6] for name, why in skipped.items()]
    text = (
        f"Reads of {REGISTERS} input registers a second on {', '.join(cases)} connections, each asking again as "
        f"soon as it was answered; then {PACED_CONNECTIONS} connections x {PACED_RATE} a second: round trip and "
        "the server's CPU in µs."
    )
    least = ratios.get("uvloop / libmodbus")
    goals = [
        Goal(
            "reads/s / libmodbus (C), least of all",
            min(least.values()) if least else None,
            "≥",
            0.9,
            why=skipped.get("libmodbus", ""),
        ),
        Goal(
            "reads/s / pymodbus, least of 10 and 50",
            min(ratios[f"uvloop / {other}"][case] for other in PYMODBUS for case in cases[1:]),
            "≥",
            4,
        ),
    ]
    columns = ("", *(f"{case} conn." for case in cases), "paced p50", "paced p99", "CPU")
    return (Table("Modbus reads a second", text, columns, rows, goals),)


async def _serve_ours(port: int) -> None:
    from protocols.modbus.server import ModbusServer
    from protocols.signals import Outputs, Result, Status

    server = ModbusServer("127.0.0.1", port)
    link = server.unit(1)
    beat = 0
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.bound.wait()
        print("listening", flush=True)
        while True:  # the heartbeat and a result five times a second, as a station has them
            beat = beat % 0xFFFF + 1
            link.publish(Outputs(Status(heartbeat=beat), Result(result_seq=beat)))
            await asyncio.sleep(0.2)


async def _serve_pymodbus(port: int) -> None:
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    device = SimDevice(1, simdata=[SimData(0, count=100, values=1, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    await server.listen()
    print("listening", flush=True)
    await asyncio.get_running_loop().create_future()


def _serve(name: str, port: int) -> None:
    work = _serve_pymodbus(port) if name.startswith("pymodbus") else _serve_ours(port)
    if name.endswith("uvloop"):
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)


def main() -> None:
    """Serve, as a child of `run`; without arguments measure and print."""
    if len(sys.argv) == 3:
        _serve(sys.argv[1], int(sys.argv[2]))
    else:
        print(json.dumps(run("--quick" in sys.argv), indent=1))


if __name__ == "__main__":
    main()
