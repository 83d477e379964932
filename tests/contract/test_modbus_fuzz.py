"""Random and kept broken streams (D-15), a few seconds of them; `-m soak` has the long run."""

import asyncio
import random

import pytest
import uvloop

from tests.contract.modbus_fuzz import Target, attack, corpus, fuzz, normal
from tests.contract.test_links import running, until


@pytest.mark.parametrize("name", corpus())
async def test_d15_a_kept_stream_harms_nobody(name: str) -> None:
    target = Target.make()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: target.troubles.append(context))
    async with running(target.server.run()):
        await target.server.bound.wait()
        for seed in range(4):
            await attack(target, corpus()[name], random.Random(seed))
        await normal(target)
        await until(lambda: not target.server.connections)
    assert target.troubles == []


@pytest.mark.slow
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_d15_random_streams_for_two_seconds(run: object) -> None:
    assert callable(run)
    assert run(fuzz(2, seed=1, growth_mb=16)) > 50
