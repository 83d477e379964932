"""Restarts with limits, then up."""

from __future__ import annotations

import asyncio

import pytest

from gateway.supervisor import GaveUpError, Supervisor
from protocols.link import Backoff, LinkError


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "pause", lambda self: 0.0)


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    return group.exceptions[0]


async def test_a_part_that_dies_is_started_again() -> None:
    starts: list[int] = []
    alive = asyncio.Event()

    async def part() -> None:
        starts.append(1)
        if len(starts) < 3:
            raise RuntimeError("no")
        alive.set()
        await asyncio.Event().wait()

    supervisor = Supervisor()
    supervisor.add("part", part)
    running = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(5):
        await alive.wait()
    assert supervisor.restarts == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_part_that_dies_too_often_is_given_up_with_its_reason() -> None:
    async def part() -> None:
        raise RuntimeError("the same again")

    supervisor = Supervisor(limit=3)
    supervisor.add("camera", part)
    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run()
    error = first(caught.value)
    assert isinstance(error, GaveUpError)
    assert "camera died 4 times within 60 s, last: RuntimeError: the same again" in str(error)


async def test_deaths_long_ago_do_not_count() -> None:
    now = [0.0]
    lives = 0
    alive = asyncio.Event()

    async def part() -> None:
        nonlocal lives
        lives += 1
        now[0] += 100
        if lives == 10:
            alive.set()
            await asyncio.Event().wait()

    supervisor = Supervisor(limit=3, clock=lambda: now[0])
    supervisor.add("part", part)
    running = asyncio.create_task(supervisor.run())
    async with asyncio.timeout(5):
        await alive.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_cannot_mend_itself_goes_up_at_once() -> None:
    async def part() -> None:
        raise LinkError("the port is taken")

    supervisor = Supervisor()
    supervisor.add("link", part)
    with pytest.raises(ExceptionGroup) as caught:
        await supervisor.run()
    assert isinstance(first(caught.value), LinkError)
    assert supervisor.restarts == 0
