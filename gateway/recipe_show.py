"""A recipe in words, and the recipes of a folder as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway import recipe as recipes
from gateway.recipe import Recipe
from gateway.recipe_rules import Band, Rule, TagLimit
from gateway.recipe_selection import LIMITED, Condition, Expected, Plain, Selection, limits
from gateway.vision.wire import model_crc

FIRST_BIT = 8
"""Of RESULT_BITS, for the first check."""


def rows(folder: Path) -> list[dict[str, Any]]:
    """Every recipe folder in `folder`, by number; of those that cannot be used what is wrong. OSError."""
    found = sorted(place for place in folder.iterdir() if (place / recipes.FILE).is_file())
    return sorted((_row(place) for place in found), key=lambda row: (row["number"] or 1 << 16, row["folder"]))


def _row(place: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"folder": place.name, "number": None, "name": "", "revision": None, "tasks": [], "model": ""}
    try:
        recipe = recipes.load(place)
        row |= {"number": recipe.number, "name": recipe.name, "revision": recipe.revision}
        row |= {"tasks": [step.task.kind for step in recipe.steps]}
        row |= {"model": recipe.model_mark[:12] if recipe.models else ""}
        recipes.verify(recipe)
    except recipes.RecipeError as error:
        return {**row, "code": int(error.code), "error": error.text.splitlines()[0]}
    return {**row, "code": 0, "error": ""}


def table(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """As aligned lines, what is wrong below its recipe."""
    if not found:
        return
    head = ("number", "name", "rev", "tasks", "model", "folder")
    cells = [head, *(_cells(row) for row in found)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    errors = ["", *(row["error"] for row in found)]
    for row, error in zip(cells, errors, strict=True):
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        if error:
            yield f"  ERROR {error}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    shown = (row["number"], row["name"], row["revision"], ", ".join(row["tasks"]), row["model"], row["folder"])
    return tuple("-" if cell in (None, "") else str(cell) for cell in shown)


def lines(recipe: Recipe) -> Iterator[str]:
    """What it looks for, in words."""
    yield f"recipe {recipe.number} {recipe.name}, revision {recipe.revision}"
    if recipe.description:
        yield f"  {recipe.description}"
    for step in recipe.steps:
        network = f", {step.model.file} {step.model.sha256[:12]}" if step.model is not None else ""
        yield f"step {step.name}: {step.task.kind}{network}"
    if recipe.models:
        yield f"MODEL_CRC 0x{model_crc(recipe.model_mark):04x}"
    unit = "mm" if recipe.mm_per_px else "px"
    for number, rule in enumerate(recipe.rules, 1):
        yield f"rule {number} {rule.name}: {rule.verdict} {rule.code} when {_rule(rule, unit)}"
    yield "no rule fires: OK"
    for bit, check in enumerate(recipe.checks, FIRST_BIT):
        yield f"check {check.name}: bit {bit} when {_condition(check.when, unit)}"
    for number, value in enumerate(recipe.values):
        yield f"VALUE_{number} {value.name}: {value.take} of {selection(value.of, unit)}"


def _rule(rule: Rule, unit: str) -> str:
    parts = [_condition(rule.asks, unit)] if rule.asks is not None else []
    parts += [_tag(rule.tag)] if rule.tag is not None else []
    return " and ".join(parts) + (f"; {_band(rule.band, rule.code)}" if rule.band is not None else "")


def _condition(asks: Condition | Expected, unit: str) -> str:
    what = selection(asks, unit)
    if isinstance(asks, Condition):
        most = asks.max_count
        if most is None:
            return f"{asks.min_count} or more of {what}"
        return f"{asks.min_count} to {most} of {what}" if most > asks.min_count else f"just {most} of {what}"
    if asks.count is not None:
        return f"not just {asks.count} of {what}"
    return f"not {asks.min_count} {'or more' if asks.max_count is None else f'to {asks.max_count}'} of {what}"


def selection(asks: Selection, unit: str) -> str:
    """Which findings count."""
    text = _plain(asks, unit)
    if asks.near is None:
        return text
    far = _range(asks.near.min_distance or None, asks.near.max_distance, f" {unit}") or "any distance"
    return f"{text} with {_plain(asks.near.to, unit)} at {far}"


def _plain(asks: Plain, unit: str) -> str:
    parts = [" or ".join(sorted(asks.wanted)) if asks.wanted is not None else "anything"]
    units = {"area": f" {unit}²", "length": f" {unit}", "angle": "°"}
    for what in LIMITED:
        least, most = getattr(asks, f"min_{what}"), getattr(asks, f"max_{what}")
        if text := _range(least if limits(what, least) else None, most, units.get(what, "")):
            parts.append(f"{what} {text}")
    parts += [f"saying {asks.text!r}"] if asks.text is not None else []
    parts += [f"saying something like {asks.pattern!r}"] if asks.pattern is not None else []
    parts += ["saying the SERIAL"] if asks.text_is is not None else []
    parts += [f"in {asks.zone}"] if asks.zone is not None else []
    parts += [f"outside {asks.outside}"] if asks.outside is not None else []
    return ", ".join(parts)


def _range(least: float | None, most: float | None, unit: str = "") -> str:
    if least is None:
        return f"below {most:g}{unit}" if most is not None else ""
    return f"from {least:g}{unit}" if most is None else f"from {least:g} to below {most:g}{unit}"


def _tag(limit: TagLimit) -> str:
    if limit.equals is not None:
        return f"{limit.of} is {limit.equals!r}"
    if limit.differs is not None:
        return f"{limit.of} is not {limit.differs!r}"
    return f"{limit.of} {_range(limit.min, limit.max)}"


def _band(band: Band, code: int) -> str:
    widths = ", ".join(f"{what} {width:g}" for what, width in band.widths.items())
    return f"RECHECK {band.code or code} within {widths} of that"
