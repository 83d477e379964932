"""Links that live in a carrier process: their configuration, and the end of them that the station sees."""

from __future__ import annotations

from typing import ClassVar, Literal

from protocols.link import Station
from protocols.signals import Outputs

Process = Literal["server", "client"]
"""Which carrier process: that of our own OPC UA server, or that of our OPC UA clients."""


class CarriedConfig:
    """Stands beside Settings among the bases of each configuration of a carried link."""

    process: ClassVar[Process] = "client"


class CarrierLink:
    """The control side of a link that lives in a carrier process, and does nothing of its own.

    Outputs reach the carrier by the station's board; what it says comes to the station's seat.
    """

    def attach(self, station: Station) -> None:
        """Nothing to do: the carrier process is given the station's seat."""

    def publish(self, outputs: Outputs) -> None:
        """Nothing to do: whoever publishes to this link writes the board as well."""

    async def run(self) -> None:
        """Nothing to do until cancelled: the carrier process runs beside, and is started anew when it dies."""
        import asyncio  # whoever only reads a configuration needs no loop

        await asyncio.get_running_loop().create_future()
