"""Crafted networks and recipe folders: small, of known behaviour, good or harmful."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

INPUT = (1, 256, 320, 3)
ROWS = 50
NAMES = ("scratch", "burr", "missing_hole")

Row = tuple[float, float, float, float, float, float]

TASK = "{kind: detect, format: end2end, classes: [scratch, burr, missing_hole], min_score: 0.25}"
RECIPE = """\
recipe: {name}
number: {number}
model: {{file: model.onnx, sha256: {sha256}}}
task: {task}
rules:
  - {{name: any, when: {{any: true}}, verdict: NG, code: 100}}
"""


def detector(
    rows: Sequence[Row] = (), *, shape: tuple[int, ...] = INPUT, output: str = "detections", bright: bool = False
) -> bytes:
    """A detector that says `rows` of every picture; `bright` adds the mean grey / 255 to the first row's score."""
    table = np.zeros((1, ROWS, 6), np.float32)
    table[0, : len(rows)] = np.asarray(rows, np.float32).reshape(-1, 6)
    mask = np.zeros_like(table)
    mask[0, 0, 4] = 1 / 255 if bright else 0
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mask", "mean"], ["part"]),
        helper.make_node("Add", ["table", "part"], [output]),
    ]
    constants = [
        helper.make_tensor("table", TensorProto.FLOAT, table.shape, table.ravel()),
        helper.make_tensor("mask", TensorProto.FLOAT, mask.shape, mask.ravel()),
    ]
    return build(nodes, constants, shape, (1, ROWS, 6), output)


def build(
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto],
    shape: Sequence[int | str] = INPUT,
    output_shape: Sequence[int | str] | None = (1, ROWS, 6),
    output: str = "detections",
    dtype: int = TensorProto.UINT8,
    domains: Sequence[str] = (),
) -> bytes:
    """A model file of these nodes, input `image`."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("image", dtype, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, output_shape)],
        list(constants),
    )
    imports = [helper.make_opsetid("", 18), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    return bytes(model.SerializeToString())


def convolutional(width: int = 16, seed: int = 1) -> bytes:
    """A network with the shape and about the work of the demonstration's detector."""
    random = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["x0"], perm=[0, 3, 1, 2]),
    ]
    constants, channels = [], [3, width, 2 * width, 4 * width, 6 * width]
    for layer in range(4):
        shape = (channels[layer + 1], channels[layer], 3, 3)
        weights = (random.standard_normal(shape) / np.sqrt(9 * channels[layer]) / 255).astype(np.float32)
        constants.append(helper.make_tensor(f"w{layer}", TensorProto.FLOAT, shape, weights.ravel()))
        nodes.append(
            helper.make_node("Conv", [f"x{layer}", f"w{layer}"], [f"c{layer}"], strides=[2, 2], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"x{layer + 1}"]))
    head = random.standard_normal((channels[-1], ROWS * 6)).astype(np.float32) * 1e-6
    constants.append(helper.make_tensor("head", TensorProto.FLOAT, head.shape, head.ravel()))
    constants.append(helper.make_tensor("out", TensorProto.INT64, [3], [1, ROWS, 6]))
    nodes += [
        helper.make_node("GlobalAveragePool", ["x4"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "head"], ["rows"]),
        helper.make_node("Reshape", ["rows", "out"], ["shaped"]),
        helper.make_node("Clip", ["shaped", "zero", "small"], ["detections"]),
    ]
    constants.append(helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]))
    constants.append(helper.make_tensor("small", TensorProto.FLOAT, [], [0.01]))
    return build(nodes, constants)


def float_detector() -> bytes:
    """A YOLOv8-like detector of two classes on float planes 96 x 64: one box; its score is the mean of red."""
    columns = np.zeros((1, 6, 9), np.float32)
    columns[0, :4, 4] = (48, 32, 24, 16)
    mask = np.zeros_like(columns)
    mask[0, 5, 4] = 1
    nodes = [
        helper.make_node("Gather", ["image", "first"], ["red"], axis=1),
        helper.make_node("ReduceMean", ["red"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mask", "mean"], ["score"]),
        helper.make_node("Add", ["columns", "score"], ["output0"]),
    ]
    constants = [
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
        helper.make_tensor("columns", TensorProto.FLOAT, columns.shape, columns.ravel()),
        helper.make_tensor("mask", TensorProto.FLOAT, mask.shape, mask.ravel()),
    ]
    return build(nodes, constants, (1, 3, 64, 96), (1, 6, 9), "output0", dtype=TensorProto.FLOAT)


def nan_detector() -> bytes:
    """A detector whose scores are not numbers."""
    nan = float("nan")
    return detector([(10, 10, 50, 50, nan, 0)])


def memory_bomb(gigabytes: float = 4) -> bytes:
    """Some hundred bytes that want gigabytes as soon as they are loaded or run."""
    count = int(gigabytes * 2**30 / 4)
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["huge"]),
        helper.make_node("ReduceSum", ["huge"], ["sum"], keepdims=0),
        helper.make_node("Add", ["table", "sum"], ["detections"]),
    ]
    table = np.zeros((1, ROWS, 6), np.float32)
    constants = [
        helper.make_tensor("size", TensorProto.INT64, [1], [count]),
        helper.make_tensor("table", TensorProto.FLOAT, table.shape, table.ravel()),
    ]
    return build(nodes, constants)


def nested_functions(count: int = 3000) -> bytes:
    """A network of functions that call one another until the engine's stack is full."""
    model = onnx.ModelProto.FromString(detector())
    model.opset_import.append(helper.make_opsetid("local", 1))
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    for index in range(count):
        operator, domain = (f"f{index - 1}", "local") if index else ("Relu", "")
        node = helper.make_node(operator, ["x"], ["y"], domain=domain)
        model.functions.append(helper.make_function("local", f"f{index}", ["x"], ["y"], [node], imports))
    model.graph.node[-1].output[0] = "flat"
    model.graph.node.append(helper.make_node(f"f{count - 1}", ["flat"], ["detections"], domain="local"))
    return bytes(model.SerializeToString())


def external(location: str) -> bytes:
    """A detector whose table lies in another file."""
    model = onnx.ModelProto.FromString(detector())
    for tensor in model.graph.initializer:
        if tensor.name == "table":
            tensor.ClearField("float_data")
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=location)
    return bytes(model.SerializeToString())


def recipe(folder: Path, model: bytes, *, number: int = 1, sha256: str | None = None, task: str = TASK) -> Path:
    """A recipe folder with this model; `sha256` only to lie about it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model)
    digest = sha256 or hashlib.sha256(model).hexdigest()
    text = RECIPE.format(name=folder.name, number=number, sha256=digest, task=task)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return folder
