"""What holds for every engine: good networks run, bad ones are refused in words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gateway.recipe_task import Input
from gateway.vision.engine_settings import EngineConfig, OnnxRuntimeConfig, OpenVinoConfig
from gateway.vision.engines import Engine, EngineError, make_engine, providers
from gateway.vision.settings import as_json
from protocols.faults import Code
from simulators import parts
from tests import models

ROOT = Path(__file__).parents[2]


OPENVINO = pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed (make extras)")


def provider_is_there() -> bool:
    """Whether ONNX Runtime runs a network by OpenVINO here; the plug-in knows the devices of Intel alone."""
    if find_spec("onnxruntime_ep_openvino") is None:
        return False
    wished = OnnxRuntimeConfig(providers=("openvino",))
    return make_engine(wished).load(models.detector()).missed == ""


PROVIDER = pytest.mark.skipif(
    not provider_is_there(), reason="onnxruntime-ep-openvino is not installed (make extras) or finds no Intel device"
)
BY_OPENVINO = OnnxRuntimeConfig(providers=("openvino",), require=True)
EVERY = [
    pytest.param(OnnxRuntimeConfig(), id="onnxruntime"),
    pytest.param(OnnxRuntimeConfig(threads=2, spin_us=0), id="onnxruntime, two threads"),
    pytest.param(
        OnnxRuntimeConfig(providers=("openvino",), require=True), id="onnxruntime by openvino", marks=PROVIDER
    ),
    pytest.param(OpenVinoConfig(kind="openvino"), id="openvino", marks=OPENVINO),
    pytest.param(OpenVinoConfig(kind="openvino", threads=2), id="openvino, two threads", marks=OPENVINO),
]


@pytest.fixture(params=EVERY)
def config(request: pytest.FixtureRequest) -> EngineConfig:
    found: EngineConfig = request.param
    return found


@pytest.fixture
def engine(config: EngineConfig) -> Engine:
    return make_engine(config)


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


def test_it_says_what_really_runs_it(engine: Engine, config: EngineConfig) -> None:
    info = engine.load(models.detector())
    if isinstance(config, OpenVinoConfig):
        assert (info.provider, info.engine.split()[0]) == ("OpenVINO CPU f32", "openvino")
    else:
        name = "OpenVINOExecutionProvider" if "openvino" in config.providers else "CPUExecutionProvider"
        assert (info.provider, info.engine.split()[0]) == (name, "onnxruntime")
    assert (info.precision, info.missed) == ("f32", "")
    assert info.device not in ("", "unknown processor")


def test_metadata_is_told(engine: Engine) -> None:
    model = onnx.ModelProto.FromString(models.detector())
    helper.set_model_props(model, {"names": "{0: 'Riß'}", "empty": ""})
    assert engine.load(model.SerializeToString()).metadata == {"names": "{0: 'Riß'}", "empty": ""}


def test_what_it_finds_on_pictures_is_what_onnx_runtime_finds(engine: Engine) -> None:
    model = (ROOT / "configs/recipes/bracket/model.onnx").read_bytes()
    reference = make_engine(OnnxRuntimeConfig())
    wanted, info = reference.load(model), engine.load(model)
    source, scores = parts.PartSource(1, 0.9), 0.0
    for part in range(1, 6):
        picture = cv2.resize(source.render(part), (320, 256), interpolation=cv2.INTER_AREA)
        wanted.input[:], info.input[:] = picture, picture
        rows, others = reference.run()["detections"][0], engine.run()["detections"][0]
        seen = rows[:, 4] > 0.1
        assert np.abs(rows[seen] - others[seen]).max(initial=0) < 0.01
        scores += float(rows[seen, 4].sum())
    assert scores > 2  # there was something to find


def test_an_answer_never_is_the_one_before(engine: Engine, config: EngineConfig) -> None:
    info = engine.load(models.detector([(1, 2, 3, 4, 0, 2)], bright=True))
    info.input[:] = 255
    kept = engine.run()["detections"]
    setattr(engine, "_request" if isinstance(config, OpenVinoConfig) else "_session", Idle())
    if isinstance(config, OnnxRuntimeConfig) and config.providers != ("cpu",):  # makes its outputs anew
        with pytest.raises(EngineError) as caught:
            engine.run()
        assert caught.value.code is Code.OUTPUT_INVALID
        return
    assert np.isnan(engine.run()["detections"]).all()
    assert np.isnan(kept).all()


class Idle:
    """An engine's own engine that leaves everything as it is."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


