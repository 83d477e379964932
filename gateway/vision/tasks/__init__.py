"""Tasks: from the network's tensors to findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gateway.inspection import Finding
from gateway.vision.engines import EngineInfo, Tensor
from gateway.vision.image import Placement
from protocols.faults import Code


class TaskError(Exception):
    """Output that fits neither model nor recipe: fault code and one sentence."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class TaskSettings(Protocol):
    """What a recipe says of its task."""

    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def min_score(self) -> float: ...


class Task(Protocol):
    """Decodes what one network says."""

    labels: tuple[str, ...]

    def decode(self, outputs: Mapping[str, Tensor], placement: Placement) -> tuple[Finding, ...]:
        """The findings in pixels of the frame, best first; TaskError 2005 for nonsense."""


def make_task(settings: TaskSettings, info: EngineInfo) -> Task:
    """The task of a recipe for a loaded network; TaskError 2006 if they do not fit."""
    from gateway.vision.tasks.detect import Detect

    return Detect(settings, info)
