"""The process of our OPC UA clients: links to PLCs and to devices. Started by the control process only."""

from __future__ import annotations

import sys

from pydantic import TypeAdapter

from gateway.opcua import carrier
from gateway.opcua.carrier import Built, Outside, Source
from gateway.opcua.watched import Carried
from protocols.carried import CarriedConfig
from protocols.link import LinkError
from protocols.links import AnyLink, LinkConfig
from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.tag_source import OpcUaTagSource
from protocols.station_view import Seat


async def build(outside: Outside) -> Built:
    """All links and devices that the configuration puts into this process."""
    links: TypeAdapter[AnyLink] = TypeAdapter(LinkConfig)
    carried = []
    for number, station in enumerate(outside.start.stations):
        config = links.validate_python(station.link)
        if not isinstance(config, CarriedConfig):
            raise LinkError(f"{station.facts.name}: {config.kind} is no link of this process")
        carried.append(Carried(number, Seat.LINK, config.build(outside.event)))
    sources: dict[str, Source] = {}
    for device in outside.start.devices:
        known = OpcUaDeviceConfig.model_validate(device.config)
        sink = outside.sink(device.name)
        sources[device.name] = OpcUaTagSource(known, sink, device.refresh, device.first, outside.event)
    return Built(carried, sources=sources, text=f"{len(carried)} links, {len(sources)} devices")


if __name__ == "__main__":
    carrier.main(sys.argv[1:], build)
