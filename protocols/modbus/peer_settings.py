"""What the gateway must know of any Modbus server that it asks: a PLC or a device."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from protocols.modbus.quirks import STANDARD, Quirks
from protocols.settings import Orders

if TYPE_CHECKING:
    from protocols.modbus.turns import Connection


class Peer(Orders):
    """A Modbus server, by whatever carrier it is reached."""

    unit: int = 1
    timeout_ms: float = Field(500.0, ge=10, le=10_000)
    """Of one request."""
    quirks: Quirks = STANDARD
    """What sets it apart: limits, pauses, functions it does not know."""

    @property
    def unit_id(self) -> int:
        """The unit set here, or the one that the device's quirks name."""
        if "unit" not in self.model_fields_set and self.quirks.unit is not None:
            return self.quirks.unit
        return self.unit

    @property
    @abstractmethod
    def place(self) -> str:
        """The address or line that several may share."""

    @property
    def where(self) -> str:
        """For messages: place and unit."""
        return f"{self.place}, unit {self.unit_id}"

    @abstractmethod
    def connection(self) -> Connection:
        """A connection of its own, for all who ask over it; raises LinkError for files that cannot be used."""
