"""ONNX Runtime on the processor: buffers bound once, nothing copied, nothing loaded but the bytes given."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import; without it the library calls home and writes to ~/.cache

import numpy as np
import onnxruntime as ort

from gateway.recipe_task import Input
from gateway.vision.engines import PLAIN, EngineError, EngineInfo, Tensor
from gateway.vision.engines.feeding import Feed
from gateway.vision.engines.onnx_file import DamagedModelError, external_data
from gateway.vision.settings import EngineConfig
from protocols.faults import Code

ORIGINAL_SIZE = "orig_target_sizes"
"""Input of RT-DETR's and D-FINE's own exports: width and height of the picture that boxes are wanted for."""
MAX_OUTPUT = 16 * 2**20
"""Elements of an output of fixed shape; more is no list of findings."""
_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


class OnnxRuntime:
    """Runs an ONNX model with one picture as its input."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._session: ort.InferenceSession | None = None
        self._fixed: dict[str, Tensor] = {}
        self._outputs: list[ort.NodeArg] = []

    def load(self, model: bytes, picture: Input = PLAIN) -> EngineInfo:
        """Check the file, build the session, bind the buffers."""
        _refuse_external_data(model)
        session = self._session = _session(model, _options(self._config))
        self._binding = session.io_binding()
        feed = self._feed = _feed(session, picture)  # kept: the session holds the addresses of its buffers only
        for given in session.get_inputs():
            self._bind_input(given, feed)
        self._outputs = session.get_outputs()
        outputs = self._bind_outputs()
        metadata = session.get_modelmeta().custom_metadata_map
        return EngineInfo(session.get_providers()[0], feed.picture, outputs, metadata)

    def run(self) -> Mapping[str, Tensor]:
        """Run on the input buffer."""
        if self._session is None:
            raise EngineError(Code.INTERNAL, "no model is loaded")
        for tensor in self._fixed.values():
            if tensor.dtype.kind == "f":
                tensor.fill(np.nan)  # what the network leaves untouched must not pass as the result before
        try:
            if len(self._fixed) < len(self._outputs):
                self._bind_outputs()  # an output of open size keeps the size of the run before
            self._feed.fill()
            self._session.run_with_iobinding(self._binding)
            if len(self._fixed) == len(self._outputs):
                return self._fixed
            values = self._binding.copy_outputs_to_cpu()
        except Exception as error:  # the library's exceptions have no common base of their own
            raise EngineError(Code.OUTPUT_INVALID, f"the network cannot be run: {_sentence(error)}") from error
        return {output.name: value for output, value in zip(self._outputs, values, strict=True)}

    def _bind_input(self, given: ort.NodeArg, feed: Feed) -> None:
        tensor = feed.tensor
        if given.name == ORIGINAL_SIZE:  # told the size of its own input, such a network gives boxes in pixels of that
            height, width = feed.picture.shape[:2]
            tensor = self._size = np.array([[width, height]], np.int64)
        self._binding.bind_input(given.name, "cpu", 0, tensor.dtype.type, tensor.shape, tensor.ctypes.data)

    def _bind_outputs(self) -> dict[str, tuple[int, ...]]:
        self._binding.clear_binding_outputs()
        self._fixed.clear()
        return {output.name: self._bind_output(output) for output in self._outputs}

    def _bind_output(self, output: ort.NodeArg) -> tuple[int, ...]:
        shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in output.shape)
        dtype = _DTYPES.get(output.type)
        if dtype is None or -1 in shape or not 0 < np.prod(shape, dtype=np.float64) <= MAX_OUTPUT:
            self._binding.bind_output(output.name)
            return shape
        tensor = self._fixed[output.name] = np.empty(shape, dtype)
        self._binding.bind_output(output.name, "cpu", 0, dtype, shape, tensor.ctypes.data)
        return shape


Described = tuple[str, str, list[object]]
"""Name, type and shape of an input or output."""


def interface(model: bytes, config: EngineConfig) -> tuple[list[Described], list[Described], dict[str, str]]:
    """Inputs, outputs and metadata of a model; EngineError 2001."""
    _refuse_external_data(model)
    session = _session(model, _options(config))
    given, gives = (
        [(port.name, port.type, list(port.shape)) for port in ports]
        for ports in (session.get_inputs(), session.get_outputs())
    )
    return given, gives, session.get_modelmeta().custom_metadata_map


def providers() -> list[str]:
    """What this build of ONNX Runtime could run a network on."""
    return list(ort.get_available_providers())


def _options(config: EngineConfig) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # what matters comes as an exception
    # bytes that look like the library's own format would bypass our look at the file
    options.add_session_config_entry("session.load_model_format", "ONNX")
    spin = config.spin_us
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    if spin:
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(spin))
    return options


def _refuse_external_data(model: bytes) -> None:
    try:
        outside = external_data(model)
    except DamagedModelError as error:
        raise EngineError(Code.MODEL_LOAD, f"the model is damaged or no ONNX file: {error}") from error
    if outside:
        text = "the model keeps weights in another file, which is refused; save it as one file (onnx.save_model)"
        raise EngineError(Code.MODEL_LOAD, text)


def _session(model: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's exceptions have no common base of their own
        raise EngineError(Code.MODEL_LOAD, f"the model cannot be loaded: {_sentence(error)}") from error


def _feed(session: ort.InferenceSession, picture: Input) -> Feed:
    """The picture's input: the only one, but for the size of the original that some detectors ask for."""
    inputs = [given for given in session.get_inputs() if given.name != ORIGINAL_SIZE]
    if len(inputs) != 1:
        found = "; ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs[:4]) or "no input"
        text = "the model's input must be one picture, [1, height, width, 3] or [1, 3, height, width]; it has "
        raise EngineError(Code.MODEL_MISMATCH, text + found)
    return Feed(inputs[0].name, inputs[0].type, inputs[0].shape, picture)


def _sentence(error: Exception) -> str:
    """The library's message in one line, without its prefix and source places."""
    text = " ".join(str(error).split())
    if text.startswith("[ONNXRuntimeError] :"):
        text = text.split(" : ", 3)[-1]
    text = re.sub(r"/onnxruntime_src/\S+ ", "", text)[:300]
    if isinstance(error, MemoryError) or "bad_alloc" in text or "allocate memory" in text:
        return f"it needs more memory than worker.memory_limit_mb allows ({text})"
    return text
