"""What can go wrong with a PLC's OPC UA server, to be switched on for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from simulators.opcua_block import FLOAT
from simulators.opcua_slave import OpcUaSlave

OUT_OF_SERVICE = 0x808D_0000
"""Bad_OutOfService (OPC 10000-6 Annex A.2)."""

FAULTS: dict[str, str] = {
    "bad-trigger": "the node of TRIGGER_SEQ is Bad_OutOfService",
    "freeze": "the program stands still, the server goes on answering",
    "restart": "the server restarts as after a download; its namespace comes back with another index",
    "wrong-type": "the server restarts with JUDGEMENT as a Float, which cannot hold it, then as before",
    "cut": "every connection is broken without a word; the sessions live on",
}
"""By name, with what happens."""


class Faults:
    """Switches the named faults on `after` so many seconds, and off again `lasting` seconds later."""

    def __init__(self, plc: OpcUaSlave, names: Sequence[str], *, after: float, lasting: float) -> None:
        self.done: list[str] = []
        """What has happened, one line each."""
        self._plc, self._server, self._names = plc, plc.server, names
        self._after, self._lasting = after, lasting

    async def run(self) -> None:
        """All of them, one after the other."""
        for name in self._names:
            await asyncio.sleep(self._after)
            await self._begin(name)
            await asyncio.sleep(self._lasting)
            await self._end(name)
            self.done.append(f"{name}: {FAULTS[name]}")

    async def _begin(self, name: str) -> None:
        match name:
            case "bad-trigger":
                await self._server.mark("TRIGGER_SEQ", OUT_OF_SERVICE)
            case "freeze":
                self._plc.going.clear()
            case "restart" | "wrong-type":
                if name == "wrong-type":
                    self._server.types = {"JUDGEMENT": FLOAT}
                await self._server.restart(move=name == "restart")
                self._plc.forget()
            case "cut":
                self._server.cut()
            case _:
                raise ValueError(name)

    async def _end(self, name: str) -> None:
        match name:
            case "bad-trigger":
                await self._server.mark("TRIGGER_SEQ", 0)
                self._plc.forget()
            case "freeze":
                self._plc.going.set()
            case "wrong-type":
                self._server.types = {}
                await self._server.restart()
                self._plc.forget()
            case _:  # restart and cut have no end
                pass
