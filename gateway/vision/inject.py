"""Faults on order: how a worker with a simulated camera dies, hangs or dawdles, for tests and demonstrations."""

from __future__ import annotations

import os
import signal
import time

from gateway.vision.camera_settings import AnyCamera, Inject, SimulatedCamera


class Faults:
    """What was ordered for a part; does nothing for any other camera."""

    def __init__(self, camera: AnyCamera) -> None:
        ordered = camera.inject if isinstance(camera, SimulatedCamera) else None
        self._ordered = ordered or Inject()

    def before_exposure(self, part_id: int, attempt: int) -> None:
        """The trigger has come."""
        if part_id in self._ordered.exit_at and attempt == 0:
            os._exit(3)

    def after_exposure(self, part_id: int, attempt: int) -> None:
        """The frame is in its slot and reported."""
        ordered = self._ordered
        if part_id in ordered.poison_at or (part_id in ordered.crash_at and attempt == 0):
            os.kill(os.getpid(), signal.SIGSEGV)
        while part_id in ordered.hang_at and attempt == 0:
            time.sleep(3600)

    def before_answer(self, part_id: int) -> None:
        """The result is known, not yet sent."""
        if part_id in self._ordered.late_at:
            time.sleep(self._ordered.late_ms / 1000)
