"""The list of links: one configuration model for each kind, and what builds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from protocols.link import Link, MapError
from protocols.loopback import Loopback
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.settings import OnEvent, Service, Settings


class LoopbackConfig(Settings):
    """Both ends in one process: for tests and trials without a PLC."""

    kind: Literal["loopback"] = "loopback"

    def build(self, on_event: OnEvent) -> Link:
        """The link."""
        return Loopback()


AnyLink = ModbusServerConfig | ModbusClientConfig | LoopbackConfig
LinkConfig = Annotated[AnyLink, Field(discriminator="kind")]


def build(configs: Sequence[AnyLink], on_event: OnEvent, names: Sequence[str] = ()) -> tuple[list[Link], list[Service]]:
    """One link for each station, in order, and the services that must run for them.

    `names` are the stations' names for messages. Raises MapError when two stations claim the same unit of one
    listener, or want different limits of it.
    """
    called = [names[n] if n < len(names) else f"station {n + 1}" for n in range(len(configs))]
    links: list[Link] = []
    listeners: dict[str, _Listener] = {}
    for config, name in zip(configs, called, strict=True):
        if isinstance(config, ModbusServerConfig):
            shared = listeners.get(config.place) or listeners.setdefault(
                config.place, _Listener(config, name, on_event)
            )
            links.append(shared.add(config, name))
        else:
            links.append(config.build(on_event))
    return links, [shared.server for shared in listeners.values()]


class _Listener:
    """A shared server, and who has which of its units."""

    def __init__(self, config: ModbusServerConfig, name: str, on_event: OnEvent) -> None:
        self.server = config.listener(on_event)
        self._first = name
        self._limits = config.limits()
        self._tls = config.tls
        self._names: dict[int, str] = {}

    def add(self, config: ModbusServerConfig, name: str) -> Link:
        if config.unit in self._names:
            raise MapError(
                f"{self._names[config.unit]} and {name} both want unit {config.unit} on {config.place}; "
                "give each its own unit or port"
            )
        if config.limits() != self._limits or config.tls != self._tls:
            raise MapError(
                f"{self._first} and {name} share {config.place} but set different limits or TLS; "
                "give both the same, or another port"
            )
        self._names[config.unit] = name
        return self.server.unit(config.unit, config.codec(), config.registers())
