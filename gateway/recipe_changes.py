"""A station's change of recipe: asked for by who drives it, or by a person at the gateway; one at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.station_setup import Pool, Setup
from gateway.worker_team import WorkerError
from protocols import handshake as hs
from protocols.faults import Code
from protocols.signals import CommandCode

if TYPE_CHECKING:
    from gateway.recipe import Recipe
    from gateway.vision.wire import ModelFacts

WAITING = 4
"""Commands that may wait for the one before; the handshake lets one through at a time."""
SHARE = 0.98
"""Of command_timeout_s."""

log = structlog.get_logger("station")


class Owner(Protocol):
    """The station whose recipe it is."""

    def recipe_changed(self, recipe: Recipe, facts: ModelFacts) -> None:
        """Every trigger from now on is judged by this one."""

    def command_ended(self, request: hs.Execute, code: Code) -> None:
        """Tell the one who asked."""

    def changing(self, active: bool) -> None:
        """No trigger is taken while a person changes the recipe."""


class RecipeChanges:
    """Prepares another recipe beside the running one and changes over between two parts; the old one stays if it fails.

    Two recipes at most are loaded: the active one, on two processes where there is a standby, and the one that is
    prepared.
    """

    def __init__(self, owner: Owner, setup: Setup) -> None:
        self._owner, self._setup = owner, setup
        self._pool: Pool | None = None
        self._asked: asyncio.Queue[tuple[hs.Execute, float]] = asyncio.Queue(maxsize=WAITING)
        self._one = asyncio.Lock()
        self._log = log.bind(station=setup.name)

    def use(self, pool: Pool) -> None:
        """Name the vision workers that load recipes."""
        self._pool = pool

    def ask(self, request: hs.Execute) -> bool:
        """Change as soon as `run` comes to it; False if too much waits already."""
        try:
            self._asked.put_nowait((request, self._end()))
        except asyncio.QueueFull:
            return False
        return True

    async def run(self) -> None:
        """Carry out what is asked for, until cancelled."""
        while True:
            request, end = await self._asked.get()
            async with self._one:
                code, _ = await self._activate(request.param, end)
            self._owner.command_ended(request, code)

    async def by_person(self, number: int, who: str) -> tuple[Code, str]:
        """The same for a person at the gateway: NONE, or the code and one sentence why the old recipe stays."""
        if self._one.locked():
            return Code.OUT_OF_ORDER, "another change of recipe is under way; ask again"
        async with self._one:
            self._owner.changing(True)
            try:
                code, text = await self._activate(number, self._end())
            finally:
                self._owner.changing(False)
        level = 30 if code else 20
        self._log.log(level, "command", command=int(CommandCode.ACTIVATE_RECIPE), param=number, code=int(code), by=who)
        return code, text

    def _end(self) -> float:
        """When a change asked for now must be done, a little before the driver is told that it took too long.

        Counted from there, for it may wait for another one: what the driver was told has failed must not be done.
        """
        return asyncio.get_running_loop().time() + SHARE * self._setup.settings.command_timeout

    async def _activate(self, number: int, end: float) -> tuple[Code, str]:
        recipe = self._setup.recipes.get(number)
        if recipe is None or self._pool is None:
            known = sorted(self._setup.recipes)
            self._log.warning("unknown_recipe", number=number, known=known)
            return Code.UNKNOWN_RECIPE, f"station {self._setup.name} has no recipe {number}; it has {known}"
        limit = self._setup.settings.command_timeout
        too_late = f"recipe {recipe.name} was not ready within {limit:g} s (command_timeout_s)"
        if asyncio.get_running_loop().time() >= end:
            return Code.COMMAND_TIMEOUT, too_late
        try:
            async with asyncio.timeout_at(end):
                facts = await self._pool.activate(recipe.folder)
        except TimeoutError:
            return Code.COMMAND_TIMEOUT, too_late
        except WorkerError as error:
            self._log.error("recipe_refused", recipe=recipe.name, code=int(error.code), detail=error.text)
            return error.code, error.text
        self._owner.recipe_changed(recipe, facts)
        await self._remember(number)
        return Code.NONE, ""

    async def _remember(self, number: int) -> None:
        why = await self._setup.remember(number) if self._setup.remember is not None else ""
        if why:
            text = f"a restart would begin with another recipe than {number}, as it cannot be written down"
            self._log.error("recipe_not_kept", code=int(Code.STORE_WRITE), detail=f"{text} ({why})")
