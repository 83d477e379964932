"""`gateway model`, and `gateway recipe new`: from a trained network to a recipe that runs."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import bench_command, engine_command

FORMATS: Mapping[str, tuple[str, ...]] = {
    "detect": (
        "end2end", "yolov5", "yolov8", "yolov8_grid", "yolox", "yolox_grid", "detr", "boxes", "tf_boxes",
        "ssd", "fastestdet", "detection_output",
    ),
    "classify": ("probabilities", "logits", "multilabel"),
    "anomaly": ("anomaly",),
    "oriented": ("yolov8", "end2end"),
    "segment": ("yolov8", "end2end", "detr", "boxes"),
    "keypoints": ("yolov8", "end2end"),
    "semantic": ("logits", "probabilities", "labels"),
}  # fmt: skip
"""By kind of task; a format alone means the first kind that has it."""
MOST_LABELS = 100
"""In one condition of a rule."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `model inspect|compare|bench` to the command line."""
    model = commands.add_parser("model", help="look into a model file").add_subparsers(
        required=True, metavar="COMMAND", title="commands"
    )
    inspect = model.add_parser("inspect", help="print inputs, outputs, metadata, format and hash of a model")
    inspect.add_argument("file", type=Path, metavar="FILE", help="an ONNX model")
    inspect.add_argument("--json", action="store_true", help="for programs")
    inspect.set_defaults(command=_inspect)
    engine_command.add_compare(model)
    bench_command.add_bench(model)


