"""Sixty-four masters that poll every 10 ms beside the PLC: each gets whole answers, and the line does not notice."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line, task

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(90)]

MASTERS, PERIOD = 64, 0.01
ANSWER = 9 + 128


class Poller(asyncio.Protocol):
    """Reads the whole block, and looks at every answer."""

    def __init__(self) -> None:
        self.asked = self.answered = 0
        self.wrong: list[str] = []
        self.lost = False
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def poll(self) -> None:
        """Ask, unless an answer is still due."""
        if self._transport is not None and self.asked == self.answered and not self.lost:
            self.asked += 1
            self._transport.write(struct.pack(">HHHBBHH", self.asked & 0xFFFF, 0, 6, 1, 4, 0, 64))

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if len(self._rest) < ANSWER:
            return
        answer, self._rest = self._rest[:ANSWER], self._rest[ANSWER:]
        self.answered += 1
        sound = answer[:9] == struct.pack(">HHHBBB", self.asked & 0xFFFF, 0, 131, 1, 4, 128)
        if not sound or answer[9 + 32 : 9 + 34] != answer[-2:] or self._rest:
            self.wrong.append(answer.hex())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


@asynccontextmanager
async def pollers(port: int) -> AsyncIterator[list[Poller]]:
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        masters = []
        for _ in range(MASTERS):
            transport, master = await loop.create_connection(Poller, "127.0.0.1", port)
            stack.callback(transport.abort)
            masters.append(master)

        async def run() -> None:
            while True:
                for master in masters:
                    master.poll()
                await asyncio.sleep(PERIOD)

        async with task(run(), "the masters"):
            yield masters


async def test_sixty_four_masters_beside_ten_parts_a_second(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand({"cycle": {"deadline_ms": 2000, "grab_timeout_ms": 1500}})
    stand.stations[0]["link"]["max_connections"] = MASTERS + 8
    stand.write_config(stand.config, stand.data_dir)
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        async with pollers(stand.port) as masters:
            for part in range(1, 51):
                answer = await plant.plc.inspect(part)
                assert answer.judgement is bench.verdict(part), answer
                await asyncio.sleep(0.05)
        assert [master.wrong for master in masters if master.wrong] == []
        assert min(master.answered for master in masters) >= 50
        assert plant.plc.connections == 1
        assert stand.told("link_event") == []
        assert await stand.stop() == 0
