"""What all engines do alike with a model file, its inputs and outputs; types have the names of ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.recipe_task import Input
from gateway.vision.engines import EngineError, Tensor
from gateway.vision.engines.feeding import Feed
from gateway.vision.engines.onnx_file import DamagedModelError, external_data
from protocols.faults import Code

ORIGINAL_SIZE = "orig_target_sizes"
"""Input of RT-DETR's and D-FINE's own exports: width and height of the picture that boxes are wanted for."""
PICTURES = 4
"""Sides of an input that may take several pictures."""
MAX_OUTPUT = 16 * 2**20
"""Elements of an output of fixed shape; more is no list of findings."""
DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output; open sides are what the library says of them."""

    name: str
    kind: str
    shape: Sequence[object]

    @property
    def sides(self) -> tuple[int, ...]:
        """The shape; open sides are -1."""
        return tuple(side if isinstance(side, int) and side > 0 else -1 for side in self.shape)

    def buffer(self) -> Tensor | None:
        """A tensor for this output that stays; None if its size or type is only known after a run."""
        dtype = DTYPES.get(self.kind)
        if dtype is None or -1 in self.sides or not 0 < np.prod(self.sides, dtype=np.float64) <= MAX_OUTPUT:
            return None
        return np.empty(self.sides, dtype)


def refuse_external_data(model: bytes) -> None:
    """EngineError 2001 for what is no ONNX file, or opens others."""
    try:
        outside = external_data(model)
    except DamagedModelError as error:
        raise EngineError(Code.MODEL_LOAD, f"the model is damaged or no ONNX file: {error}") from error
    if outside:
        text = "the model keeps weights in another file, which is refused; save it as one file (onnx.save_model)"
        raise EngineError(Code.MODEL_LOAD, text)


def feed_of(inputs: Sequence[Port], picture: Input, count: int = 1) -> Feed:
    """The picture's input: the only one, but for the size of the original that some detectors ask for."""
    found = [given for given in inputs if given.name != ORIGINAL_SIZE]
    if len(found) != 1:
        told = "; ".join(f"{i.name}: {i.kind} {list(i.shape)}" for i in found[:4]) or "no input"
        text = "the model's input must be one picture, [1, height, width, 3] or [1, 3, height, width]; it has "
        raise EngineError(Code.MODEL_MISMATCH, text + told)
    return Feed(found[0].name, found[0].kind, found[0].shape, picture, count)


def together(inputs: Sequence[Port], outputs: Sequence[Port]) -> bool:
    """Whether several pictures may go in at once: input and outputs begin with the same open side, by its name."""
    name = inputs[0].shape[0] if len(inputs) == 1 and len(inputs[0].shape) == PICTURES else None
    return isinstance(name, str) and name != "" and all(list(output.shape[:1]) == [name] for output in outputs)


def original_size(feed: Feed) -> Tensor:
    """Told the size of its own input, such a network gives boxes in pixels of that."""
    height, width = feed.picture.shape[:2]
    return np.array([[width, height]], np.int64)


def forget(tensors: Mapping[str, Tensor]) -> None:
    """What the network leaves untouched must not pass as the result before."""
    for tensor in tensors.values():
        if tensor.dtype.kind == "f":
            tensor.fill(np.nan)


def sentence(error: Exception) -> str:
    """A library's message in one line, without its prefix and source places."""
    text = " ".join(str(error).split())
    if text.startswith("[ONNXRuntimeError] :"):
        text = text.split(" : ", 3)[-1]
    text = re.sub(r"(/onnxruntime_src/|Exception from src/|Check '.*?' failed at src/)\S+ ", "", text)[:300]
    if isinstance(error, MemoryError) or "bad_alloc" in text or "allocate memory" in text:
        return f"it needs more memory than worker.memory_limit_mb allows ({text})"
    return text


def processor() -> str:
    """The processor by its own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names and names[0] else "unknown processor"
