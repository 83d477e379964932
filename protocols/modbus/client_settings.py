"""The configuration of a Modbus TCP client: how the server is reached, and the link of a station to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field
from typing_extensions import override

from protocols.modbus.peer_settings import Peer
from protocols.modbus.polled_settings import PolledConfig
from protocols.modbus.security_settings import ClientTls
from protocols.settings import Host

if TYPE_CHECKING:
    from protocols.modbus.turns import Connection


class TcpPeer(Peer):
    """A Modbus TCP server that the gateway asks."""

    host: Host
    port: int = Field(502, ge=1, le=65535)
    unit: int = Field(1, ge=0, le=255)
    tls: ClientTls | None = None
    """Modbus/TCP Security instead of plain Modbus TCP; its usual port is 802."""

    @property
    @override
    def place(self) -> str:
        return f"{self.host}:{self.port}"

    def may_share(self, other: TcpPeer) -> bool:
        """Whether one connection can serve both."""
        return (self.quirks, self.timeout_ms, self.tls) == (other.quirks, other.timeout_ms, other.tls)

    @override
    def connection(self) -> Connection:
        from protocols.modbus.tcp_exchange import TcpExchange  # with pymodbus, which only this kind needs
        from protocols.modbus.turns import Connection

        context = None
        if self.tls is not None:
            from protocols.modbus.security import client_context

            context = client_context(self.tls)
        exchange = TcpExchange(
            self.host, self.port, timeout=self.timeout_ms / 1000, context=context, quirks=self.quirks
        )
        return Connection(exchange, self.quirks)


class ModbusClientConfig(TcpPeer, PolledConfig):
    """The gateway polls a PLC that is a Modbus server."""

    kind: Literal["modbus_client"] = "modbus_client"
