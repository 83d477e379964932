"""The part of a recipe that judges some parts by limits of their own."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.recipe_rules import Rule
from gateway.recipe_selection import Name, Zone
from gateway.scene import alike

VARIANTS = 32
PartId = Annotated[int, Field(ge=0, le=2**32 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Variant(_Part):
    """Limits for the parts of these numbers and serials; the first variant that fits a part judges it."""

    name: Name
    """Recorded with the inspection."""
    part_ids: Annotated[tuple[tuple[PartId, PartId], ...], Field(max_length=100)] = ()
    """First and last PART_ID of each range; left out: any."""
    serial: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """How the SERIAL looks: # a digit, @ a letter, ? one character, * any number of them; left out: any."""
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=100)] | None = None
    """In place of all rules of the recipe; left out: those."""
    zones: Annotated[tuple[Zone, ...], Field(max_length=100)] | None = None
    """In place of all zones of the recipe; left out: those."""

    def fits(self, part_id: int, serial: str) -> bool:
        """Whether it judges this part."""
        numbered = not self.part_ids or any(first <= part_id <= last for first, last in self.part_ids)
        return numbered and (self.serial is None or alike(serial, self.serial))

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not self.part_ids and self.serial is None:
            raise ValueError("must say for which parts: part_ids, serial or both; serial: '*' means all")
        if any(last < first for first, last in self.part_ids):
            raise ValueError("part_ids are ranges, each [first, last] with first <= last")
        return self


class UnknownPart(_Part):
    """What is said of a part that no variant fits."""

    verdict: Literal["NG", "RECHECK"]
    code: Annotated[int, Field(ge=1, le=999)]
