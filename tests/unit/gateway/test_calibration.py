"""A lens without its distortion, and millimetres on the part."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.calibration import Calibration, parse
from gateway.ruler import Ruler
from gateway.yamlfile import FileError

BENT = (-0.22, 0.08, 0.0006, -0.0004, 0.0)


def calibration(**parts: Any) -> Calibration:
    document: dict[str, Any] = {
        "kind": "camera calibration", "width": 640, "height": 480, "camera": (700, 702, 322, 236),
        "distortion": (0, 0, 0, 0, 0), "boards": 10, "error_px": 0.1,
    }  # fmt: skip
    return Calibration.model_validate({**document, **parts})


def test_a_lens_without_distortion_changes_nothing() -> None:
    assert calibration().bend(10.5, 20.25) == pytest.approx((10.5, 20.25))
    assert calibration().straighten(10.5, 20.25) == pytest.approx((10.5, 20.25))


def test_distortion_by_hand() -> None:
    """Focal length 100, middle (50, 50): a point 100 px to the right is at 1, and k1 = 0.1 moves it to 1.1."""
    lens = calibration(camera=(100, 100, 49.5, 49.5), distortion=(0.1, 0, 0, 0, 0), width=90, height=90)
    assert lens.bend(150, 50) == pytest.approx((160, 50))
    assert lens.straighten(160, 50) == pytest.approx((150, 50))


@given(st.floats(0, 640), st.floats(0, 480))
def test_there_and_back_again(x: float, y: float) -> None:
    lens = calibration(distortion=BENT)
    assert lens.bend(*lens.straighten(x, y)) == pytest.approx((x, y), abs=1e-6)


def test_millimetres_by_hand() -> None:
    """A tenth of a millimetre for each pixel, from (100, 50) on; then seen from the side: doubled at x = 500."""
    flat = calibration(plane=(0.1, 0, -10, 0, 0.1, -5, 0, 0, 1))
    assert flat.on_part(200, 150) == pytest.approx((10, 10))
    slanting = calibration(plane=(1, 0, 0, 0, 1, 0, -0.001, 0, 1))
    assert slanting.on_part(500, 100) == pytest.approx((1000, 200))


def test_a_point_outside_is_measured_at_the_edge() -> None:
    flat = calibration(plane=(0.1, 0, 0, 0, 0.1, 0, 0, 0, 1))
    assert flat.on_part(-5, 1e6) == pytest.approx((0, 48))


def test_a_ruler_of_pixels() -> None:
    ruler = Ruler(0.5)
    assert ruler.at((4, 6)) == (2, 3)
    assert ruler.distance((0, 0), (30, 40)) == 25
    assert ruler.area(((0, 0), (10, 0), (10, 20), (0, 20))) == 50


def test_a_ruler_of_a_plane() -> None:
    """A square of the part stays one, however the camera looks at it."""
    slanting = calibration(plane=(1, 0, 0, 0, 1, 0, -0.001, 0, 1))
    ruler = Ruler(plane=slanting)

    def seen(x: float, y: float) -> tuple[float, float]:
        """Where a point of the part is seen: solved by hand from X = x / (1 - x / 1000)."""
        return x / (1 + x / 1000), y * (1 - x / (1 + x / 1000) / 1000)

    corners = (seen(100, 100), seen(200, 100), seen(200, 200), seen(100, 200))
    assert ruler.area(corners) == pytest.approx(10_000)
    assert [ruler.distance(a, b) for a, b in itertools.pairwise(corners)] == pytest.approx([100, 100, 100])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"plane": (1, 0, 0, 0, 1, 0, -0.002, 0, 1)}, "the plane's horizon runs through the frame"),
        ({"plane": (1, 0, 0, 0, 1, 0, 0, 0, 0)}, "the plane's horizon runs through the frame"),
        ({"distortion": (-2, 0, 0, 0, 0), "camera": (300, 300, 320, 240)}, "the distortion is too strong"),
        ({"distortion": (1e9, 0, 0, 0, 0)}, "the distortion is too strong"),
        ({"camera": (0, 700, 320, 240)}, "the focal lengths must be more than 0"),
        ({"width": 5}, "greater than or equal to 16"),
    ],
)
def test_what_cannot_be_measured_by_is_refused(parts: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        calibration(**parts)


def test_a_file_is_read_strictly() -> None:
    text = "".join(
        f"{key}: {value}\n" for key, value in calibration().model_dump(mode="json", exclude_none=True).items()
    )
    assert parse(text, "c.yaml") == calibration()
    with pytest.raises(FileError, match=r"c\.yaml:2:1: width: 'x' does not fit"):
        parse(text.replace("width: 640", "width: x"), "c.yaml")
    assert math.isclose(parse(text, "c.yaml").camera[0], 700)


@pytest.mark.parametrize(
    "plane",
    [
        (0, 0, 0, 0, 0, 0, 0, 0, 1),  # all in one point: every length would be 0
        (0.1, 0, 0, 0.1, 0, 0, 0, 0, 1),  # all on one line
        (1e9, 0, 0, 0, 1e9, 0, 0, 0, 1),
    ],
)
def test_a_plane_that_measures_nothing_is_refused(plane: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="makes nothing, or anything, of a pixel"):
        calibration(plane=plane)
