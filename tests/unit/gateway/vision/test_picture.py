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
