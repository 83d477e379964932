"""A carrier process with faces that do as they are told over TCP, one JSON object a line: no OPC UA, no asyncua.

Told `{"face": "cell1/VARIABLES", "write": {"control": 1}}` the face commands its station; `{"do": "crash"}` and its
like make the process misbehave. What the faces are told comes back to every client.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gateway.opcua import carrier, serving, wire
from gateway.opcua.carrier import Built, Outside
from gateway.opcua.channel import StationProxy
from protocols.link import LinkError, LinkState, Station
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.settings import OnEvent
from protocols.signals import Command, Outputs
from protocols.station_view import Outcome, Seat, StationFacts

LINES = 2000


class PlayedFace:
    """A link and observer that tells everything to the clients of its server."""

    def __init__(self, server: PlayedServer, facts: StationFacts, seat: Seat) -> None:
        self.name = f"{facts.name}/{seat.name}"
        self._server = server
        self._station: Station | None = None
        self._command = Command()

    async def build(self) -> None:
        self._server.built[self.name] = self

    def attach(self, station: Station) -> None:
        self._station = station

    def publish(self, outputs: Outputs) -> None:
        status, result = asdict(outputs.status), asdict(outputs.result)
        del result["values"]
        self._server.tell(face=self.name, status=status, result=result)

    def driven(self, seat: Seat) -> None:
        self._server.tell(face=self.name, driven=seat.name)

    def outcome(self, outcome: Outcome) -> None:
        result = {"seq": outcome.result.result_seq, "part": outcome.result.part_id}
        told = {"number": outcome.number, "seat": outcome.seat.name, "serial": outcome.serial, **result}
        self._server.tell(face=self.name, outcome=told)

    def stale(self, stale: bool) -> None:
        self._server.tell(face=self.name, stale=stale)

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()

    def told(self, message: dict[str, Any]) -> None:
        assert self._station is not None
        if "link" in message:
            self._station.link_changed(LinkState(message["link"]), "played")
        if "write" in message:
            self._command = replace(self._command, **message["write"])
            for _ in range(message.get("times", 1)):
                self._station.command(self._command)
                if "times" in message:
                    self._command = replace(self._command, plc_heartbeat=(self._command.plc_heartbeat + 1) & 0xFFFF)

    @property
    def proxy(self) -> StationProxy:
        assert isinstance(self._station, StationProxy)
        return self._station


class PlayedServer:
    """Listens where the OPC UA server would."""

    def __init__(self, config: OpcUaServerConfig, on_event: OnEvent) -> None:
        self.text = f"{config.host}:{config.port}"
        self.built: dict[str, PlayedFace] = {}
        self._config, self._on_event = config, on_event
        self._clients: set[asyncio.StreamWriter] = set()
        self._lines: list[bytes] = []

    def faces(self, facts: StationFacts, seats: tuple[Seat, ...], on_event: OnEvent) -> list[tuple[Seat, PlayedFace]]:
        del on_event
        self.tell(facts=asdict(replace(facts, recipes=())), recipes=[recipe.name for recipe in facts.recipes])
        return [(seat, PlayedFace(self, facts, seat)) for seat in seats]

    def tell(self, **message: Any) -> None:
        line = json.dumps({"pid": os.getpid(), **message}).encode() + b"\n"
        self._lines = [*self._lines[-LINES:], line]
        for client in self._clients:
            client.write(line)

    async def run(self) -> None:
        try:
            server = await asyncio.start_server(self._serve, self._config.host, self._config.port)
        except OSError as error:
            raise LinkError(f"{self.text}: cannot listen ({error.strerror})") from None
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(self._lines)
        self._clients.add(writer)
        try:
            while line := await reader.readline():
                message = json.loads(line)
                if "do" in message:
                    MISDEEDS[message["do"]](self)
                else:
                    self.built[message["face"]].told(message)
        except ConnectionError:
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    def first(self) -> PlayedFace:
        return next(iter(self.built.values()))

    def event(self) -> None:
        self._on_event(6003, "somebody was refused")


def _flood(server: PlayedServer) -> None:
    for number in range(20_000):
        server.first().told({"write": {"user": (number & 0xFFFF, 0, 0, 0, 0, 0)}})


def _raw(server: PlayedServer, data: bytes) -> None:
    server.first().proxy._channel._say(data)


def _eat(_: PlayedServer) -> None:
    held: list[bytes] = []
    try:
        while len(held) < 128:  # 2 GiB: without a limit it ends as if nothing were wrong
            held.append(b"x" * (1 << 24))
    except MemoryError:
        os.write(2, b"MemoryError")
    os._exit(1)


def _fail(server: PlayedServer) -> None:
    face = server.first()

    def publish(outputs: Outputs) -> None:
        raise RuntimeError(f"beat {outputs.status.heartbeat}")

    face.publish = publish  # type: ignore[method-assign]


MISDEEDS: dict[str, Any] = {
    "crash": lambda _: ctypes.string_at(0),
    "exit": lambda _: os._exit(3),
    "garbage": lambda server: _raw(server, b"HTTP/1.1 200 OK\r\n" * 100),
    "impossible length": lambda server: _raw(server, b"\xff" * 8),
    "foreign seat": lambda server: _raw(server, wire.encode(wire.Commanded(0, Seat(1), Command()))),
    "foreign station": lambda server: _raw(server, wire.encode(wire.Commanded(31, Seat(2), Command()))),
    "foreign device": lambda server: _raw(server, wire.encode(wire.DeviceLinked("lathe", True, ""))),
    "hang": lambda _: time.sleep(3600),
    "doze": lambda _: time.sleep(1.6),
    "memory": _eat,
    "flood": _flood,
    "event": PlayedServer.event,
    "face fails": _fail,
}


async def build(outside: Outside) -> Built:
    async def make(config: OpcUaServerConfig, data: Path, on_event: OnEvent) -> PlayedServer:
        del data
        return PlayedServer(config, on_event)

    return await serving.build(outside, make)


if __name__ == "__main__":
    carrier.main(sys.argv[1:], build)
