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

DETECT_FORMATS = (
    "end2end",
    "yolov5",
    "yolov8",
    "yolox",
    "yolox_grid",
    "detr",
    "boxes",
    "tf_boxes",
    "detection_output",
)
CLASSIFY_FORMATS = ("probabilities", "logits", "multilabel")


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
    new.add_argument(
        "--format", choices=(*DETECT_FORMATS, *CLASSIFY_FORMATS, "anomaly"), help="where the model does not tell"
    )
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
    print(f"{folder / recipe.FILE} is made: adapt its limits, then add {folder} to a station's `recipes` and say")
    print("gateway check FILE")
    return 0


def _recipe(name: str, options: argparse.Namespace, facts: Mapping[str, Any]) -> str:
    """The text of recipe.yaml; ModelError where neither model nor user tell enough."""
    from gateway.model_facts import ModelError

    form = options.format or facts["task"].get("format") or facts["task"].get("kind")
    if form is None:
        raise ModelError(f"{options.model}: {facts['task']['why']}, or --format here")
    labels = [label.strip() for label in (options.labels or "").split(",") if label.strip()] or facts["labels"]
    if not labels and form != "anomaly":
        raise ModelError(f"{options.model} does not name its classes; give them by --labels, in their order")
    lines = [
        f"recipe: {json.dumps(name)}",
        f"number: {options.number}",
        "model:",
        "  file: model.onnx",
        f'  sha256: "{facts["sha256"]}"',
        *_input(form, facts),
        "task:",
        *_task(form, labels),
        "rules: # the first that fires gives verdict and REASON; none is OK",
        *_rules(form, labels),
    ]
    return "\n".join(lines) + "\n"


def _input(form: str, facts: Mapping[str, Any]) -> list[str]:
    picture = facts["inputs"][0]
    floats = picture["type"] != "tensor(uint8)"
    lines = []
    if any(not isinstance(side, int) for side in picture["shape"][1:]):
        lines += [
            "    size: [640, 640] # width and height; the model's input is of open size: give those of its training"
        ]
    if form in ("yolox", "yolox_grid") and floats:
        lines += ["    colour: bgr", "    scale: 1"]
    elif form in (*CLASSIFY_FORMATS, "detr") and floats:
        lines.append("    # mean: [0.485, 0.456, 0.406] # of ImageNet, if the network was trained so")
        lines.append("    # std: [0.229, 0.224, 0.225]")
    given = any(not line.lstrip().startswith("#") for line in lines)
    return (["  input:"] if given else ["  # input:"] if lines else []) + lines


def _task(form: str, labels: list[str]) -> list[str]:
    if form == "anomaly":
        return ["  kind: anomaly"]
    kind = "classify" if form in CLASSIFY_FORMATS else "detect"
    return [f"  kind: {kind}", f"  format: {form}", f"  classes: {json.dumps(labels)}", "  min_score: 0.1"]


def _rules(form: str, labels: list[str]) -> list[str]:
    if form in CLASSIFY_FORMATS:
        bad, good = json.dumps(labels[1:] or labels), json.dumps(labels[0])
        missing = f"label: {good}, min_score: 0.7, min_count: 0, max_count: 0"
        return [
            f"  # {good} is taken for the label of good parts: put it right if it is not",
            f"  - {{ name: bad, when: {{ labels: {bad}, min_score: 0.5 }}, verdict: NG, code: 100 }}",
            f"  - {{ name: not surely good, when: {{ {missing} }}, verdict: RECHECK, code: 900 }}",
        ]
    what = "label: anomaly" if form == "anomaly" else "any: true"
    return [
        f"  - {{ name: bad, when: {{ {what}, min_score: 0.5 }}, verdict: NG, code: 100 }}",
        f"  - {{ name: unsure, when: {{ {what}, min_score: 0.3, max_score: 0.5 }}, verdict: RECHECK, code: 900 }}",
    ]


def _refuse(error: BaseException) -> int:
    print(error, file=sys.stderr)
    return 1
