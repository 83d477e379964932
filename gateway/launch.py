"""Starting a process of our own. Light enough to be the first thing that `gateway run` does: it loads while we do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

VISION = "gateway.vision.worker"
COMMAND = (sys.executable, "-P", "-X", "faulthandler", "-m")
"""-P: the files of the working folder are no modules."""


@dataclass(slots=True)
class Launched:
    """A process that waits for its Start message, with our ends of its socket and its error output."""

    process: subprocess.Popen[bytes]
    socket: socket.socket
    stderr: int

    def discard(self) -> None:
        """Nobody needs it: end it and reap it."""
        self.socket.close()
        os.close(self.stderr)
        self.process.kill()
        self.process.wait()


def launch(module: str = VISION) -> Launched:
    """Start this module as a process; OSError. To be called in the main thread.

    That thread lives as long as the control process: the parent-death signal of Linux follows the thread.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    stderr, their_stderr = os.pipe()
    try:
        process = subprocess.Popen(
            [*COMMAND, module, str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=their_stderr,
            pass_fds=(theirs.fileno(),),
            env=environment(module),
        )
    except OSError:
        ours.close()
        os.close(stderr)
        raise
    finally:
        theirs.close()
        os.close(their_stderr)
    ours.setblocking(False)
    os.set_blocking(stderr, False)
    return Launched(process, ours, stderr)


def ahead() -> Launched | None:
    """A vision process for later; None where none can be started now: it will be tried again, and told then."""
    try:
        return launch()
    except OSError:
        return None


def environment(module: str = VISION) -> dict[str, str]:
    """No telemetry, no hidden thread pools; for frames, buffers that stay."""
    root = str(Path(__file__).resolve().parent.parent)
    others = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": root if not others else root + os.pathsep + others}
    if module != VISION:
        return environment
    return environment | {
        "ORT_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "2",  # s; OpenCV waits 10 for a USB camera that is silent
        # mallopt(3): a frame's buffer is kept for the next frame; mapped anew each time it costs 2800 page faults.
        "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    }
