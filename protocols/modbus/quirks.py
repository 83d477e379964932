"""What sets one Modbus device apart from the specification, as data."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from protocols.modbus.pdu import MAX_READ_BITS, MAX_READ_WORDS, MAX_WRITE_BITS, MAX_WRITE_WORDS
from protocols.settings import Settings


class Quirks(Settings):
    """A device's limits and habits; the defaults are those of MODBUS Application Protocol V1.1b3, §6."""

    max_read: int = Field(MAX_READ_WORDS, ge=1, le=MAX_READ_WORDS)
    """Registers that the device gives in one answer."""
    max_write: int = Field(MAX_WRITE_WORDS, ge=1, le=MAX_WRITE_WORDS)
    """Registers that the device takes in one request."""
    max_read_bits: int = Field(MAX_READ_BITS, ge=1, le=MAX_READ_BITS)
    """Coils or discrete inputs in one answer."""
    max_write_bits: int = Field(MAX_WRITE_BITS, ge=1, le=MAX_WRITE_BITS)
    """Coils in one request."""
    max_gap: int = Field(0, ge=0, le=MAX_READ_WORDS)
    """Places that nobody asked for and that may be read along to save a request; 0 where they may not exist."""
    pause_after_connect_ms: float = Field(0.0, ge=0, le=10_000)
    """Time a new connection needs before its first request."""
    pause_between_requests_ms: float = Field(0.0, ge=0, le=1_000)
    """Least time between an answer and the next request on the same connection."""
    fc5: bool = True
    """The device knows FC5 (write one coil); false: FC15 for a single one too."""
    fc6: bool = True
    """The device knows FC6 (write one register); false: FC16 for a single one too."""
    fc15: bool = True
    """The device knows FC15 (write coils); false: FC5, coil by coil."""
    fc16: bool = True
    """The device knows FC16 (write registers); false: FC6, register by register."""
    one_connection: bool = False
    """The device accepts one connection: all who ask it share that one and take turns."""
    unit: int | None = Field(None, ge=0, le=255)
    """The unit identifier it answers to, used where the link itself names none."""

    @model_validator(mode="after")
    def _writable(self) -> Self:
        if not (self.fc6 or self.fc16):
            raise ValueError("fc6 and fc16 are both false: no register could be written; set one of them true")
        if not (self.fc5 or self.fc15):
            raise ValueError("fc5 and fc15 are both false: no coil could be written; set one of them true")
        return self

    @property
    def write_words(self) -> int:
        """Registers that one request can write."""
        return self.max_write if self.fc16 else 1

    @property
    def write_bits(self) -> int:
        """Coils that one request can write."""
        return self.max_write_bits if self.fc15 else 1


STANDARD = Quirks()
"""A device without any."""
