"""What holds for every camera."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gateway.vision.cameras import Camera, CameraError, Order, make_camera
from gateway.vision.image import FrameCheck
from gateway.vision.settings import FolderCamera, Inject, SimulatedCamera
from protocols.faults import Code
from tests.pictures import real_pictures

SIZE = (320, 256)


def picture(seed: int, width: int = 320, height: int = 256) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(seed)
    return random.integers(0, 255, (height, width, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    for number, suffix in enumerate(("png", "bmp", "png")):
        cv2.imwrite(str(path / f"{number}.{suffix}"), picture(number))
    (path / "notes.txt").write_text("no picture", encoding="utf-8")
    return path


@pytest.fixture(params=["simulated", "folder"])
def settings(request: pytest.FixtureRequest, folder: Path) -> SimulatedCamera | FolderCamera:
    if request.param == "folder":
        return FolderCamera(path=folder)
    return SimulatedCamera(width=SIZE[0], height=SIZE[1])


@pytest.fixture
def camera(settings: SimulatedCamera | FolderCamera) -> Camera:
    camera = make_camera(settings)
    camera.open()
    return camera


def buffer(size: int = 16 * 2**20) -> np.ndarray[Any, Any]:
    return np.zeros(size, np.uint8)


def grab(camera: Camera, cycle: int, part_id: int = 0, budget: float = 0.5) -> np.ndarray[Any, Any]:
    return camera.grab(buffer(), Order(cycle, part_id, budget))


def test_a_frame_is_colour_and_lies_in_the_given_memory(camera: Camera) -> None:
    out = buffer()
    pixels = camera.grab(out, Order(1, 0, 0.5))
    assert pixels.shape == (256, 320, 3)
    assert pixels.dtype == np.uint8
    assert np.shares_memory(pixels, out)
    assert np.array_equal(out[: pixels.size].reshape(pixels.shape), pixels)
    assert FrameCheck(frozen_check=False).fault(pixels) is None


def test_two_cameras_show_the_same_for_the_same_cycle(camera: Camera, settings: SimulatedCamera | FolderCamera) -> None:
    """So a standby that repeats a trigger sees the same part."""
    other = make_camera(settings)
    other.open()
    assert np.array_equal(grab(camera, 2), grab(other, 2))
    assert not np.array_equal(grab(camera, 3), grab(other, 4))


def test_a_frame_larger_than_its_slot_is_refused(camera: Camera) -> None:
    with pytest.raises(CameraError) as caught:
        camera.grab(buffer(1000), Order(1, 0, 0.5))
    assert caught.value.code is Code.IMAGE_FORMAT
    assert "max_bytes" in caught.value.text


def test_frames_are_marked_as_simulated(camera: Camera) -> None:
    assert camera.simulated


def test_opening_again_is_allowed(camera: Camera) -> None:
    camera.close()
    camera.open()
    camera.check()
    grab(camera, 1)


# the folder


def test_a_folder_is_shown_in_the_order_of_names_and_again(folder: Path) -> None:
    camera = make_camera(FolderCamera(path=folder))
    camera.open()
    for cycle in range(1, 7):
        assert np.array_equal(grab(camera, cycle), picture((cycle - 1) % 3))


def test_a_folder_shown_once_ends(folder: Path) -> None:
    camera = make_camera(FolderCamera(path=folder, loop=False))
    camera.open()
    grab(camera, 3)
    with pytest.raises(CameraError) as caught:
        grab(camera, 4)
    assert caught.value.code is Code.FRAME_TIMEOUT


def test_a_missing_or_empty_folder_is_a_lost_camera(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (tmp_path / "nowhere", empty):
        with pytest.raises(CameraError) as caught:
            make_camera(FolderCamera(path=path)).open()
        assert caught.value.code is Code.CAMERA_LINK
        assert caught.value.lost
    camera = make_camera(FolderCamera(path=folder))
    camera.open()
    shutil.rmtree(folder)
    for action in (camera.check, lambda: grab(camera, 1)):
        with pytest.raises(CameraError) as caught:
            action()
        assert caught.value.lost


def damaged_files() -> dict[str, bytes]:
    good = cv2.imencode(".png", picture(1))[1].tobytes()
    jpeg = cv2.imencode(".jpg", picture(1))[1].tobytes()
    return {
        "empty": b"",
        "text": b"this is no picture",
        "cut header": good[:20],
        "flipped": good[:60] + bytes(byte ^ 0x55 for byte in good[60:90]) + good[90:],
        "jpeg of nothing": jpeg[:30],
    }


@pytest.mark.parametrize("kind", damaged_files())
def test_a_damaged_file_is_an_invalid_image_and_the_next_one_is_fine(folder: Path, kind: str) -> None:
    (folder / "0.png").write_bytes(damaged_files()[kind])
    camera = make_camera(FolderCamera(path=folder))
    camera.open()
    with pytest.raises(CameraError) as caught:
        grab(camera, 1)
    assert caught.value.code is Code.IMAGE_INVALID
    assert not caught.value.lost
    grab(camera, 2)


def test_a_real_photograph_is_shown() -> None:
    files = real_pictures()
    camera = make_camera(FolderCamera(path=files[0].parent))
    camera.open()
    assert FrameCheck(frozen_check=False).fault(grab(camera, 1)) is None


# the simulated camera


def simulated(**inject: Any) -> Camera:
    camera = make_camera(SimulatedCamera(width=SIZE[0], height=SIZE[1], inject=Inject(**inject)))
    camera.open()
    return camera


def test_the_part_is_the_one_the_plc_named() -> None:
    assert np.array_equal(grab(simulated(), 1, part_id=77), grab(simulated(), 77))


def test_the_same_part_seen_twice_is_no_frozen_camera_but_a_frozen_one_is() -> None:
    camera, check = simulated(freeze_at=(5,)), FrameCheck(frozen_check=True)
    for cycle in range(1, 4):
        assert check.fault(grab(camera, cycle, part_id=4)) is None
    wrong = check.fault(grab(camera, 5, part_id=5))
    assert wrong is not None
    assert wrong[0] is Code.FRAME_REPEATED


def test_faults_on_order() -> None:
    camera = simulated(black_at=(2,), unplug_at=(3,), unplug_s=0.0)
    assert not grab(camera, 2, part_id=2).any()
    grab(camera, 3, part_id=3)  # gone for no time at all
    camera = simulated(unplug_at=(3,), unplug_s=100)
    with pytest.raises(CameraError) as caught:
        grab(camera, 3, part_id=3)
    assert caught.value.code is Code.CAMERA_LINK
    with pytest.raises(CameraError):
        camera.check()
    with pytest.raises(CameraError):
        camera.open()


def test_a_slow_camera_keeps_to_its_time() -> None:
    with pytest.raises(CameraError) as caught:
        grab(simulated(slow_ms=60_000), 1, budget=0.01)
    assert caught.value.code is Code.FRAME_TIMEOUT
