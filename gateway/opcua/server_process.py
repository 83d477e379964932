"""The process of our own OPC UA server: all faces of all stations. Started by the control process only."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gateway.opcua import carrier
from gateway.opcua.carrier import Built, Outside
from gateway.opcua.serving import Face, Serving, build
from protocols.opcua.machine_vision import MachineVisionFace
from protocols.opcua.machine_vision_execution import MachineSettings
from protocols.opcua.model.install import Model, install
from protocols.opcua.plain import PlainFace
from protocols.opcua.server import HardenedServer
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.settings import OnEvent
from protocols.station_view import Seat, StationFacts


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
