"""Our OPC UA server in a process of its own, with the plain face of many stations whose results never rest."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from pathlib import Path
from typing import Any

from protocols.opcua.plain import PlainFace
from protocols.opcua.plain_map import node_id
from protocols.opcua.server import HardenedServer
from protocols.opcua.server_settings import OpcUaServerConfig
from protocols.signals import VALUES, Outputs, Result, Status, StatusBit
from protocols.station_view import Seat, StationFacts

CHANGING = (
    "RESULT_SEQ", "TRIGGER_SEQ", "PART_ID", "SCORE", "FINDINGS", "REASON", "MODEL_CRC", "TOTAL", "GRAB", "INFER",
    "TIME_MS", "RESULT_SEQ_COPY", *(f"VALUE_{number}" for number in range(VALUES)),
)  # fmt: skip
"""Variables below Result that are others with each result."""
_STATUS = int(StatusBit.ONLINE | StatusBit.READY | StatusBit.RESULT_VALID)


def result(turn: int) -> Result:
    """One that differs from the one before in all of CHANGING."""
    word = turn % 0xFFFF + 1
    return Result(
        word, word, word, 1, bits=1, reason=word, findings=word, score=word / 7, model_crc=word, total=word, grab=word,
        infer=word, time_ms=word % 1000, values=tuple(word / (number + 2) for number in range(VALUES)),
    )  # fmt: skip


async def serve(keys: dict[str, Any], stations: int, period: float, data: str) -> None:
    """Until its input ends; the first line it prints tells where, and which variables change once it is told `go`."""
    server = HardenedServer(OpcUaServerConfig.model_validate(keys), data=Path(data), on_event=_say)
    await server.prepare()
    faces = [_face(server, f"cell{number}") for number in range(1, stations + 1)]
    for face in faces:
        await face.build()
        face.driven(Seat.LINK)
    await server.start()
    ids = [node_id(face.facts.name, f"Result.{name}") for face in faces for name in CHANGING]
    _publish(faces, 0)
    print(json.dumps({"url": server.url, "ids": ids}), flush=True)
    goes = asyncio.Event()
    changing = asyncio.create_task(_change(faces, period, goes))
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        (goes.set if line == b"go\n" else goes.clear)()
    changing.cancel()


async def _change(faces: list[PlainFace], period: float, goes: asyncio.Event) -> None:
    for turn in itertools.count(1):
        await goes.wait()
        due = asyncio.get_running_loop().time() + period
        _publish(faces, turn)
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


def _publish(faces: list[PlainFace], turn: int) -> None:
    for face in faces:
        face.publish(Outputs(Status(bits=_STATUS, heartbeat=turn % 0xFFFF), result(turn)))


def _face(server: HardenedServer, name: str) -> PlainFace:
    return PlainFace(server.server, StationFacts(name, ()), drives=Seat.LINK, on_event=_say)


def _say(code: int, text: str) -> None:
    print(code, text, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(serve(**json.loads(sys.argv[1])))
