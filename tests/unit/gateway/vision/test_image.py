"""Frames that cannot be judged, and the way into the network's input."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.vision.image import PADDING, FrameCheck, Resizer
from protocols.faults import Code

Pixels = NDArray[np.uint8]


def scene(height: int = 120, width: int = 160, seed: int = 1) -> Pixels:
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 215, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)


@pytest.mark.parametrize("grey", [0, 5, 128, 250, 255])
def test_a_constant_frame_cannot_be_judged(grey: int) -> None:
    wrong = FrameCheck(frozen_check=False).fault(np.full((1024, 1280, 3), grey, np.uint8))
    assert wrong is not None
    assert wrong[0] is Code.IMAGE_INVALID


def test_a_black_frame_with_sensor_noise_cannot_be_judged() -> None:
    noise = np.random.default_rng(1).poisson(3, (480, 640, 3)).astype(np.uint8)
    wrong = FrameCheck(frozen_check=False).fault(noise)
    assert wrong is not None
    assert "black" in wrong[1]


def test_a_scene_can_be_judged() -> None:
    assert FrameCheck(frozen_check=True).fault(scene()) is None


def test_the_same_frame_twice_is_a_frozen_camera() -> None:
    check = FrameCheck(frozen_check=True)
    assert check.fault(scene()) is None
    wrong = check.fault(scene())
    assert wrong is not None
    assert wrong[0] is Code.FRAME_REPEATED
    assert check.fault(scene(seed=2)) is None
    assert check.fault(scene()) is None


def test_without_the_check_frames_may_repeat() -> None:
    check = FrameCheck(frozen_check=False)
    assert check.fault(scene()) is None
    assert check.fault(scene()) is None


@pytest.mark.parametrize(("height", "width"), [(128, 160), (192, 240), (32, 40), (256, 320), (384, 480), (96, 120)])
def test_whole_factors_give_the_mean_over_the_area(height: int, width: int) -> None:
    target = np.zeros((32, 40, 3), np.uint8)
    frame = scene(height, width)
    Resizer(target).put(frame)
    exact = cv2.resize(frame, (40, 32), interpolation=cv2.INTER_AREA)
    assert np.abs(target.astype(int) - exact).max() <= 2  # each halving rounds once


def test_any_other_size_fits_too() -> None:
    target = np.zeros((33, 47, 3), np.uint8)
    resizer = Resizer(target)
    for height, width in ((200, 300), (101, 97), (20, 20), (33, 47)):
        place = resizer.put(scene(height - height % 8 + 8, width - width % 8 + 8))
        assert place.width * place.scale_x == pytest.approx(47)
        assert place.height * place.scale_y == pytest.approx(33)
        assert target.std() > 5


def test_a_letterbox_keeps_the_proportions_and_says_where_the_frame_lies() -> None:
    target = np.zeros((64, 64, 3), np.uint8)
    frame = np.full((64, 128, 3), 200, np.uint8)
    place = Resizer(target, "letterbox").put(frame)
    assert (place.scale_x, place.scale_y, place.left, place.top) == (0.5, 0.5, 0, 16)
    assert np.all(target[16:48] == 200)
    assert np.all(target[:16] == PADDING)
    assert np.all(target[48:] == PADDING)


def test_a_change_of_size_leaves_nothing_of_the_frame_before() -> None:
    target = np.zeros((64, 64, 3), np.uint8)
    resizer = Resizer(target, "letterbox")
    resizer.put(np.full((64, 64, 3), 10, np.uint8))
    resizer.put(np.full((64, 128, 3), 200, np.uint8))
    assert np.all(target[:16] == PADDING)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (40, 90, 120)])
def test_one_colour_shows_nothing(colour: tuple[int, int, int]) -> None:
    """What a lost video link delivers: solid blue or green."""
    frame = np.full((512, 640, 3), colour, np.uint8)
    fault = FrameCheck(frozen_check=False).fault(frame)
    assert fault is not None
    assert fault[0] is Code.IMAGE_INVALID


def test_a_plan_that_failed_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    resizer = Resizer(np.zeros((64, 96, 3), np.uint8), "crop")
    small, large = np.full((128, 192, 3), 50, np.uint8), np.full((256, 192, 3), 90, np.uint8)
    resizer.put(small)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.vision.image._steps", _no_memory)
        with pytest.raises(MemoryError):
            resizer.put(large)
    assert resizer.put(large).height == 256
    assert resizer.put(small).height == 128


def _no_memory(*_: object) -> None:
    raise MemoryError
