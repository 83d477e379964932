"""Engines: what a worker asks of whatever runs a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from gateway.recipe_task import Input
from gateway.vision.engine_settings import EngineConfig, OpenVinoConfig
from gateway.vision.frames import Pixels
from protocols.faults import Code

Tensor = NDArray[Any]
PLAIN = Input()
"""The picture as the network's input says."""


class EngineError(Exception):
    """The network cannot be loaded or run: fault code and one sentence."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """A loaded network: what really runs it, its input buffer to fill, its outputs' names and shapes (-1: open)."""

    provider: str
    input: Pixels
    """Height x width x 3, BGR; what it holds at `run` is what the network sees."""
    outputs: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str]
    engine: str = ""
    """Name and version."""
    precision: str = "f32"
    """What it really computes in."""
    device: str = ""
    """The processor or card by its own name."""
    more: tuple[Pixels, ...] = ()
    """Buffers for further pictures of one run, where the network takes several."""
    missed: str = ""
    """Why what was wished first does not run the network, in one sentence; "" if it does."""


class Engine(Protocol):
    """Runs one network. A further engine is one module with these two calls and one member of EngineConfig."""

    def load(self, model: bytes, picture: Input = PLAIN, batch: int = 1) -> EngineInfo:
        """Make the network ready for pictures given to it so; EngineError 2001 or 2006. Once.

        `batch`: for so many in one run, if engine and network can; `EngineInfo.more` tells.
        """

    def run(self, count: int = 1) -> Mapping[str, Tensor]:
        """Run on the first input buffers; outputs by name, valid until the next run. EngineError."""


def make_engine(config: EngineConfig) -> Engine:
    """The engine that the settings describe; EngineError 2001 if it is not installed."""
    if isinstance(config, OpenVinoConfig):
        from gateway.vision.engines.ov import OpenVino

        return OpenVino(config)
    from gateway.vision.engines.ort import OnnxRuntime

    return OnnxRuntime(config)
