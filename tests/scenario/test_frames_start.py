"""Pictures that come start the inspections of a whole gateway: one result each, whatever nobody triggers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.history import HistoryError, newest
from gateway.inspection import Inspection
from protocols.signals import Judgement
from tests import models
from tests.contract.test_worker_process import PATIENCE, ROW

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(90)]
CONFIG = """\
name: line
data_dir: data
stations:
  - name: cell1
    link: { kind: loopback }
    camera: { kind: folder, path: incoming, watch: true, starts: true }
    recipes: [bracket]
    worker: { standby: false }
    cycle: { enable: always, acknowledge: none, deadline_ms: 20000, grab_timeout_ms: 1000 }
"""


def until(wanted: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_each_picture_that_comes_has_one_result(tmp_path: Path) -> None:
    models.recipe(tmp_path / "bracket", models.detector([ROW]))
    (tmp_path / "incoming").mkdir()
    (tmp_path / "line.yaml").write_text(CONFIG, "utf-8")
    log, history = tmp_path / "log", tmp_path / "data" / "history.sqlite3"

    def results() -> list[Inspection]:
        try:
            return list(newest(history, 10))
        except HistoryError:
            return []

    command = [sys.executable, "-m", "gateway", "run", str(tmp_path / "line.yaml")]
    with log.open("wb") as told, subprocess.Popen(command, stderr=told) as gateway:
        try:
            until(lambda: b"vision_ready" in log.read_bytes() and b"started" in log.read_bytes())
            for number in range(1, 4):
                shown = np.random.default_rng(number).integers(0, 255, (256, 320, 3), np.uint8)
                cv2.imwrite(str(tmp_path / "next.png"), shown)
                (tmp_path / "next.png").rename(tmp_path / "incoming" / f"{number}.png")
                until(lambda number=number: len(results()) == number)  # type: ignore[misc]
        finally:
            gateway.terminate()
    assert gateway.returncode == 0
    assert [row.result_seq for row in results()] == [3, 2, 1]
    assert {row.judgement for row in results()} == {Judgement.NG}
    assert not any(row.simulated for row in results())
