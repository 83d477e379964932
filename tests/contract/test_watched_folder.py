"""The watched folder: files that are written while we look, and inspections that they start."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.vision.camera_settings import FolderCamera
from gateway.vision.cameras import Camera, Order, make_camera
from gateway.vision.cameras.device import DeviceCamera
from gateway.vision.settings import FramesConfig, PoolSettings, WorkerConfig
from protocols.faults import Code
from tests import models
from tests.contract.camera_rigs import buffer, come, picture
from tests.contract.test_cameras import code_of
from tests.contract.test_worker_process import PATIENCE, ROW, line_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "incoming"
    path.mkdir()
    cv2.imwrite(str(path / "old.png"), picture(99, 64, 48))
    return path


@pytest.fixture
def camera(folder: Path) -> Iterator[Camera]:
    camera = make_camera(FolderCamera(path=folder, watch=True, early_ms=60_000))
    come(camera)
    yield camera
    camera.close()


def put(folder: Path, name: str, seed: int) -> np.ndarray:
    """As a careful program does: written beside, then renamed."""
    shown = picture(seed, 64, 48)
    beside = folder / f".{name}"
    cv2.imwrite(str(beside), shown)
    beside.rename(folder / name)
    return shown


def look(camera: Camera, budget: float = 10.0, frame: int = 0) -> np.ndarray:
    return camera.grab(buffer(), Order(1, 0, budget, frame=frame)).pixels


def begun_anew(camera: Camera) -> None:
    """Pictures that come before the folder is looked at anew could be those of the trigger that missed its own."""
    assert isinstance(camera, DeviceCamera)
    assert camera._pump is not None
    while camera._pump._restart:
        time.sleep(0.001)


def test_what_was_there_is_no_frame_and_what_comes_is_one(folder: Path, camera: Camera) -> None:
    nothing = code_of(lambda: look(camera, 0.1))
    assert nothing.code is Code.FRAME_TIMEOUT
    assert "does anybody put pictures into" in nothing.text
    begun_anew(camera)
    shown = put(folder, "1.png", 1)
    assert np.array_equal(look(camera), shown)
    assert code_of(lambda: look(camera, 0.1)).code is Code.FRAME_TIMEOUT


def test_what_is_no_file_holds_up_no_picture(folder: Path, camera: Camera) -> None:
    (folder / "0.png").mkdir()
    (folder / "1.png").symlink_to(folder / "1.png")
    (folder / "2.png").symlink_to("nowhere")
    (folder / "3.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "4.png")
    shown = put(folder, "5.png", 5)
    assert np.array_equal(look(camera, 2.0), shown)


def test_a_picture_of_this_line_is_not_simulated(camera: Camera) -> None:
    assert not camera.simulated


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_a_file_is_taken_when_it_is_complete(folder: Path, camera: Camera, suffix: str) -> None:
    data = cv2.imencode(suffix, picture(2, 64, 48))[1].tobytes()
    with (folder / f"2{suffix}").open("wb") as file:
        for begin in range(0, len(data), len(data) // 4):
            file.write(data[begin : begin + len(data) // 4])
            file.flush()
            time.sleep(0.03)  # the slow program that the test is about
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert np.array_equal(look(camera), shown)


def test_a10_a_file_that_is_never_finished_is_an_invalid_image(folder: Path, camera: Camera) -> None:
    data = cv2.imencode(".jpg", picture(2, 64, 48))[1].tobytes()
    (folder / "2.jpg").write_bytes(data[: len(data) // 2])
    assert code_of(lambda: look(camera)).code is Code.IMAGE_INVALID
    shown = put(folder, "3.png", 3)
    assert np.array_equal(look(camera), shown)


def test_a_file_that_is_written_again_is_a_new_frame(folder: Path, camera: Camera) -> None:
    first = put(folder, "1.png", 1)
    assert np.array_equal(look(camera), first)
    second = put(folder, "1.png", 2)
    assert np.array_equal(look(camera), second)


def test_a_folder_that_goes_is_a_lost_camera(folder: Path, camera: Camera) -> None:
    folder.rename(folder.with_name("away"))
    error = code_of(lambda: look(camera))
    assert error.code is Code.CAMERA_LINK
    assert error.lost


def test_a_frame_that_is_a_trigger_is_given_and_no_other(folder: Path) -> None:
    camera = make_camera(FolderCamera(path=folder, watch=True, starts=True))
    come(camera)
    numbers: list[int] = []
    shown = [put(folder, "1.png", 1)]
    while len(numbers) < 1:
        numbers += camera.came()
    shown.append(put(folder, "2.png", 2))
    while len(numbers) < 2:
        numbers += camera.came()
    assert np.array_equal(look(camera, frame=numbers[1]), shown[1])
    assert code_of(lambda: look(camera, frame=numbers[0])).code is Code.FRAME_TIMEOUT  # overtaken
    camera.close()


async def test_each_picture_that_comes_is_inspected_once(folder: Path, tmp_path: Path) -> None:
    recipe = models.recipe(tmp_path / "bracket", models.detector([ROW]))
    camera = FolderCamera(path=folder, watch=True, starts=True)
    frames = FramesConfig(slots=4, max_bytes=64 * 48 * 3)
    settings = PoolSettings(
        recipe, camera, worker=WorkerConfig(nice=0, standby=False), frames=frames, grab_timeout=PATIENCE
    )
    async with line_of(settings) as line:
        await line.until(lambda: line.facts is not None)
        for number in range(1, 4):
            put(folder, f"{number}.png", number)
            await line.until(lambda number=number: len(line.outcomes) == number)  # type: ignore[misc]
        assert line.exposures == [1, 2, 3]
        assert {seen.fault for seen in line.outcomes.values()} == {Code.NONE}
        assert not any(seen.simulated for seen in line.outcomes.values())
