"""The book of all devices' tags: their newest readings, who follows them, and what is to be written."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from protocols.devices import DeviceConfig, ModbusDeviceConfig, OpcUaDeviceConfig
from protocols.faults import Code
from protocols.link import LinkError
from protocols.modbus.sharing import Sharing
from protocols.tags import NOT_READ, Tag, TagValue, Value

if TYPE_CHECKING:
    from protocols.tag_sources import Source, TagSink

log = structlog.get_logger("device")

Remote = Callable[[OpcUaDeviceConfig, "TagSink", Mapping[str, float], "tuple[str, ...]"], "Source"]
"""Makes the source of a device that another process serves: configuration, whom to tell, outputs, what comes first."""
OnReading = Callable[[TagValue], None]
OnLink = Callable[[bool, str], None]
OnWritten = Callable[[str], None]
"""Told of each write of an output: "" or why it failed."""


class TagBook:
    """Tags by `device.tag`. Register who follows and who writes, then `build`; all on the control loop."""

    def __init__(self, devices: Iterable[DeviceConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.tags: dict[str, Tag] = {}
        self.current: dict[str, TagValue] = {}
        self.sources: list[Source] = []
        self._pages = {device.name: _Page(device) for device in devices}
        for page in self._pages.values():
            for name, tag in page.config.definitions().items():
                self.tags[f"{page.config.name}.{name}"] = tag
        self.current = dict.fromkeys(self.tags, NOT_READ)

    def follow(self, ref: str, call: OnReading) -> None:
        """Give every reading of this tag, in order, to `call`; it is read before the others of its group."""
        page, name = self._page(ref)
        page.readers[name].append(call)

    def follow_link(self, ref: str, call: OnLink) -> None:
        """Tell whenever the device of this tag is reached or lost."""
        self._page(ref)[0].links.append(call)

    def output(self, ref: str, refresh: float, call: OnWritten) -> None:
        """Name an output, and who is told how its writes end."""
        page, name = self._page(ref)
        page.refresh[name], page.written[name] = refresh, call

    def build(self, sharing: Sharing | None = None, remote: Remote | None = None) -> None:
        """Make the sources; one of which nothing is used is read too.

        Modbus devices are asked from here, over what they share with the stations; `remote` makes the others.
        """
        sharing = sharing or Sharing(page.config.link for page in self._pages.values())
        for page in self._pages.values():
            page.source = self._source(page, sharing, remote)
            self.sources.append(page.source)

    def _source(self, page: _Page, sharing: Sharing, remote: Remote | None) -> Source:
        config, sink, first = page.config, _Sink(self, page), tuple(page.readers)
        if isinstance(config, ModbusDeviceConfig):
            connection = sharing.connection(config.link, f"device {config.name}")
            return config.build(sink, page.refresh, first, connection)
        if remote is None:
            raise LinkError(f"device {config.name} is reached by OPC UA, and nothing is there that could do so")
        return remote(config, sink, page.refresh, first)

    def want(self, ref: str, value: Value) -> None:
        """Have this output at `value` from now on."""
        page, name = self._page(ref)
        if page.source is not None:
            page.source.want(name, value)

    def taken(self, ref: str) -> Value | None:
        """The value that the device has confirmed, None while nobody knows."""
        page, name = self._page(ref)
        return None if page.source is None else page.source.taken(name)

    def snapshot(self, refs: Iterable[str]) -> dict[str, TagValue]:
        """The readings of these tags at this moment; what they are worth follows from their age."""
        current = self.current
        return {ref: current[ref] for ref in refs}

    def _page(self, ref: str) -> tuple[_Page, str]:
        device, _, name = ref.partition(".")
        return self._pages[device], name


class _Page:
    """One device's part of the book."""

    def __init__(self, config: DeviceConfig) -> None:
        self.config = config
        self.source: Source | None = None
        self.readers: defaultdict[str, list[OnReading]] = defaultdict(list)
        self.links: list[OnLink] = []
        self.refresh: dict[str, float] = {}
        self.written: dict[str, OnWritten] = {}


@dataclass(frozen=True, slots=True)
class _Sink:
    """What one device tells, entered into the book: first all readings of a moment, then those who follow."""

    book: TagBook
    page: _Page

    def values(self, readings: Mapping[str, TagValue]) -> None:
        device = self.page.config.name
        self.book.current.update({f"{device}.{name}": reading for name, reading in readings.items()})
        for name, readers in self.page.readers.items():
            if name in readings:
                for read in readers:
                    read(readings[name])

    def link(self, up: bool, reason: str) -> None:
        device, code = self.page.config.name, {} if up else {"code": int(Code.LINK_LOST)}
        log.log(20 if up else 30, "device", device=device, state="up" if up else "down", reason=reason, **code)
        for tell in self.page.links:
            tell(up, reason)

    def written(self, name: str, value: Value, error: str) -> None:
        del value
        self.page.written[name](error)
