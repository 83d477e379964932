"""The watched folder: another program puts pictures there, and each that is completely written is a frame."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.vision.camera_settings import FolderCamera
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival
from gateway.vision.cameras.folder import MAX_FILE, SUFFIXES
from gateway.vision.frames import Pixels
from protocols.faults import Code

LOOK = 0.01
"""Seconds between two looks into the folder."""
STALLED = 1.0
"""Seconds after which a file that does not grow any more is taken for what it is, though its end is missing."""
MAX_FILES = 20_000


@dataclass(slots=True)
class _State:
    size: int
    changed: int
    """Modification time in ns, as the file system tells it."""
    since: float
    """Our clock, when it was first seen so."""
    done: bool = False


class WatchedFolder:
    """A camera that writes files; see `Device`. What is there at the start is no frame."""

    def __init__(self, config: FolderCamera) -> None:
        self._path = config.path
        self._files: dict[str, _State] = {}

    def open(self) -> None:
        """Note what is there; 1001 if the folder is missing."""
        now = time.monotonic()
        self._files = {name: _State(size, changed, now, done=True) for name, size, changed in self._scan()}

    def next(self, wait: float) -> Arrival | None:
        """The next picture that is completely written, the oldest first."""
        end = time.monotonic() + wait
        while True:
            found = self._look()
            if found is not None or time.monotonic() >= end:
                return found
            time.sleep(LOOK)

    def fire(self) -> None:
        """Nobody can command another program."""

    def restart(self) -> None:
        """What is there by now belongs to no trigger any more."""
        self.open()

    def close(self) -> None:
        """Nothing to let go of."""

    def _look(self) -> Arrival | None:
        """See what changed; the first complete one, in the order of their times."""
        now = time.monotonic()
        there = sorted(self._scan(), key=lambda entry: (entry[2], entry[0]))
        known, self._files = self._files, {}
        ready: str | None = None
        for name, size, changed in there:
            state = known.get(name)
            if state is None or (state.size, state.changed) != (size, changed):
                state = _State(size, changed, now)
            self._files[name] = state
            if ready is None and not state.done and size and now - state.since >= LOOK / 2:
                ready = name
        return self._take(ready, now) if ready is not None else None

    def _take(self, name: str, now: float) -> Arrival | None:
        state, path = self._files[name], self._path / name
        try:
            data = np.fromfile(path, np.uint8) if state.size <= MAX_FILE else np.empty(0, np.uint8)
        except OSError:
            if now - state.since < STALLED:
                return None  # gone again, or not readable yet: seen anew at the next look
            data = np.empty(0, np.uint8)  # else those behind it would wait for ever
        if data.size == state.size and not whole(data) and now - state.since < STALLED:
            return None
        state.done = True
        return Arrival(data, "jpeg", Stamp(now))

    def _scan(self) -> list[tuple[str, int, int]]:
        """Name, size and time of every picture."""
        found: list[tuple[str, int, int]] = []
        try:
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if Path(entry.name).suffix.lower() not in SUFFIXES or entry.name.startswith("."):
                        continue
                    try:
                        about = entry.stat()
                    except OSError:  # gone again, or a link in a circle
                        continue
                    if not stat.S_ISREG(about.st_mode):
                        continue
                    found.append((entry.name, about.st_size, about.st_mtime_ns))
        except OSError as error:
            text = f"camera folder {self._path} cannot be read ({error.strerror})"
            raise CameraError(Code.CAMERA_LINK, text) from error
        if len(found) > MAX_FILES:
            text = f"camera folder {self._path} holds {len(found)} pictures, {MAX_FILES} at most can be watched"
            raise CameraError(Code.CAMERA_LINK, f"{text}; have old ones removed")
        return found


def whole(data: Pixels) -> bool:
    """Whether the last bytes of an image file are those that its format ends with."""
    head, tail = data[:8].tobytes(), data[-64:].tobytes()
    if head.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in tail
    if head.startswith(b"\x89PNG"):
        return tail.endswith(b"IEND\xaeB`\x82")
    if head.startswith(b"BM"):
        return int.from_bytes(data[2:6].tobytes(), "little") <= data.size
    return True
