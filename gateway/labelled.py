"""Pictures whose truth is known: folders `ok` and `ng`, or a list as CSV or JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
GOOD = frozenset({"ok", "good"})
BAD = frozenset({"ng", "bad", "defect"})
MAX_PICTURES = 100_000
MAX_LIST = 64 * 2**20


class LabelledError(Exception):
    """Pictures that cannot be used: one sentence with place, cause and remedy."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture, whether the part on it is good, and what the PLC would have given as SERIAL and PART_ID."""

    path: Path
    good: bool
    serial: str = ""
    part_id: int = 0


def read(where: Path) -> tuple[Labelled, ...]:
    """The pictures of a folder of folders, or of a list (.csv, .json) that names them; LabelledError."""
    try:
        found = tuple(_listed(where) if where.suffix.lower() in (".csv", ".json") else _in_folders(where))
    except OSError as error:
        raise LabelledError(f"{where} cannot be read ({error.strerror}); check the path") from None
    if not found:
        raise LabelledError(f"{where} holds no picture (png, jpg, bmp) of known truth; put them into folders ok and ng")
    if len(found) > MAX_PICTURES:
        raise LabelledError(f"{where} holds more than {MAX_PICTURES} pictures; try a part of them")
    return found


def _in_folders(where: Path) -> Iterator[Labelled]:
    """`ok` or `good` are good; every other folder (ng, or the name of a defect) is bad."""
    for folder in sorted(place for place in where.iterdir() if place.is_dir() and not place.name.startswith(".")):
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield Labelled(path, folder.name.lower() in GOOD)


def _listed(where: Path) -> Iterator[Labelled]:
    with where.open("rb") as file:
        raw = file.read(MAX_LIST + 1)
    if len(raw) > MAX_LIST:
        raise LabelledError(f"{where} is larger than {MAX_LIST >> 20} MiB; try a part of it")
    try:
        text = raw.decode("utf-8-sig")
        rows = json.loads(text) if where.suffix.lower() == ".json" else list(csv.DictReader(text.splitlines()))
    except (ValueError, csv.Error, RecursionError) as error:
        raise LabelledError(f"{where} is no usable list ({error}); see docs/recipes.md for one") from None
    if not isinstance(rows, list):
        raise LabelledError(f"{where} is no list; write one of file and truth, see docs/recipes.md")
    for number, row in enumerate(rows, 1):
        yield _row(where, number, row)


def _row(where: Path, number: int, row: Any) -> Labelled:
    if not isinstance(row, Mapping) or not isinstance(row.get("file"), str) or not row["file"]:
        raise LabelledError(f"{where}: entry {number} names no file; give file and truth")
    truth = str(row.get("truth", "")).strip().lower()
    if truth not in GOOD | BAD:
        raise LabelledError(f"{where}: entry {number} has the truth {truth[:40]!r}; write ok or ng")
    part = str(row.get("part_id") or 0)
    if not part.isdecimal() or int(part) > 0xFFFF_FFFF:
        raise LabelledError(f"{where}: entry {number} has the part_id {part[:40]!r}; write a whole number")
    path = where.parent / row["file"]
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        raise LabelledError(f"{where}: entry {number}: {path} is no picture that is there (png, jpg, bmp)")
    return Labelled(path, truth in GOOD, str(row.get("serial") or ""), int(part))
