"""Which station is meant: host, port, unit, addresses and orders, from the command line or a configuration file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from protocols.codec import Codec, StringOrder, WordOrder
from protocols.modbus.registers import RegisterMap

if TYPE_CHECKING:
    from gateway.settings import StationConfig
    from protocols.handshake import CycleSettings
    from protocols.modbus.client_settings import ModbusClientConfig
    from protocols.modbus.server_settings import ModbusServerConfig

_EVERYWHERE = ("", "0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound


class TargetError(Exception):
    """What was asked for does not fit together: one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line says; None = not said."""

    host: str | None = None
    port: int | None = None
    unit: int | None = None
    family: str | None = None
    word_order: str | None = None
    string_order: str | None = None
    config: Path | None = None
    station: str | None = None
    client: bool = False
    """The gateway's client role: host is a PLC."""


@dataclass(frozen=True, slots=True)
class Target:
    """One station behind one address, as the gateway's server shows it."""

    host: str
    port: int = 502
    unit: int = 1
    registers: RegisterMap = field(default_factory=RegisterMap)
    word_order: WordOrder | None = None
    """The order that the PLC uses; None = whatever the gateway says is right."""
    string_order: StringOrder | None = None
    because: str = ""
    """Who says so: for messages."""
    cycle: CycleSettings | None = None
    """The station's times, where its configuration is known."""

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.host}:{self.port}, unit {self.unit}"

    @property
    def codec(self) -> Codec:
        """What the PLC would use; ABCD and big where nothing is said."""
        return Codec(self.word_order or WordOrder.ABCD, self.string_order or StringOrder.BIG)


def server_target(wish: Wish) -> Target:
    """The gateway to be checked; raises TargetError, or ConfigError for the file."""
    from protocols.modbus.server_settings import ModbusServerConfig

    target = Target(wish.host or "")
    if wish.config is not None:
        station = _station(wish, ModbusServerConfig)
        link: ModbusServerConfig = station.link  # type: ignore[assignment]
        target = Target(
            wish.host or ("127.0.0.1" if link.host in _EVERYWHERE else link.host),
            link.port,
            link.unit,
            link.registers(),
            link.word_order,
            link.string_order,
            f"station {station.name} of {wish.config}",
            station.cycle.settings(),
        )
    if not target.host:
        raise TargetError("no HOST; give the gateway's address, or --config FILE")
    target = replace(target, port=wish.port or target.port, unit=target.unit if wish.unit is None else wish.unit)
    return _ordered(target, wish)


def client_link(wish: Wish) -> tuple[ModbusClientConfig, str]:
    """The PLC to be checked, as the gateway would poll it, and who says so; raises as `server_target`."""
    from protocols.modbus.client_settings import ModbusClientConfig

    said: dict[str, object] = {}
    because = "the command line"
    if wish.config is not None:
        station = _station(wish, ModbusClientConfig)
        said = station.link.model_dump(exclude_unset=True)
        because = f"station {station.name} of {wish.config}"
    told = {"host": wish.host, "port": wish.port, "unit": wish.unit}
    said |= {name: value for name, value in told.items() if value is not None}
    words, strings = orders(wish)
    said |= {name: value for name, value in (("word_order", words), ("string_order", strings)) if value is not None}
    if "host" not in said:
        raise TargetError("no HOST; give the PLC's address, or --config FILE")
    link = ModbusClientConfig.model_validate({"kind": "modbus_client", **said})
    return link, because


def orders(wish: Wish) -> tuple[WordOrder | None, StringOrder | None]:
    """What is said of the PLC's orders, by the family or one by one; raises TargetError."""
    words = WordOrder(wish.word_order) if wish.word_order else None
    strings = StringOrder(wish.string_order) if wish.string_order else None
    if wish.family is None:
        return words, strings
    from gateway.plc import family as families

    try:
        known = families.load(wish.family)
    except families.UnknownFamilyError as error:
        raise TargetError(str(error)) from None
    return words or known.word_order, strings or known.string_order


def _ordered(target: Target, wish: Wish) -> Target:
    words, strings = orders(wish)
    if words is None and strings is None:
        return target
    because = f"family {wish.family}" if wish.family else "the command line"
    return replace(
        target,
        word_order=words or target.word_order,
        string_order=strings or target.string_order,
        because=because,
    )


def _station(wish: Wish, kind: type) -> StationConfig:
    from gateway import config

    assert wish.config is not None  # noqa: S101 - the callers ask for it
    stations = config.load(wish.config).stations
    if wish.station is not None:
        stations = tuple(station for station in stations if station.name == wish.station)
        if not stations:
            raise TargetError(f"{wish.config} has no station {wish.station!r}; `gateway map {wish.config}` lists them")
    fitting = [station for station in stations if isinstance(station.link, kind)]
    if not fitting:
        role = "--client" if kind.__name__.startswith("ModbusServer") else "the check without --client"
        raise TargetError(f"{wish.config} has no such station with this kind of link; {role} is for the other kind")
    if len(fitting) > 1:
        names = ", ".join(station.name for station in fitting)
        raise TargetError(f"{wish.config} has several stations ({names}); say which with --station")
    return fitting[0]
