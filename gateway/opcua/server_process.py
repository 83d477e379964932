"""The process of our own OPC UA server: all faces of all stations. Started by the control process only."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from gateway.opcua import carrier
from gateway.opcua.carrier import Built, Outside
from gateway.opcua.watched import Carried
from protocols.link import Link
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.settings import OnEvent
from protocols.station_view import Observer, Seat, StationFacts


class Face(Link, Observer, Protocol):
    """A view of one station in the server's address space."""

    async def build(self) -> None:
        """Make its nodes; once, before `run`."""


class Serving(Protocol):
    """The server with its address space."""

    text: str
    """Where it listens."""

    def faces(self, facts: StationFacts, seats: tuple[Seat, ...], on_event: OnEvent) -> Sequence[tuple[Seat, Face]]:
        """The faces of a station, and for whom each speaks; not built yet."""

    async def run(self) -> None:
        """Listen until cancelled; LinkError for what cannot mend itself."""


MakeServer = Callable[[OpcUaServerConfig, str, OnEvent], Awaitable[Serving]]


async def build(outside: Outside, make_server: MakeServer) -> Built:
    """The server with the faces of all stations, not listening yet."""
    start = outside.start
    config = OpcUaServerConfig.model_validate(start.server or {})
    server = await make_server(config, start.name, outside.event)
    carried: list[Carried] = []
    for number, station in enumerate(start.stations):
        for seat, face in server.faces(station.facts, station.seats, outside.event):
            await face.build()
            carried.append(Carried(number, seat, face, face))
    return Built(carried, (server.run,), text=server.text)


async def _make_server(config: OpcUaServerConfig, name: str, on_event: OnEvent) -> Serving:
    """The hardened server with the plain face and the face of OPC 40100-1."""
    raise NotImplementedError("the OPC UA server")  # stands here until protocols.opcua.server is merged


async def _build(outside: Outside) -> Built:
    return await build(outside, _make_server)


if __name__ == "__main__":
    carrier.main(sys.argv[1:], _build)
