"""Colours and blobs of drawn pictures."""

from typing import Any

import cv2
import numpy as np
import pytest

from gateway.inspection import MAX_FINDINGS, Finding
from gateway.recipe_measure import BlobTask, ColourTask
from gateway.vision.finding_rows import MAX_POINTS
from gateway.vision.tasks.blob import Blob
from gateway.vision.tasks.colour import Colour
from tests.unit.gateway.vision.tensors import area

RED, GREEN, BLACK = (0, 0, 200), (0, 200, 0), (0, 0, 0)


def painted(background: tuple[int, int, int], *boxes: tuple[tuple[int, int, int], slice, slice]) -> np.ndarray:
    picture = np.full((100, 200, 3), background, np.uint8)
    for colour, rows, columns in boxes:
        picture[rows, columns] = colour
    return picture


def colour_of(picture: np.ndarray, **given: Any) -> tuple[Finding, ...]:
    return Colour(ColourTask.model_validate({"kind": "colour"} | given)).look(picture)


def blobs_of(picture: np.ndarray, **given: Any) -> tuple[Finding, ...]:
    return Blob(BlobTask.model_validate({"kind": "blob", "looks": "dark"} | given)).look(picture)


QUARTER = painted(GREEN, (RED, slice(0, 50), slice(0, 100)))


def test_the_share_of_a_colour_may_wrap_around_red() -> None:
    (red,) = colour_of(QUARTER, low=(340, 50, 50), high=(20, 100, 100))
    assert (red.value, red.score, red.box) == (0.25, 0.25, (0, 0, 200, 100))
    assert colour_of(QUARTER, low=(100, 50, 50), high=(140, 100, 100))[0].value == 0.75
    assert colour_of(QUARTER, low=(200, 50, 50), high=(260, 100, 100))[0].value == 0
    assert colour_of(QUARTER, low=(200, 50, 50), high=(260, 100, 100), min_score=0.1) == ()


@pytest.mark.parametrize(
    ("space", "channel", "picture", "wanted"),
    [
        ("hsv", "h", painted(GREEN), 120),
        ("hsv", "v", painted(GREEN), 100 * 200 / 255),
        ("hsv", "s", QUARTER, 100),
        ("lab", "l", painted((255, 255, 255)), 100),
        ("lab", "a", painted((128, 128, 128)), 0),
        ("lab", "a", painted((0, 0, 255)), 80.1),
        ("lab", "b", painted((0, 0, 255)), 67.2),
    ],
)
def test_the_mean_of_a_channel(space: str, channel: str, picture: np.ndarray, wanted: float) -> None:
    assert colour_of(picture, space=space, mean=channel)[0].value == pytest.approx(wanted, abs=0.1)


def test_the_mean_of_hues_beside_red_is_red() -> None:
    hsv = np.full((10, 20, 3), (175, 255, 255), np.uint8)
    hsv[:, 10:, 0] = 5  # of 180: 350 and 10 degrees
    (found,) = colour_of(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), mean="h")
    assert found.value is not None
    assert min(found.value, 360 - found.value) < 1


def test_grey_has_no_hue() -> None:
    assert colour_of(painted((90, 90, 90)), mean="h") == ()
    assert colour_of(painted(BLACK), mean="h") == ()
    assert colour_of(painted((90, 90, 90))[:, :, :1], mean="v")[0].value == pytest.approx(100 * 90 / 255, abs=0.01)


SHEET = painted(
    (200, 200, 200),
    ((30, 30, 30), slice(10, 30), slice(20, 60)),
    ((30, 30, 30), slice(50, 90), slice(100, 150)),
    ((30, 30, 30), slice(95, 98), slice(0, 5)),
)


@pytest.mark.parametrize("threshold", [100, "otsu"])
def test_blobs_are_counted_and_measured_in_pixels(threshold: Any) -> None:
    found = blobs_of(SHEET, threshold=threshold)
    assert [(f.box, f.value, area(f)) for f in found] == [
        ((100, 50, 150, 90), 2000, 2000),
        ((20, 10, 60, 30), 800, 800),
    ]
    assert [f.value for f in blobs_of(SHEET, threshold=threshold, max_size=1000, min_size=1)] == [800, 15]
    assert blobs_of(255 - SHEET, looks="bright", threshold=threshold) == found


def test_a_round_blob_and_one_with_a_hole() -> None:
    picture = np.full((200, 200, 3), 220, np.uint8)
    cv2.circle(picture, (100, 100), 60, (20, 20, 20), cv2.FILLED)
    exact = int((picture[:, :, 0] == 20).sum())
    (whole,) = blobs_of(picture)
    assert whole.value == exact
    assert area(whole) == pytest.approx(exact, rel=0.01)
    cv2.circle(picture, (100, 100), 20, (220, 220, 220), cv2.FILLED)
    (ring,) = blobs_of(picture)
    assert ring.value == int((picture[:, :, 0] == 20).sum()), "the value counts pixels"
    assert area(ring) == pytest.approx(exact, rel=0.01), "the outline fills holes"


@pytest.mark.parametrize(
    "picture",
    [
        painted(BLACK),
        painted((255, 255, 255)),
        np.random.default_rng(4).normal(120, 4, (100, 200, 3)).astype(np.uint8),
    ],
    ids=["black", "white", "noise"],
)
def test_otsu_finds_nothing_where_nothing_is(picture: np.ndarray) -> None:
    assert blobs_of(picture) == ()
    assert blobs_of(picture, looks="bright") == ()


def test_wild_noise_stays_within_a_message() -> None:
    wild = np.random.default_rng(6).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    found = blobs_of(wild, min_size=1)
    assert len(found) == MAX_FINDINGS
    assert sum(len(f.outline) for f in found) <= MAX_POINTS
