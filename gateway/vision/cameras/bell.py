"""How the thread of a driver tells the worker's main loop that a frame has come which is a trigger."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Iterator

RUNG = 1000
"""Frames that may wait to be told of; more at once are no parts."""


class Bell:
    """Tells the worker's main loop that frames have come which are triggers; each has a number of its own."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._hear, self._pull = socket.socketpair()
        self._hear.setblocking(False)
        self._pull.setblocking(False)
        self._numbers = numbers
        self._rung: deque[int] = deque(maxlen=RUNG)

    def fileno(self) -> int:
        """To wait for."""
        return self._hear.fileno()

    def ring(self) -> int:
        """The number of a frame that came now; called by the driver's thread."""
        number = next(self._numbers)
        self._rung.append(number)
        with contextlib.suppress(OSError):  # full: it rings already; or nobody listens any more
            self._pull.send(b"!")
        return number

    def heard(self) -> list[int]:
        """The numbers since the last call."""
        with contextlib.suppress(BlockingIOError):
            self._hear.recv(4096)
        numbers = []
        while self._rung:
            numbers.append(self._rung.popleft())
        return numbers

    def close(self) -> None:
        """Nobody listens any more."""
        self._hear.close()
        self._pull.close()
