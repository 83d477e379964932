"""Two halves of an inspection at once: the next frame is taken while the last one is judged."""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback

from gateway.vision import wire
from gateway.vision.inspector import Inspector, Look

DEPTH = 2
"""Frames that may wait; the handshake has no more open at once, so nobody ever waits for a place."""


class Overlap:
    """Judges in a thread of its own, one after the other, so that answers come in the order of the triggers."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._looks: queue.Queue[Look] = queue.Queue(DEPTH)
        # A daemon: the process ends by os._exit, and a network that hangs must not keep it.
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)
        self._thread.start()

    def inspect(self, order: wire.Inspect) -> None:
        """Take the frame, and leave the rest to the thread."""
        self._looks.put(self._inspector.take(order))

    def _run(self) -> None:
        try:
            while True:
                self._inspector.judge(self._looks.get())
        except OSError:  # the control process is gone
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the thread's boundary: without it nobody would judge; the pool starts another process
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
