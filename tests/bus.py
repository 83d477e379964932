"""A serial line of pseudo-terminals: whatever one device says, all others hear; and it can be cut and mended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator
from pathlib import Path


class Tap:
    """One device's place on the line; `path` is what it opens."""

    def __init__(self, bus: Bus, path: Path, *, echo: bool = False) -> None:
        """`echo`: this device's adapter hears what it sends."""
        self.path = path
        self.echo = echo
        self.said = b""
        """All that this device has sent."""
        self._bus = bus
        self._far, self._near = -1, -1
        self.mend()

    def mend(self) -> None:
        """Plug the adapter in."""
        self._far, self._near = os.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._far, False)
        self.path.symlink_to(os.ttyname(self._near))
        asyncio.get_running_loop().add_reader(self._far, self._speaks)

    def cut(self) -> None:
        """Pull the adapter out: who has it open reads its end, and the path is gone."""
        if self._far < 0:
            return
        asyncio.get_running_loop().remove_reader(self._far)
        self.path.unlink()
        os.close(self._near)
        os.close(self._far)
        self._far = -1

    def hear(self, data: bytes) -> None:
        """What is on the line reaches this device; a device that never reads loses it, as a UART does."""
        if self._far >= 0:
            with contextlib.suppress(BlockingIOError):
                os.write(self._far, data)

    def _speaks(self) -> None:
        data = os.read(self._far, 4096)
        self.said += data
        self._bus.carry(data, self)


class Bus:
    """The wires between the taps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.taps: dict[str, Tap] = {}
        self.said = b""
        """All that was ever on the line, in order."""

    def tap(self, name: str, *, echo: bool = False) -> str:
        """One more device; the path it opens."""
        self.taps[name] = Tap(self, self._folder / f"tty-{name}", echo=echo)
        return str(self.taps[name].path)

    def carry(self, data: bytes, source: Tap | None = None) -> None:
        """Bring these bytes to all but their source; noise has none."""
        self.said += data
        for tap in self.taps.values():
            if tap is not source or tap.echo:
                tap.hear(data)


@contextlib.asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[Bus]:
    """A line in this folder, taken apart at the end."""
    bus = Bus(folder)
    try:
        yield bus
    finally:
        for tap in bus.taps.values():
            tap.cut()
