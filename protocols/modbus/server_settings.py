"""The configuration of a Modbus TCP server link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from protocols.link import MapError
from protocols.modbus.admission import ANY, Access, loopback, network
from protocols.modbus.registers import ADDRESSES, RegisterMap
from protocols.modbus.security_settings import ServerTls
from protocols.settings import OnEvent, Orders

if TYPE_CHECKING:
    from protocols.modbus.connection import ServerLimits
    from protocols.modbus.server import ModbusServer, Rules


def _listed(value: Any) -> Any:
    """`any` alone is a word, all else a list."""
    if value == "any":
        return ANY
    return tuple(value) if isinstance(value, list) else value


_EVERYWHERE = ("", "0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
Allowed = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [{"const": "any", "type": "string"}, _TEXTS]}),
]


class ModbusServerConfig(Orders):
    """The PLC polls the gateway.

    Stations with the same host and port share one listener: each has a unit of its own, or addresses of its own.
    """

    kind: Literal["modbus_server"] = "modbus_server"
    host: str = "127.0.0.1"
    """Address of this computer to listen on; 0.0.0.0 for all."""
    port: int = Field(502, ge=0, le=65535)
    """502 is the standard one and needs a privilege; 0 lets the system choose."""
    unit: int = Field(1, ge=1, le=247)
    command_address: int = Field(0, ge=0, lt=ADDRESSES)
    status_address: int = Field(0, ge=0, lt=ADDRESSES)
    mirror_address: int = Field(100, ge=0, lt=ADDRESSES)
    coils_address: int = Field(0, ge=0, lt=ADDRESSES)
    """First of the 16 coils of CONTROL."""
    discrete_address: int = Field(0, ge=0, lt=ADDRESSES)
    """First of the 32 discrete inputs of STATUS and RESULT_BITS."""
    allow: Allowed = ()
    """Who may connect: addresses and networks as 192.168.3.0/24, or the word any; not needed for 127.0.0.1."""
    plc: tuple[str, ...] = ()
    """Addresses of the PLCs: allowed, never turned away for others, and with the first claim to the command block."""
    max_connections: int = Field(64, ge=1, le=1000)
    """Of the listener; each address in plc has 8 more."""
    connections_per_address: int | None = Field(None, ge=1, le=1000)
    """Left out: 16, and any number for this computer itself."""
    connects_per_second: float | None = Field(None, ge=0.1, le=1000)
    """Of one address that is not in plc; ten seconds' worth at once. Left out: 20, and any number for this computer."""
    frame_timeout_s: float = Field(10.0, gt=0, le=600)
    idle_timeout_s: float = Field(0.0, ge=0, le=86400)
    """Close a connection without requests after this time; 0 = never."""
    unknown_unit: Literal["exception", "silent"] = "exception"
    """What a request to a unit that is not here gets: exception 0B, or no answer."""
    writer_silence_s: float = Field(5.0, ge=0, le=3600)
    """The address that writes the command block keeps others from writing until it wrote nothing so long; 0 = no."""
    held_reply_ms: float = Field(0.0, ge=0, le=10_000)
    """A trigger written by function 23 is answered when its result is there, after this time at most; 0 = at once."""
    tls: ServerTls | None = None
    """Modbus/TCP Security instead of plain Modbus TCP; its usual port is 802."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            self.registers()
        except MapError as error:
            raise ValueError(str(error)) from error
        return self

    @model_validator(mode="after")
    def _says_who_may_connect(self) -> Self:
        for text in () if self.allow == ANY else self.allow:
            if text == "any":
                raise ValueError("allow has the word any beside others; write it alone, or leave it out")
            network(text)
        for text in self.plc:
            if network(text).num_addresses != 1:
                raise ValueError(f"{text!r} in plc is a network; give the address of each PLC")
        if not self.allow and not loopback(self.host):
            raise ValueError(
                f"{self.place} can be reached from other computers and allow does not say from which; add "
                "`allow: [192.168.3.10]` with the addresses or networks of your masters, or `allow: any`"
            )
        return self

    def registers(self) -> RegisterMap:
        """Where this station's blocks lie."""
        return RegisterMap(
            self.command_address, self.status_address, self.mirror_address, self.coils_address, self.discrete_address
        )

    @property
    def place(self) -> str:
        """The address that stations may share."""
        return f"{self.host}:{self.port}"

    @property
    def open_to_all(self) -> bool:
        """Whether everybody who reaches this computer may connect, without a certificate."""
        return self.allow == ANY and self.tls is None and not loopback(self.host)

    @property
    def everywhere(self) -> bool:
        """Whether the listener is on every address of this computer."""
        return self.host in _EVERYWHERE

    def listener(self, on_event: OnEvent) -> ModbusServer:
        """The server for all stations with this place; raises LinkError for certificates that cannot be used."""
        from protocols.modbus import identification
        from protocols.modbus.server import ModbusServer

        security = None
        if self.tls is not None:
            from protocols.modbus.security import ServerSecurity

            security = ServerSecurity(self.tls, on_event, f"modbus server {self.place}")
        who = identification.identity(_version())
        return ModbusServer(
            self.host, self.port, limits=self.limits(), on_event=on_event, identity=who, security=security
        )

    def limits(self) -> ServerLimits:
        """What the listener grants its peers."""
        from protocols.modbus.connection import ServerLimits

        return ServerLimits(
            connections=self.max_connections,
            frame_timeout=self.frame_timeout_s,
            idle_timeout=self.idle_timeout_s,
            silent=self.unknown_unit == "silent",
            access=Access(self.allow or ANY, self.plc, self.connections_per_address, self.connects_per_second),
        )

    def rules(self) -> Rules:
        """How this station's command block may be written."""
        from protocols.modbus.server import Rules

        return Rules(self.writer_silence_s, self.held_reply_ms / 1000)


def same_port(first: ModbusServerConfig, second: ModbusServerConfig) -> bool:
    """Whether two different hosts with one port are one place: all addresses, or the two names of this computer."""
    if first.port != second.port or not first.port:
        return False
    hosts = {first.host, second.host}
    return first.everywhere or second.everywhere or ("localhost" in hosts and all(loopback(host) for host in hosts))


def _version() -> str:
    """The gateway's own version; 0 where it runs uninstalled."""
    from importlib import metadata

    try:
        return metadata.version("vision-plc-gateway")
    except metadata.PackageNotFoundError:
        return "0"
