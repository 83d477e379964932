"""Owns every long-running task of the control process: restarts what dies, gives up upward when that does not help."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from protocols.link import Backoff, LinkError

log = structlog.get_logger("supervisor")


class GaveUpError(Exception):
    """A part died too often; the message names it and the last reason."""


class Supervisor:
    """Runs named parts until cancelled; a part may die `limit` times within `window` seconds."""

    def __init__(self, *, limit: int = 3, window: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.window = window
        self.restarts = 0
        self._clock = clock
        self._parts: list[tuple[str, Callable[[], Awaitable[None]]]] = []

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Name a part; `run` is called anew after each death."""
        self._parts.append((name, run))

    async def run(self) -> None:
        """Run all parts until cancelled; the first one that cannot go on ends all: LinkError or GaveUpError."""
        async with asyncio.TaskGroup() as tasks:
            for name, run in self._parts:
                tasks.create_task(self._keep(name, run), name=name)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        deaths: deque[float] = deque(maxlen=self.limit)
        backoff = Backoff()
        while True:
            reason = await self._once(name, run)
            now = self._clock()
            if len(deaths) == self.limit and now - deaths[0] < self.window:
                raise GaveUpError(f"{name} died {self.limit + 1} times within {self.window:.0f} s, last: {reason}")
            deaths.append(now)
            self.restarts += 1
            await asyncio.sleep(backoff.pause())

    async def _once(self, name: str, run: Callable[[], Awaitable[None]]) -> str:
        try:
            await run()
        except LinkError:
            raise  # it said that it cannot mend itself
        except Exception as error:  # the task's boundary: a dead part is an event with a policy, never a silence
            log.exception("part_died", part=name)
            return f"{type(error).__name__}: {error}"
        log.error("part_ended", part=name)
        return "ended by itself"
