"""Whatever serves the faces of all stations from a carrier process: how its start message becomes links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

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


MakeServer = Callable[[OpcUaServerConfig, Path, OnEvent], Awaitable[Serving]]


async def build(outside: Outside, make_server: MakeServer) -> Built:
    """The server with the faces of all stations, not listening yet."""
    start = outside.start
    config = OpcUaServerConfig.model_validate(start.server or {})
    server = await make_server(config, Path(start.data_dir) / "opcua", outside.event)
    carried: list[Carried] = []
    for number, station in enumerate(start.stations):
        for seat, face in server.faces(station.facts, station.seats, outside.event):
            await face.build()
            carried.append(Carried(number, seat, face, face))
    return Built(carried, (server.run,), text=server.text)
