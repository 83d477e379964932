"""ONNX Runtime: buffers bound once, nothing copied, nothing loaded but the bytes given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import; without it the library calls home and writes to ~/.cache

import onnxruntime as ort

from gateway.recipe_task import Input
from gateway.vision.engine_settings import OnnxRuntimeConfig
from gateway.vision.engines import PLAIN, EngineError, EngineInfo, Tensor, providers
from gateway.vision.engines.ports import (
    DTYPES,
    ORIGINAL_SIZE,
    Port,
    feed_of,
    forget,
    original_size,
    processor,
    refuse_external_data,
    sentence,
    together,
)
from protocols.faults import Code


class OnnxRuntime:
    """Runs an ONNX model with one picture as its input."""

    def __init__(self, config: OnnxRuntimeConfig) -> None:
        self._config = config
        self._session: ort.InferenceSession | None = None
        self._binding: ort.IOBinding | None = None
        self._given: dict[str, Tensor] = {}
        self._fixed: dict[str, Tensor] = {}
        self._outputs: list[Port] = []

    def load(self, model: bytes, picture: Input = PLAIN, batch: int = 1) -> EngineInfo:
        """Check the file, build the session, bind the buffers."""
        refuse_external_data(model)
        options = _options(self._config)
        chosen = providers.choose(self._config, options)
        session, running = self._build(model, options, chosen)
        self._session = session
        if running.missed and self._config.require:
            raise EngineError(Code.MODEL_LOAD, f"{running.missed}; engine.require refuses anything else")
        inputs = _ports(session.get_inputs())
        self._outputs = _ports(session.get_outputs())
        count = batch if together(inputs, self._outputs) else 1
        feed = self._feed = feed_of(inputs, picture, count)  # kept: the session holds its address only
        for given in inputs:
            self._given[given.name] = original_size(feed) if given.name == ORIGINAL_SIZE else feed.tensor
        if count > 1:
            self._given[feed.name] = feed.tensor[:1]
        if running.provider == providers.CPU:
            self._bind(session)
        return EngineInfo(
            running.provider,
            feed.picture,
            {output.name: output.sides for output in self._outputs},
            session.get_modelmeta().custom_metadata_map,
            engine=f"onnxruntime {ort.__version__}",
            device=running.device or processor(),
            more=tuple(feed.pictures[1:]),
            missed=running.missed,
        )

    def run(self, count: int = 1) -> Mapping[str, Tensor]:
        """Run on the first input buffers."""
        if self._session is None or not 1 <= count <= len(self._feed.pictures):
            raise EngineError(Code.INTERNAL, "no model is loaded, or not for so many pictures")
        try:
            self._feed.fill(count)
            self._take(count)
            if self._binding is not None:
                return self._run_bound(self._session, self._binding)
            return self._named(self._session.run(None, self._given))
        except Exception as error:  # the library's exceptions have no common base of their own
            raise EngineError(Code.OUTPUT_INVALID, f"the network cannot be run: {sentence(error)}") from error

    def _take(self, count: int) -> None:
        """Give the network so many pictures."""
        name, tensor = self._feed.name, self._feed.tensor[:count]
        if len(self._feed.pictures) == 1 or self._given[name].shape == tensor.shape:
            return
        self._given[name] = tensor
        if self._binding is not None:
            self._binding.bind_input(name, "cpu", 0, tensor.dtype.type, tensor.shape, tensor.ctypes.data)

    def _run_bound(self, session: ort.InferenceSession, binding: ort.IOBinding) -> Mapping[str, Tensor]:
        forget(self._fixed)
        if len(self._fixed) < len(self._outputs):
            self._bind_outputs(binding)  # an output of open size keeps the size of the run before
        session.run_with_iobinding(binding)
        if len(self._fixed) == len(self._outputs):
            return self._fixed
        return self._named(binding.copy_outputs_to_cpu())

    def _named(self, values: Sequence[Tensor]) -> Mapping[str, Tensor]:
        return {output.name: value for output, value in zip(self._outputs, values, strict=True)}

    def _build(
        self, model: bytes, options: ort.SessionOptions, chosen: providers.Chosen
    ) -> tuple[ort.InferenceSession, providers.Running]:
        """The session, by those chosen if they can, else by the processor, and who runs it."""
        if not chosen.others:
            session = _session(model, options)
            return session, providers.running(session, chosen)
        try:
            session = _session(model, options, chosen.built_in)
            return session, providers.running(session, chosen)
        except EngineError as error:
            session = _session(model, _options(self._config))  # raises if the model is to blame
            return session, providers.running(session, chosen, f"with it {error.text}")

    def _bind(self, session: ort.InferenceSession) -> None:
        """Inputs and outputs stay where they are. For the processor only: others copy an input when it is bound."""
        binding = self._binding = session.io_binding()
        for name, tensor in self._given.items():
            binding.bind_input(name, "cpu", 0, tensor.dtype.type, tensor.shape, tensor.ctypes.data)
        self._bind_outputs(binding)

    def _bind_outputs(self, binding: ort.IOBinding) -> None:
        binding.clear_binding_outputs()
        self._fixed.clear()
        for output in self._outputs:
            tensor = output.buffer()
            if tensor is None:
                binding.bind_output(output.name)
                continue
            self._fixed[output.name] = tensor
            binding.bind_output(output.name, "cpu", 0, DTYPES[output.kind], tensor.shape, tensor.ctypes.data)


Described = tuple[str, str, list[object]]
"""Name, type and shape of an input or output."""


def interface(model: bytes) -> tuple[list[Described], list[Described], dict[str, str]]:
    """Inputs, outputs and metadata of a model; EngineError 2001."""
    refuse_external_data(model)
    session = _session(model, _options(OnnxRuntimeConfig()))
    given, gives = (
        [(port.name, port.type, list(port.shape)) for port in ports]
        for ports in (session.get_inputs(), session.get_outputs())
    )
    return given, gives, session.get_modelmeta().custom_metadata_map


def _ports(ports: list[ort.NodeArg]) -> list[Port]:
    return [Port(port.name, port.type, port.shape) for port in ports]


def _options(config: OnnxRuntimeConfig) -> ort.SessionOptions:
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


def _session(
    model: bytes, options: ort.SessionOptions, built_in: Sequence[tuple[str, dict[str, str]]] = ()
) -> ort.InferenceSession:
    """A session; by these providers and the processor, or by what the options name; EngineError 2001."""
    given = [*built_in, providers.CPU] if built_in or not options.has_providers() else None
    try:
        return ort.InferenceSession(model, options, providers=given, enable_fallback=0)
    except Exception as error:  # the library's exceptions have no common base of their own
        raise EngineError(Code.MODEL_LOAD, f"the model cannot be loaded: {sentence(error)}") from error
