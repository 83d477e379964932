"""Widths and diameters of drawn edges whose places are known to parts of a pixel."""

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.inspection import Finding
from gateway.recipe_measure import CircleTask, WidthTask
from gateway.vision.tasks.gauge import Circle, Width

DARK, BRIGHT = 40, 200
FINE = 16
"""Points for each pixel across and down that a drawn picture is the mean of."""


def averaged(fine: np.ndarray) -> np.ndarray:
    """As a sensor sees it: each pixel the mean of what falls on it, in three equal colours."""
    height, width = fine.shape[0] // FINE, fine.shape[1] // FINE
    grey = fine.reshape(height, FINE, width, FINE).mean(axis=(1, 3))
    return np.repeat(np.rint(grey).astype(np.uint8)[:, :, None], 3, axis=2)


def points(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: height * FINE, : width * FINE].astype(np.float32)
    return (x + 0.5) / FINE, (y + 0.5) / FINE


def bar(left: float, right: float, height: int = 24, width: int = 96) -> np.ndarray:
    x, _ = points(height, width)
    return averaged(np.where((x >= left) & (x < right), BRIGHT, DARK))


def disc(x: float, y: float, radius: float, size: int = 96) -> np.ndarray:
    across, down = points(size, size)
    return averaged(np.where(np.hypot(across - x, down - y) < radius, DARK, BRIGHT))


def noisy(picture: np.ndarray, sigma: float = 4.0) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape[:2])[:, :, None]
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def width_of(picture: np.ndarray, **given: Any) -> tuple[Finding, ...]:
    task = WidthTask.model_validate({"kind": "width", "line": (4, 12, 92, 12)} | given)
    return Width(task).look(picture)


def circle_of(picture: np.ndarray, **given: Any) -> tuple[Finding, ...]:
    task = CircleTask.model_validate({"kind": "circle", "centre": (48, 48), "radii": (10, 44)} | given)
    return Circle(task).look(picture)


@pytest.mark.parametrize(("left", "right"), [(20.0, 60.0), (20.25, 60.5), (20.7, 59.9), (33.125, 41.875)])
def test_a_width_is_told_to_a_tenth_of_a_pixel(left: float, right: float) -> None:
    (found,) = width_of(bar(left, right))
    assert found.value == pytest.approx(right - left, abs=0.1)
    assert found.box[0] == pytest.approx(left, abs=0.1)
    assert found.box[2] == pytest.approx(right, abs=0.1)
    (blurred,) = width_of(noisy(cv2.GaussianBlur(bar(left, right), (0, 0), 1.0)))
    assert blurred.value == pytest.approx(right - left, abs=0.15)


@settings(max_examples=15, deadline=None)
@given(st.integers(15 * FINE, 30 * FINE), st.integers(50 * FINE, 80 * FINE))
def test_any_place_of_the_edges_will_do(left: int, right: int) -> None:
    (found,) = width_of(bar(left / FINE, right / FINE))
    assert found.value == pytest.approx((right - left) / FINE, abs=0.1)


def test_a_slanting_line_measures_along_itself() -> None:
    x, y = points(96, 96)
    along = (x + y) / math.sqrt(2)
    picture = averaged(np.where((along >= 50.3) & (along < 80.1), BRIGHT, DARK))
    (found,) = width_of(picture, line=(10, 10, 86, 86))
    assert found.value == pytest.approx(29.8, abs=0.1)


def test_the_direction_of_the_edges_chooses_among_them() -> None:
    picture = np.maximum(bar(20, 30), bar(50, 70))
    (outer,) = width_of(picture)
    assert outer.value == pytest.approx(50, abs=0.1)
    (gap,) = width_of(picture, first="falling", last="rising")
    assert gap.value == pytest.approx(20, abs=0.1)
    assert width_of(bar(20, 60), first="falling", last="rising") == ()


def test_the_other_way_round_it_is_as_wide() -> None:
    (found,) = width_of(bar(20.25, 60.5), line=(92, 12, 4, 12), first="rising", last="falling")
    assert found.value == pytest.approx(40.25, abs=0.1)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((24, 96, 3), np.uint8),
        np.full((24, 96, 3), 255, np.uint8),
        noisy(np.full((24, 96, 3), 120, np.uint8), 8.0),
        bar(20, 200),
        np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], 24, axis=0).repeat(3, axis=2),
        bar(20, 60)[:, :50],
        bar(20, 60)[:, :80],
        bar(20, 60)[:6],
    ],
    ids=["black", "white", "noise", "one edge", "a ramp", "cut off", "line leaves behind both", "line lies below"],
)
def test_what_is_not_seen_is_not_measured(picture: np.ndarray) -> None:
    assert width_of(np.ascontiguousarray(picture)) == ()


def test_a_weak_edge_is_none_until_it_may_be() -> None:
    picture = (bar(20, 60) // 10).astype(np.uint8)  # 4 and 20 grey levels
    assert width_of(picture) == ()
    assert len(width_of(picture, min_step=8)) == 1


@pytest.mark.parametrize(("x", "y", "radius"), [(48.0, 48.0, 30.0), (47.3, 49.6, 25.25), (50.4, 44.9, 33.3)])
def test_a_diameter_is_told_to_a_tenth_of_a_pixel(x: float, y: float, radius: float) -> None:
    (found,) = circle_of(disc(x, y, radius))
    assert found.value == pytest.approx(2 * radius, abs=0.1)
    assert found.score == 1
    assert found.box == pytest.approx((x - radius, y - radius, x + radius, y + radius), abs=0.15)
    (rough,) = circle_of(noisy(disc(x, y, radius)))
    assert rough.value == pytest.approx(2 * radius, abs=0.15)


def test_a_burr_does_not_move_the_circle_but_lowers_the_score() -> None:
    picture = disc(48, 48, 30)
    picture[40:56, 74:90] = DARK
    (found,) = circle_of(picture)
    assert found.value == pytest.approx(60, abs=0.15)
    assert 0.8 < found.score < 1


def test_half_a_circle_is_none() -> None:
    picture = disc(48, 48, 30)
    picture[:, 48:] = DARK
    assert circle_of(picture) == ()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((96, 96, 3), np.uint8),
        np.full((96, 96, 3), 255, np.uint8),
        noisy(np.full((96, 96, 3), 120, np.uint8), 8.0),
        np.random.default_rng(2).integers(0, 256, (96, 96, 3)).astype(np.uint8),
        disc(48, 48, 5),
        disc(48, 48, 30)[:40, :40],
        disc(48, 48, 30)[:2, :2],
    ],
    ids=["black", "white", "noise", "wild noise", "too small", "cut off", "two pixels"],
)
def test_no_circle_is_no_diameter(picture: np.ndarray) -> None:
    assert circle_of(np.ascontiguousarray(picture)) == ()


def test_the_wrong_direction_is_another_edge() -> None:
    assert circle_of(disc(48, 48, 30), edge="falling") == ()
    assert len(circle_of(disc(48, 48, 30), edge="rising")) == 1


def test_grey_pictures_will_do() -> None:
    assert width_of(bar(20, 60)[:, :, :1])[0].value == pytest.approx(40, abs=0.1)
    assert width_of(np.ascontiguousarray(bar(20, 60)[:, :, 0]))[0].value == pytest.approx(40, abs=0.1)
