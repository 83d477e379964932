"""A link without a wire: both ends in one process, for tests and for a PLC program that lives beside the gateway."""

from __future__ import annotations

import asyncio

from protocols.link import LinkState, Station
from protocols.signals import Command, Outputs


class Loopback:
    """The station's end is a Link; the PLC's end writes commands and reads the outputs last shown."""

    def __init__(self) -> None:
        self.outputs = Outputs()
        self._station: Station | None = None

    def attach(self, station: Station) -> None:
        """Name the station to serve."""
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        """Show these outputs at once."""
        self.outputs = outputs

    async def run(self) -> None:
        """Up until cancelled, then down."""
        if self._station is None:
            raise RuntimeError("attach a station before run")
        self._station.link_changed(LinkState.UP, "loopback")
        await asyncio.get_running_loop().create_future()

    def write(self, command: Command) -> None:
        """The PLC's end: one consistent command block."""
        if self._station is not None:
            self._station.command(command)
