"""What a station is made of, as the composition root hands it over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gateway.inspection import Inspection, Trigger
from gateway.recipe import Recipe
from gateway.vision.wire import ModelFacts
from protocols.handshake import CycleSettings
from protocols.signals import Judgement, Result
from protocols.vision_role import VisionRole

if TYPE_CHECKING:
    from protocols.shared_role import SharedRole


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
    shared: bool = False
    """Others than the link may drive it."""
    outcome: Callable[[Inspection, Result], None] | None = None
    """Told of every inspection before its result is shown."""

    def role(self) -> tuple[VisionRole, SharedRole | None]:
        """The handshake, and the same once more where it can be handed over."""
        if not self.shared:
            return VisionRole(self.settings, boot_id=self.boot_id), None
        from protocols.shared_role import SharedRole  # most stations have their link alone

        role = SharedRole(self.settings, boot_id=self.boot_id)
        return role, role
