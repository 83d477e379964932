"""A hundred thousand random messages (E-18), and a thousand connects (E-10), to our OPC UA server."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest

from tests.contract.opcua_rig import Rig, until
from tests.contract.opcua_wire import conversation, raw
from tests.contract.test_opcua_guard import Seen, memory
from tests.opcua_papers import Papers

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
MESSAGES, CONNECTS = 100_000, 1_000


async def test_e18_a_hundred_thousand_random_messages(tmp_path: Path) -> None:
    dice = random.Random(100_018)
    async with Rig(tmp_path, Papers(), limits={"connections": 200}).running() as rig:
        sent, before = 0, 0.0

        async def one() -> None:
            async with raw(rig.hardened.port) as peer:
                try:
                    await peer.send(conversation(dice))
                    await asyncio.wait_for(peer.reader.read(200), 0.02)
                except (ConnectionError, TimeoutError):
                    pass

        while sent < MESSAGES:
            await asyncio.gather(*[one() for _ in range(20)])
            sent += 40  # two in each conversation, on average
            before = before or (memory() if sent > MESSAGES // 10 else 0.0)
        gc.collect()
        assert memory() - before < 10  # looked at before the login: its hash takes 19 MiB
        async with rig.session("otto") as client:
            await client.nodes.server_state.read_value()
        assert not rig.hardened.server.iserver._external_sessions


async def test_e10_a_thousand_connects_leave_nothing(tmp_path: Path) -> None:
    async with Rig(tmp_path, Papers()).running() as rig:
        before = 0.0
        for number in range(CONNECTS):
            async with rig.session("anna") as client:
                subscription = await client.create_subscription(1000, Seen())
                await subscription.subscribe_data_change(client.get_node(rig.result.nodeid))
            if number == CONNECTS // 10:
                gc.collect()
                before = memory()
        inner = rig.hardened.server.iserver
        await until(lambda: not inner._external_sessions and not inner.subscription_service.subscriptions)
        gc.collect()
        assert memory() - before < 8
