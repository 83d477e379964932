"""The process of our own OPC UA server: all faces of all stations. Started by the control process only."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from gateway.opcua import carrier
from gateway.opcua.carrier import Built, Outside
from gateway.opcua.watched import Carried
from protocols.link import Link
from protocols.opcua.machine_vision import MachineVisionFace
from protocols.opcua.machine_vision_execution import MachineSettings
from protocols.opcua.model.install import Model, install
from protocols.opcua.plain import PlainFace
from protocols.opcua.server import HardenedServer
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


class Faces:
    """The hardened server with the plain face of every station and that of OPC 40100-1."""

    def __init__(self, server: HardenedServer, model: Model) -> None:
        self.text = server.url
        self._server, self._model = server, model

    def faces(self, facts: StationFacts, seats: tuple[Seat, ...], on_event: OnEvent) -> Sequence[tuple[Seat, Face]]:
        """Command's seat is the station's link itself, or one beside it. First comes whose events are waited for."""
        drives = Seat.LINK if Seat.LINK in seats else Seat.VARIABLES
        inner = self._server.server
        settings = MachineSettings(shared=True)
        return (
            (Seat.MACHINE_VISION, MachineVisionFace(inner, self._model, facts, settings=settings, on_event=on_event)),
            (drives, PlainFace(inner, facts, drives=drives, on_event=on_event)),
        )

    async def run(self) -> None:
        """Listen until cancelled; LinkError for what cannot mend itself."""
        await self._server.run()


async def _make_server(config: OpcUaServerConfig, data: Path, on_event: OnEvent) -> Serving:
    server = HardenedServer(config, data=data, on_event=on_event)
    await server.prepare()
    return Faces(server, await install(server.server))


async def _build(outside: Outside) -> Built:
    return await build(outside, _make_server)


if __name__ == "__main__":
    carrier.main(sys.argv[1:], _build)
