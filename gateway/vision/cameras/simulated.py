"""The simulated camera: renders the part of each trigger, and fails on order."""

from __future__ import annotations

import time

import numpy as np

from gateway.vision.camera_settings import Inject, SimulatedCamera
from gateway.vision.cameras import CameraError, Grabbed, OnDemand, Order, fit, made_now
from gateway.vision.frames import Pixels
from gateway.vision.image import sample
from protocols.faults import Code
from simulators.parts import PartSource


class Simulated(OnDemand):
    """Renders part number PART_ID, or the cycle's number if that is 0: the same part on whichever process asks."""

    simulated = True

    def __init__(self, config: SimulatedCamera) -> None:
        self.frozen_check = config.frozen_check
        self._config = config
        self._inject = config.inject or Inject()
        self._source = PartSource(config.seed, config.defect_rate, (config.width, config.height))
        self._last: Pixels | None = None
        self._repeats = 0
        self._number = -1
        self._back = 0.0

    def open(self) -> None:
        """Prepare the renderer's textures; CameraError while unplugged."""
        self.check()
        self._source.render(0)

    def grab(self, out: Pixels, order: Order) -> Grabbed:
        """The picture of the part."""
        inject = self._inject
        self.check()
        if order.part_id in inject.unplug_at:
            self._back = time.monotonic() + inject.unplug_s
            self.check()
        if inject.slow_ms:
            time.sleep(min(inject.slow_ms / 1000, order.budget))
            if inject.slow_ms / 1000 > order.budget:
                raise CameraError(Code.FRAME_TIMEOUT, f"no frame within {order.budget * 1000:.0f} ms")
        pixels = fit(out, self._config.height, self._config.width)
        if order.part_id in inject.black_at:
            pixels[:] = 0
        elif order.part_id in inject.freeze_at and self._last is not None:
            pixels[:] = self._last
        else:
            self._render(pixels, order.part_id or order.cycle)
        if inject.freeze_at:
            self._last = pixels.copy()
        return made_now(pixels)

    def check(self) -> None:
        """Unplugged, on order, for unplug_s."""
        if time.monotonic() < self._back:
            raise CameraError(Code.CAMERA_LINK, "the simulated camera is unplugged", lost=True)

    def close(self) -> None:
        """Nothing to let go of."""

    def _render(self, pixels: Pixels, number: int) -> None:
        self._source.render(number, pixels)
        self._repeats = self._repeats + 1 if number == self._number else 0
        self._number = number
        if self._repeats % 2:
            # No sensor gives the same picture twice: its noise moves. Without this the second look at one part would
            # count as a frozen camera.
            points = sample(pixels)
            np.bitwise_xor(points, 1, out=points)
