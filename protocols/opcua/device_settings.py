"""The configuration of a device reached by OPC UA, a CNC above all, whose values are read and written as tags."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from protocols.modbus.device_settings import AGE_PERIODS, AliveConfig, TagName
from protocols.opcua.cnc import PLACES, SINUMERIK, STANDARDS, Found, Kind, Profile, Standard
from protocols.opcua.nodes import ROOTS, Node, Reference, parse
from protocols.opcua.peer_settings import OpcUaPeer
from protocols.settings import Settings
from protocols.tag_words import TYPE_PATTERN

# What works with tags is imported where there are any: a line without devices starts without.
if TYPE_CHECKING:
    from protocols.tags import Tag

STEPS: tuple[int, ...] = (100, 250, 500, 1000, 2500, 5000)
"""Sampling and publishing intervals of a Sinumerik, in milliseconds."""
Step = Annotated[int, Field(ge=5, le=3_600_000)]
YOUNGEST = 1.0
"""Seconds that a value may be old at least before it is uncertain, unless max_age_ms says otherwise."""


class OpcUaTagConfig(Settings):
    """One value of an OPC UA device."""

    name: TagName
    """Unique in its device; a-z, 0-9 and _. Others name it `device.tag`."""
    node: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Where it is: `ns=3;s=…`, `nsu=URI;s=…`, `/Objects/2:Machine/…`; of a Sinumerik also its operand `/Channel/…`."""
    standard: TagName | None = None
    """Or what it is, by a standard name of the profile (program_state, tool_id, …); default: the tag's own name."""
    type: Annotated[str, Field(pattern=TYPE_PATTERN)] | None = None
    """bool, (u)int16/32/64, float32/64 or string[n]; of a standard name it is known, else it is float64."""
    axis: Annotated[str, Field(max_length=32)] = ""
    """Of axis_position: the axis by its name; of a Sinumerik also by the number of the geometric axis."""
    index: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Of a list: the place of the value, from 0. Of r_parameter: its number."""
    has: int | None = None
    """Of a list of numbers: true while it holds this one (an M function); the type is then bool."""
    words: Annotated[dict[int, Annotated[str, Field(max_length=240)]], Field(max_length=256)] = Field(
        default_factory=dict
    )
    """Of an enumeration: its numbers as words; the type is then a string."""
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
    sample_ms: Annotated[int, Field(ge=5, le=3_600_000)] | None = None
    """How often the device looks at it; default that of the device. Goes up to the next allowed step."""
    max_age_ms: Annotated[float, Field(ge=1, le=3_600_000)] | None = None
    """Older than this it is uncertain; default three times the sampling, one second at least."""
    access: Literal["read", "write"] = "read"
    """read: watched; write: an output of a station."""
    read_back: bool = True
    """Of an output: it counts as written only when the device shows the value; false for nodes that nobody can read."""

    @property
    def meant(self) -> str | None:
        """The standard name, where it is one."""
        if self.node is not None:
            return None
        return self.standard or (self.name if self.name in STANDARDS else None)

    @property
    def known(self) -> Standard | None:
        """What is known of the standard name."""
        return STANDARDS.get(self.meant or "")

    @property
    def kind(self) -> str:
        """The type, with its default."""
        if self.type:
            return self.type
        if self.has is not None:
            return "bool"
        if self.words:
            return "string[32]"
        return self.known.type if self.known else "float64"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind = self.kind
        if self.node is not None and self.standard is not None:
            raise ValueError("node and standard both say where it is; remove one")
        if self.meant is None and self.node is None:
            raise ValueError(f"{self.name!r} is no standard name, so it needs node; known: {', '.join(STANDARDS)}")
        if self.standard is not None and self.standard not in STANDARDS:
            raise ValueError(f"{self.standard!r} is no standard name; known: {', '.join(STANDARDS)}")
        if self.has is not None and (kind != "bool" or self.index is not None):
            raise ValueError("has is for a list of numbers and gives a bool; remove type and index, or has")
        if self.words and not kind.startswith("string"):
            raise ValueError(f"words give a string, not {kind}; remove type, or write string[32]")
        number = kind != "bool" and not kind.startswith("string")
        if not number and (self.scale != 1 or self.offset or self.deadband or (self.min, self.max) != (None, None)):
            raise ValueError(f"scale, offset, deadband, min and max are for numbers, not for {kind}; remove them")
        if self.scale == 0:
            raise ValueError("scale 0 makes every value the same; give another one")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}; exchange them")
        return self._complete()

    def _complete(self) -> Self:
        meant = self.meant
        if self.axis and meant != "axis_position":
            raise ValueError("axis is for axis_position; remove it")
        if meant == "axis_position" and not self.axis:
            raise ValueError("axis_position needs axis, such as axis: X")
        if meant == "r_parameter" and self.index is None:
            raise ValueError("r_parameter needs index, the number of the R-parameter")
        if meant == "m_functions" and self.has is None:
            raise ValueError("m_functions needs has, the M function to look for, such as has: 77")
        if self.access == "write":
            if self.known is not None and not self.known.writable:
                raise ValueError(f"{meant} is shown by the control and not written; name a node, or set access: read")
            if self.has is not None or self.words or (self.index is not None and meant != "r_parameter"):
                raise ValueError("has, index and words are for reading; remove them, or set access: read")
        return self


class SamplingConfig(Settings):
    """What the device allows; controls have few sessions and little time for them."""

    default_ms: Annotated[int, Field(ge=5, le=60_000)] = 250
    """Of tags that name no sample_ms."""
    steps_ms: (
        Annotated[tuple[Annotated[int, Field(ge=5, le=3_600_000)], ...], Field(min_length=1, max_length=32)] | None
    ) = None
    """The intervals that it knows; default of a Sinumerik 100, 250, 500, 1000, 2500, 5000, of others any."""
    samples_per_s: Annotated[float, Field(gt=0, le=1_000_000)] = 500
    """Of all tags together: 500 of a Sinumerik 828D, 1000 of an 840D sl."""
    max_items: Annotated[int, Field(ge=2, le=10_000)] = 100
    """In one subscription; more are split."""
    max_subscriptions: Annotated[int, Field(ge=1, le=100)] = 4
    """Of this gateway: one for each interval, and for each max_items."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        steps = self.steps_ms or ()
        if list(steps) != sorted(set(steps)):
            raise ValueError(f"steps_ms must rise: {list(steps)}; sort them and remove what is twice")
        return self


