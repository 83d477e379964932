"""Rendered parts with ground truth: what the simulated camera sees, and what a person would say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulators import bracket

if TYPE_CHECKING:
    from simulators.drawing import Painter

LABELS = ("scratch", "burr", "missing_hole")
_LABEL_OF = {bracket.Scratch: LABELS[0], bracket.Burr: LABELS[1], bracket.MissingHole: LABELS[2]}


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing wrong: a name of LABELS and its box x1, y1, x2, y2 in pixels of the full frame."""

    label: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """What is true of one part."""

    number: int
    defects: tuple[Defect, ...]

    @property
    def good(self) -> bool:
        """Whether the part has no defect."""
        return not self.defects


class PartSource:
    """An endless row of brackets; all about a part follows from (seed, number). One thread at a time."""

    def __init__(self, seed: int = 1, defect_rate: float = 0.3, size: tuple[int, int] = bracket.FRAME) -> None:
        """`defect_rate` of the parts, 0..1, are bad; `size` is width and height in pixels; else ValueError."""
        if not 0.0 <= defect_rate <= 1.0:
            raise ValueError(f"defect_rate must lie in 0..1, not {defect_rate}")
        if min(size) < 64:
            raise ValueError(f"a frame needs at least 64 pixels a side, not {size[0]}x{size[1]}")
        self.seed, self.defect_rate, self.size = seed, defect_rate, size
        self._painter: Painter | None = None

    def truth(self, number: int) -> Part:
        """The defects of part `number` (0 or more), exact for `render`; draws no picture."""
        plan = bracket.plan(self.seed, number, self.defect_rate)
        found = (Defect(_LABEL_OF[type(flaw)], bracket.flaw_box(flaw, plan.pose, self.size)) for flaw in plan.flaws)
        return Part(number, tuple(found))

    def render(self, number: int, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The picture of part `number`: uint8 height x width x 3, BGR, in `out` if given (contiguous, else ValueError).

        The first call prepares textures for some tenths of a second.
        """
        width, height = self.size
        if out is None:
            out = np.empty((height, width, 3), np.uint8)
        if out.shape != (height, width, 3) or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out must be a contiguous uint8 array of {height}x{width}x3")
        if self._painter is None:
            from simulators.drawing import Painter  # cv2 only where pictures are drawn

            self._painter = Painter(self.seed, self.size)
        self._painter.paint(bracket.plan(self.seed, number, self.defect_rate), number, out)
        return out
