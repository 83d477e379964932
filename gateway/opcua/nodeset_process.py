"""The process of `gateway opcua export`: what the stations are on stdin, our nodes as NodeSet2 on stdout."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from asyncua import Server

from protocols.opcua import compat
from protocols.opcua.machine_vision import MachineVisionFace
from protocols.opcua.model.install import install
from protocols.opcua.nodeset import nodeset
from protocols.opcua.plain import PlainFace
from protocols.station_view import RecipeFacts, Seat, StationFacts


def facts(told: dict[str, Any]) -> StationFacts:
    """A station as `dataclasses.asdict` wrote it, without the digests."""
    recipes = tuple(
        RecipeFacts(
            number=recipe["number"],
            name=recipe["name"],
            values=tuple(recipe["values"]),
            checks=tuple(recipe["checks"]),
            codes=tuple((code, name) for code, name in recipe["codes"]),
        )
        for recipe in told["recipes"]
    )
    return StationFacts(told["name"], recipes)


async def written(stations: list[StationFacts]) -> str:
    """The NodeSet2 text of a server of these stations; nothing listens."""
    compat.install()
    server = Server()
    await server.init()
    for station in stations:
        await PlainFace(server, station, drives=Seat.LINK, on_event=lambda code, text: None).build()
    model = await install(server)
    for station in stations:
        await MachineVisionFace(server, model, station).build()
    return await nodeset(server)


if __name__ == "__main__":
    sys.stdout.write(asyncio.run(written([facts(told) for told in json.load(sys.stdin)])))
