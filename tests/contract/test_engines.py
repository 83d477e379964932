"""What holds for every engine: good networks run, bad ones are refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from gateway.recipe_task import Input
from gateway.vision.engines import Engine, EngineError, make_engine
from gateway.vision.settings import EngineConfig
from protocols.faults import Code
from tests import models


@pytest.fixture(params=[EngineConfig(), EngineConfig(threads=2, spin_us=0)], ids=["one thread", "two threads"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(request.param)


def refusal(engine: Engine, model: bytes) -> EngineError:
    with pytest.raises(EngineError) as caught:
        engine.load(model)
    assert "\n" not in caught.value.text
    assert len(caught.value.text) < 500
    return caught.value


def test_a_network_sees_what_its_buffer_holds(engine: Engine) -> None:
    info = engine.load(models.detector([(1, 2, 3, 4, 0, 2)], bright=True))
    assert info.input.shape == (256, 320, 3)
    assert info.outputs == {"detections": (1, 50, 6)}
    for grey in (0, 51, 255):
        info.input[:] = grey
        row = engine.run()["detections"][0, 0]
        assert row[4] == pytest.approx(grey / 255, abs=1e-4)
        assert tuple(row[:4]) == (1, 2, 3, 4)


def test_it_says_what_really_runs_it(engine: Engine) -> None:
    assert engine.load(models.detector()).provider == "CPUExecutionProvider"


def test_metadata_is_told(engine: Engine) -> None:
    assert engine.load(models.detector()).metadata == {}


def test_outputs_of_open_size_run(engine: Engine) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Less", ["index", "mean"], ["chosen"]),
        helper.make_node("Compress", ["table", "chosen"], ["detections"], axis=1),
    ]
    constants = [
        helper.make_tensor("index", TensorProto.FLOAT, [50], list(range(50))),
        helper.make_tensor("table", TensorProto.FLOAT, [1, 50, 6], list(range(300))),
    ]
    info = engine.load(models.build(nodes, constants, output_shape=(1, "n", 6)))
    assert info.outputs == {"detections": (1, -1, 6)}
    for count in (3, 0, 7):
        info.input[:] = count
        rows = engine.run()["detections"]
        assert np.array_equal(rows, np.arange(6 * count, dtype=np.float32).reshape(1, count, 6))


def test_an_open_batch_is_one_picture(engine: Engine) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Add", ["table", "mean"], ["detections"]),
    ]
    table = helper.make_tensor("table", TensorProto.FLOAT, [1, 50, 6], [0.0] * 300)
    info = engine.load(models.build(nodes, [table], shape=("n", 64, 64, 3)))
    assert info.input.shape == (64, 64, 3)
    assert engine.run()["detections"].shape == (1, 50, 6)


@pytest.mark.parametrize("model", [b"", b"\0" * 100, b"this is no model", models.detector()[:200], b"ORTM" * 100])
def test_a_damaged_model_is_refused(engine: Engine, model: bytes) -> None:
    assert refusal(engine, model).code is Code.MODEL_LOAD


def test_the_librarys_own_format_is_refused(engine: Engine) -> None:
    """It would be read past our look at the file."""
    assert refusal(engine, b"\x20\0\0\0ORTM" + bytes(200)).code is Code.MODEL_LOAD


@pytest.mark.parametrize("kind", ["beside", "above", "absolute", "symbolic link", "hard link"])
def test_weights_in_another_file_are_refused_even_if_they_are_there(
    engine: Engine, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "recipe"
    inside.mkdir()
    secret = tmp_path / "secret.bin"
    np.zeros((1, 50, 6), np.float32).tofile(secret)
    location = {"above": "../secret.bin", "absolute": str(secret)}.get(kind, "w.bin")
    if kind == "symbolic link":
        (inside / "w.bin").symlink_to(secret)
    elif kind == "hard link":
        (inside / "w.bin").hardlink_to(secret)
    elif kind == "beside":
        (inside / "w.bin").write_bytes(secret.read_bytes())
    monkeypatch.chdir(inside)
    error = refusal(engine, models.external(location))
    assert error.code is Code.MODEL_LOAD
    assert "another file" in error.text


@pytest.mark.parametrize("domain", ["evil.com", "com.microsoft.extensions"])
def test_an_operator_the_engine_lacks_is_named(engine: Engine, domain: str) -> None:
    nodes = [helper.make_node("RunProgram", ["image"], ["detections"], domain=domain)]
    error = refusal(engine, models.build(nodes, [], domains=[domain]))
    assert error.code is Code.MODEL_LOAD
    assert "RunProgram" in error.text


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 4, 256, 320), TensorProto.UINT8),
        ((1, 256, 320, 3), TensorProto.INT32),
        ((2, 256, 320, 3), TensorProto.UINT8),
        ((1, 256, 320, 2), TensorProto.UINT8),
        ((1, 3, "h", "w"), TensorProto.FLOAT),
        ((1, "h", "w", 3), TensorProto.UINT8),
        ((256, 320), TensorProto.UINT8),
        ((1, 9000, 9000, 3), TensorProto.UINT8),
    ],
)
def test_an_input_that_is_no_picture_of_known_size_is_a_mismatch(
    engine: Engine, shape: tuple[int | str, ...], dtype: int
) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], keepdims=0),
        helper.make_node("Add", ["table", "mean"], ["detections"]),
    ]
    table = helper.make_tensor("table", TensorProto.FLOAT, [1, 50, 6], [0.0] * 300)
    error = refusal(engine, models.build(nodes, [table], shape=shape, dtype=dtype))
    assert error.code is Code.MODEL_MISMATCH
    assert "image" in error.text


@pytest.mark.parametrize(
    ("shape", "dtype", "numpy"),
    [
        ((1, 3, 64, 96), TensorProto.FLOAT, np.float32),
        ((1, 64, 96, 3), TensorProto.FLOAT, np.float32),
        ((1, 3, 64, 96), TensorProto.FLOAT16, np.float16),
        ((3, 64, 96), TensorProto.FLOAT, np.float32),
        ((1, 3, "h", "w"), TensorProto.FLOAT, np.float32),
    ],
)
def test_a_picture_reaches_the_network_in_its_own_layout(
    engine: Engine, shape: tuple[int | str, ...], dtype: int, numpy: type
) -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["echo"], to=TensorProto.FLOAT),
        helper.make_node("Identity", ["echo"], ["detections"]),
    ]
    picture = Input(size=(96, 64), mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    info = engine.load(models.build(nodes, [], shape=shape, output_shape=shape, dtype=dtype), picture)
    assert info.input.shape == (64, 96, 3)
    info.input[:] = np.random.default_rng(1).integers(0, 256, info.input.shape, np.uint8)
    seen = engine.run()["detections"].reshape(
        [side if isinstance(side, int) else {"h": 64, "w": 96}[side] for side in shape]
    )
    seen = seen[0] if seen.ndim == 4 else seen
    seen = seen.transpose(1, 2, 0) if seen.shape[0] == 3 else seen
    wanted = (info.input[:, :, ::-1] / 255 - np.array([0.5, 0.25, 0.0])) / np.array([0.5, 1.0, 2.0])
    assert np.abs(seen - wanted).max() < (2e-3 if numpy is np.float16 else 1e-6)


def test_a_network_of_grey_pictures(engine: Engine) -> None:
    nodes = [helper.make_node("Identity", ["image"], ["detections"])]
    info = engine.load(models.build(nodes, [], (1, 1, 64, 96), (1, 1, 64, 96), dtype=TensorProto.FLOAT))
    info.input[:] = (10, 100, 200)  # blue, green, red
    assert engine.run()["detections"] == pytest.approx(round(0.114 * 10 + 0.587 * 100 + 0.299 * 200) / 255, abs=1e-6)


def test_bytes_are_not_scaled(engine: Engine) -> None:
    with pytest.raises(EngineError, match="takes bytes"):
        engine.load(models.detector(), Input(scale=0.5))


def test_the_size_of_an_open_input_comes_from_the_recipe_and_no_other(engine: Engine) -> None:
    error = refusal(
        engine,
        models.build(
            [helper.make_node("Identity", ["image"], ["detections"])],
            [],
            (1, 3, "h", "w"),
            None,
            dtype=TensorProto.FLOAT,
        ),
    )
    assert "model.input.size" in error.text
    with pytest.raises(EngineError, match="remove it"):
        engine.load(models.detector(), Input(size=(64, 64)))


def test_a_detector_that_asks_for_the_size_of_the_original_is_told_that_of_its_input(engine: Engine) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["orig_target_sizes"], ["boxes"])],
        "test",
        [
            helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 64, 96)),
            helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, (1, 2)),
        ],
        [helper.make_tensor_value_info("boxes", TensorProto.INT64, (1, 2))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    engine.load(model.SerializeToString())
    assert engine.run()["boxes"].tolist() == [[96, 64]]


def test_not_a_number_comes_out_as_it_is(engine: Engine) -> None:
    engine.load(models.nan_detector())
    assert np.isnan(engine.run()["detections"]).any()
