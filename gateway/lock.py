"""One gateway for one data directory: the lock file, which also numbers the starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import BinaryIO

from protocols.signals import next_seq


class LockedError(Exception):
    """Another gateway uses this data directory; the message says which and what to do."""


class DataLock:
    """Held from `take` to `release`; the operating system lets go of it when the process dies."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "gateway.lock"
        self._file: BinaryIO | None = None

    def take(self) -> int:
        """Lock the directory and return this start's BOOT_ID (1…65535, another one each time); LockedError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
        except OSError as error:
            raise LockedError(
                f"data_dir {self.path.parent} cannot be used ({error.strerror}); give another, or the right to write"
            ) from error
        try:
            _lock(file)
        except OSError as error:
            file.close()
            raise LockedError(
                f"another gateway runs on data_dir {self.path.parent}; stop it, or give this one a data_dir of its own"
            ) from error
        self._file = file
        text = file.read(16).strip()
        boot_id = next_seq(int(text)) if text.isdigit() and int(text) <= 0xFFFF else 1
        file.seek(0)
        file.truncate()
        file.write(b"%d\n" % boot_id)
        file.flush()
        os.fsync(file.fileno())
        return boot_id

    def release(self) -> None:
        """Let go; the file stays, it carries the count."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
