"""What a station is made of, as the composition root hands it over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.inspection import Inspection, Trigger
from gateway.recipe import Recipe
from gateway.vision.wire import ModelFacts
from protocols.handshake import CycleSettings
from protocols.signals import Judgement


class Pool(Protocol):
    """What a station asks of its vision workers."""

    def inspect(self, trigger: Trigger) -> None: ...
    def give_up(self, cycle: int) -> None: ...
    def reset(self) -> None: ...
    async def activate(self, recipe: Path) -> ModelFacts: ...
    def picture(self, inspection: Inspection, path: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Pictures:
    """Which inspections leave a picture, and where."""

    folder: Path
    verdicts: frozenset[Judgement]


@dataclass(frozen=True, slots=True)
class Setup:
    """What a station is made of; recipes by number, the first is active at start."""

    name: str
    settings: CycleSettings
    recipes: dict[int, Recipe]
    boot_id: int
    config_crc: int
    pictures: Pictures | None = None
    remember: Callable[[int], Awaitable[str]] | None = None
    """Writes the number of a recipe just activated to the disk; why it could not, empty when it could."""
