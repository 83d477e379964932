"""The control side of a device that a carrier process reads and writes: a source of tags like any other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.opcua import wire
from protocols.faults import Code
from protocols.tags import Tag, TagValue, Value

if TYPE_CHECKING:
    from protocols.tag_sources import TagSink


class CarrierTagSource:
    """Tags of one device; only names that are in `tags` are believed."""

    def __init__(
        self, name: str, tags: Mapping[str, Tag], sink: TagSink, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._tags, self._sink, self._clock = dict(tags), sink, clock
        self._wanted: dict[str, Value] = {}
        self._taken: dict[str, Value] = {}
        self._send: Callable[[wire.ToCarrier], None] | None = None
        self._up: bool | None = None

    def want(self, name: str, value: Value) -> None:
        """Have this output at this value from now on; a newer call replaces an older one."""
        self._wanted[name] = value
        if self._send is not None:
            self._send(wire.Want(self.name, name, value))

    def taken(self, name: str) -> Value | None:
        """The value of an output that the device has confirmed on this connection."""
        return self._taken.get(name)

    async def run(self) -> None:
        """Nothing to do until cancelled: the carrier process runs beside."""
        await asyncio.get_running_loop().create_future()

    def begin(self, send: Callable[[wire.ToCarrier], None]) -> None:
        """The carrier serves: tell it what is wanted."""
        self._send = send
        for name, value in self._wanted.items():
            send(wire.Want(self.name, name, value))

    def heard(self, message: wire.Readings | wire.DeviceLinked | wire.Written) -> None:
        """The carrier says something of this device; wire.WireError for a tag that it has not."""
        match message:
            case wire.Readings(_, values):
                now = self._clock()
                self._known(*values)
                # No reading is newer than this moment, whatever the carrier's clock says.
                self._sink.values({name: replace(value, at=min(value.at, now)) for name, value in values.items()})
            case wire.DeviceLinked(_, up, reason):
                self._taken.clear()
                self._link(up, reason)
            case wire.Written(_, name, value, error):
                self._known(name)
                if error:
                    self._taken.pop(name, None)
                else:
                    self._taken[name] = value
                self._sink.written(name, value, error)

    def lost(self, reason: str) -> None:
        """The carrier is gone: every value is bad from now on, whatever it was."""
        self._send = None
        self._taken.clear()
        at, utc = self._clock(), time.time()
        bad: dict[str, TagValue] = {
            name: tag.failed(Code.LINK_LOST, reason, at, utc) for name, tag in self._tags.items()
        }
        self._sink.values(bad)
        self._link(False, reason)

    def _link(self, up: bool, reason: str) -> None:
        if up is not self._up:
            self._up = up
            self._sink.link(up, reason)

    def _known(self, *names: str) -> None:
        for name in names:
            if name not in self._tags:
                raise wire.WireError(f"a message of tag {name!r} of {self.name}, which it has not")
