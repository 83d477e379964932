"""The list of links: one configuration model for each kind, and what builds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.codec import Codec, StringOrder, WordOrder
from protocols.link import Link, MapError
from protocols.loopback import Loopback
from protocols.modbus.connection import ServerLimits
from protocols.modbus.registers import ADDRESSES, COMMAND_WORDS, OUTPUT_WORDS, RegisterMap
from protocols.modbus.server import ModbusServer

OnEvent = Callable[[int, str], None]
"""Told of what a person should know: a fault code and one sentence."""


class Service(Protocol):
    """Something that links share and that must run beside them: a listener."""

    name: str

    async def run(self) -> None:
        """Serve until cancelled; raises LinkError for what cannot mend itself."""


class _Config(BaseModel):
    # The root configuration builds these schemas as its own; building them here too would only delay the start.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class _Orders(_Config):
    word_order: WordOrder = WordOrder.ABCD
    """Order of the two words of a UDINT or REAL: ABCD Siemens; CDAB CODESYS, Beckhoff, Mitsubishi, Rockwell."""
    string_order: StringOrder = StringOrder.BIG
    """Which byte of a word holds the first of its two characters."""

    def codec(self) -> Codec:
        """Records ↔ words as this PLC wants them."""
        return Codec(self.word_order, self.string_order)


class ModbusServerConfig(_Orders):
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

    def limits(self) -> ServerLimits:
        """What the listener grants its peers."""
        return ServerLimits(
            connections=self.max_connections,
            frame_timeout=self.frame_timeout_s,
            idle_timeout=self.idle_timeout_s,
        )


class ModbusClientConfig(_Orders):
    """The gateway polls a PLC that is a Modbus server."""

    kind: Literal["modbus_client"] = "modbus_client"
    host: str
    port: int = Field(502, ge=1, le=65535)
    unit: int = Field(1, ge=0, le=255)
    scan_ms: float = Field(10.0, ge=1, le=10_000)
    timeout_ms: float = Field(500.0, ge=10, le=10_000)
    command_address: int = Field(0, ge=0, le=ADDRESSES - COMMAND_WORDS)
    """First of the 32 holding registers in the PLC that the gateway reads."""
    status_address: int = Field(100, ge=0, le=ADDRESSES - OUTPUT_WORDS)
    """First of the 64 holding registers in the PLC that the gateway writes."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        command, status = self.command_address, self.status_address
        if command < status + OUTPUT_WORDS and status < command + COMMAND_WORDS:
            raise ValueError(
                f"command block ({command}…{command + COMMAND_WORDS - 1}) and status block "
                f"({status}…{status + OUTPUT_WORDS - 1}) overlap; move one of them"
            )
        return self

    def build(self, on_event: OnEvent) -> Link:
        """The link; pymodbus is imported here, as only this kind needs it."""
        from protocols.modbus.client import ClientLink

        return ClientLink(
            self.host,
            self.port,
            unit=self.unit,
            command_address=self.command_address,
            status_address=self.status_address,
            scan=self.scan_ms / 1000,
            timeout=self.timeout_ms / 1000,
            codec=self.codec(),
            on_event=on_event,
        )


class LoopbackConfig(_Config):
    """Both ends in one process: for tests and trials without a PLC."""

    kind: Literal["loopback"] = "loopback"


LinkConfig = Annotated[ModbusServerConfig | ModbusClientConfig | LoopbackConfig, Field(discriminator="kind")]


def build(
    configs: Sequence[ModbusServerConfig | ModbusClientConfig | LoopbackConfig],
    on_event: OnEvent,
    names: Sequence[str] = (),
) -> tuple[list[Link], list[Service]]:
    """One link for each station, in order, and the services that must run for them.

    `names` are the stations' names for messages. Raises MapError when two stations claim the same unit of one
    listener, or want different limits of it.
    """
    called = [names[n] if n < len(names) else f"station {n + 1}" for n in range(len(configs))]
    links: list[Link] = []
    listeners: dict[tuple[str, int], _Listener] = {}
    for config, name in zip(configs, called, strict=True):
        if isinstance(config, ModbusServerConfig):
            key = (config.host, config.port)
            listener = listeners.get(key) or listeners.setdefault(key, _Listener(config, name, on_event))
            links.append(listener.add(config, name))
        elif isinstance(config, ModbusClientConfig):
            links.append(config.build(on_event))
        else:
            links.append(Loopback())
    return links, [listener.server for listener in listeners.values()]


class _Listener:
    """A shared server, and who has which of its units."""

    def __init__(self, config: ModbusServerConfig, name: str, on_event: OnEvent) -> None:
        self.server = ModbusServer(config.host, config.port, limits=config.limits(), on_event=on_event)
        self._first = name
        self._names: dict[int, str] = {}

    def add(self, config: ModbusServerConfig, name: str) -> Link:
        where = f"{config.host}:{config.port}"
        if config.unit in self._names:
            raise MapError(
                f"{self._names[config.unit]} and {name} both want unit {config.unit} on {where}; "
                "give each its own unit or port"
            )
        if config.limits() != self.server.limits:
            raise MapError(
                f"{self._first} and {name} share {where} but set different limits; give both the same, or another port"
            )
        self._names[config.unit] = name
        return self.server.unit(config.unit, config.codec(), config.registers())
