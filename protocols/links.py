"""The list of links: one configuration model for each kind, and what builds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from protocols.link import Link, MapError
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.polled_settings import PolledConfig
from protocols.modbus.rtu_settings import ModbusRtuClientConfig, ModbusRtuServerConfig
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.modbus.sharing import Sharing
from protocols.opcua.client_settings import OpcUaClientConfig
from protocols.settings import OnEvent, Service, Settings


class LoopbackConfig(Settings):
    """Both ends in one process: for tests and trials without a PLC."""

    kind: Literal["loopback"] = "loopback"

    def build(self, on_event: OnEvent) -> Link:
        """The link."""
        from protocols.loopback import Loopback

        return Loopback()


AnyLink = (
    ModbusServerConfig
    | ModbusClientConfig
    | ModbusRtuServerConfig
    | ModbusRtuClientConfig
    | OpcUaClientConfig
    | LoopbackConfig
)
LinkConfig = Annotated[AnyLink, Field(discriminator="kind")]


def build(
    configs: Sequence[AnyLink], on_event: OnEvent, names: Sequence[str] = (), sharing: Sharing | None = None
) -> tuple[list[Link], list[Service]]:
    """One link for each station, in order, and the services that must run for them.

    `names` are the stations' names for messages, `sharing` what devices beside the stations share with them. Raises
    MapError when two stations claim the same unit of one listener or serial line, want it set up differently, are
    master and unit of one line, or describe one device differently that accepts one connection only.
    """
    called = [names[n] if n < len(names) else f"station {n + 1}" for n in range(len(configs))]
    links: list[Link] = []
    listeners: dict[str, _Listener] = {}
    sharing = sharing or Sharing(configs)
    lines: dict[str, _SerialLine] = {}
    for config, name in zip(configs, called, strict=True):
        if isinstance(config, ModbusServerConfig):
            shared = listeners.get(config.place) or listeners.setdefault(
                config.place, _Listener(config, name, on_event)
            )
            links.append(shared.add(config, name))
        elif isinstance(config, PolledConfig):
            links.append(config.build(on_event, sharing.connection(config, name)))
        elif isinstance(config, ModbusRtuServerConfig):
            line = lines.get(config.place) or lines.setdefault(config.place, _SerialLine(config, name, on_event))
            links.append(line.add(config, name))
        else:
            links.append(config.build(on_event))
    return links, [*(shared.server for shared in listeners.values()), *(line.server for line in lines.values())]


class _Listener:
    """A shared server, and who has which of its registers."""

    def __init__(self, config: ModbusServerConfig, name: str, on_event: OnEvent) -> None:
        self.server = config.listener(on_event)
        self._first = name
        self._limits = config.limits()
        self._tls = config.tls
        self._stations: list[tuple[str, ModbusServerConfig]] = []

    def add(self, config: ModbusServerConfig, name: str) -> Link:
        for other, its in self._stations:
            if its.unit == config.unit and (overlap := its.registers().overlap(config.registers())):
                raise MapError(
                    f"{other} and {name} both want unit {config.unit} on {config.place}, where {overlap} overlap; "
                    "give each its own unit, addresses or port"
                )
        if config.limits() != self._limits or config.tls != self._tls:
            raise MapError(
                f"{self._first} and {name} share {config.place} but set different limits or TLS; "
                "give both the same, or another port"
            )
        self._stations.append((name, config))
        return self.server.unit(config.unit, config.codec(), config.registers(), config.rules())


class _SerialLine:
    """A shared serial line, and who has which of its units."""

    def __init__(self, config: ModbusRtuServerConfig, name: str, on_event: OnEvent) -> None:
        self.server = config.listener(on_event)
        self._first = name
        self._setup = config.setup()
        self._names: dict[int, str] = {}

    def add(self, config: ModbusRtuServerConfig, name: str) -> Link:
        if config.unit in self._names:
            raise MapError(
                f"{self._names[config.unit]} and {name} both want unit {config.unit} on {config.place}; "
                "give each its own unit"
            )
        if config.setup() != self._setup:
            raise MapError(
                f"{self._first} and {name} share {config.place} but set the line up differently; give both the same"
            )
        self._names[config.unit] = name
        return self.server.unit(config.unit, config.codec(), config.registers())
