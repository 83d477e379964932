"""`gateway model bench`: engines and threads on this computer, and the setting that fits a station's deadline."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.recipe_step import ModelFile

MODULE = "gateway.vision.bench"
MEMORY_MB = 4096
NICE = 10
"""As the vision processes have it by default."""
SHARE = 0.5
"""What the network may take of the deadline; the rest is for grab, judgement and the PLC's polls."""


def add_bench(model: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `model bench`."""
    bench = model.add_parser("bench", help="measure a model on every engine with 1, 2, … threads; advise a setting")
    bench.add_argument("file", type=Path, metavar="FILE", help="an ONNX model, or a recipe folder")
    bench.add_argument("--deadline", type=float, default=300.0, metavar="MS", help="cycle.deadline_ms (default 300)")
    bench.add_argument("--every", type=float, default=100.0, metavar="MS", help="from part to part (default 100)")
    bench.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of each measurement (default 2)")
    bench.add_argument("--threads", metavar="1,2,…", help="default: 1, 2, 4, as many as there are processors")
    bench.add_argument("--json", action="store_true", help="for programs")
    bench.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> int:
    from gateway import trial
    from gateway.recipe import RecipeError

    try:
        path, picture, folder, sha256 = _model(options.file)
        rows = []
        for engine in _engines(_threads(options.threads)):
            order = {
                "engine": engine,
                "model": str(path.resolve()),
                "input": picture,
                "seconds": options.seconds,
                "every": options.every / 1000,
                "memory_mb": MEMORY_MB,
                "nice": NICE,
            }
            rows.append({"setting": engine, **_row(order, options.seconds)})
    except (trial.ModelError, RecipeError) as error:
        print(error, file=sys.stderr)
        return 1
    for row in rows:
        row["proven"] = "error" not in row and _proven(row, folder, sha256)
    advised = advice(rows, options.deadline)
    if options.json:
        print(json.dumps({"rows": rows, "advised": advised["setting"] if advised else None}))
    else:
        print("\n".join(_lines(rows, advised, options, folder)))
    return int(advised is None)


def _model(path: Path) -> tuple[Path, dict[str, Any], Path | None, str]:
    """The model file, how its pictures come in, recipe folder, SHA-256; ModelError, RecipeError."""
    from gateway import recipe as recipes
    from gateway.trial import ModelError

    if not path.exists():
        raise ModelError(f"{path}: there is no such file; check the path")
    if path.is_file():
        return path, {}, None, ""
    found = recipes.load(path)
    model: ModelFile | None = next((step.model for step in found.steps if step.model is not None), None)
    if model is None:
        raise ModelError(f"{path}: this recipe has no network; there is nothing to measure")
    return found.path(model), model.input.model_dump(mode="json"), path, model.sha256


def _threads(given: str | None) -> list[int]:
    from gateway.trial import ModelError

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if given is None:
        return [count for count in (1, 2, 4) if count <= cores]
    try:
        return [max(1, min(64, int(word))) for word in given.split(",")]
    except ValueError:
        raise ModelError(f"--threads {given}: write numbers, such as 1,2,4") from None


def _engines(threads: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Every setting that this computer may run."""
    for count in threads:
        yield {"kind": "onnxruntime", "threads": count}
    for count in threads if find_spec("onnxruntime_ep_openvino") else ():
        yield {"kind": "onnxruntime", "threads": count, "providers": ["openvino"], "require": True}
    for count in threads if find_spec("openvino") else ():
        yield {"kind": "openvino", "threads": count}
        if _has_bf16():
            yield {"kind": "openvino", "threads": count, "precision": "bf16"}


def _has_bf16() -> bool:
    try:
        return "_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _row(order: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    from gateway import trial

    what = json.dumps(order["engine"])
    try:
        return trial.ask(MODULE, [json.dumps(order)], what, 60 + 20 * seconds)
    except trial.ModelError as error:
        return {"error": str(error).removeprefix(f"{what}: ")}


def _proven(row: Mapping[str, Any], folder: Path | None, sha256: str) -> bool:
    from gateway.vision import proof

    runs = proof.Runs(row["engine"], row["provider"], row["precision"], row["device"])
    return runs.reference or (folder is not None and proof.proven(folder, sha256, runs))


def advice(rows: Sequence[Mapping[str, Any]], deadline: float) -> Mapping[str, Any] | None:
    """Of what may run here and keeps within its share of the deadline (ms) the one that costs least processor time;
    if none does, the fastest."""
    able = [row for row in rows if row["proven"]]
    fit = [row for row in able if row["paced"]["p99_ms"] <= SHARE * deadline]
    if fit:
        return min(fit, key=lambda row: row["paced"]["cpu_ms"])
    return min(able, key=lambda row: row["paced"]["p99_ms"], default=None)


Row = Mapping[str, Any]


def _lines(rows: Sequence[Row], advised: Row | None, options: argparse.Namespace, folder: Path | None) -> Iterator[str]:
    yield f"{'engine':40} {'p50':>7} {'p99':>7}   {'paced':>7} {'p99':>7} {'CPU':>7}   {'MiB':>5}"
    for row in rows:
        name = " ".join([row["setting"]["kind"], *_more(row["setting"])])
        if "error" in row:
            yield f"{name:40} {row['error']}"
            continue
        full, paced = row["full"], row["paced"]
        mark = "" if row["proven"] else "  compare first"
        yield (
            f"{name:40} {full['p50_ms']:7.1f} {full['p99_ms']:7.1f}   {paced['p50_ms']:7.1f} {paced['p99_ms']:7.1f} "
            f"{paced['cpu_ms']:7.1f}   {row['rss_mb']:5.0f}{mark}"
        )
    yield f"ms; first one run after the other, then one each {options.every:g} ms, with its processor time"
    if advised is None:
        yield "no engine runs this model"
        return
    if advised["paced"]["p99_ms"] > SHARE * options.deadline:
        yield f"none keeps within {SHARE:.0%} of {options.deadline:g} ms; the fastest is"
    values = {key: value for key, value in advised["setting"].items() if key != "kind"}
    told = ", ".join(f"{key}: {json.dumps(value)}" for key, value in values.items())
    yield f"    engine: {{ kind: {advised['setting']['kind']}, {told} }}"
    if any(not row["proven"] and "error" not in row for row in rows):
        where = folder or "RECIPE"
        yield f"what is to be compared first: gateway model compare {where} --engine … --pictures FOLDER"


def _more(setting: Mapping[str, Any]) -> Iterator[str]:
    yield f"{setting['threads']} thread{'s' * (setting['threads'] > 1)}"
    if "providers" in setting:
        yield f"by {setting['providers'][0]}"
    if "precision" in setting:
        yield str(setting["precision"])
