"""The configuration of an OPC UA client link: the PLC's server, and which node holds which field of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from protocols.link import Link, MapError
from protocols.opcua.nodes import Reference, parse
from protocols.opcua.peer_settings import OpcUaPeer
from protocols.settings import OnEvent, Settings

if TYPE_CHECKING:
    from protocols.opcua.node_map import NodeMap

NodeText = Annotated[str, Field(min_length=1, max_length=4200)]


class NodesConfig(Settings):
    """Nodes by field; names as `gateway map` prints them, CONTROL.TRIGGER for one bit, VALUE and USER for an array."""

    base: str = Field("", max_length=4200)
    """What every node that begins with a dot begins with, such as ns=plc;s="VisionDB"."""
    command: dict[str, NodeText]
    """What the PLC writes and the gateway reads."""
    outputs: dict[str, NodeText]
    """What the gateway writes: status and result. The PLC must allow it to."""


class OpcUaClientConfig(OpcUaPeer):
    """The gateway is a client of a PLC's OPC UA server: reads the command from nodes and writes the result to nodes."""

    kind: Literal["opcua_client"] = "opcua_client"
    scan_ms: float = Field(20.0, ge=5, le=10_000)
    """Period of reading the command nodes."""
    nodes: NodesConfig
    """Which node holds which field."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.node_map()
        except MapError as error:
            raise ValueError(f"nodes: {error}") from error
        return self

    def node_map(self) -> NodeMap:
        """All mapped nodes; raises MapError."""
        from protocols.opcua.node_map import NodeMap  # on the start path only where it is needed

        return NodeMap.of(self._parsed("command", self.nodes.command), self._parsed("outputs", self.nodes.outputs))

    def build(self, on_event: OnEvent) -> Link:
        """The link; to be called in a process where asyncua may be."""
        from protocols.opcua import client

        return client.build(self, on_event)

    def _parsed(self, where: str, nodes: Mapping[str, str]) -> dict[str, Reference]:
        found: dict[str, Reference] = {}
        for name, text in nodes.items():
            whole = self.nodes.base + text if text.startswith(".") else text
            try:
                found[name] = parse(whole, self.namespaces)
            except MapError as error:
                raise MapError(f"{where}.{name}: {error}") from error
        return found
