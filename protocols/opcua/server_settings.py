"""The configuration of the gateway's own OPC UA server."""

from __future__ import annotations

from pydantic import Field

from protocols.settings import Settings


class OpcUaServerConfig(Settings):
    """The OPC UA server with all stations, in a process of its own."""

    host: str = "127.0.0.1"
    """Address of this computer to listen on; 0.0.0.0 for all."""
    port: int = Field(4840, ge=0, le=65535)
    """4840 is the registered one; 0 lets the system choose."""
