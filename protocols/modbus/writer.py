"""One writer for each command block: two masters that both command a station would undo each other's words. Pure."""

from __future__ import annotations

from collections.abc import Callable


class Writer:
    """The address that holds a command block: the first to write, until it has gone or has not written for a while.

    Reading keeps no hold: a panel that wrote once and then only looks must not lock the PLC out.
    """

    def __init__(
        self, silence: float, configured: Callable[[str], bool], waits: Callable[[str], bool] = lambda address: False
    ) -> None:
        """`silence` in seconds, 0 = anybody may write; a `configured` PLC takes the block from whoever is none.

        Who `waits` for the answer to a write is still at it.
        """
        self.holder = ""
        self._wrote = 0.0
        self._silence = silence
        self._configured = configured
        self._waits = waits

    def may(self, address: str, now: float) -> bool:
        """Whether this address may write now; if so it holds the block from now on."""
        if self.holder and address != self.holder and self._silence and not self._gives_up(address, now):
            return False
        self.holder, self._wrote = address, now
        return True

    def _gives_up(self, address: str, now: float) -> bool:
        if self._configured(address) and not self._configured(self.holder):
            return True
        return now - self._wrote > self._silence and not self._waits(self.holder)

    def left(self, address: str) -> None:
        """The last connection of this address has closed."""
        if address == self.holder:
            self.holder = ""
