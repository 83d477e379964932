"""The configuration of a Modbus TCP server link."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from protocols.link import MapError
from protocols.modbus.connection import ServerLimits
from protocols.modbus.registers import ADDRESSES, RegisterMap
from protocols.modbus.security import ServerSecurity
from protocols.modbus.security_settings import ServerTls
from protocols.modbus.server import ModbusServer
from protocols.settings import OnEvent, Orders


class ModbusServerConfig(Orders):
    """The PLC polls the gateway. Stations with the same host and port share one listener, each with its own unit."""

    kind: Literal["modbus_server"] = "modbus_server"
    host: str = "127.0.0.1"
    """Address of this computer to listen on; 0.0.0.0 for all."""
    port: int = Field(502, ge=0, le=65535)
    """502 is the standard one and needs a privilege; 0 lets the system choose."""
    unit: int = Field(1, ge=1, le=247)
    command_address: int = Field(0, ge=0, lt=ADDRESSES)
    status_address: int = Field(0, ge=0, lt=ADDRESSES)
    mirror_address: int = Field(100, ge=0, lt=ADDRESSES)
    max_connections: int = Field(64, ge=1, le=1000)
    frame_timeout_s: float = Field(10.0, gt=0, le=600)
    idle_timeout_s: float = Field(0.0, ge=0, le=86400)
    """Close a connection without requests after this time; 0 = never."""
    tls: ServerTls | None = None
    """Modbus/TCP Security instead of plain Modbus TCP; its usual port is 802."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.registers()
        except MapError as error:
            raise ValueError(str(error)) from error
        return self

    def registers(self) -> RegisterMap:
        """Where this station's blocks lie."""
        return RegisterMap(self.command_address, self.status_address, self.mirror_address)

    @property
    def place(self) -> str:
        """The address that stations may share."""
        return f"{self.host}:{self.port}"

    def listener(self, on_event: OnEvent) -> ModbusServer:
        """The server for all stations with this place; raises LinkError for certificates that cannot be used."""
        security = None if self.tls is None else ServerSecurity(self.tls, on_event, f"modbus server {self.place}")
        return ModbusServer(self.host, self.port, limits=self.limits(), on_event=on_event, security=security)

    def limits(self) -> ServerLimits:
        """What the listener grants its peers."""
        return ServerLimits(
            connections=self.max_connections,
            frame_timeout=self.frame_timeout_s,
            idle_timeout=self.idle_timeout_s,
        )
