"""The configuration of a Modbus device whose values are read and written as tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from protocols.codec import StringOrder, WordOrder
from protocols.modbus.client_settings import TcpPeer
from protocols.modbus.registers import ADDRESSES, Table
from protocols.modbus.rtu_settings import SerialPeer
from protocols.settings import Orders, Settings
from protocols.tag_words import TYPE_PATTERN

# What works with tags is imported where there are any: a line without devices starts without.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.modbus.peer_settings import Peer
    from protocols.modbus.planning import Limits, Place
    from protocols.modbus.tag_source import Output, TagGroup, TagSource
    from protocols.modbus.turns import Connection
    from protocols.tag_sources import TagSink
    from protocols.tags import Tag

TagName = Annotated[str, Field(max_length=63, pattern="^[a-z][a-z0-9_]*$")]
AGE_PERIODS = 3
"""A value is old after so many poll periods, unless max_age_ms says otherwise."""

_TABLES = {"coil": Table.COIL, "discrete": Table.DISCRETE, "input": Table.INPUT, "holding": Table.HOLDING}


class TagConfig(Settings):
    """One value of a device."""

    name: TagName
    """Unique in its device; a-z, 0-9 and _. Others name it `device.tag`."""
    address: Annotated[int, Field(ge=0, lt=ADDRESSES)]
    """PDU address, from 0: register 40001 is 0."""
    table: Literal["holding", "input", "coil", "discrete"] = "holding"
    """Where it lies."""
    type: Annotated[str, Field(pattern=TYPE_PATTERN)] | None = None
    """bool, (u)int16/32/64, float32/64 or string[n]; default uint16, in bit tables bool."""
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    """Of a bool in a register: which bit, 0 the least significant; without it the whole word, 0 is false."""
    word_order: WordOrder | None = None
    """Of values longer than a word; default that of the device."""
    string_order: StringOrder | None = None
    """Which byte of a word holds the first of its two characters; default that of the device."""
    scale: float = 1.0
    """Value = raw * scale + offset."""
    offset: float = 0.0
    unit: Annotated[str, Field(max_length=16)] = ""
    """Of the value, for people: %, 1/min, degC."""
    deadband: Annotated[float, Field(ge=0)] = 0.0
    """A number that moved by no more has not changed."""
    min: float | None = None
    """A number below is uncertain."""
    max: float | None = None
    """A number above is uncertain."""
    group: TagName = "default"
    """The poll group it is read with."""
    max_age_ms: Annotated[float, Field(ge=1, le=3_600_000)] | None = None
    """Older than this it is uncertain; default three poll periods."""
    access: Literal["read", "write"] = "read"
    """read: polled; write: an output of a station, never polled."""
    modbus_unit: Annotated[int, Field(ge=0, le=255)] | None = None
    """Unit id behind the same address, where it is not that of the device."""

    @property
    def kind(self) -> str:
        """The type, with its default."""
        return self.type or ("bool" if self.table in ("coil", "discrete") else "uint16")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        bits, kind = self.table in ("coil", "discrete"), self.kind
        number = kind != "bool" and not kind.startswith("string")
        if bits and kind != "bool":
            raise ValueError(f"a {self.table} holds one bit; remove type, or read {kind} from holding or input")
        if self.bit is not None and (bits or kind != "bool"):
            raise ValueError("bit is for type bool in a register; remove bit, or set type: bool")
        if not number and (self.scale != 1 or self.offset or self.deadband or (self.min, self.max) != (None, None)):
            raise ValueError(f"scale, offset, deadband, min and max are for numbers, not for {kind}; remove them")
        if self.scale == 0:
            raise ValueError("scale 0 makes every value the same; give another one")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}; exchange them")
        if self.access == "write" and (self.table not in ("holding", "coil") or self.bit is not None):
            raise ValueError("only coils and whole holding registers can be written; name one, or set access: read")
        return self

    @property
    def place(self) -> Place:
        """Where it lies."""
        from protocols.modbus.planning import BIT_TABLES, Place
        from protocols.tags import Tag

        table = _TABLES[self.table]
        return Place(table, self.address, 1 if table in BIT_TABLES else Tag("", self.kind).words)

    def tag(self, orders: Orders, period: float) -> Tag:
        """The tag, polled each `period` seconds."""
        from protocols.tags import Tag

        return Tag(
            self.name,
            self.kind,
            self.bit,
            self.word_order or orders.word_order,
            self.string_order or orders.string_order,
            self.scale,
            self.offset,
            self.unit,
            self.deadband,
            self.min,
            self.max,
            AGE_PERIODS * period if self.max_age_ms is None else self.max_age_ms / 1000,
        )


class GroupConfig(Settings):
    """Tags that are read together."""

    name: TagName
    period_ms: Annotated[float, Field(ge=5, le=3_600_000)] = 200
    """From one reading to the next."""


def _one_group() -> tuple[GroupConfig, ...]:
    return (GroupConfig(name="default"),)


class ModbusTcpDevice(TcpPeer):
    """A device that is a Modbus TCP server."""

    kind: Literal["modbus_tcp"]


class ModbusRtuDevice(SerialPeer):
    """A device on a serial line; stations and devices that name the same line share it."""

    kind: Literal["modbus_rtu"]


DeviceLink = Annotated[ModbusTcpDevice | ModbusRtuDevice, Field(discriminator="kind")]


def limits(peer: Peer) -> Limits:
    """What one request to this device may ask for."""
    from protocols.modbus.planning import Limits

    return Limits(peer.quirks.max_read, peer.quirks.max_read_bits, peer.quirks.max_gap)


class AliveConfig(Settings):
    """A value that must move while the device lives: a counter or a clock."""

    tag: TagName
    timeout_ms: Annotated[float, Field(ge=10, le=3_600_000)] = 2000
    """Without a change for this long, all values of the device are uncertain."""


class DeviceConfig(Settings):
    """Equipment beside the PLC: its address, and its values by name."""

    name: Annotated[str, Field(max_length=63, pattern="^[a-z][a-z0-9_]*$")]
    """Unique; a-z, 0-9 and _. A tag is named `device.tag`."""
    link: DeviceLink
    """How it is reached."""
    groups: Annotated[tuple[GroupConfig, ...], Field(min_length=1, max_length=32, default_factory=_one_group)]
    """How often which tags are read."""
    tags: Annotated[tuple[TagConfig, ...], Field(min_length=1, max_length=1000)]
    alive: AliveConfig | None = None
    """Which value proves that the device's program runs; without it only its answers do."""

    def period(self, group: str) -> float:
        """Of a group, in seconds."""
        return next((g.period_ms / 1000 for g in self.groups if g.name == group), 0.2)

    def definitions(self) -> dict[str, Tag]:
        """All tags by their own name."""
        return {tag.name: tag.tag(self.link, self.period(tag.group)) for tag in self.tags}

    def build(
        self,
        sink: TagSink,
        refresh: dict[str, float],
        first: Sequence[str] = (),
        connection: Connection | None = None,
    ) -> TagSource:
        """The source of its tags, over a connection of its own or a shared one.

        `refresh`: outputs and how often they are written anew, `first` is read first.
        """
        from protocols.modbus.tag_source import TagSource
        from protocols.tag_sources import Alive

        alive = None if self.alive is None else Alive(self.alive.tag, self.alive.timeout_ms / 1000)
        turn = (connection or self.link.connection()).turn()
        return TagSource(self.name, turn, self._groups(first), self._outputs(refresh), sink, alive)

    def _groups(self, first: Sequence[str]) -> tuple[TagGroup, ...]:
        from protocols.modbus.tag_source import Placed, TagGroup

        tags = self.definitions()
        return tuple(
            TagGroup(
                group.period_ms / 1000,
                tuple(
                    Placed(tags[tag.name], tag.place, self._unit(tag))
                    for tag in sorted(self.tags, key=lambda tag: tag.name not in first)
                    if tag.group == group.name and tag.access == "read"
                ),
                limits(self.link),
            )
            for group in self.groups
        )

    def _outputs(self, refresh: dict[str, float]) -> tuple[Output, ...]:
        from protocols.modbus.tag_source import Output, Placed

        tags = self.definitions()
        return tuple(
            Output(Placed(tags[tag.name], tag.place, self._unit(tag)), refresh[tag.name])
            for tag in self.tags
            if tag.name in refresh
        )

    def _unit(self, tag: TagConfig) -> int:
        return self.link.unit_id if tag.modbus_unit is None else tag.modbus_unit
