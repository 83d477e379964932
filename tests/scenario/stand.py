"""The test stand: a real gateway process with its configuration, data directory, log and history. Nothing survives."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

from gateway import history
from gateway.inspection import Inspection
from tests.scenario.oracle import Evidence, Run

POLL = 0.005
STOP_WAIT = 10.0

STATION: dict[str, Any] = {
    "name": "cell1",
    "camera": {"kind": "simulated", "seed": 1, "width": 320, "height": 256},
    "worker": {"standby": False},
    "pictures": {"keep": 0},
}
"""What every scenario starts from; a small picture, so that the machine is not what is tested."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, mapping by mapping."""
    both = dict(base)
    for key, value in changes.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


async def until(holds: Callable[[], Any], within: float, what: str) -> None:
    """Poll until `holds()`; AssertionError with `what` when that takes longer."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, f"not within {within:g} s: {what}"
        await asyncio.sleep(POLL)


class Stand:
    """One gateway on a free port, stopped, killed and started at will."""

    def __init__(self, folder: Path, recipe: Path, *stations: dict[str, Any]) -> None:
        """Each of `stations` is laid over STATION; a link that is not given is a Modbus server, unit 1, 2, …"""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.config = folder / "gateway.yaml"
        self.data_dir = folder / "data"
        self.devices: list[dict[str, Any]] = []
        self.opcua: dict[str, Any] | None = None
        """The configuration's key, if it is there; to be set before the start."""
        self.stations = [self._station(n, recipe, changes) for n, changes in enumerate(stations or ({},))]
        self.write_config(self.config, self.data_dir)
        self.runs: list[Run] = []
        self.evidence = {
            station["name"]: Evidence(
                station=station["name"],
                deadline=station.get("cycle", {}).get("deadline_ms", 300) / 1000,
                heartbeat=station.get("cycle", {}).get("heartbeat_ms", 200) / 1000,
                runs=self.runs,
            )
            for station in self.stations
        }
        self.environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        self.program = "gateway"
        """The module that is run."""
        self.wrapper: list[str] = []
        """A program that runs the gateway under its eyes, such as strace."""
        self._process: subprocess.Popen[bytes] | None = None
        self._family: list[psutil.Process] = []

    def _station(self, index: int, recipe: Path, changes: dict[str, Any]) -> dict[str, Any]:
        link = {"kind": "modbus_server", "host": "127.0.0.1", "port": self.port, "unit": index + 1}
        base = merged(STATION, {"name": f"cell{index + 1}", "recipes": [str(recipe)]})
        if "link" not in changes:
            base["link"] = link
        return merged(base, changes)

    def write_config(self, path: Path, data_dir: Path) -> None:
        """The same gateway in another file, perhaps with another data directory."""
        log = {"level": "info", "format": "json"}
        with path.open("w") as file:
            document = {"name": "stand", "data_dir": str(data_dir), "log": log, "stations": self.stations}
            document |= {"devices": self.devices} if self.devices else {}
            document |= {"opcua": self.opcua} if self.opcua else {}
            yaml = YAML()
            yaml.representer.ignore_aliases = lambda _: True
            yaml.dump(document, file)

    # ------------------------------------------------------------ the process

    @property
    def pid(self) -> int:
        """The control process, behind a wrapper its child."""
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        return int(process.children()[0].pid if self.wrapper else process.pid)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log_file(self) -> Path:
        return self.folder / f"run{len(self.runs)}.log"

    async def start(self) -> None:
        """Start the gateway and wait until its process has taken the data directory."""
        assert self._process is None, "it runs already"
        self.runs.append(Run(boot_id=0))
        before = self._boot_id()
        with self.log_file.open("wb") as out:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once, and outlives this loop
                [*self.wrapper, sys.executable, "-m", self.program, "run", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment, cwd=self.folder,
            )  # fmt: skip
        await until(lambda: self._started(before) or not self.running, 40, "the gateway starts")
        assert self.running, f"the gateway did not start:\n{self.log_text()}"
        self._remember()

    def _started(self, before: int | None) -> bool:
        """The lock file has a new number, and a gateway that listens does so."""
        boot_id = self._boot_id()
        if boot_id in (None, before):
            return False
        self.runs[-1].boot_id = boot_id or 0
        if all(station["link"]["kind"] != "modbus_server" for station in self.stations):
            return True
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _boot_id(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            return int((self.data_dir / "gateway.lock").read_text())
        return None

    def _remember(self) -> None:
        """All processes that belong to the gateway, so that the end can prove that none is left."""
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                own = psutil.Process(self._process.pid)
                self._family = list(dict.fromkeys([*self._family, own, *own.children(recursive=True)]))

    def signal(self, number: int) -> None:
        """Send a signal to the control process alone."""
        if number == signal.SIGKILL:
            self.runs[-1].ended = time.time()
        os.kill(self.pid, number)

    async def ended(self, within: float = STOP_WAIT) -> int:
        """Wait for the end; the exit status."""
        process = self._process
        assert process is not None
        self._remember()
        self.runs[-1].ended = min(self.runs[-1].ended, time.time())
        await until(lambda: process.poll() is not None, within, "the gateway ends")
        run = self.runs[-1]
        run.log, run.orderly = self.log(), process.returncode == 0
        self._process = None
        await until(lambda: not self.left(), 5, f"the gateway's processes end: {self.left()}")
        return int(process.returncode)

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.signal(signal.SIGTERM)
        return await self.ended()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._remember()
        self.signal(signal.SIGKILL)
        await self.ended()

    def workers(self) -> list[psutil.Process]:
        """The vision processes."""
        self._remember()
        return psutil.Process(self.pid).children(recursive=True)

    def left(self) -> list[str]:
        """Processes of the gateway that still live."""
        alive = [p for p in self._family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        return [f"{p.pid} {p.status()}" for p in alive]

    def close(self) -> list[str]:
        """Kill whatever is left; what there was."""
        left = self.left() if self._process is None else []
        for process in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
            self._process.kill()
            self._process.wait()
        if any(station["link"]["kind"] == "modbus_server" for station in self.stations):
            left += self._port_left()
        return left

    def _port_left(self) -> list[str]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                return [f"port {self.port} is still taken"]
        return []

    # ------------------------------------------------------------ what it leaves behind

    def log_text(self) -> str:
        return self.log_file.read_text(errors="replace")

    def log(self) -> list[dict[str, Any]]:
        """The lines of the present run; what is no JSON (a traceback, a sentence for the user) is {"event": text}."""
        lines = []
        for line in self.log_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append({"event": line})
        return lines

    def told(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """Log lines of the present run with this event and these fields."""
        return [line for line in self.log() if line["event"] == event and fields.items() <= line.items()]

    def history(self, station: str | None = None) -> list[Inspection]:
        """All rows, oldest first."""
        return history.newest(self.data_dir / "history.sqlite3", 100_000, station)[::-1]

    def inspected(self) -> int:
        """How many rows have their outcome; cheap enough to poll."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data_dir}/history.sqlite3?mode=ro", uri=True)) as raw:
            (count,) = raw.execute("SELECT count(*) FROM inspection WHERE judgement IS NOT NULL").fetchone()
            return int(count)

    def measure(self) -> None:
        """Note what the control process holds (I7)."""
        process = psutil.Process(self.pid)
        self.runs[-1].held.append(
            {
                "descriptors": process.num_fds(),
                "children": len(self.workers()),
                "megabytes": process.memory_info().rss / 2**20,
            }
        )
