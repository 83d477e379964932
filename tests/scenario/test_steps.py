"""A recipe of several steps, measured values and variants, from the PLC's trigger to the words it reads."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway import recipe as recipes
from gateway.vision.wire import model_crc
from protocols.signals import Judgement
from simulators.parts import PartSource
from tests import models
from tests.scenario.conftest import NewStand
from tests.scenario.observer import line

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

BOX = (20, 30, 70, 110)
"""Where the first step finds the place that the second one measures, in pixels of the frame."""
SIZE = (320, 256)
RECIPE = """\
recipe: measured
number: 9
steps:
  - name: find
    model: {{file: model.onnx, sha256: {sha256}}}
    task: {{kind: detect, format: end2end, classes: [place, other], min_score: 0.5}}
  - name: light
    on: {{step: find, labels: [place]}}
    task: {{kind: colour, space: hsv, mean: v, label: light}}
  - name: rim
    picture: {{region: [0, 0, 320, 256]}}
    task: {{kind: blob, looks: bright, threshold: 1, min_size: 1, label: seen}}
rules:
  - {{name: dark, expect: {{label: light, min_value: {limit}}}, verdict: NG, code: 11}}
values:
  - {{name: light, take: value, of: {{label: light}}}}
  - {{name: seen, take: value, of: {{label: seen}}}}
mm_per_px: 0.5
variants:
  - {{name: usual, part_ids: [[1, 20]]}}
  - name: strict
    part_ids: [[21, 40]]
    rules:
      - {{name: always, when: {{label: light}}, verdict: RECHECK, code: 12}}
unknown_part: {{verdict: NG, code: 13}}
"""


def light(part: int) -> float:
    """Mean brightness (0 to 100) within BOX of the picture of a part."""
    x1, y1, x2, y2 = BOX
    picture = PartSource(1, 0.3, SIZE).render(part)[y1:y2, x1:x2]
    return float(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)[..., 2].mean() * 100)


async def test_each_step_measures_what_the_one_before_has_found(new_stand: NewStand, tmp_path: Path) -> None:
    truth = {part: light(part) for part in (1, 2, 3, 21, 50)}
    low, middle, _ = sorted(truth[part] for part in (1, 2, 3))
    limit = (low + middle) / 2
    x1, y1, x2, y2 = BOX
    model = models.detector([(x1, y1, x2, y2, 0.9, 0.0)])
    folder = tmp_path / "measured"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    (folder / "recipe.yaml").write_text(RECIPE.format(sha256=digest, limit=limit))
    stand = new_stand({"recipes": [str(folder)], "cycle": {"deadline_ms": 2000}}, recipe=folder)
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        for part, brightness in truth.items():
            answer = await plant.plc.inspect(part)
            assert answer.result is not None
            usual = (Judgement.OK, 0) if brightness >= limit else (Judgement.NG, 11)
            expected = {21: (Judgement.RECHECK, 12), 50: (Judgement.NG, 13)}.get(part, usual)
            assert (answer.judgement, answer.result.reason) == expected, f"part {part}"
            assert answer.result.values[0] == pytest.approx(brightness, abs=0.5)
            assert answer.result.values[1] == pytest.approx(SIZE[0] * SIZE[1] * 0.25, rel=0.02), "mm², not pixels"
            assert answer.result.model_crc == model_crc(recipes.load(folder).model_mark)
        assert await stand.stop() == 0
    assert {answered.judgement for answered in stand.history()} >= {Judgement.OK, Judgement.NG, Judgement.RECHECK}
    assert [row.findings[0].label for row in stand.history()] == ["place"] * len(truth)
