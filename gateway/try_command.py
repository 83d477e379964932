"""`gateway recipe try`: what a recipe makes of pictures of known truth, and where its limits should be."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.labelled import Labelled
    from gateway.recipe import Recipe
    from gateway.recipe_figures import Case, Figures, Moved, Share
    from gateway.recipe_try import Trial

WORST = 12


def add(recipe: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add `recipe try`."""
    text = "look at pictures of known truth: escapes, false rejects, and what moving each limit would do"
    tried = recipe.add_parser("try", help=text, description=text[0].upper() + text[1:] + ".")
    tried.add_argument("folder", type=Path, metavar="RECIPE", help="a recipe folder")
    tried.add_argument("pictures", type=Path, metavar="PICTURES", help="folders ok and ng, or a list (.csv, .json)")
    tried.add_argument("--out", type=Path, metavar="DIR", help="write the worst cases there, findings drawn")
    tried.add_argument("--worst", type=int, default=WORST, metavar="N", help=f"how many of them (default {WORST})")
    tried.add_argument("--json", action="store_true", help="for programs, with every picture")
    tried.set_defaults(command=run)
    return tried


def run(options: argparse.Namespace) -> int:
    """The command."""
    from gateway import labelled
    from gateway import recipe as recipes
    from gateway.recipe_try import TrialError

    try:
        recipe = recipes.load(options.folder)
        recipes.verify(recipe)
        return _try(recipe, labelled.read(options.pictures), options)
    except (recipes.RecipeError, labelled.LabelledError, TrialError) as error:
        print(error, file=sys.stderr)
        return 1


def _try(recipe: Recipe, pictures: Sequence[Labelled], options: argparse.Namespace) -> int:
    from gateway import recipe_figures as figures
    from gateway.recipe_try import Trial, TrialError
    from gateway.vision.engine_settings import OnnxRuntimeConfig

    trial = Trial(recipe, pictures, OnnxRuntimeConfig(threads=2), options.memory)
    cases = trial.run(_progress(len(pictures)))
    counts, moved = figures.figures(cases), list(figures.moves(recipe, cases))
    first = figures.worst(cases, max(0, options.worst))
    files: dict[str, str] = {}
    if options.out is not None and first:
        try:
            files = _draw(trial, first, options.out)
        except OSError as error:
            raise TrialError(f"{options.out} cannot be written ({error.strerror}); name another place") from None
    if options.json:
        print(json.dumps(_document(recipe, cases, counts, moved, first, files), indent=2))
    else:
        print("\n".join(_lines(recipe, counts, moved, first, files)))
    return 0


def _draw(trial: Trial, first: Sequence[Case], out: Path) -> dict[str, str]:
    from gateway.recipe_try import Drawn

    out.mkdir(parents=True, exist_ok=True)
    wanted = [
        Drawn(one, out.resolve() / f"{number:02d}-{kind(one).replace(' ', '-')}-{one.picture.path.stem[:60]}.jpg")
        for number, one in enumerate(first, 1)
    ]
    return {str(one.case.picture.path): str(one.path) for one in trial.draw(wanted)}


def kind(one: Case) -> str:
    """What sort of case it is."""
    if one.escaped:
        return "escape"
    if one.rejected:
        return "false reject"
    word = one.judgement.name if one.judgement.name in ("FAULT", "RECHECK") else "right"
    return word.lower()


