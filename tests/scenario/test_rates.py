"""A PLC that is slower than the camera: the queue loses nothing, and what it must drop is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.scenario.conftest import Bench, NewStand
from tests.scenario.roles import ROLES, Role, cell
from tests.scenario.wire import Block

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

PARTS = 30


@pytest.mark.parametrize("role", ROLES)
async def test_c19_ten_parts_a_second_and_a_plc_that_reads_every_100_ms(
    new_stand: NewStand, bench: Bench, role: Role
) -> None:
    taken: dict[int, Block] = {}
    async with cell(new_stand, role) as at:
        stand, plc = at.stand, at.plc
        await plc.ready()
        loop = asyncio.get_running_loop()
        due, part = loop.time(), 0
        while len(taken) < PARTS:
            block = await plc.read()
            fields: dict[str, Any] = {}
            if block.valid and block.result_seq != plc.command.result_ack_seq:
                taken[block.part_id] = block
                fields["result_ack_seq"] = block.result_seq
            if part < PARTS and block.ready:  # on a loaded machine a part waits for the next scan
                part += 1
                fields |= {"part_id": part, "trigger_seq": part}
            await plc.write(**fields)
            due += 0.1
            await asyncio.sleep(due - loop.time())  # the PLC's scan, not a wait for something
            assert due < 60 + loop.time()
        block = await plc.read()
        assert (block.lost, block.missed, block.pending) == (0, 0, 0)
        assert await stand.stop() == 0
    assert {n: b.judgement for n, b in taken.items()} == {n: bench.verdict(n) for n in range(1, PARTS + 1)}
