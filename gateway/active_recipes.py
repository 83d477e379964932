"""Which recipe each station worked with last: a restart must not change it behind the PLC's back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from pathlib import Path

LIMIT = 64 * 1024
PATIENCE = 1.0
"""Seconds a number may take to the disk."""


class ActiveRecipes:
    """A small file in the data directory: station → recipe number."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "active-recipes.json"
        self._numbers = _read(self._path)
        self._lock = threading.Lock()

    def of(self, station: str) -> int | None:
        """The number that was activated last, or None."""
        return self._numbers.get(station)

    def keep(self, station: str, number: int) -> None:
        """Write it down, on the disk when this returns; OSError. Waits for the disk: not for the control loop."""
        with self._lock:  # two stations may change over at once, each in a thread of its own
            self._numbers = {**self._numbers, station: number}
            new = self._path.with_suffix(".new")
            with new.open("w", encoding="utf-8") as file:
                json.dump(self._numbers, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)

    async def kept(self, station: str, number: int) -> str:
        """`keep`, off the loop and within PATIENCE; why it failed, empty when it did not."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            why = ""
            try:
                self.keep(station, number)
            except OSError as error:
                why = error.strerror or str(error)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_tell, answer, why)

        # A daemon: a disk that never answers must hold up neither the next change of recipe nor the process's end.
        threading.Thread(target=work, name=f"recipe of {station}", daemon=True).start()
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            return f"the disk has not answered for {PATIENCE:g} s"


def _tell(waiting: asyncio.Future[str], what: str) -> None:
    if not waiting.done():  # nobody may wait any more
        waiting.set_result(what)


def _read(path: Path) -> dict[str, int]:
    """What stands there; nothing where the file is missing or damaged, then the first recipes are active."""
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(LIMIT))
    except (OSError, ValueError):
        return {}
    numbers = found.items() if isinstance(found, dict) else ()
    return {name: number for name, number in numbers if type(number) is int}
