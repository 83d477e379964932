"""A minute of broken streams (D-15), and ten thousand reconnects (D-14)."""

import asyncio

import pytest
import uvloop

from tests.contract.masters import LOCAL, Plant, descriptors
from tests.contract.modbus_fuzz import fuzz
from tests.contract.test_links import until
from tests.contract.test_modbus_rows import come_and_go

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]


def test_d15_random_streams_for_a_minute() -> None:
    assert uvloop.run(fuzz(60, seed=20260101, growth_mb=4)) > 1000


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_d14_ten_thousand_reconnects_leave_no_descriptor(run: object) -> None:
    async def main() -> None:
        async with Plant().open() as plant:
            await come_and_go(plant, LOCAL, 10)
            await until(lambda: not plant.server.connections)
            before = descriptors()
            # From ten addresses: a port that was used waits for a minute, and one address has some 28 000 of them.
            assert sum([await come_and_go(plant, f"127.0.0.{n}", 1000) for n in range(10, 20)]) == 10_000
            await until(lambda: not plant.server.connections)
            await until(lambda: descriptors() <= before)
            assert (plant.codes, plant.server.counters.accepted) == ([], 10_010)

    assert callable(run)
    run(main())
