"""The ring of frames in shared memory: the worker fills a slot, others read it; a slot says which cycle it holds."""

from __future__ import annotations

import mmap
import struct

import numpy as np
from numpy.typing import NDArray

from gateway.vision.settings import SLOT_HEADER, FramesConfig

Pixels = NDArray[np.uint8]

_CYCLE = struct.Struct("<Q")
_SHAPE = struct.Struct("<IIId")
"""Height, width, channels, wall clock of the exposure."""


class FrameRing:
    """The frames of the newest cycles, mapped from the descriptor that the control process made."""

    def __init__(self, descriptor: int, config: FramesConfig) -> None:
        self._config = config
        self._memory = mmap.mmap(descriptor, config.total)

    def begin(self, slot: int) -> Pixels:
        """The bytes of a slot to write a frame into; until `commit` the slot holds no cycle."""
        start = self._start(slot)
        _CYCLE.pack_into(self._memory, start, 0)
        return np.frombuffer(self._memory, np.uint8, self._config.max_bytes, start + SLOT_HEADER)

    def commit(self, slot: int, cycle: int, pixels: Pixels, utc: float) -> None:
        """The frame in the slot is complete: height x width x channels, lying at the slot's start."""
        start = self._start(slot)
        height, width, channels = pixels.shape
        _SHAPE.pack_into(self._memory, start + _CYCLE.size, height, width, channels, utc)
        _CYCLE.pack_into(self._memory, start, cycle)

    def frame(self, slot: int, cycle: int) -> tuple[Pixels, float] | None:
        """The frame of `cycle` and the wall clock of its exposure, or None if the slot does not hold it."""
        start = self._start(slot)
        if cycle == 0 or _CYCLE.unpack_from(self._memory, start)[0] != cycle:
            return None
        height, width, channels, utc = _SHAPE.unpack_from(self._memory, start + _CYCLE.size)
        size = height * width * channels
        if not 0 < size <= self._config.max_bytes:
            return None
        flat = np.frombuffer(self._memory, np.uint8, size, start + SLOT_HEADER)
        return flat.reshape(height, width, channels), utc

    def holds(self, slot: int) -> int:
        """The cycle whose frame the slot holds; 0 for none."""
        return int(_CYCLE.unpack_from(self._memory, self._start(slot))[0])

    def close(self) -> None:
        """Unmap; frames handed out must be gone."""
        self._memory.close()

    def _start(self, slot: int) -> int:
        if not 0 <= slot < self._config.slots:
            raise IndexError(f"slot {slot} of {self._config.slots}")
        return slot * self._config.stride
