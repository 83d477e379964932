"""The carrier processes of one gateway, its stations' boards, and who sits where. Only where something is carried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from gateway.board import BoardWriter
from gateway.carrier_process import CarrierProcess
from gateway.carrier_tags import CarrierTagSource
from gateway.opcua import wire
from gateway.seating import Seating
from gateway.settings import GatewayConfig, StationConfig
from gateway.station_setup import Setup
from protocols.carried import CarriedConfig, Process
from protocols.link import Link
from protocols.settings import OnEvent
from protocols.station_view import Seat, StationFacts

if TYPE_CHECKING:
    from protocols.tag_sources import TagSink
    from protocols.tags import Tag

FACES = (Seat.VARIABLES, Seat.MACHINE_VISION)


class RemoteDevice(Protocol):
    """The configuration of a device that is read and written by the client process."""

    @property
    def name(self) -> str:
        """Unique; the first part of its tags' names."""

    def definitions(self) -> dict[str, Tag]:
        """All tags by their own name."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """As JSON values."""


class Carriers:
    """Build all seatings and devices, then run the `processes`; `close` when nothing runs any more."""

    def __init__(self, config: GatewayConfig, facts: Sequence[StationFacts], on_event: OnEvent) -> None:
        self.processes: list[CarrierProcess] = []
        self._config = config
        self._facts = {known.name: known for known in facts}
        self._boards = {station.name: BoardWriter() for station in config.stations if self._carried(station)}
        self._seatings: list[Seating] = []
        self._on_event = on_event
        self._server = self._process("server", config.stations) if config.opcua is not None else None
        polled = [station for station in config.stations if _process(station) == "client"]
        self._client = self._process("client", polled) if polled else None

    def between(self, station: StationConfig, link: Link, setup: Setup) -> tuple[Link, Setup]:
        """What stands between this station and its link, and the station's setup with it; both as they are where
        nobody but the link knows the station."""
        if station.name not in self._boards:
            return link, setup
        bells = [process.bell.ring for process in self._of(station)]
        seating = Seating(link, self._boards[station.name], bells)
        self._seatings.append(seating)
        for process in self._of(station):
            number = [known.facts.name for known in process.start.stations].index(station.name)
            for seat in process.start.stations[number].seats:
                process.add_port(number, seat, seating.port(seat))
        return seating, replace(setup, shared=self._server is not None, outcome=seating.outcome)

    def remote(
        self, config: RemoteDevice, sink: TagSink, refresh: Mapping[str, float], first: Sequence[str]
    ) -> CarrierTagSource:
        """The source of a device that the client process reads and writes: `refresh` names its outputs and how often
        they are written anew, `first` is read first. Before anything runs."""
        source = CarrierTagSource(config.name, config.definitions(), sink)
        told = wire.CarriedDevice(config.name, config.model_dump(mode="json"), dict(refresh), tuple(first))
        if self._client is None:
            self._client = self._process("client", ())
        start = self._client.start
        self._client.tell(replace(start, devices=(*start.devices, told)))
        self._client.add_device(source)
        return source

    def open(self) -> None:
        """The stations know where their last run ended: from now on others may drive them."""
        for seating in self._seatings:
            seating.open()

    def close(self) -> None:
        """Give everything back."""
        for process in self.processes:
            process.close()
        for board in self._boards.values():
            board.close()

    def _carried(self, station: StationConfig) -> bool:
        return self._config.opcua is not None or isinstance(station.link, CarriedConfig)

    def _of(self, station: StationConfig) -> list[CarrierProcess]:
        return [p for p in self.processes if any(known.facts.name == station.name for known in p.start.stations)]

    def _process(self, kind: Process, stations: Sequence[StationConfig]) -> CarrierProcess:
        process = CarrierProcess(kind, [self._boards[station.name] for station in stations], self._on_event)
        server = self._config.opcua.model_dump(mode="json") if kind == "server" and self._config.opcua else None
        told = tuple(self._told(kind, station) for station in stations)
        process.tell(wire.Start(told, server=server, name=self._config.name, data_dir=str(self._config.data_dir)))
        self.processes.append(process)
        return process

    def _told(self, kind: Process, station: StationConfig) -> wire.CarriedStation:
        mine = _process(station) == kind
        faces: tuple[Seat, ...] = FACES if kind == "server" else ()
        if mine:  # its variables are the link itself
            faces = (Seat.LINK, *(seat for seat in faces if seat is not Seat.VARIABLES))
        link = station.link.model_dump(mode="json") if mine else None
        return wire.CarriedStation(self._facts[station.name], faces, link)


def _process(station: StationConfig) -> Process | None:
    """Where the station's own link lives; None: in the control process."""
    return station.link.process if isinstance(station.link, CarriedConfig) else None
