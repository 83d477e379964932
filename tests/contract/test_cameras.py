"""What holds for every camera; the rows stand in camera_rigs.py. Below, what holds for one kind."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gateway.vision.camera_settings import FolderCamera, Inject, SimulatedCamera
from gateway.vision.cameras import Camera, CameraError, Order, make_camera
from gateway.vision.image import FrameCheck
from protocols.faults import Code
from tests.contract import camera_rigs
from tests.contract.camera_rigs import Image, Rig, buffer, come, picture, pictures
from tests.contract.vendor_rigs import VENDOR_RIGS
from tests.pictures import real_pictures

pytestmark = pytest.mark.usefixtures("locks_of_genicam")

RIGS = camera_rigs.RIGS | VENDOR_RIGS
SIZE = (320, 256)
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path / "pictures")


@pytest.fixture(params=list(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with contextmanager(RIGS[request.param])(tmp_path) as rig:
        yield rig


@pytest.fixture
def camera(rig: Rig) -> Iterator[Camera]:
    camera = rig.opened()
    yield camera
    camera.close()


def grab(camera: Camera, cycle: int, part_id: int = 0, budget: float = 0.5) -> Image:
    return camera.grab(buffer(), Order(cycle, part_id, budget)).pixels


def code_of(action: Any) -> CameraError:
    with pytest.raises(CameraError) as caught:
        action()
    assert caught.value.text
    return caught.value


def test_a_frame_is_colour_and_lies_in_the_given_memory(rig: Rig, camera: Camera) -> None:
    out = buffer()
    pixels = rig.grab(camera, 1, out=out).pixels
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.dtype == np.uint8
    assert np.shares_memory(pixels, out)
    assert np.array_equal(out[: pixels.size].reshape(pixels.shape), pixels)
    assert FrameCheck(frozen_check=False).fault(pixels) is None


def test_two_frames_differ_and_are_counted(rig: Rig, camera: Camera) -> None:
    first, second = rig.grab(camera, 1), rig.grab(camera, 2)
    assert not np.array_equal(first.pixels, second.pixels)
    assert first.facts.arrived < second.facts.arrived
    if first.facts.number is not None:
        assert second.facts.number is not None
        assert first.facts.number < second.facts.number


def test_two_cameras_show_the_same_for_the_same_cycle(rig: Rig, camera: Camera) -> None:
    """So a standby that repeats a trigger sees the same part, where the camera can do so."""
    if not rig.repeatable:
        assert camera.exclusive  # then it never sees that trigger
        return
    other = rig.opened()
    assert np.array_equal(rig.grab(camera, 2).pixels, rig.grab(other, 2).pixels)
    assert not np.array_equal(rig.grab(camera, 3).pixels, rig.grab(other, 4).pixels)
    other.close()


def test_a_frame_larger_than_its_slot_is_refused(rig: Rig, camera: Camera) -> None:
    error = code_of(lambda: rig.grab(camera, 1, out=buffer(1000)))
    assert error.code is Code.IMAGE_FORMAT
    assert "max_bytes" in error.text
    rig.grab(camera, 2)


def test_a09_frames_of_another_size_are_refused_until_somebody_has_looked(rig: Rig, camera: Camera) -> None:
    if rig.resize is None:
        assert camera.simulated
        return
    rig.grab(camera, 1)
    rig.resize()
    for cycle in (2, 3):
        assert refused_size(rig, camera, cycle).code is Code.IMAGE_FORMAT


def refused_size(rig: Rig, camera: Camera, cycle: int) -> CameraError:
    """A stream may still hold frames of the old size."""
    for _ in range(20):
        try:
            rig.grab(camera, cycle)
        except CameraError as error:
            return error
    raise AssertionError("the camera went on with frames of another size")


def test_only_cameras_that_show_no_part_are_simulated(rig: Rig, camera: Camera) -> None:
    assert camera.simulated is rig.simulated


def test_opening_again_is_allowed(rig: Rig, camera: Camera) -> None:
    camera.close()
    come(camera)
    camera.check()
    rig.grab(camera, 1)


def test_closing_twice_or_before_opening_is_allowed(rig: Rig) -> None:
    camera = rig.make()
    camera.close()
    come(camera)
    camera.close()
    camera.close()


def test_nothing_is_left_of_a_closed_camera(rig: Rig) -> None:
    threads, files = threading.active_count(), held_files()
    for cycle in (1, 2, 3):
        camera = rig.opened()
        rig.grab(camera, cycle)
        camera.close()
    assert threading.active_count() == threads
    pause = threading.Event()
    for _ in range(200):  # the other end of a connection, played by this process, goes a little later
        if held_files() <= files:
            return
        pause.wait(0.01)
    assert held_files() <= files


def held_files() -> int:
    return len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.is_dir() else 0  # noqa: PTH208 - names alone


def test_a01_an_unplugged_camera_is_lost_and_comes_back(rig: Rig, camera: Camera) -> None:
    if rig.unplug is None:
        pytest.skip("nobody can unplug this one")
    rig.grab(camera, 1)
    rig.unplug()
    for _ in range(2):
        error = lost(camera)
        assert error.lost
        assert error.code in (Code.CAMERA_LINK, Code.FRAME_TIMEOUT)
    assert code_of(lambda: rig.grab(camera, 2)).lost
    code_of(camera.open)
    rig.plug()
    come(camera)
    rig.grab(camera, 3)


def lost(camera: Camera) -> CameraError:
    """What the worker hears that looks at it now and then."""
    pause = threading.Event()
    for _ in range(1000):
        try:
            camera.check()
        except CameraError as error:
            return error
        pause.wait(0.01)
    raise AssertionError("nobody noticed that the camera is gone")


def test_a03_a_camera_that_sends_nothing_takes_no_more_than_its_budget(rig: Rig, camera: Camera) -> None:
    if rig.silence is None:
        assert camera.simulated
        return
    rig.grab(camera, 1)
    rig.silence()
    error = nothing_came(rig, camera)
    assert error.code is Code.FRAME_TIMEOUT


def nothing_came(rig: Rig, camera: Camera) -> CameraError:
    """Frames that were on their way may still come."""
    for cycle in range(2, 200):
        try:
            rig.grab(camera, cycle, budget=0.05)
        except CameraError as error:
            return error
    raise AssertionError("frames came from nowhere")


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
