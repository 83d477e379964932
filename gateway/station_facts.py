"""What carriers in other processes may know of a station, from its configuration and its recipes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from protocols.station_view import RecipeFacts, StationFacts

if TYPE_CHECKING:
    from gateway.recipe import Recipe
    from gateway.settings import StationConfig


def facts_of(station: StationConfig, recipes: Iterable[Recipe], boot_id: int = 0, config_crc: int = 0) -> StationFacts:
    """The facts of one station; recipes in the order of the configuration."""
    return StationFacts(station.name, tuple(recipe_facts(recipe) for recipe in recipes), boot_id, config_crc)


def recipe_facts(recipe: Recipe) -> RecipeFacts:
    """A recipe as outsiders may know it; the digest covers all that it judges by, its model's SHA-256 included."""
    text = recipe.model_dump_json()
    return RecipeFacts(
        number=recipe.number,
        name=recipe.name,
        revision=recipe.revision,
        description=recipe.description,
        digest=hashlib.sha256(text.encode()).digest(),
        values=tuple(value.name for value in recipe.values),
        checks=tuple(check.name for check in recipe.checks),
        codes=tuple((rule.code, rule.name) for rule in recipe.rules),
    )
