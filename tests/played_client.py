"""The client process with a played link and a played device: `url` of the link says how it ends."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gateway.opcua import carrier, client_process, wire
from gateway.opcua.carrier import Built, Outside, Source
from protocols.faults import Code
from protocols.link import LinkError
from protocols.settings import OnEvent
from protocols.tags import Quality, TagValue, Value

if TYPE_CHECKING:
    from protocols.tag_sources import TagSink


class PlayedSource:
    """A device that takes every value but 13, and says what it was last told."""

    def __init__(self, device: wire.CarriedDevice, sink: TagSink) -> None:
        self._sink = sink
        self._fails = bool(device.config.get("fails"))
        self._names = list(device.config["tags"])
        self._wanted: dict[str, Value] | None = {}
        """What is to be written when the device is there; None: it is."""

    async def run(self) -> None:
        if self._fails:
            self._fails = False
            raise RuntimeError("a part of it broke")
        self._sink.link(True, "played")
        now, utc = time.monotonic(), time.time()
        values: Mapping[str, TagValue] = {
            name: TagValue(number, Quality.GOOD, Code.NONE, "", now, utc) for number, name in enumerate(self._names)
        }
        self._sink.values(values)
        wanted, self._wanted = self._wanted or {}, None
        for name, value in wanted.items():
            self.want(name, value)
        await asyncio.get_running_loop().create_future()

    def want(self, name: str, value: Value) -> None:
        if self._wanted is not None:
            self._wanted[name] = value
            return
        self._sink.written(name, value, "it does not like it" if value == 13 else "")


def make(device: wire.CarriedDevice, sink: TagSink, on_event: OnEvent) -> Source:
    if device.config.get("impossible"):
        raise LinkError(f"device {device.name}: impossible")
    on_event(0, f"device {device.name} is served")
    return PlayedSource(device, sink)


async def build(outside: Outside) -> Built:
    return await client_process.build(outside, make)


if __name__ == "__main__":
    carrier.PAUSE_FIRST = 0.05
    carrier.main(sys.argv[1:], build)
