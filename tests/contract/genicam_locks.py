"""GenICam's locks of its cache: semaphores for the whole machine, which the first user makes and nobody removes."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from gateway.vision.cameras import make_camera
from gateway.vision.cameras.drivers import Driven
from tests.contract.camera_rigs import come
from tests.contract.vendor_rigs import emulator, shown, viky

MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's home of POSIX semaphores
LOCKS = "sem.*GenICam_XML"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have all of them made before any test, hold them open meanwhile, and remove what was made here.

    Held open, other test runs see whose they are. What another run holds as well stays until its own end.
    """
    before = _locks()
    for camera in _cameras(folder):
        opened = make_camera(camera)
        try:
            come(opened)
        finally:
            opened.close()
    files = {path: path.open("rb") for path in _locks()}
    for file in files.values():
        fcntl.flock(file, fcntl.LOCK_SH)
    try:
        yield
    finally:
        for path, file in files.items():
            with file, contextlib.suppress(BlockingIOError):
                if path not in before:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink(missing_ok=True)


def _cameras(folder: Path) -> Iterator[Driven]:
    if importlib.util.find_spec("pypylon"):
        yield emulator(shown(folder / "shown"))
    if importlib.util.find_spec("harvesters") and importlib.util.find_spec("genicam"):
        yield viky()


def _locks() -> set[Path]:
    return set(MEMORY.glob(LOCKS))