def test_it_computes_in_no_more_threads_than_it_may(engine: Engine, config: EngineConfig) -> None:
    engine.load(models.convolutional())
    engine.run()
    before = processor_time()
    for _ in range(20):
        engine.run()
    spent = {thread: total - before.get(thread, 0) for thread, total in processor_time().items()}
    busy = [thread for thread, time in spent.items() if time > 0.1 * sum(spent.values())]
    assert 1 <= len(busy) <= config.threads


def processor_time() -> dict[str, int]:
    """Nanoseconds that each thread of this process computed."""
    tasks = Path("/proc/self/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}


def test_it_writes_no_file(config: EngineConfig, tmp_path: Path) -> None:
    """In a process of its own, as it is the import that some libraries use for it."""
    (tmp_path / "model.onnx").write_bytes(models.detector())
    code = (
        "import json, sys; from pathlib import Path; from pydantic import TypeAdapter\n"
        "from gateway.vision.engine_settings import EngineConfig; from gateway.vision.engines import make_engine\n"
        "engine = make_engine(TypeAdapter(EngineConfig).validate_python(json.loads(sys.argv[1])))\n"
        "engine.load(Path('model.onnx').read_bytes()); engine.run()"
    )
    places = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for place in places.values():
        place.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    environment |= {name: str(place) for name, place in places.items()} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-B", "-c", code, json.dumps(as_json(config))]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted([*places, "model.onnx"])


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
        [
            helper.make_node("Identity", ["orig_target_sizes"], ["boxes"]),
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        ],
        "test",
        [
            helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, 64, 96)),
            helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, (1, 2)),
        ],
        [
            helper.make_tensor_value_info("boxes", TensorProto.INT64, (1, 2)),
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, ()),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    engine.load(model.SerializeToString())
    assert engine.run()["boxes"].tolist() == [[96, 64]]


def test_not_a_number_comes_out_as_it_is(engine: Engine) -> None:
    engine.load(models.nan_detector())
    assert np.isnan(engine.run()["detections"]).any()


def test_a_provider_that_is_not_there_is_told_and_the_next_one_runs() -> None:
    info = make_engine(OnnxRuntimeConfig(providers=("cuda", "cpu"))).load(models.detector())
    assert info.provider == "CPUExecutionProvider"
    assert "wishes cuda first" in info.missed
    assert "pip install onnxruntime-gpu" in info.missed
    assert info.missed.endswith("CPUExecutionProvider runs the network")


def test_nothing_is_missed_where_the_processor_is_wished_first() -> None:
    assert make_engine(OnnxRuntimeConfig(providers=("cpu", "cuda"))).load(models.detector()).missed == ""


def test_a_provider_that_is_required_and_not_there_is_a_refusal() -> None:
    error = refusal(make_engine(OnnxRuntimeConfig(providers=("cuda",), require=True)), models.detector())
    assert error.code is Code.MODEL_LOAD
    assert "engine.require" in error.text


def test_a_provider_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plugin = SimpleNamespace(get_library_path=lambda: tmp_path / "none.so")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", plugin)
    info = make_engine(OnnxRuntimeConfig(providers=("tensorrt",))).load(models.detector())
    assert "it cannot be started" in info.missed
    assert "none.so" in info.missed


@OPENVINO
def test_a_device_that_is_not_there_is_told_or_refused() -> None:
    info = make_engine(OpenVinoConfig(kind="openvino", devices=("npu", "cpu"))).load(models.detector())
    assert info.provider == "OpenVINO CPU f32"
    assert "wishes npu first" in info.missed
    error = refusal(make_engine(OpenVinoConfig(kind="openvino", devices=("npu",), require=True)), models.detector())
    assert "engine.require" in error.text


def test_two_packages_that_overwrite_each_other_are_refused(tmp_path: Path) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu", "onnxruntime_ep_openvino", "onnxruntime_extensions"):
        (tmp_path / f"{name}-1.31.1.dist-info").mkdir()
    with pytest.raises(EngineError) as caught:
        providers.refuse_two(tmp_path)
    assert "pip uninstall --yes onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in caught.value.text
    (tmp_path / "onnxruntime_gpu-1.31.1.dist-info").rmdir()
    providers.refuse_two(tmp_path)


def test_an_engine_that_is_not_installed_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gateway.vision.engines.ov", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineError, match="make extras") as caught:
        make_engine(OpenVinoConfig(kind="openvino"))
    assert caught.value.code is Code.MODEL_LOAD
