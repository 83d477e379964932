"""One bad peer harms only itself: the other stations and the PLC do not notice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct

import pytest

from protocols.faults import Code
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line, task

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

PARTS = 30


async def test_a_station_that_crashes_again_and_again_harms_only_itself(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand({}, {"camera": {"inject": {"poison_at": list(range(1, 100))}}})
    stand.evidence["cell1"].untouched = True
    await stand.start()
    async with line(stand) as good, line(stand, station="cell2", unit=2) as bad:
        await good.ready()
        await bad.ready()

        async def crash() -> None:
            for part in range(1, 100):
                await bad.plc.inspect(part)

        async with task(crash(), "the crashing station"):
            for part in range(1, PARTS + 1):
                await good.plc.until_ready(5)
                answer = await good.plc.inspect(part)
                assert answer.judgement is bench.verdict(part), answer
            await bad.see(lambda b: b.not_ready_reason == Code.CRASH_LOOP, 20, "the bad station is held")
            for part in range(PARTS + 1, PARTS + 6):
                assert (await good.plc.inspect(part)).judgement is bench.verdict(part)
        assert await stand.stop() == 0
    assert len(stand.told("worker_lost")) >= 3


async def test_peers_that_speak_no_modbus_harm_only_themselves(new_stand: NewStand, bench: Bench) -> None:
    stand = new_stand()
    stand.evidence["cell1"].untouched = True
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        async with task(vandals(stand.port), "vandals"):
            for part in range(1, PARTS + 1):
                assert (await plant.plc.inspect(part)).judgement is bench.verdict(part)
        assert plant.plc.connections == 1, "the PLC lost its connection"
        assert stand.told("link_event", code=int(Code.FRAMING)), "nobody was turned out for broken frames"
        assert await stand.stop() == 0


async def vandals(port: int) -> None:
    """Garbage, half frames, a flood that reads no answers, and more connections than there are places."""
    chance = random.Random(3)
    nuisance = (
        chance.randbytes(200),
        struct.pack(">HHHB", 1, 0, 6, 1),
        struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 64) * 500,
    )
    with contextlib.ExitStack() as all_ones:
        while True:
            for said in (*nuisance, *(b"",) * 20):
                with contextlib.suppress(OSError):
                    one = all_ones.enter_context(socket.socket())
                    one.setblocking(False)
                    one.connect_ex(("127.0.0.1", port))
                    await asyncio.sleep(0.001)  # the handshake of TCP, which loopback does at once
                    one.send(said)
            if len(all_ones._exit_callbacks) > 150:  # type: ignore[attr-defined]
                all_ones.close()
