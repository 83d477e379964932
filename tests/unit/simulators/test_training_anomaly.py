"""The anomaly network: what its graph says is what the memory of good patches says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from simulators.training.anomaly import MAP, SCORE, _auroc, cut, distances, join, memory, patches

DETECTOR = Path(__file__).parents[3] / "configs/recipes/bracket/model.onnx"


def test_a_distance_is_that_to_the_nearest_known_row() -> None:
    known = np.array([[0, 0], [10, 0]], np.float32)
    assert distances(np.array([[0, 3], [9, 0], [10, 0]], np.float32), known).tolist() == pytest.approx(
        [3, 1, 0], abs=1e-3
    )


def test_the_memory_covers_what_it_was_shown() -> None:
    rows = np.concatenate([np.zeros((50, 2)), np.full((50, 2), 9.0), [[0.0, 9.0]]]).astype(np.float32)
    assert sorted(map(tuple, memory(rows, 3, seed=1).tolist())) == [(0, 0), (0, 9), (9, 9)]


def test_the_graph_says_what_the_memory_says() -> None:
    dice = np.random.default_rng(5)
    pictures = dice.integers(0, 255, (2, 256, 320, 3)).astype(np.uint8)
    model = cut(onnx.load(DETECTOR))
    rows = patches(model, pictures)
    known, scale = rows[0][:20].copy(), np.full(rows.shape[2], 0.5, np.float32)
    expected = distances(rows[1] * scale, known * scale)
    limit, spread = float(np.median(expected)), float(4 * np.ptp(expected))
    whole = join(model, known * scale, scale, limit, spread)
    session = ort.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    heat, score = session.run([MAP, SCORE], {"image": pictures[1][np.newaxis]})
    assert heat.shape == (1, 1, 32, 40)
    assert heat.ravel() == pytest.approx((expected - limit) / spread + 0.5, abs=1e-4)
    assert score[0] == pytest.approx(heat.max())


def test_auroc_counts_pairs() -> None:
    assert _auroc(np.array([0.9, 0.5]), np.array([0.1, 0.5])) == pytest.approx(3.5 / 4)
