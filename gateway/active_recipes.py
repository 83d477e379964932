"""Which recipe each station worked with last: a restart must not change it behind the PLC's back."""

from __future__ import annotations

import json
import os
from pathlib import Path

LIMIT = 64 * 1024


class ActiveRecipes:
    """A small file in the data directory: station → recipe number."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "active-recipes.json"
        self._numbers = _read(self._path)

    def of(self, station: str) -> int | None:
        """The number that was activated last, or None."""
        return self._numbers.get(station)

    def keep(self, station: str, number: int) -> None:
        """Write it down, on the disk when this returns; OSError. Waits for the disk: not for the control loop."""
        self._numbers = {**self._numbers, station: number}
        new = self._path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(self._numbers, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)


def _read(path: Path) -> dict[str, int]:
    """What stands there; nothing where the file is missing or damaged, then the first recipes are active."""
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(LIMIT))
    except (OSError, ValueError):
        return {}
    numbers = found.items() if isinstance(found, dict) else ()
    return {name: number for name, number in numbers if type(number) is int}