class OpcUaDevice(OpcUaPeer):
    """A device that is an OPC UA server."""

    kind: Literal["opcua"]


class OpcUaDeviceConfig(Settings):
    """A CNC or another device with an OPC UA server: its address, and its values by name."""

    name: Annotated[str, Field(max_length=63, pattern="^[a-z][a-z0-9_]*$")]
    """Unique; a-z, 0-9 and _. A tag is named `device.tag`."""
    link: OpcUaDevice
    """How it is reached."""
    profile: Profile = Profile.NONE
    """How standard names are found: cnc (OPC 40502), machinetool (OPC 40501-1, umati), sinumerik, or none."""
    channel: Annotated[str, Field(max_length=128)] | None = None
    """Which channel, by name or by number from 1; default the first."""
    spindle: Annotated[str, Field(max_length=128)] | None = None
    """Which spindle, by name or by number from 1; default the first."""
    machine: Annotated[str, Field(max_length=128)] | None = None
    """Which machine of a machinetool server, by name or by number from 1; default the first."""
    operands: Annotated[str, Field(min_length=1, max_length=256)] = SINUMERIK
    """Of a Sinumerik: the URI of the namespace of its operands."""
    sampling: SamplingConfig = SamplingConfig()
    """What the device allows."""
    tags: Annotated[tuple[OpcUaTagConfig, ...], Field(min_length=1, max_length=1000)]
    alive: AliveConfig | None = None
    """Which value proves that the device's program runs; without it only its answers do."""

    def interval(self, tag: OpcUaTagConfig) -> int:
        """The sampling and publishing interval of a tag in milliseconds, an allowed one."""
        wanted = tag.sample_ms or self.sampling.default_ms
        steps = self.sampling.steps_ms or (STEPS if self.profile is Profile.SINUMERIK else ())
        return next((step for step in steps if step >= wanted), steps[-1] if steps else wanted)

    def watched(self) -> Iterator[OpcUaTagConfig]:
        """The tags that are read."""
        return (tag for tag in self.tags if tag.access == "read")

    def groups(self, first: tuple[str, ...] = ()) -> list[tuple[int, tuple[str, ...]]]:
        """The subscriptions: interval and tags of each; one place in each is the server's clock."""
        rows = []
        by_interval = sorted(self.watched(), key=lambda tag: (self.interval(tag), tag.name not in first))
        room = self.sampling.max_items - 1
        for interval, tags in itertools.groupby(by_interval, self.interval):
            names = [tag.name for tag in tags]
            rows += [(interval, tuple(names[n : n + room])) for n in range(0, len(names), room)]
        return rows

    def samples(self) -> float:
        """A second, of all subscriptions with their clocks."""
        return sum((len(names) + 1) * 1000 / interval for interval, names in self.groups())

    def found(self, tag: OpcUaTagConfig) -> Found | None:
        """Where the profile keeps a tag that is named by its standard name; None: it has it not."""
        return PLACES[self.profile].get(tag.meant or "")

    def reference(self, tag: OpcUaTagConfig) -> Reference | None:
        """The node that the configuration names, None where it is to be found; raises NodeTextError."""
        text = tag.node
        if text is None:
            found = self.found(tag)
            if found is None or not found.id:
                return None
            from protocols.opcua.cnc import id_of

            text = id_of(
                found.id, channel=self.channel or "1", spindle=self.spindle or "1", axis=tag.axis, index=tag.index
            )
        if self.profile is Profile.SINUMERIK and text.startswith("/") and text.split("/")[1] not in ROOTS:
            return Node(self.operands, text)
        return parse(text, self.link.namespaces)

    def words(self, tag: OpcUaTagConfig) -> dict[int, str]:
        """The words for the numbers of an enumeration."""
        if tag.words or not tag.kind.startswith("string"):
            return tag.words
        found = self.found(tag)
        return dict(found.words) if found else {}

    def choice(self) -> dict[Kind, str]:
        """Which objects are to be taken, by kind."""
        named = {Kind.CHANNEL: self.channel, Kind.SPINDLE: self.spindle, Kind.MACHINE: self.machine}
        return {kind: name for kind, name in named.items() if name is not None}

    def definitions(self) -> dict[str, Tag]:
        """All tags by their own name."""
        from protocols.tags import Tag

        return {
            tag.name: Tag(
                tag.name,
                tag.kind,
                scale=tag.scale,
                offset=tag.offset,
                unit=tag.unit or (tag.known.unit if tag.known else ""),
                deadband=tag.deadband,
                low=tag.min,
                high=tag.max,
                max_age=self._max_age(tag),
            )
            for tag in self.tags
        }

    def _max_age(self, tag: OpcUaTagConfig) -> float:
        if tag.max_age_ms is not None:
            return tag.max_age_ms / 1000
        return max(YOUNGEST, AGE_PERIODS * self.interval(tag) / 1000)

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """What is wrong within it: place and one sentence."""
        from protocols.opcua.device_check import mistakes

        return mistakes(self)
