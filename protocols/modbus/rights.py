"""What a master may do: everything on plain Modbus TCP, what its role grants on Modbus/TCP Security."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Protocol

from protocols.faults import Code

READS = frozenset((0x01, 0x02, 0x03, 0x04, 0x11, 0x2B))
WRITES = frozenset((0x05, 0x06, 0x0F, 0x10, 0x16))


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of one connection, and the role that gave them ("" = none was asked for)."""

    read: bool = True
    write: bool = True
    role: str = ""

    def allow(self, function: int) -> bool:
        """Whether this function may be used; one of neither list, such as FC23, needs both rights."""
        return (self.read or function in WRITES) and (self.write or function in READS)


EVERYTHING = Rights()


class Security(Protocol):
    """Who may connect by TLS, and what they may do."""

    handshake_timeout: float
    """Seconds from the connection to the end of its handshake."""

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection: the files may have changed since the last."""

    def rights(self, transport: asyncio.BaseTransport) -> Rights:
        """Of the peer whose handshake has just ended; one without a known role may do nothing."""

    def explain(self, error: ssl.SSLError) -> tuple[Code, str]:
        """Why a handshake failed, in words that follow the peer's name."""

    def look(self) -> None:
        """Tell of our own certificate when it expires soon or has expired; called every second or so."""
