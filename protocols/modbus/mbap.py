"""Frames of Modbus TCP: strict, and whole however the stream was cut. Pure.

Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §3.1.3 (MBAP header: transaction 2 bytes, protocol 2,
length 2, unit 1; length counts the unit and the PDU).
"""

from __future__ import annotations

import struct
from collections.abc import Generator

PREFIX_BYTES = 6
"""Transaction, protocol, length: what stands before the bytes that the length counts."""
MIN_LENGTH = 2
"""Unit and function code."""
MAX_LENGTH = 254
"""Unit and the largest PDU of 253 bytes (MODBUS Application Protocol Specification V1.1b3, §4.1)."""

_PREFIX = struct.Struct(">HHH")


class FramingError(Exception):
    """The stream is not Modbus TCP, or lost its step: nothing behind this point can be trusted, so close."""


class Framer:
    """Cuts one connection's stream into frames; holds at most what it was fed and has not yet given out."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def pending(self) -> int:
        """How many bytes are held: of a frame not yet complete, or of frames not yet taken."""
        return len(self._rest)

    def keep(self, data: bytes) -> None:
        """Take bytes for later: the next `feed` gives them out."""
        self._rest += data

    def feed(self, data: bytes) -> Generator[bytes, None, None]:
        """Each complete frame, header included, in order; raises FramingError behind the last good one.

        A caller may stop early and close the generator: what was not taken is given first at the next call.
        """
        stream = self._rest + data if self._rest else data
        at, size = 0, len(stream)
        try:
            while size - at >= PREFIX_BYTES:
                _, protocol, length = _PREFIX.unpack_from(stream, at)
                if protocol:
                    raise FramingError(f"protocol identifier {protocol}, must be 0")
                if not MIN_LENGTH <= length <= MAX_LENGTH:
                    raise FramingError(f"length {length}, must be {MIN_LENGTH} to {MAX_LENGTH}")
                end = at + PREFIX_BYTES + length
                if end > size:
                    break
                frame = stream[at:end]
                at = end
                yield frame
        finally:
            self._rest = stream[at:]