def _progress(total: int) -> Any:
    def told(count: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{count} of {total} pictures", end="\n" if count == total else "", file=sys.stderr, flush=True)

    return told


def _lines(
    recipe: Recipe, counts: Figures, moved: Sequence[Moved], first: Sequence[Case], files: dict[str, str]
) -> Iterator[str]:
    from gateway.recipe_figures import WORDS

    yield f"recipe {recipe.number} {recipe.name}, revision {recipe.revision}"
    yield f"{'truth':<8}" + "".join(f"{word.name:>9}" for word in WORDS) + f"{'all':>9}"
    for name, row in (("good", counts.good), ("bad", counts.bad)):
        yield f"{name:<8}" + "".join(f"{row[word]:>9}" for word in WORDS) + f"{sum(row.values()):>9}"
    yield f"escapes: {_share(counts.escapes, 'bad')}"
    yield f"false rejects: {_share(counts.rejects, 'good')}"
    yield f"rechecks: {counts.rechecks}"
    if first:
        yield "worst first:"
    for one in first:
        name = files.get(str(one.picture.path), str(one.picture.path))
        why = f" {one.reason} {one.rule}" if one.reason else ""
        yield f"  {kind(one):<13}{one.judgement.name:<8} {one.score:.3f}{why}  {name}"
    yield from _table(moved)


def _share(share: Share, what: str) -> str:
    if not share.of:
        return f"not known, as there is no {what} part among the pictures"
    return f"{share.count} of {share.of}; with 95 % confidence at most {_percent(share.bound)} of {what} parts"


def _percent(bound: float) -> str:
    """Two digits; whatever would be rounded to a hundred is all."""
    percent = 100 * bound
    return f"{percent:.2g} %" if percent < 99.5 else "100 %"


def _table(moved: Sequence[Moved]) -> Iterator[str]:
    """Values that come to the same stand in one line."""
    if not moved:
        return
    yield "moving a limit (* as it is):"
    yield f"  {'rule':<22}{'limit':<14}{'value':<22}{'escapes':>8}{'false rejects':>15}{'rechecks':>10}"
    for (rule, limit, escapes, rejects, rechecks), rows in groupby(moved, _same):
        values = [f"{one.value:g}{'*' * one.now}" for one in rows]
        shown = values[0] if len(values) == 1 else f"{values[0]} … {values[-1]}"
        if len(values) > 2 and (now := [value for value in values[1:-1] if value.endswith("*")]):
            shown = f"{values[0]} … {now[0]} … {values[-1]}"
        yield f"  {rule[:21]:<22}{limit:<14}{shown:<22}{escapes:>8}{rejects:>15}{rechecks:>10}"


def _same(one: Moved) -> tuple[str, str, int, int, int]:
    counts = one.figures
    return one.rule, one.limit, counts.escapes.count, counts.rejects.count, counts.rechecks


def _document(
    recipe: Recipe,
    cases: Sequence[Case],
    counts: Figures,
    moved: Sequence[Moved],
    first: Sequence[Case],
    files: dict[str, str],
) -> dict[str, Any]:
    return {
        "recipe": {"number": recipe.number, "name": recipe.name, "revision": recipe.revision},
        "confusion": {
            name: {word.name: count for word, count in row.items()}
            for name, row in (("good", counts.good), ("bad", counts.bad))
        },
        "escapes": {"count": counts.escapes.count, "of": counts.escapes.of, "at_most": counts.escapes.bound},
        "false_rejects": {"count": counts.rejects.count, "of": counts.rejects.of, "at_most": counts.rejects.bound},
        "rechecks": counts.rechecks,
        "worst": [{"file": str(one.picture.path), "drawn": files.get(str(one.picture.path))} for one in first],
        "limits": [
            {
                "rule": one.rule,
                "limit": one.limit,
                "value": one.value,
                "now": one.now,
                "escapes": one.figures.escapes.count,
                "false_rejects": one.figures.rejects.count,
                "rechecks": one.figures.rechecks,
            }
            for one in moved
        ],
        "pictures": [_picture(one) for one in cases],
    }


def _picture(one: Case) -> dict[str, Any]:
    return {
        "file": str(one.picture.path),
        "truth": "good" if one.picture.good else "bad",
        "judgement": one.judgement.name,
        "kind": kind(one),
        "reason": one.reason,
        "rule": one.rule,
        "score": one.score,
        "grab_ms": round(one.seen.grab * 1000, 3),
        "infer_ms": round(one.seen.infer * 1000, 3),
        "findings": [[finding.label, finding.score, list(finding.box)] for finding in one.seen.findings],
    }
