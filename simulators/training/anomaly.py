"""An anomaly network for the demo's bracket: the detector's own features, and a memory of how good parts look.

The picture's patches are compared with a few hundred patches of good parts (the nearest one counts), as PatchCore does:
Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022. All of it is one ONNX graph.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from simulators.parts import PartSource

INPUT = (320, 256)
FEATURES = "add_1"
"""What the detector knows of each 8 x 8 pixels before it looks for defects: [1, 64, 32, 40]."""
POOLED, MAP, SCORE = "patches", "anomaly_map", "pred_score"
LIMIT = 0.5
"""Scores from here on are anomalies."""
SPREAD = 4.0
"""The score runs from 0 to 1 over so many times the way from the mean good part to the limit: such a part has 0.25."""

Floats = NDArray[np.float32]

_log = logging.getLogger(__name__)


def good_parts(seed: int, count: int, size: tuple[int, int] = INPUT) -> NDArray[np.uint8]:
    """Pictures of good parts at the network's size, [count, h, w, 3] BGR."""
    source = PartSource(seed, 0.0)
    pictures = np.empty((count, size[1], size[0], 3), np.uint8)
    for number in range(count):
        cv2.resize(source.render(number + 1), size, pictures[number], interpolation=cv2.INTER_AREA)
    return pictures


def cut(detector: onnx.ModelProto) -> onnx.ModelProto:
    """The detector up to its features, each averaged with its neighbours."""
    model = onnx.ModelProto()
    model.CopyFrom(detector)
    graph = model.graph
    needed: set[str] = {FEATURES}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.insert(0, node)
    pool = helper.make_node("AveragePool", [FEATURES], [POOLED], kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="pool")
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    for part, items in ((graph.node, [*kept, pool]), (graph.initializer, weights)):
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        del part[:]
        part.extend(copies)
    del graph.output[:]
    del graph.value_info[:]
    graph.output.append(helper.make_tensor_value_info(POOLED, TensorProto.FLOAT, None))
    return model