def add_new(recipe: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `recipe new`."""
    new = recipe.add_parser("new", help="make a recipe folder from a model file, to be adapted")
    new.add_argument("folder", type=Path, metavar="FOLDER", help="to be made, such as configs/recipes/plate")
    new.add_argument("--model", type=Path, required=True, metavar="FILE", help="an ONNX model; it is copied")
    new.add_argument("--number", type=int, default=1, metavar="N", help="by which the PLC asks for it (default 1)")
    new.add_argument("--kind", choices=tuple(FORMATS), help="of the task, where the model does not tell")
    known = dict.fromkeys(form for forms in FORMATS.values() for form in forms)
    new.add_argument("--format", choices=tuple(known), help="of the outputs, where the model does not tell")
    new.add_argument("--points", type=int, metavar="N", help="keypoints, where the model does not tell how many")
    new.add_argument("--labels", metavar="A,B,…", help="by class number, where the model does not name them")
    new.set_defaults(command=_new)


def _inspect(options: argparse.Namespace) -> int:
    from gateway.model_facts import ModelError, ask

    try:
        facts = ask(options.file)
    except ModelError as error:
        return _refuse(error)
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(_lines(facts)))
    return 0


def _lines(facts: Mapping[str, Any]) -> list[str]:
    task = facts["task"]
    kind = " ".join(task[key] for key in ("kind", "format") if key in task) or f"not told: {task['why']}"
    rows = [
        ("file", f"{facts['file']}, {facts['bytes']} bytes"),
        ("sha256", facts["sha256"]),
        ("opset", ", ".join(f"{domain} {version}" for domain, version in facts["opsets"].items())),
        *(("input", _port(port)) for port in facts["inputs"]),
        *(("output", _port(port)) for port in facts["outputs"]),
        ("task", kind),
        ("labels", ", ".join(facts["labels"]) or "not told"),
        *((f"metadata {key}", value[:100].replace("\n", " ")) for key, value in facts["metadata"].items()),
        ("providers", ", ".join(facts["providers"])),
    ]
    width = min(24, max(len(name) for name, _ in rows))
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['name']}: {port['type']} {port['shape']}"


def _new(options: argparse.Namespace) -> int:
    from gateway import recipe
    from gateway.model_facts import ModelError, ask

    folder: Path = options.folder
    try:
        if folder.exists():
            raise ModelError(f"{folder} is there already; name a folder that is not")
        text = _recipe(folder.name, options, ask(options.model))
        folder.mkdir(parents=True)
    except ModelError as error:
        return _refuse(error)
    except OSError as error:
        return _refuse(ModelError(f"{folder} cannot be made ({error.strerror}); name another place"))
    try:
        shutil.copyfile(options.model, folder / "model.onnx")
        (folder / recipe.FILE).write_text(text, "utf-8")
        recipe.verify(recipe.load(folder))
    except (OSError, recipe.RecipeError) as error:
        shutil.rmtree(folder, ignore_errors=True)  # nothing half-made is left
        return _refuse(ModelError(f"{folder}: no recipe was made: {error}"))
    print(f"{folder / recipe.FILE} is made. Whether model and format fit each other is told by")
    print(f"gateway recipe check {folder}")
    print(f"Adapt its limits, then add {folder} to a station's `recipes`, and say: gateway check FILE")
    return 0


def _recipe(name: str, options: argparse.Namespace, facts: Mapping[str, Any]) -> str:
    """The text of recipe.yaml; ModelError where neither model nor user tell enough."""
    from gateway.model_facts import ModelError

    kind, form = _kind_and_format(options, facts["task"])
    labels = [label.strip() for label in (options.labels or "").split(",") if label.strip()] or facts["labels"]
    if not labels and kind != "anomaly":
        raise ModelError(f"{options.model} does not name its classes; give them by --labels, in their order")
    lines = [
        f"recipe: {json.dumps(name)}",
        f"number: {options.number}",
        "model:",
        "  file: model.onnx",
        f'  sha256: "{facts["sha256"]}"',
        *_input(kind, form, facts),
        "task:",
        *_task(kind, form, labels, options.points),
        "rules: # the first that fires gives verdict and REASON; none is OK",
        *_rules(kind, labels),
    ]
    return "\n".join(lines) + "\n"


def _kind_and_format(options: argparse.Namespace, told: Mapping[str, str]) -> tuple[str, str]:
    """As the user says, else as the model tells; ModelError."""
    from gateway.model_facts import ModelError

    kind, form = options.kind or told.get("kind"), options.format
    if form is not None and (kind is None or (options.kind is None and form not in FORMATS[kind])):
        kind = next(known for known, forms in FORMATS.items() if form in forms)
    if kind is None:
        raise ModelError(f"{options.model}: {told['why']}, or --kind and --format here")
    if form is None:
        form = told.get("format") if kind == told.get("kind") else None
        if len(FORMATS[kind]) == 1:
            (form,) = FORMATS[kind]
    if form not in FORMATS[kind]:
        raise ModelError(f"{options.model}: give --format as one of {', '.join(FORMATS[kind])} for --kind {kind}")
    return kind, form


def _input(kind: str, form: str, facts: Mapping[str, Any]) -> list[str]:
    picture = facts["inputs"][0]
    floats = picture["type"] != "tensor(uint8)"
    lines = []
    if any(not isinstance(side, int) for side in picture["shape"][1:]):
        lines += [
            "    size: [640, 640] # width and height; the model's input is of open size: give those of its training"
        ]
    if form in ("yolox", "yolox_grid") and floats:
        lines += ["    colour: bgr", "    scale: 1"]
    elif form == "fastestdet" and floats:
        lines.append("    colour: bgr")
    elif (kind in ("classify", "semantic") or form == "detr") and floats:
        lines.append("    # mean: [0.485, 0.456, 0.406] # of ImageNet, if the network was trained so")
        lines.append("    # std: [0.229, 0.224, 0.225]")
    given = any(not line.lstrip().startswith("#") for line in lines)
    return (["  input:"] if given else ["  # input:"] if lines else []) + lines


def _task(kind: str, form: str, labels: list[str], points: int | None) -> list[str]:
    if kind == "anomaly":
        return ["  kind: anomaly"]
    lines = [f"  kind: {kind}", f"  format: {form}", f"  classes: {json.dumps(labels)}", "  min_score: 0.1"]
    return [*lines, f"  points: {points}"] if points is not None and kind == "keypoints" else lines


def _rules(kind: str, labels: list[str]) -> list[str]:
    if kind == "classify":
        bad, good = labels[1:] or labels, json.dumps(labels[0])
        missing = f"label: {good}, min_score: 0.7, min_count: 0, max_count: 0"
        named = f"  - {{ name: bad, when: {{ labels: {json.dumps(bad)}, min_score: 0.5 }}, verdict: NG, code: 100 }}"
        if len(bad) > MOST_LABELS:
            named = "  # name the bad ones in a rule of their own, verdict NG: they are too many for a guess"
        return [
            f"  # {good} is taken for the label of good parts: put it right if it is not",
            named,
            f"  - {{ name: not surely good, when: {{ {missing} }}, verdict: RECHECK, code: 900 }}",
        ]
    what = "label: anomaly" if kind == "anomaly" else "any: true"
    return [
        f"  - {{ name: bad, when: {{ {what}, min_score: 0.5 }}, verdict: NG, code: 100 }}",
        f"  - {{ name: unsure, when: {{ {what}, min_score: 0.3, max_score: 0.5 }}, verdict: RECHECK, code: 900 }}",
    ]


def _refuse(error: BaseException) -> int:
    print(error, file=sys.stderr)
    return 1
