"""What carriers in other processes are told of a station once: its name, recipes, and which start of it this is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from gateway.judge import NO_VARIANT
from gateway.recipe import Recipe
from protocols.station_view import RecipeFacts, StationFacts


def station_facts(name: str, recipes: Iterable[Recipe], boot_id: int = 0, config_crc: int = 0) -> StationFacts:
    """The facts of a station with these recipes, in the order of their numbers."""
    ordered = sorted(recipes, key=lambda recipe: recipe.number)
    return StationFacts(name, tuple(recipe_facts(recipe) for recipe in ordered), boot_id, config_crc)


def recipe_facts(recipe: Recipe) -> RecipeFacts:
    """A recipe as outsiders may know it."""
    return RecipeFacts(
        number=recipe.number,
        name=recipe.name,
        revision=recipe.revision,
        description=recipe.description,
        digest=digest(recipe),
        values=tuple(value.name for value in recipe.values),
        checks=tuple(check.name for check in recipe.checks),
        codes=tuple(dict.fromkeys(_codes(recipe))),
    )


def _codes(recipe: Recipe) -> Iterator[tuple[int, str]]:
    yield from ((rule.code, rule.name) for rule in recipe.all_rules)
    if recipe.unknown_part is not None:
        yield recipe.unknown_part.code, NO_VARIANT


def digest(recipe: Recipe) -> bytes:
    """SHA-256 of all that the recipe judges by: its content as JSON with sorted keys, then its models' mark."""
    content = json.dumps(recipe.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode() + bytes.fromhex(recipe.model_mark)).digest()
