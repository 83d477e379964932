"""The process of our OPC UA clients: links to PLCs and to devices. Started by the control process only."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from gateway.opcua import carrier, wire
from gateway.opcua.carrier import Built, Outside, Source
from gateway.opcua.watched import Carried
from protocols.link import LinkError
from protocols.links import AnyLink, LinkConfig
from protocols.opcua.client_settings import OpcUaClientConfig
from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.tag_source import OpcUaTagSource
from protocols.settings import OnEvent
from protocols.station_view import Seat

if TYPE_CHECKING:
    from protocols.tag_sources import TagSink


MakeSource = Callable[[wire.CarriedDevice, "TagSink", OnEvent], Source]


async def build(outside: Outside, make_source: MakeSource) -> Built:
    """All links and devices that the configuration puts into this process."""
    links: TypeAdapter[AnyLink] = TypeAdapter(LinkConfig)
    carried = []
    for number, station in enumerate(outside.start.stations):
        config = links.validate_python(station.link)
        if not isinstance(config, OpcUaClientConfig):
            raise LinkError(f"{station.facts.name}: {config.kind} is no link of this process")
        carried.append(Carried(number, Seat.LINK, config.build(outside.event)))
    devices = outside.start.devices
    sources = {device.name: make_source(device, outside.sink(device.name), outside.event) for device in devices}
    return Built(carried, sources=sources, text=f"{len(carried)} links, {len(sources)} devices")


def _make_source(device: wire.CarriedDevice, sink: TagSink, on_event: OnEvent) -> Source:
    """A device whose server we ask."""
    config = OpcUaDeviceConfig.model_validate(device.config)
    return OpcUaTagSource(config, sink, device.refresh, device.first, on_event)


async def _build(outside: Outside) -> Built:
    return await build(outside, _make_source)


if __name__ == "__main__":
    carrier.main(sys.argv[1:], _build)
