"""Ids of recipes, configuration, jobs and results in OPC 40100-1, and what a PartId becomes on the PLC's wire. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from protocols.opcua.machine_vision_records import BinaryId, Ident
from protocols.signals import SERIAL_BYTES, UDINT_MAX
from protocols.station_view import RecipeFacts, StationFacts

NO_RECIPE = BinaryId()


def internal_recipe(recipe: RecipeFacts) -> BinaryId:
    """InternalId: name and revision, with the SHA-256 of all that the recipe judges by."""
    revision = str(recipe.revision)
    return BinaryId(f"{recipe.name}@{revision}", revision, recipe.digest, recipe.description)


def external_recipe(recipe: RecipeFacts) -> BinaryId:
    """ExternalId as we write it: the number that a PLC would activate; its name is understood as well."""
    return BinaryId(str(recipe.number), description=recipe.name)


def configuration(facts: StationFacts) -> BinaryId:
    """The one configuration of a station, named by its CONFIG_CRC."""
    return BinaryId(f"{facts.name}-{facts.config_crc:04x}", f"{facts.config_crc:04x}")


@dataclass(frozen=True, slots=True)
class RecipeBook:
    """The recipes of a station as a client names them."""

    recipes: tuple[RecipeFacts, ...]

    def numbered(self, number: int) -> RecipeFacts | None:
        """The recipe that the station calls by this number."""
        return next((r for r in self.recipes if r.number == number), None)

    def external(self, asked: BinaryId) -> RecipeFacts | None:
        """The recipe of this ExternalId: its number, or its name."""
        return next((r for r in self.recipes if asked.id and asked.id in (str(r.number), r.name)), None)

    def find(self, external: BinaryId, internal: BinaryId) -> RecipeFacts | None:
        """The recipe that a call means: the InternalId wins where both are given."""
        if not internal.id:
            return self.external(external)
        return next((r for r in self.recipes if internal_recipe(r).named_by(internal)), None)


def on_the_wire(part: Ident, count: int) -> tuple[int, str]:
    """PART_ID and SERIAL of a job.

    A decimal number that fits is PART_ID itself; otherwise that is the job's count. SERIAL is the Id where it fits into
    32 printable ASCII characters, otherwise 'sha256:' and the first 25 hex digits of the Id's hash.
    """
    text = part.id
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and not text.startswith("0") else 0
    serial = text
    if len(text) > SERIAL_BYTES or not (text.isascii() and text.isprintable()):
        serial = f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:25]}"
    return (number if 0 < number <= UDINT_MAX else count % UDINT_MAX or 1), serial
