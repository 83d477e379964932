"""Register reads a second: this server on uvloop and on asyncio, pymodbus's, and libmodbus's, in one run.

Ten input registers are read in a closed loop by our own load generator (`load.c`) on 1, 10 and 50 connections.
The rounds of all servers are interleaved, and the best round of each counts: other programs on the computer only
ever make a round slower.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CONNECTIONS = (1, 10, 50)
READ_INPUT, REGISTERS = 4, 10
PACED_CONNECTIONS, PACED_RATE = 10, 200

Figures = dict[str, float]


def run(quick: bool) -> dict[str, Any]:
    """Figures by server and connections, ratios to libmodbus and pymodbus, and what was skipped and why."""
    seconds, rounds = (0.5, 2) if quick else (2.0, 5)
    skipped: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        load = _compile(Path(folder), "load")
        if load is None:
            return {"skipped": {"all": "no C compiler (cc) for the load generator"}}
        commands = {
            name: [sys.executable, "-m", "benchmarks.modbus_server", name]
            for name in ("uvloop", "asyncio", "pymodbus_uvloop", "pymodbus_asyncio")
        }
        libmodbus = _compile(Path(folder), "libmodbus_server", "-lmodbus")
        if libmodbus is None:
            skipped["libmodbus"] = "its headers are not installed (Debian: libmodbus-dev)"
        else:
            commands["libmodbus"] = [str(libmodbus)]
        servers = {name: stack.enter_context(_serving(command)) for name, command in commands.items()}
        figures = _measure(load, servers, seconds, rounds)
    return {"reads": figures, "ratios": _ratios(figures), "skipped": skipped}


def _compile(folder: Path, name: str, *libraries: str) -> Path | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    target = folder / name
    built = subprocess.run(
        [compiler, "-O2", "-o", target, HERE / f"{name}.c", *libraries], check=False, capture_output=True, timeout=60
    )
    return target if built.returncode == 0 else None


@contextmanager
def _serving(command: list[str]) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process id."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    with subprocess.Popen(
        [*command, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=HERE.parent
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
        for other in ("libmodbus", "pymodbus_uvloop", "pymodbus_asyncio", "asyncio")
        if other in figures
    }


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
