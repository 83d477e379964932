"""NodeIds and StatusCodes as asyncua's types want them made."""

from __future__ import annotations

import secrets
from datetime import UTC

from asyncua import ua


def numeric(number: int, index: int = 0) -> ua.NodeId:
    """The node `ns=index;i=number`."""
    return ua.NodeId(ua.Int32(number), ua.Int16(index))


def named(name: str, index: int) -> ua.NodeId:
    """The node `ns=index;s=name`."""
    return ua.NodeId(ua.String(name), ua.Int16(index))


def status(name: str) -> ua.StatusCode:
    """The StatusCode of this name, such as BadTypeMismatch."""
    return ua.StatusCode(ua.UInt32(getattr(ua.StatusCodes, name)))


def now() -> ua.DateTime:
    """This moment, as OPC UA stamps it."""
    return ua.DateTime.now(UTC)


def opaque() -> ua.NodeId:
    """A NodeId that nobody guesses: 32 random bytes (OPC UA Part 4 §7.36)."""
    return ua.NodeId(ua.ByteString(secrets.token_bytes(32)), ua.Int16(1))
