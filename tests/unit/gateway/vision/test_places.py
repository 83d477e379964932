"""Where cuts lie in the frame: by hand, and there and back again."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import Finding
from gateway.vision.cuts import Cutter
from gateway.vision.frames import Pixels
from gateway.vision.image import PADDING
from gateway.vision.places import Place, around, direction, on_frame

FRAME = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)


def near(a: object, b: object) -> bool:
    return a == pytest.approx(b, abs=1e-6)


def test_quarter_turns_by_hand() -> None:
    """A cut of 30 x 20 at (10, 5): turned by 90 degrees clockwise its lower left corner comes to the upper left."""
    place = Place(30, 20, (10.0, 5.0)).turned(90)
    assert place == Place(20, 30, (10.0, 25.0), (0.0, -1.0))
    assert Place(30, 20, (10.0, 5.0)).turned(180).corners == ((40, 25), (10, 25), (10, 5), (40, 5))
    assert Place(30, 20, (10.0, 5.0)).turned(-90).corners == ((40, 5), (40, 25), (10, 25), (10, 5))


def test_a_finding_in_a_turned_cut_by_hand() -> None:
    """In the cut above, seen upright: x runs up the frame, y runs to the right."""
    place = Place(30, 20, (10.0, 5.0)).turned(90)
    seen = Finding("a", 0.5, (2, 3, 6, 10), ((2, 3), (6, 3), (6, 10)), ((2, 3, 0.25),), 0.0)
    told = on_frame(seen, place, 80, 60)
    expected = Finding("a", 0.5, (13, 19, 20, 23), ((13, 23), (13, 19), (20, 19)), ((13, 23, 0.25),), -90.0)
    assert told == expected


def test_an_upright_box_of_a_slanting_cut_is_an_oriented_box() -> None:
    place = around((40, 30), (20, 10), direction(30))
    told = on_frame(Finding("a", 0.5, (0, 0, 20, 10)), place, 80, 60)
    assert told.outline == place.corners
    assert near(told.angle, 30)
    half, high = 10 * math.cos(math.radians(30)) + 5 * 0.5, 10 * 0.5 + 5 * math.cos(math.radians(30))
    assert near(told.box, (40 - half, 30 - high, 40 + half, 30 + high))


def test_boxes_end_at_the_frame() -> None:
    assert on_frame(Finding("a", 0.5, (0, 0, 50, 50)), Place(50, 50, (60.0, -10.0)), 80, 60).box == (60, 0, 80, 40)


@pytest.mark.parametrize(("quarters", "degrees"), [(0, 0), (3, 90), (2, 180), (1, 270), (1, -90)])
def test_a_turned_cut_is_what_numpy_turns(quarters: int, degrees: int) -> None:
    place = Place(31, 20, (10.0, 5.0)).turned(degrees)
    assert (Cutter().cut(FRAME, place) == np.rot90(FRAME[5:25, 10:41], quarters)).all()


def test_a_cut_that_leaves_the_frame_is_grey_there() -> None:
    cut = Cutter().cut(FRAME, Place(20, 10, (70.0, 55.0)))
    assert (cut[:5, :10] == FRAME[55:, 70:]).all()
    assert (cut[5:] == PADDING).all()
    assert (cut[:, 10:] == PADDING).all()


def test_the_buffer_is_made_once() -> None:
    cutter, place = Cutter(), around((40, 30), (30, 20), direction(17))
    first = cutter.cut(FRAME, place)
    assert np.shares_memory(first, cutter.cut(FRAME, around((30, 30), (20, 20), direction(40))))


def blob(x: float, y: float) -> Pixels:
    """A frame with a soft spot around a point: its centre of mass is the point."""
    ys, xs = np.mgrid[0:120, 0:160] + 0.5
    spot = 200 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 18)
    return np.repeat(spot.round().astype(np.uint8)[:, :, None], 3, axis=2)


@given(st.floats(60, 100), st.floats(45, 75), st.floats(-180, 180), st.floats(-90, 270))
def test_what_is_seen_in_a_cut_is_found_at_its_place(x: float, y: float, degrees: float, more: float) -> None:
    """Pixels and coordinates agree: the spot's centre of mass in the cut leads back to where it is in the frame."""
    place = around((x + 3.3, y - 5.7), (70, 64), direction(degrees)).turned(more)
    cut = Cutter().cut(blob(x, y), place)[:, :, 0].astype(float)
    top, left = np.unravel_index(cut.argmax(), cut.shape)  # brighter than the border around
    cut[: max(0, top - 12)] = cut[top + 13 :] = cut[:, : max(0, left - 12)] = cut[:, left + 13 :] = 0
    total = cut.sum()
    at = (np.arange(cut.shape[1]) + 0.5) @ cut.sum(0) / total, (np.arange(cut.shape[0]) + 0.5) @ cut.sum(1) / total
    assert place.point(*at) == pytest.approx((x, y), abs=0.2)


@given(st.floats(-180, 180), st.floats(-50, 50), st.floats(-50, 50))
def test_turning_back_leads_to_the_same_points(degrees: float, x: float, y: float) -> None:
    place = around((x, y), (40, 30), direction(degrees))
    again = place.turned(degrees).turned(-degrees)
    middle = again.point(again.width / 2, again.height / 2)
    assert near(middle, (x, y))
    assert near(again.axis, place.axis)
