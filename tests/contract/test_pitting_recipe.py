"""The recipe `pitting` on the real pictures of its card, where they are: the figures that the card prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.training.pitting.data import load
from simulators.training.pitting.evaluate import look, pits, pixel_iou
from tests.pictures import real

ROOT = Path(__file__).parents[2]


def test_the_card_prints_what_the_test_pictures_give() -> None:
    samples = load(real("bsdata_ballscrew"), "test")
    looked = look(samples, ROOT / "configs/recipes/pitting/model.onnx")
    bad = [one for one in looked if one.pitted]
    clean = [one for one in looked if not one.pitted]
    assert (len(bad), len(clean)) == (15, 66)
    assert pits(bad) == (13, 17)
    assert pixel_iou(bad) == pytest.approx(0.628, abs=0.002)
    escapes = [sum(one.largest < limit for one in bad) for limit in (9, 20, 40)]
    rejects = [sum(one.largest >= limit for one in clean) for limit in (9, 20, 40)]
    assert (escapes, rejects) == ([3, 4, 5], [1, 0, 0])
