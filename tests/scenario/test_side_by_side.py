"""Two stations under one unit id, at addresses of their own: each has its own cycle, and no request sees both."""

from __future__ import annotations

import asyncio
import struct

import pytest

from protocols.signals import Control
from tests.scenario import wire
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.stand import Stand
from tests.scenario.wire import Command, Master

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

BASES = {
    "command_address": 32, "mirror_address": 174, "status_address": 74, "coils_address": 16, "discrete_address": 32,
}  # fmt: skip


async def inspect(master: Master, command: int, status: int, bench: Bench, parts: range) -> None:
    """Every part's verdict is its own, with the classic cycle at these addresses."""
    order = Command(control=int(Control.ENABLE))
    async with asyncio.timeout(40):
        await master.write(command, order.encode())
        while not wire.decode(await master.read(wire.READ_INPUT, status, 64)).ready:  # noqa: ASYNC110 - behind a wire
            await asyncio.sleep(0.02)
        for part in parts:
            order.trigger_seq, order.part_id = order.trigger_seq + 1, part
            await master.write(command, order.encode())
            while True:
                block = wire.decode(await master.read(wire.READ_INPUT, status, 64))
                assert not block.torn
                assert block.trigger_refused == 0
                if block.valid and block.trigger_seq == order.trigger_seq:
                    break
                await asyncio.sleep(0.005)
            assert (block.part_id, block.judgement) == (part, bench.verdict(part))
            order.result_ack_seq = block.result_seq
            await master.write(command, order.encode())


def side_by_side(stand: Stand) -> Stand:
    stand.stations[1]["link"] |= {"unit": 1, **BASES}
    stand.write_config(stand.config, stand.data_dir)
    return stand


async def test_two_stations_of_one_unit_inspect_at_once(new_stand: NewStand, bench: Bench) -> None:
    cycle = {"cycle": {"deadline_ms": 3000, "grab_timeout_ms": 2000}}
    stand = side_by_side(new_stand(cycle, cycle))
    await stand.start()
    masters = [Master(stand.port), Master(stand.port)]
    for master in masters:
        await master.open()
    try:
        await asyncio.gather(
            inspect(masters[0], 0, 0, bench, range(1, 21)), inspect(masters[1], 32, 74, bench, range(41, 61))
        )
        spanning = await masters[0]._ask(struct.pack(">BHH", wire.READ_INPUT, 0, 100))
        assert spanning == b"\x84\x02"
    finally:
        for master in masters:
            await master.close()
    assert await stand.stop() == 0
    for station, first in (("cell1", 1), ("cell2", 41)):
        assert [row.trigger.part_id for row in stand.history(station)] == list(range(first, first + 20))
