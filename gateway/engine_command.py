"""`gateway model compare` and `gateway model bench`: may another engine run a network here, and is it worth it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MODULE = "gateway.vision.compare"
MEMORY_MB = 4096
PATIENCE = 600.0
LEAST_PICTURES = 5
MOST_SCORE, MOST_BOX = 0.01, 1.0
"""What a score, and a corner in pixels of the frame, may differ by default."""


def add_compare(model: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `model compare`."""
    compare = model.add_parser("compare", help="compare a recipe on another engine with the reference, on pictures")
    compare.add_argument(
        "recipe", type=Path, metavar="RECIPE", help="a recipe folder; a passed comparison is noted in it"
    )
    compare.add_argument("--engine", choices=("openvino", "onnxruntime"), default="openvino", help="as in engine.kind")
    compare.add_argument("--on", metavar="A,B", default="", help="as in engine.devices or engine.providers")
    compare.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="of openvino")
    compare.add_argument("--pictures", type=Path, required=True, metavar="FOLDER", help="frames of good and bad parts")
    compare.add_argument("--max-score", type=float, default=MOST_SCORE, metavar="X", help="allowed change of a score")
    compare.add_argument("--max-box", type=float, default=MOST_BOX, metavar="PX", help="allowed move of a corner")
    compare.add_argument("--json", action="store_true", help="for programs")
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> int:
    from gateway import trial
    from gateway.recipe import RecipeError, load

    try:
        recipe = load(options.recipe)
        if not options.pictures.is_dir():
            raise trial.ModelError(f"{options.pictures}: there is no such folder; name one with pictures of parts")
        order = {
            "recipe": str(options.recipe.resolve()),
            "pictures": str(options.pictures.resolve()),
            "engine": _engine(options),
            "most_score": options.max_score,
            "memory_mb": MEMORY_MB,
        }
        found = trial.ask(MODULE, [json.dumps(order)], str(options.recipe), PATIENCE)
        models = tuple(dict.fromkeys(step.model.sha256 for step in recipe.steps if step.model is not None))
        refusals = _judged(found, options, models)
    except (trial.ModelError, RecipeError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.recipe}: the result cannot be noted ({error.strerror}); see to its rights", file=sys.stderr)
        return 1
    print(json.dumps({**found, "passed": not refusals, "why": refusals}) if options.json else _told(found, refusals))
    return int(bool(refusals))


def _engine(options: argparse.Namespace) -> dict[str, Any]:
    """The engine as the configuration would have it; ModelError."""
    from pydantic import TypeAdapter, ValidationError

    from gateway.trial import ModelError
    from gateway.vision.engine_settings import EngineConfig

    engine: dict[str, Any] = {"kind": options.engine}
    if options.on:
        key = "devices" if options.engine == "openvino" else "providers"
        engine[key] = [word.strip() for word in options.on.split(",")]
    if options.engine == "openvino":
        engine["precision"] = options.precision
    try:
        TypeAdapter(EngineConfig).validate_python(engine)
    except ValidationError as error:
        raise ModelError(f"--on {options.on}: {error.errors()[0]['msg']}") from None
    return engine


def _judged(found: Mapping[str, Any], options: argparse.Namespace, models: tuple[str, ...]) -> list[str]:
    """Why the engine may not run the recipe; noted in the recipe folder if it may. ModelError, OSError."""
    from gateway.trial import ModelError
    from gateway.vision import proof

    if found["missed"]:
        raise ModelError(f"{found['missed']}: there is nothing to compare")
    every = {proof.Runs(**runs) for runs in found["runs"]}
    if all(runs.reference for runs in every):
        raise ModelError("this is the reference itself, or the recipe has no network: nothing has to be compared")
    refusals = list(_refusals(found, options.max_score, options.max_box))
    for runs in every:
        proof.forget(options.recipe, models, runs)
        if not refusals:
            when = datetime.now(UTC).isoformat(timespec="seconds")
            figures = found["pictures"], found["findings"], found["score"], found["box"]
            noted = proof.Proof(models, runs, *figures, options.max_score, options.max_box, when)
            proof.write(options.recipe, noted)
    return refusals


def _refusals(found: Mapping[str, Any], most_score: float, most_box: float) -> list[str]:
    why = []
    if found["pictures"] < LEAST_PICTURES:
        why.append(f"{found['pictures']} pictures show nothing; take {LEAST_PICTURES} or more")
    elif not found["findings"]:
        why.append("the reference finds nothing on them; take pictures with defects, too")
    if found["verdicts"]:
        why.append(f"judged otherwise: {', '.join(found['verdicts'][:5])}")
    if found["alone"]:
        why.append(f"found by one of both alone: {', '.join(found['alone'][:5])}")
    if found["score"] > most_score:
        why.append(f"a score differs by {found['score']:.4f}, {most_score:g} is allowed (--max-score)")
    if found["box"] > most_box:
        why.append(f"a corner moves by {found['box']:.2f} pixels, {most_box:g} is allowed (--max-box)")
    return why


def _told(found: Mapping[str, Any], refusals: list[str]) -> str:
    from gateway.vision.proof import FILE, Runs

    where = f" ({found['worst']})" if found["worst"] else ""
    lines = [
        *(f"engine     {Runs(**runs)}" for runs in found["runs"]),
        f"pictures   {found['pictures']}, with {found['findings']} findings",
        f"scores     differ by {found['score']:.6f} at most",
        f"corners    differ by {found['box']:.4f} pixels at most{where}",
        f"verdicts   {len(found['verdicts'])} changed",
    ]
    end = "REFUSED: " + "; ".join(refusals) if refusals else f"passed; noted in {FILE} of the recipe"
    return "\n".join([*lines, end])
