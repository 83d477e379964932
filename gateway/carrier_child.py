"""One carrier process as the control process sees it: started, heard within bounds, rung, killed, reaped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence

from gateway.launch import launch
from gateway.opcua import wire

TURN, REST = 0.001, 0.004
"""Seconds that a carrier's messages may keep the loop busy at once, and for how long they then wait."""
_STDERR_LIMIT = 8192
_REAP = 1.0


class Doorbell:
    """The end of a doorbell that is rung: many rings that were not heard yet are one. It never waits."""

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self.theirs = self._ours = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self.theirs, self._ours = os.pipe()
            os.set_blocking(self._ours, False)

    def ring(self) -> None:
        """Somebody may look now."""
        with contextlib.suppress(OSError):  # full: it is ringing
            os.write(self._ours, _RING)

    def close(self) -> None:
        """Ring no more."""
        for descriptor in {self.theirs, self._ours}:
            os.close(descriptor)
        self._ours = -1  # a late ring must not reach whoever is given this number next


_RING = (1).to_bytes(8, "little")


class CarrierChild:
    """A process behind a socket pair; to be made and used in the thread of the event loop."""

    def __init__(
        self, module: str, start: wire.Start, descriptors: Sequence[int], received: Callable[[wire.FromCarrier], None]
    ) -> None:
        self.ended = asyncio.Event()
        self.reason = ""
        """Why it is of no use any more, once `ended`."""
        self.heard = time.monotonic()
        """When it last said anything."""
        self._loop = asyncio.get_running_loop()
        self._received = received
        self._splitter = wire.Splitter(wire.MAX_MESSAGE)
        self._waiting: deque[bytes] = deque()
        self._said = bytearray()
        self._unsent = wire.encode(start)
        launched = launch(module)
        self._process, self._socket, self._stderr = launched.process, launched.socket, launched.stderr
        self._descriptors = [*descriptors]
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._loop.add_reader(self._stderr, self._hear_stderr)
        self._send_start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: wire.ToCarrier) -> None:
        """Hand a message over; a carrier that does not read is of no use."""
        if self.ended.is_set():
            return
        data = wire.encode(message)
        try:
            taken = 0 if self._unsent else self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            taken = 0
        except OSError:
            taken = len(data)  # it is gone: the end of its socket will tell
        if taken < len(data):
            self._unsent += data[taken:]
            self._loop.add_writer(self._socket.fileno(), self._send_rest)
            if len(self._unsent) > wire.MAX_START:
                self._lost("it does not read what it is told")

    def kill(self, reason: str) -> None:
        """End it now; whatever it still says is not heard."""
        self._lost(reason)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self, wait: float) -> str:
        """Have it end within `wait` seconds, or kill it; how it ended, with its last words."""
        try:
            await self._gone(wait)
            if self._process.poll() is None:
                self._process.kill()
                await self._gone(_REAP)
        finally:
            self._lost("")
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP)
            self._hear_stderr()
            self._loop.remove_reader(self._stderr)
            os.close(self._stderr)
        return f"{_exit(self._process.returncode)}{self._last_words()}"

    async def _gone(self, wait: float) -> None:
        end = time.monotonic() + wait
        while self._process.poll() is None and time.monotonic() < end:  # noqa: ASYNC110 - a process sets no event
            await asyncio.sleep(0.01)

    def _lost(self, reason: str) -> None:
        if self.ended.is_set():
            return
        self.reason = reason
        self.ended.set()
        self._waiting.clear()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()

    # ------------------------------------------------------------ to it

    def _send_start(self) -> None:
        """The descriptors go with the first bytes; the rest when the socket takes it."""
        try:
            taken = socket.send_fds(self._socket, [self._unsent[:65536]], self._descriptors)
        except OSError as error:
            self._lost(f"it cannot be told what to do: {error}")
            return
        self._unsent = self._unsent[taken:]
        if self._unsent:
            self._loop.add_writer(self._socket.fileno(), self._send_rest)

    def _send_rest(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent[:65536]) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._unsent = b""
        if not self._unsent:
            self._loop.remove_writer(self._socket.fileno())

    # ------------------------------------------------------------ from it

    def _readable(self) -> None:
        try:
            data = self._socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lost("it ended")
            return
        self.heard = time.monotonic()
        try:
            self._waiting.extend(self._splitter.feed(data))
        except wire.WireError as error:
            self.kill(f"it sent {error}")
            return
        self._work()

    def _work(self) -> None:
        """Take messages for TURN; what is left waits for REST and the socket with it: the PLC comes first."""
        end = time.monotonic() + TURN
        while self._waiting:
            if time.monotonic() >= end:
                self._loop.remove_reader(self._socket.fileno())
                self._loop.call_later(REST, self._resume)
                return
            try:
                message = wire.decode_from_carrier(self._waiting.popleft())
                self._received(message)
            except wire.WireError as error:
                self.kill(f"it sent {error}")
                return

    def _resume(self) -> None:
        if self.ended.is_set():
            return
        self.heard = time.monotonic()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._work()

    def _hear_stderr(self) -> None:
        try:
            data = os.read(self._stderr, 65536)
        except BlockingIOError:
            return
        self._said += data
        del self._said[:-_STDERR_LIMIT]
        if not data:
            self._loop.remove_reader(self._stderr)

    def _last_words(self) -> str:
        text = self._said.decode(errors="replace").strip()
        return f", having said: {text}" if text else ""


def _exit(code: int | None) -> str:
    if code is None:
        return "it cannot be ended"
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
