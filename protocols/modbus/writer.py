"""One writer for each command block: two masters that both command a station would undo each other's words. Pure."""

from __future__ import annotations

from collections.abc import Callable

SilentFor = Callable[[str], float]
"""Seconds since this address last asked anything, infinite when it has no connection."""


class Writer:
    """The address that holds a command block: the first to write, until it has gone or been silent for a while."""

    def __init__(self, silence: float, silent_for: SilentFor, configured: Callable[[str], bool]) -> None:
        """`silence` in seconds, 0 = anybody may write; a `configured` PLC takes the block from whoever is none."""
        self.holder = ""
        self._silence = silence
        self._silent_for = silent_for
        self._configured = configured

    def may(self, address: str) -> bool:
        """Whether this address may write now; if so it holds the block from now on."""
        if address == self.holder:
            return True
        if self.holder and self._silence and not self._gives_up(address):
            return False
        self.holder = address
        return True

    def _gives_up(self, address: str) -> bool:
        if self._configured(address) and not self._configured(self.holder):
            return True
        return self._silent_for(self.holder) > self._silence

    def left(self, address: str) -> None:
        """The last connection of this address has closed."""
        if address == self.holder:
            self.holder = ""