def patches(model: onnx.ModelProto, pictures: NDArray[np.uint8]) -> Floats:
    """The features of every patch of every picture, [pictures, patches, channels]."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [session.run([POOLED], {"image": picture[np.newaxis]})[0][0] for picture in pictures]
    stacked = np.stack(found)
    return np.ascontiguousarray(stacked.reshape(*stacked.shape[:2], -1).transpose(0, 2, 1))


def memory(rows: Floats, size: int, seed: int) -> Floats:
    """`size` of the rows that cover all of them: each next one is the farthest from those before."""
    random = np.random.default_rng(seed)
    rows = rows[random.permutation(len(rows))[:40_000]]
    kept = [0]
    far = ((rows - rows[0]) ** 2).sum(axis=1)
    for _ in range(size - 1):
        kept.append(int(far.argmax()))
        far = np.minimum(far, ((rows - rows[kept[-1]]) ** 2).sum(axis=1))
    return rows[kept]


def distances(rows: Floats, known: Floats) -> Floats:
    """Of each row to the nearest known one."""
    squares = (rows**2).sum(axis=1, keepdims=True) - 2 * rows @ known.T + (known**2).sum(axis=1)
    nearest: Floats = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return nearest


def join(model: onnx.ModelProto, known: Floats, scale: Floats, limit: float, spread: float) -> onnx.ModelProto:
    """The whole network: uint8 [1, h, w, 3] to anomaly_map [1, 1, h/8, w/8] and pred_score [1], 0.5 is the limit."""
    graph = model.graph
    channels, rows, columns = known.shape[1], INPUT[1] // 8, INPUT[0] // 8

    def constant(name: str, value: object, kind: type[np.generic] = np.float32) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def step(kind: str, inputs: list[str], output: str, **options: Any) -> str:
        graph.node.append(helper.make_node(kind, inputs, [output], name=output, **options))
        return output

    flat = step("Reshape", [POOLED, constant("flat_shape", [channels, rows * columns], np.int64)], "flat")
    turned = step("Transpose", [flat], "turned", perm=[1, 0])
    scaled = step("Mul", [turned, constant("scale", scale)], "scaled")
    own = step("ReduceSumSquare", [scaled, constant("last", [1], np.int64)], "own", keepdims=1)
    mixed = step("MatMul", [scaled, constant("known", -2 * known.T)], "mixed")
    squares = step("Add", [step("Add", [mixed, own], "partial"), constant("norms", (known**2).sum(axis=1))], "squares")
    nearest = step("ReduceMin", [squares, constant("last_too", [1], np.int64)], "nearest", keepdims=0)
    distance = step("Sqrt", [step("Relu", [nearest], "positive")], "distance")
    above = step("Sub", [distance, constant("limit", limit)], "above")
    parts = step("Div", [above, constant("spread", spread)], "parts")
    raised = step("Add", [parts, constant("half", 0.5)], "raised")
    score = step("Clip", [raised, constant("zero", 0.0), constant("one", 1.0)], "scores")
    step("Reshape", [score, constant("map_shape", [1, 1, rows, columns], np.int64)], MAP)
    step("ReduceMax", [score, constant("first", [0], np.int64)], SCORE, keepdims=1)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(MAP, TensorProto.FLOAT, [1, 1, rows, columns]))
    graph.output.append(helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, [1]))
    return model


def train(detector: Path, out: Path, seed: int = 1, pictures: int = 240, size: int = 500) -> Path:
    """From the detector's ONNX file and good parts of seeds 200 * seed + 1 to + 3 to model.onnx in `out`."""
    model = cut(onnx.load(detector))
    first = 200 * seed
    learnt = np.concatenate([patches(model, good_parts(first + index, pictures // 3)) for index in (1, 2, 3)])
    rows = learnt.reshape(-1, learnt.shape[2])
    scale = (1 / (rows.std(axis=0) + 1e-3)).astype(np.float32)
    known = memory(rows * scale, size, seed)
    # The limit comes from good parts that the memory does not hold: the farthest patch of each.
    checked = patches(model, good_parts(first + 4, 120))
    worst = np.array([distances(picture * scale, known).max() for picture in checked])
    limit = float(np.quantile(worst, 0.99))
    spread = SPREAD * (limit - float(worst.mean()))
    _log.info("good parts: farthest patch %.2f +- %.2f, limit %.2f", worst.mean(), worst.std(), limit)
    whole = join(model, known, scale, limit, spread)
    del whole.metadata_props[:]
    notes = {"training_seed": str(seed), "training_pictures": str(pictures), "memory": str(size)}
    facts = {
        "task": "anomaly",
        "input_layout": "nhwc",
        "input_color": "bgr",
        "author": "the gateway project",
        "license": "Apache-2.0",
        "description": "How unlike a good demo bracket a picture is; trained on rendered parts, no use on real ones.",
    }
    helper.set_model_props(whole, facts | notes)
    onnx.checker.check_model(whole, full_check=True)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "model.onnx"
    path.write_bytes(whole.SerializeToString())
    _log.info("wrote %s", path.name)
    return path


def report(model: Path, seed: int = 9003, count: int = 600) -> list[str]:
    """The figures of the card, on parts that training never saw: scores of good and of bad parts by their defects."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    source = PartSource(seed, 0.5)
    scores: dict[str, list[float]] = {}
    for number in range(1, count + 1):
        picture = cv2.resize(source.render(number), INPUT, interpolation=cv2.INTER_AREA)
        labels = {defect.label for defect in source.truth(number).defects}
        kind = "several" if len(labels) > 1 else next(iter(labels), "good")
        scores.setdefault(kind, []).append(float(session.run([SCORE], {"image": picture[np.newaxis]})[0][0]))
    good = np.array(scores["good"])
    lines = []
    for kind, found in sorted(scores.items()):
        values = np.array(found)
        ranks = "" if kind == "good" else f", AUROC {_auroc(values, good):.3f}"
        middle, above = np.median(values), int((values >= LIMIT).sum())
        lines.append(f"{kind}: {len(values)} parts, median {middle:.2f}, most {values.max():.2f}, NG {above}{ranks}")
    return lines


def _auroc(bad: NDArray[np.float64], good: NDArray[np.float64]) -> float:
    """How often a bad part has a higher score than a good one; equal counts half."""
    return float((bad[:, None] > good).mean() + (bad[:, None] == good).mean() / 2)


def main() -> None:
    """`python -m simulators.training.anomaly DETECTOR --out DIR`."""
    parser = argparse.ArgumentParser(prog="python -m simulators.training.anomaly", description=__doc__)
    parser.add_argument("detector", type=Path, help="model.onnx of the recipe bracket")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for line in report(train(wanted.detector, wanted.out, wanted.seed)):
        _log.info(line)


if __name__ == "__main__":
    main()
