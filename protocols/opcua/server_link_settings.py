"""The configuration of a link whose PLC is a client of our own OPC UA server."""

from __future__ import annotations

from typing import ClassVar, Literal

from protocols.carried import CarriedConfig, Process
from protocols.settings import Settings


class OpcUaServerLinkConfig(CarriedConfig, Settings):
    """The PLC writes the Command variables of the gateway's OPC UA server, which the key `opcua` sets up."""

    process: ClassVar[Process] = "server"
    kind: Literal["opcua_server"] = "opcua_server"
