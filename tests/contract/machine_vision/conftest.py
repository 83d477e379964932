"""Fixtures for the tests of the face of OPC 40100-1: one server for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.contract.machine_vision_rig import Bench, Events, Vision, served, subscribed, until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    async with served() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def vision(bench: Bench) -> AsyncIterator[Vision]:
    """An operator at a station that nobody drives."""
    bench.joint.again()
    async with bench.client("operator") as client:
        await until(client, "Preoperational")
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def events(vision: Vision) -> AsyncIterator[Events]:
    """All events of the vision system."""
    seen = Events()
    async with subscribed(vision, seen, vision.node()):
        yield seen
