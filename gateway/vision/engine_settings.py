"""What a user may set about the engine of a station. Light: both processes import it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from gateway.vision.camera_settings import Settings

Provider = Literal["cpu", "cuda", "tensorrt", "openvino", "directml"]
Device = Literal["cpu", "gpu", "npu"]


class _Engine(Settings):
    threads: int = Field(default=1, ge=1, le=64)
    """Threads that compute on the processor; all stations together should leave a core to the gateway."""
    require: bool = False
    """What is wished first must run the network, else it is refused (2001); false: the next one runs it, with 2010."""


class OnnxRuntimeConfig(_Engine):
    """ONNX Runtime, the reference for all other engines; on the processor unless `providers` wishes otherwise."""

    kind: Literal["onnxruntime"] = "onnxruntime"
    spin_us: int = Field(default=200, ge=0, le=100_000)
    """How long an idle engine thread watches for work before it sleeps: latency against processor time."""
    providers: Annotated[tuple[Provider, ...], Field(min_length=1, max_length=5)] = ("cpu",)
    """Who runs the network, best first: the first that is there does, and cpu what it cannot. See docs/engines.md."""


class OpenVinoConfig(_Engine):
    """OpenVINO, of the extra `openvino`: for processors and graphics of Intel; good on other processors, too."""

    kind: Literal["openvino"]
    devices: Annotated[tuple[Device, ...], Field(min_length=1, max_length=3)] = ("cpu",)
    """Where the network runs, best first: the first that is there."""
    precision: Literal["f32", "bf16"] = "f32"
    """bf16 is faster on processors that have it, and moves boxes: `gateway model compare` tells whether it may."""


def _kind(data: Any) -> str:
    kind = data.get("kind", "onnxruntime") if isinstance(data, Mapping) else getattr(data, "kind", None)
    return str(kind)


EngineConfig = Annotated[
    Annotated[OnnxRuntimeConfig, Tag("onnxruntime")] | Annotated[OpenVinoConfig, Tag("openvino")], Discriminator(_kind)
]
"""An engine by its kind; without one it is ONNX Runtime."""
