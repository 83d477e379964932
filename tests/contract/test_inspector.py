"""One inspection in the test's own process: what comes of findings that cannot be told."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from gateway.inspection import Finding
from gateway.vision import wire
from gateway.vision.camera_settings import SimulatedCamera
from gateway.vision.engine_settings import OnnxRuntimeConfig
from gateway.vision.eyes import Check
from gateway.vision.frames import Pixels
from gateway.vision.inspector import Inspector
from gateway.vision.settings import FramesConfig
from gateway.worker_process import make_ring
from protocols.faults import Code


class Nonsense:
    """A pipeline that finds what it is told."""

    def __init__(self, *found: Finding) -> None:
        self._found = found

    def look(self, frame: Pixels, check: Check) -> tuple[tuple[Finding, ...], float]:
        return self._found, 0.001


@pytest.mark.parametrize(
    "found",
    [
        (Finding("scratch", math.nan),),
        (Finding("scratch", 0.5, (0, 0, math.inf, 1)),),
        tuple(Finding("x" * 64, 0.123456789012345, (1 / 3, 1 / 3, 2 / 3, 2 / 3), text="t" * 256) for _ in range(5000)),
    ],
    ids=["nan", "infinite", "too much"],
)
def test_what_cannot_be_told_is_a_fault_and_no_death(tmp_path: Path, found: tuple[Finding, ...]) -> None:
    told: list[wire.FromWorker] = []

    def send(message: wire.FromWorker) -> None:
        wire.encode(message)
        told.append(message)

    frames = FramesConfig(slots=4, max_bytes=320 * 256 * 3)
    ring = make_ring(frames)
    try:
        inspector = Inspector(send, SimulatedCamera(width=320, height=256), OnnxRuntimeConfig(), frames, ring)
        inspector._pipeline = Nonsense(*found)  # type: ignore[assignment]
        inspector.inspect(wire.Inspect(cycle=1, slot=0, part_id=1, trigger_seq=1, grab_budget=5.0))
    finally:
        os.close(ring)
    exposed, observed = told
    assert isinstance(exposed, wire.Exposed)
    assert isinstance(observed, wire.Observed)
    assert (observed.observation.fault, observed.observation.findings) == (Code.OUTPUT_INVALID, ())
    assert "cannot be told" in observed.observation.detail
