"""What a master may do: everything on plain Modbus TCP, what its role grants on Modbus/TCP Security."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of one connection, and the role that gave them ("" = none was asked for)."""

    read: bool = True
    write: bool = True
    role: str = ""


EVERYTHING = Rights()


class Security(Protocol):
    """Who may connect by TLS, and what they may do."""

    context: ssl.SSLContext

    def rights(self, transport: asyncio.BaseTransport) -> Rights:
        """Of the peer whose handshake has just ended; one without a known role may do nothing."""
