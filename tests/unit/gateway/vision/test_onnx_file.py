"""Weights outside the file are seen wherever a model can hide them."""

from collections.abc import Callable

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gateway.vision.engines.onnx_file import DamagedModelError, external_data
from tests import models

GOOD = models.detector()


def outside() -> onnx.TensorProto:
    tensor = helper.make_tensor("secret", TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    return tensor


def graph_with(tensor: onnx.TensorProto) -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], [tensor])


def hide_in_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def hide_in_branch(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("If", ["c"], ["d"], then_branch=graph_with(outside())))


def hide_in_list(model: onnx.ModelProto) -> None:
    node = helper.make_node("Any", [], ["c"])
    node.attribute.append(helper.make_attribute("graphs", [graph_with(outside())]))
    model.graph.node.append(node)


def hide_in_function(model: onnx.ModelProto) -> None:
    function = model.functions.add()
    function.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def hide_in_sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(outside())


def hide_in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().initialization.initializer.append(outside())


def hide_without_location(model: onnx.ModelProto) -> None:
    tensor = outside()
    tensor.data_location = TensorProto.DEFAULT
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize(
    "hide",
    [
        hide_in_constant,
        hide_in_branch,
        hide_in_list,
        hide_in_function,
        hide_in_sparse,
        hide_in_training,
        hide_without_location,
    ],
)
def test_external_data_is_found(hide: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.ModelProto.FromString(GOOD)
    assert not external_data(model.SerializeToString())
    hide(model)
    assert external_data(model.SerializeToString())


@pytest.mark.parametrize("location", ["w.bin", "../w.bin", "/etc/hostname"])
def test_external_initializers_are_found(location: str) -> None:
    assert external_data(models.external(location))


def test_graphs_without_end_in_one_another_are_refused() -> None:
    graph = graph_with(outside())
    for _ in range(24):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["d"], then_branch=graph)], "g", [], [])
    with pytest.raises(DamagedModelError, match="deep"):
        external_data(helper.make_model(graph).SerializeToString())


def test_a_damaged_file_is_told_at_once() -> None:
    with pytest.raises(DamagedModelError):
        external_data(GOOD[:-7])


@given(st.binary(max_size=200) | st.integers(0, len(GOOD)).map(lambda cut: GOOD[:cut]))
def test_any_bytes_are_told_or_refused(data: bytes) -> None:
    try:
        external_data(data)
    except DamagedModelError:
        return
