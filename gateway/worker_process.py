"""One vision process as the control process sees it: started, spoken to without waiting, killed, reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from enum import Enum
from pathlib import Path
from typing import Protocol

from gateway.launch import Launched, launch
from gateway.vision import wire
from gateway.vision.finding_rows import WireError
from gateway.vision.settings import FramesConfig, PoolSettings, as_json

_STDERR_LIMIT = 8192
_FATAL = b"Fatal Python error"
"""How faulthandler begins its report of a deadly signal: the process is lost, though it lives for milliseconds yet."""


class WorkerOwner(Protocol):
    """Who is told what a worker process does; both calls come from the event loop."""

    def received(self, worker: Worker, message: wire.FromWorker) -> None:
        """A message in the order sent."""

    def ended(self, worker: Worker, reason: str) -> None:
        """The process is dying or useless: called once, nothing is received after it; kill it if it is not reaped."""


class Worker(Protocol):
    """What the pool asks of a vision process. No call waits or raises."""

    recipe: Path
    labels: frozenset[str] | None

    @property
    def pid(self) -> int:
        """The process id."""

    def send(self, message: wire.ToWorker) -> bool:
        """Hand a message over; False if the process cannot take it, then it is useless."""

    def kill(self) -> None:
        """End it now (SIGKILL); `ended` is not called any more."""

    def stop(self) -> None:
        """Ask it to end; `ended` is not called any more."""

    def reap(self) -> str | None:
        """How it ended, or None while it has not; to be called until it tells."""


def make_ring(frames: FramesConfig) -> int:
    """A descriptor of anonymous memory for the frame ring: it has no name and leaves nothing behind."""
    if hasattr(os, "memfd_create"):
        ring = os.memfd_create("gateway-frames", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile(prefix="gateway-frames-") as file:
            ring = os.dup(file.fileno())
    os.ftruncate(ring, frames.total)
    return ring


class Phase(Enum):
    """Where a process is in its life."""

    ALIVE = "alive"
    ENDING = "ending"
    REAPED = "reaped"


class WorkerProcess:
    """A vision process behind a socket pair; to be made and used in the thread of the event loop."""

    def __init__(
        self, settings: PoolSettings, recipe: Path, ring: int, owner: WorkerOwner, launched: Launched | None = None
    ) -> None:
        self.recipe = recipe
        self.labels: frozenset[str] | None = None
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._splitter = wire.Splitter()
        self._said = bytearray()
        self._phase = Phase.ALIVE
        launched = launched or launch()
        self._process, self._socket, self._stderr = launched.process, launched.socket, launched.stderr
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._loop.add_reader(self._stderr, self._said_something)
        start = wire.Start(
            camera=as_json(settings.camera),
            engine=as_json(settings.engine),
            worker=as_json(settings.worker),
            frames=as_json(settings.frames),
            recipe=str(recipe),
            content=settings.contents.get(recipe),
            overlap=settings.overlap,
        )
        with contextlib.suppress(OSError):  # it is gone already: the end of its socket will tell
            socket.send_fds(self._socket, [wire.encode(start)], [ring])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: wire.ToWorker) -> bool:
        """Hand a message over; False if the process does not read any more."""
        data = wire.encode(message)
        try:
            return self._phase is Phase.ALIVE and self._socket.send(data) == len(data)
        except OSError:  # full: it has not read for many messages; broken pipe: it is gone
            return False

    def kill(self) -> None:
        """End it now; whatever it still says is not heard."""
        self._close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def stop(self) -> None:
        """Ask it to end; it also does because its socket closes."""
        self.send(wire.Stop())
        self._close()

    def reap(self) -> str | None:
        """How it ended: signal or exit status, with the last words; None while it has not."""
        code = self._process.poll()
        if code is None:
            return None
        self._close()
        if self._phase is not Phase.REAPED:
            self._phase = Phase.REAPED
            self._hear()
            os.close(self._stderr)
        return f"{_exit(code)}{self._last_words()}"

    def _close(self) -> None:
        if self._phase is not Phase.ALIVE:
            return
        self._phase = Phase.ENDING
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_reader(self._stderr)
        self._socket.close()

    def _lost(self, reason: str) -> None:
        """It is dying; not killed yet, so that `reap` can tell what of, with its whole report."""
        self._close()
        self._owner.ended(self, reason)

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lost("the vision process ended")
            return
        try:
            for body in self._splitter.feed(data):
                if self._phase is Phase.ALIVE:  # a message before may have ended it
                    self._owner.received(self, wire.decode_from_worker(body, self.labels))
        except WireError as error:
            self.kill()
            self._owner.ended(self, f"the vision process sent {error}")

    def _said_something(self) -> None:
        if not self._hear():
            self._loop.remove_reader(self._stderr)
        _, fatal, words = self._said.partition(_FATAL)
        if fatal and b"\n" in words and self._phase is Phase.ALIVE:
            self._lost(f"the vision process crashed{words.splitlines()[0].decode(errors='replace')}")

    def _hear(self) -> bool:
        """Read a piece of its error output (a whole pipe at most); False at its end."""
        try:
            data = os.read(self._stderr, 65536)
        except BlockingIOError:
            return True
        self._said += data
        del self._said[:-_STDERR_LIMIT]
        return bool(data)

    def _last_words(self) -> str:
        text = self._said.decode(errors="replace").strip()
        return f", having said: {text}" if text else ""


class HeadStart:
    """Makes worker processes; the first one is the process that was launched ahead, if there is one."""

    def __init__(self, launched: Launched | None) -> None:
        self._launched = launched

    def __call__(self, settings: PoolSettings, recipe: Path, ring: int, owner: WorkerOwner) -> WorkerProcess:
        """A worker for this recipe."""
        launched, self._launched = self._launched, None
        return WorkerProcess(settings, recipe, ring, owner, launched)

    def discard(self) -> None:
        """End the process that nobody took."""
        if self._launched is not None:
            self._launched.discard()
            self._launched = None


def _exit(code: int) -> str:
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
