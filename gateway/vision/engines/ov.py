"""OpenVINO: float32 unless told otherwise, buffers shared, nothing loaded but the bytes given, nobody phoned."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any

from gateway.recipe_task import Input
from gateway.vision.engine_settings import OpenVinoConfig
from gateway.vision.engines import PLAIN, EngineError, EngineInfo, Tensor
from gateway.vision.engines.onnx_file import metadata
from gateway.vision.engines.ports import (
    ORIGINAL_SIZE,
    Port,
    feed_of,
    forget,
    original_size,
    refuse_external_data,
    sentence,
)
from protocols.faults import Code

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # else its import asks Google Analytics, and writes to ~/intel
try:
    import openvino
    from openvino import frontend
except ImportError as error:
    text = "engine.kind openvino needs the package openvino, which is not installed: say make extras, or pip install "
    raise EngineError(Code.MODEL_LOAD, f"{text}'openvino>=2026.4'") from error

_KINDS = {"f32": "float", "f16": "float16", "f64": "double", "i64": "int64", "i32": "int32", "u8": "uint8"}
PRECISIONS = {"f32": "f32", "bf16": "bf16", "float32": "f32", "bfloat16": "bf16", "float16": "f16"}


class OpenVino:
    """Runs an ONNX model with one picture as its input."""

    def __init__(self, config: OpenVinoConfig) -> None:
        self._config = config
        self._request: Any = None
        self._fixed: dict[str, Tensor] = {}
        self._outputs: list[Port] = []

    def load(self, model: bytes, picture: Input = PLAIN, batch: int = 1) -> EngineInfo:
        """Check the file, compile it for the device, share the buffers; one picture in a run, whatever `batch`."""
        refuse_external_data(model)
        core = openvino.Core()
        network = _read(model)
        feed = self._feed = feed_of([_port(given) for given in network.inputs], picture)
        device, missed = self._device(core.available_devices)
        try:
            network.reshape({given.any_name: _sides(given.any_name, feed.tensor) for given in network.inputs})
            compiled = core.compile_model(network, device, self._settings(device))
            self._request = compiled.create_infer_request()
            self._outputs = [_port(output) for output in compiled.outputs]
            self._bind(compiled, feed.tensor)
        except Exception as error:  # the library's exceptions have no common base of their own
            raise EngineError(Code.MODEL_LOAD, f"the model cannot be loaded: {sentence(error)}") from error
        precision = _precision(compiled)
        return EngineInfo(
            f"OpenVINO {device} {precision}",
            feed.picture,
            {output.name: output.sides for output in self._outputs},
            metadata(model),
            engine=f"openvino {openvino.__version__.partition('-')[0]}",
            precision=precision,
            device=str(core.get_property(device, "FULL_DEVICE_NAME")),
            missed=missed,
        )

    def run(self, count: int = 1) -> Mapping[str, Tensor]:
        """Run on the input buffer."""
        if self._request is None or count != 1:
            raise EngineError(Code.INTERNAL, "no model is loaded, or not for so many pictures")
        forget(self._fixed)
        try:
            self._feed.fill()
            self._request.start_async()
            self._request.wait()
            if len(self._fixed) == len(self._outputs):
                return self._fixed
            values = [self._request.get_output_tensor(at).data for at in range(len(self._outputs))]
        except Exception as error:  # the library's exceptions have no common base of their own
            raise EngineError(Code.OUTPUT_INVALID, f"the network cannot be run: {sentence(error)}") from error
        return {output.name: value for output, value in zip(self._outputs, values, strict=True)}

    def _device(self, there: list[str]) -> tuple[str, str]:
        """The first wished device that is there, and why it is not the first one wished."""
        wished = [device.upper() for device in self._config.devices]
        known = {name.partition(".")[0] for name in there}
        device = next((name for name in wished if name in known), "CPU")
        if device == wished[0]:
            return device, ""
        text = f"engine.devices wishes {wished[0].lower()} first, but OpenVINO finds only {', '.join(there)}"
        if self._config.require:
            raise EngineError(Code.MODEL_LOAD, f"{text}; engine.require refuses anything else")
        return device, f"{text}; {device} runs the network"

    def _settings(self, device: str) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self._config.precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if device == "CPU":
            # not pinned: the vision processes of all stations would be pinned to the same cores
            settings |= {"INFERENCE_NUM_THREADS": self._config.threads, "ENABLE_CPU_PINNING": False}
        return settings

    def _bind(self, compiled: Any, picture: Tensor) -> None:
        for at, given in enumerate(compiled.inputs):
            tensor = picture
            if given.any_name == ORIGINAL_SIZE:
                tensor = self._size = original_size(self._feed)
            self._request.set_input_tensor(at, openvino.Tensor(tensor, shared_memory=True))
        for at, output in enumerate(self._outputs):
            buffer = output.buffer()
            if buffer is not None:
                self._fixed[output.name] = buffer
                self._request.set_output_tensor(at, openvino.Tensor(buffer, shared_memory=True))


def version() -> str:
    """The installed version."""
    return str(openvino.__version__).partition("-")[0]


def _read(model: bytes) -> Any:
    """The network, read as ONNX and nothing else: other formats would bypass our look at the file."""
    try:
        reader = frontend.FrontEndManager().load_by_framework("onnx")
        return reader.convert(reader.load(io.BytesIO(model)))
    except Exception as error:  # the library's exceptions have no common base of their own
        raise EngineError(Code.MODEL_LOAD, f"the model cannot be loaded: {sentence(error)}") from error


def _port(port: Any) -> Port:
    kind = port.get_element_type().get_type_name()
    shape = [side.get_length() if side.is_static else str(side) for side in port.get_partial_shape()]
    return Port(port.any_name, f"tensor({_KINDS.get(kind, kind)})", shape)


def _sides(name: str, picture: Tensor) -> list[int]:
    return [1, 2] if name == ORIGINAL_SIZE else list(picture.shape)


def _precision(compiled: Any) -> str:
    told = compiled.get_property("INFERENCE_PRECISION_HINT")
    name = told.get_type_name() if hasattr(told, "get_type_name") else str(told)
    return PRECISIONS.get(name, name)
