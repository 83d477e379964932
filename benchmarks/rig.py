"""A gateway in a process of its own, on a port and in a folder of its own, and a PLC that runs cycles on it."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import native
from gateway import history
from gateway.inspection import Inspection
from protocols.codec import Codec
from protocols.signals import Control, Result, Status

ROOT = Path(__file__).parent.parent
PATIENCE = 30.0
_HEAD = struct.Struct(">HHHB")
_CODEC = Codec()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on the disk of the project (/tmp may be memory, where a commit costs nothing); removed afterwards."""
    native.BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=native.BUILD) as name:
        yield Path(name)


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Plc:
    """The wire as one thread needs it: requests one after the other."""

    def __init__(self, port: int, unit: int = 1) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unit = unit

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, pdu: bytes) -> bytes:
        """One request and its answer, both without header."""
        self._socket.sendall(_HEAD.pack(1, 0, len(pdu) + 1, self._unit) + pdu)
        size = _HEAD.unpack(self._exactly(_HEAD.size))[2] - 1
        answer = self._exactly(size)
        if answer[0] != pdu[0]:
            raise RuntimeError(f"exception {answer.hex()} to request {pdu.hex()}")
        return answer

    def read(self) -> tuple[Status, Result | None]:
        """All outputs in one request."""
        block = self.ask(bytes((4, 0, 0, 0, 64)))[2:]
        return _CODEC.decode_status(block[:32]), _CODEC.decode_result(block[32:])

    def control(self, bits: int) -> None:
        """Write CONTROL alone."""
        self.ask(struct.pack(">BHH", 6, 0, bits))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise RuntimeError("the gateway closed the connection")
            data += piece
        return data


@dataclass(frozen=True, slots=True)
class Cycle:
    """One inspection as the PLC saw it; seconds."""

    trigger_seq: int
    took: float
    """From the trigger's write to the answer that shows the result."""
    at: float
    """When that was, since the PLC's start."""
    judgement: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    port: int
    pid: int
    data: Path
    started: float
    """time.perf_counter() just before the process was made."""
    answered: float
    """The same when it had answered its first read."""

    def family(self) -> list[int]:
        """The process and its vision processes."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return [self.pid, *(int(pid) for task in tasks for pid in (task / "children").read_text().split())]

    def settle(self, stations: int = 1) -> None:
        """Enable; wait until every station is Ready and every standby had time to warm up."""
        for unit in range(1, stations + 1):
            self.ready(unit)
        time.sleep(1.5)

    def ready(self, unit: int = 1) -> float:
        """Enable the station; when it was Ready, by time.perf_counter()."""
        plc = Plc(self.port, unit)
        try:
            plc.control(int(Control.ENABLE))
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                if plc.read()[0].ready:
                    return time.perf_counter()
                time.sleep(0.002)
            raise RuntimeError(f"not Ready in {PATIENCE:g} s, reason {plc.read()[0].not_ready_reason}")
        finally:
            plc.close()

    def cycles(
        self,
        count: int,
        *,
        seconds: float = 600,
        poll_us: int = 0,
        pause_us: int = 0,
        depth: int = 1,
        first_part: int = 1,
        unit: int = 1,
    ) -> list[Cycle]:
        """Inspect `count` parts with the PLC of cycle.c (its arguments are explained there)."""
        arguments = (self.port, unit, count, seconds, poll_us, pause_us, depth, first_part)
        patience = seconds + 2 * PATIENCE
        rows = [line.split() for line in native.lines(native.compiled("cycle"), *arguments, patience=patience)]
        cycles = [Cycle(int(seq), float(us) / 1e6, float(at) / 1e6, int(judged)) for seq, us, at, judged in rows]
        faults = sum(cycle.judgement not in (1, 2, 3) for cycle in cycles)
        if faults:
            raise RuntimeError(f"{faults} of {len(cycles)} inspections ended as FAULT")
        return cycles

    def cycle_command(self, unit: int, *, poll_us: int, depth: int, pause_us: int = 0) -> list[str]:
        """A PLC without end, to be run as load."""
        arguments = (self.port, unit, 10**9, 10**6, poll_us, pause_us, depth, 1)
        return [str(native.compiled("cycle")), *map(str, arguments)]

    def recorded(self, count: int) -> dict[int, Inspection]:
        """The newest rows of the history by TRIGGER_SEQ."""
        return {row.trigger.trigger_seq: row for row in history.newest(self.data / "history.sqlite3", count)}


def environment() -> dict[str, str]:
    """As a user's, whatever this run was started with: compiled Python files are kept."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def gateway(
    recipe: Path, camera: dict[str, Any], *, stations: int = 1, opcua: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Gateway]:
    """Run a gateway whose stations all have this recipe, camera and other settings; stopped in order at the end.

    `cycle` and `link` are laid over what a benchmark needs; `opcua` is the key of that name, if there is one.
    """
    with folder() as place:
        port, file = free_port(), place / "gateway.yaml"
        # no FAULT because something else takes the processor for a while: a delay shall be seen as one
        cycle = {"deadline_ms": 10_000, "grab_timeout_ms": 5_000, **settings.pop("cycle", {})}
        link = {"kind": "modbus_server", "port": port, **settings.pop("link", {})}
        station = {"camera": camera, "recipes": [str(recipe)], "cycle": cycle, **settings}
        config = {
            "name": "bench",
            "data_dir": "data",
            "log": {"level": "info", "format": "json"},
            "stations": [
                {"name": f"cell{unit}", "link": {**link, "unit": unit}, **station} for unit in range(1, stations + 1)
            ],
            **({"opcua": opcua} if opcua else {}),
        }
        file.write_text(json.dumps(config), encoding="utf-8")
        with (place / "log").open("w+", encoding="utf-8") as log:
            started = time.perf_counter()
            command = [sys.executable, "-m", "gateway", "run", str(file)]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environment())
            try:
                answered = _answers(port, process)
                yield Gateway(port, process.pid, place / "data", started, answered)
            except BaseException as error:
                log.seek(0)
                error.add_note("".join(["the gateway's last words:\n", *log.readlines()[-5:]]))
                raise
            finally:
                _stop(process)


def _answers(port: int, process: subprocess.Popen[bytes]) -> float:
    """Wait until the gateway answers a first read; when that was."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            plc = Plc(port)
        except OSError:
            time.sleep(0.001)
            continue
        plc.read()
        plc.close()
        return time.perf_counter()
    raise RuntimeError("the gateway does not answer")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def beside(commands: list[list[str]]) -> Iterator[None]:
    """Programs that run meanwhile and are killed at the end; RuntimeError if one ended before."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment()))
        yield
        for process, command in zip(running, commands, strict=True):
            if process.poll() is not None:
                raise RuntimeError(f"{Path(command[0]).name} ended too early ({process.returncode})")
    finally:
        for process in running:
            process.kill()
            process.wait()
