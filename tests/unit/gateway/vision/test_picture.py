"""Pictures for people."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.inspection import Finding
from gateway.vision import picture

FOUND = (Finding("scratch", 0.91, (100, 200, 180, 260)), Finding("burr", 0.4, (0, 0, 20, 20)))


@pytest.mark.parametrize("verdict", ["OK", "NG", "RECHECK", "FAULT", "NONE"])
def test_boxes_and_banner_are_drawn(verdict: str) -> None:
    pixels = np.full((512, 640, 3), 128, np.uint8)
    picture.draw(pixels, verdict, "cycle 7", FOUND)
    assert tuple(pixels[2, 630]) == picture.COLOURS.get(verdict, picture.GREY)
    assert np.any(pixels[259:262, 110:170] != 128)
    assert np.all(pixels[300:, :] == 128)


def test_an_outline_and_points_are_drawn_instead_of_the_box() -> None:
    pixels = np.full((512, 640, 3), 128, np.uint8)
    corners = ((100, 300), (300, 300), (100, 450))
    seen = Finding("hole", 0.9, (100, 300, 300, 450), corners, ((400, 400, 0.9), (500, 400, 0.1)), text="A1", value=2.5)
    picture.draw(pixels, "NG", "x", (seen,))
    colour = np.array(picture.COLOURS["NG"])
    assert np.all(np.abs(pixels[300, 210:290] - colour) < 30)
    assert np.all(np.abs(pixels[320:440, 100] - colour) < 30)
    assert np.all(pixels[330:440, 299:302] == 128), "the box has a right side, the triangle has none"
    assert np.all(pixels[400, 400] == colour)
    assert np.all(pixels[400, 500] == 128), "an unsure point is hollow"


def test_outlines_and_points_beyond_the_frame_do_no_harm() -> None:
    pixels = np.full((64, 64, 3), 128, np.uint8)
    far = Finding("dent", 1, (0, 0, 9, 9), ((-1e6, -1e6), (1e6, 5), (5, 1e6)), ((1e6, -1e6, 1),), text="é\u4e2d" * 100)
    picture.draw(pixels, "NG", "x", (far,))


def test_boxes_beyond_the_frame_do_no_harm() -> None:
    pixels = np.full((64, 64, 3), 128, np.uint8)
    picture.draw(pixels, "NG", "x", (Finding("dent" * 10, 1, (-10, 60, 900, 901)),))


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_picture_is_written_whole(tmp_path: Path, name: str) -> None:
    picture.write(np.full((48, 64, 3), 90, np.uint8), tmp_path / "new" / name)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    back = cv2.imread(str(tmp_path / "new" / name))
    assert back is not None
    assert back.shape == (48, 64, 3)


def test_another_format_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"jpg or \.png"):
        picture.write(np.zeros((4, 4, 3), np.uint8), tmp_path / "a.xyz")


def test_only_the_newest_stay_and_half_written_ones_go(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
        os.utime(tmp_path / f"{number}.jpg", (number, number))
    (tmp_path / ".9.jpg.77.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    picture.keep_newest(tmp_path, ".jpg", 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4.jpg", "5.jpg", "notes.txt"]
