"""Who runs an ONNX Runtime network: the wish list, what of it is there, and what really runs.

`get_available_providers()` tells only what a build was compiled for, and a session that cannot have its provider goes
on without it in silence; so what counts is which nodes the session gave to whom.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnxruntime as ort

from gateway.vision.engine_settings import OnnxRuntimeConfig, Provider
from gateway.vision.engines import EngineError
from gateway.vision.engines.ports import sentence
from protocols.faults import Code

CPU = "CPUExecutionProvider"
NAMES: Mapping[Provider, tuple[str, ...]] = {
    "cpu": (CPU,),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"),
    "openvino": ("OpenVINOExecutionProvider",),
    "directml": ("DmlExecutionProvider",),
}
PLUGINS: Mapping[Provider, str] = {
    "openvino": "onnxruntime_ep_openvino",
    "tensorrt": "onnxruntime_ep_nv_tensorrt_rtx",
}
"""Providers that come as a package of their own, beside onnxruntime."""
INSTALL: Mapping[Provider, str] = {
    "cuda": "pip uninstall onnxruntime && pip install onnxruntime-gpu",
    "tensorrt": "pip install onnxruntime-ep-nv-tensorrt-rtx",
    "openvino": "pip install onnxruntime-ep-openvino",
    "directml": "pip uninstall onnxruntime && pip install onnxruntime-directml",
}
BUILT_IN = tuple(ort.get_available_providers())
"""What this build could run a network on. Taken at import: what is plugged in later is listed, too."""
SHADOWING = frozenset(
    f"onnxruntime{suffix}"
    for suffix in (
        "", "_azure", "_cann", "_coreml", "_directml", "_gpu", "_gpu_extended", "_lite", "_migraphx", "_openvino",
        "_rocm", "_silicon", "_training", "_training_cpu", "_trt_rtx", "_webgpu", "_windowsml",
    )
)  # fmt: skip
"""Packages that all write the folder `onnxruntime`: the one installed last wins, and half of the other stays."""


@dataclass(slots=True)
class Chosen:
    """What of the wishes was found: the providers of this build, in order, or devices already in the options."""

    wished: tuple[Provider, ...]
    built_in: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    plugged: bool = False
    device: str = ""
    absent: dict[Provider, str] = field(default_factory=dict)
    """Why a wish cannot be had."""

    @property
    def others(self) -> bool:
        """Whether anybody but the processor was found."""
        return self.plugged or bool(self.built_in)


@dataclass(frozen=True, slots=True)
class Running:
    """Who really runs the network, on what, and why not who was wished first."""

    provider: str
    device: str = ""
    missed: str = ""


def choose(config: OnnxRuntimeConfig, options: ort.SessionOptions) -> Chosen:
    """Look for the wished providers, those of plug-ins are added to `options`; EngineError 2001."""
    refuse_two(Path(ort.__file__).parents[1])
    wished = (*config.providers, "cpu") if "cpu" not in config.providers else config.providers
    chosen = Chosen(wished[: wished.index("cpu") + 1])
    for wish in chosen.wished[:-1]:
        name = next((name for name in NAMES[wish] if name in BUILT_IN), None)
        if name is not None and not chosen.plugged:
            chosen.built_in.append((name, _options(wish, config)))
        elif name is None and not chosen.built_in:
            _plug(wish, config, options, chosen)
        else:
            chosen.absent[wish] = "one session takes either plug-ins or what is built in"
    if chosen.others:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return chosen


def refuse_two(folder: Path) -> None:
    """EngineError 2001 if two packages wrote the folder `onnxruntime` of this folder of packages."""
    names = {path.name.partition("-")[0] for path in folder.glob("onnxruntime*.dist-info")} & SHADOWING
    if len(names) > 1:
        found = sorted(name.replace("_", "-") for name in names)
        keep = next(name for name in reversed(found) if name != "onnxruntime")
        text = f"{' and '.join(found)} are both installed and overwrite each other; say pip uninstall --yes "
        raise EngineError(Code.MODEL_LOAD, f"{text}{' '.join(found)} && pip install {keep}")


def running(session: ort.InferenceSession, chosen: Chosen, failed: str = "") -> Running:
    """Who runs this session; `failed`: why it had to be built without those chosen."""
    counts = _counts(session) if chosen.others and not failed else Counter({CPU: 1})
    names = [name for name, _ in counts.most_common()]
    told = names[0] if len(names) == 1 else ", ".join(f"{name} {count} nodes" for name, count in counts.most_common())
    runs = [wish for wish in chosen.wished if set(NAMES[wish]) & counts.keys()]
    device = "" if CPU in counts and len(counts) == 1 else chosen.device or _card()
    first = chosen.wished[0]
    if runs and runs[0] == first:
        return Running(told, device)
    why = chosen.absent.get(first) or failed or "it took no part of this network"
    return Running(told, device, f"engine.providers wishes {first} first, but {why}; {told} runs the network")


def _counts(session: ort.InferenceSession) -> Counter[str]:
    """Nodes by provider."""
    counts: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        counts[part.ep_name] += len(part.get_nodes())
    return counts


def _plug(wish: Provider, config: OnnxRuntimeConfig, options: ort.SessionOptions, chosen: Chosen) -> None:
    module = PLUGINS.get(wish)
    try:
        if module is None:
            raise ImportError
        plugin: Any = importlib.import_module(module)
    except ImportError:
        chosen.absent[wish] = f"it is not installed ({INSTALL[wish]})"
        return
    try:
        if not _devices(wish):  # a library is registered once in a process
            ort.register_execution_provider_library(module, str(plugin.get_library_path()))
        found = _devices(wish)
        if found:
            options.add_provider_for_devices(found[:1], _options(wish, config))
    except Exception as error:  # noqa: BLE001 - the library's exceptions have no common base; told, and done without
        chosen.absent[wish] = f"it cannot be started: {sentence(error)}"
        return
    if not found:
        chosen.absent[wish] = "it finds no device of its own in this computer"
        return
    chosen.plugged = True
    chosen.device = chosen.device or found[0].ep_metadata.get("FULL_DEVICE_NAME", "")


def _devices(wish: Provider) -> Sequence[ort.OrtEpDevice]:
    return [device for device in ort.get_ep_devices() if device.ep_name in NAMES[wish]]


def _options(wish: Provider, config: OnnxRuntimeConfig) -> dict[str, str]:
    """Numbers as exact as the processor's, no files written."""
    if wish == "openvino":
        exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(config.threads), "NUM_STREAMS": "1"}
        return {"load_config": json.dumps({"CPU": exact, "GPU": {"INFERENCE_PRECISION_HINT": "f32"}})}
    if wish == "cuda":
        return {"use_tf32": "0"}
    return {}


def _card() -> str:
    """The first NVIDIA card by its own name."""
    for told in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in told.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model"):
                return line.partition(":")[2].strip()
    return "unknown card"
