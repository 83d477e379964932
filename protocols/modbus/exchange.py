"""What a Modbus master needs of any carrier: one connection, one request at a time, each with a deadline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from protocols.link import PeerError
from protocols.modbus.registers import Table


class RefusedByPeerError(PeerError):
    """An exception answer: the connection is sound, the request is not (MODBUS Application Protocol V1.1b3, §7)."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class DistrustError(PeerError):
    """TLS failed: one of the two sides does not accept the other. `fault` is a number of the catalogue of faults."""

    def __init__(self, message: str, fault: int) -> None:
        super().__init__(message)
        self.fault = fault


class Exchange(Protocol):
    """Requests to the Modbus servers behind one address. Every call ends within the carrier's time-out.

    Raises PeerError when no valid answer came: then close, and open again. RefusedByPeerError leaves it usable.
    """

    name: str
    """For messages: kind and address."""

    async def open(self) -> None:
        """Connect; raises PeerError."""

    async def read_registers(self, unit: int, table: Table, address: int, count: int) -> bytes:
        """FC3 (HOLDING) or FC4 (INPUT): `2 * count` bytes, big-endian words as on the wire."""

    async def read_bits(self, unit: int, table: Table, address: int, count: int) -> tuple[bool, ...]:
        """FC1 (COIL) or FC2 (DISCRETE): `count` values."""

    async def write_registers(self, unit: int, address: int, words: bytes) -> None:
        """FC16, or FC6 where the device's quirks say so."""

    async def write_bits(self, unit: int, address: int, values: Sequence[bool]) -> None:
        """FC15, or FC5 for a single one."""

    def close(self) -> None:
        """Leave nothing behind; `open` may follow."""
