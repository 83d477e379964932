"""How frames of a device are paired with triggers, in each mode, and what becomes of a driver that misbehaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from gateway.vision.camera_settings import PixelFormat, TriggeredCamera
from gateway.vision.cameras import CameraError, Grabbed, Order, device
from gateway.vision.cameras.device import DeviceCamera
from gateway.vision.cameras.pixels import to_bgr
from protocols.faults import Code
from tests.contract.camera_rigs import buffer, come
from tests.contract.played_camera import PlayedDevice
from tests.contract.test_cameras import code_of, lost

SHORT = 0.05
LONG = 10.0


class Line:
    """A played device behind its camera."""

    def __init__(self, settings: TriggeredCamera) -> None:
        self.device = PlayedDevice()
        self.camera = DeviceCamera(self.device, settings)

    def grab(self, budget: float = LONG, triggered: float | None = None) -> Grabbed:
        return self.camera.grab(buffer(), Order(1, 0, budget, time.monotonic() if triggered is None else triggered))

    def number(self) -> int | None:
        return self.grab().facts.number

    def settled(self) -> None:
        """Wait until the driver's thread has taken what was sent."""
        for _ in range(1000):
            with self.camera._pump._news:  # type: ignore[union-attr]
                if not self.device._frames:
                    return
            time.sleep(0.001)


def line(trigger: str, **settings: float) -> Iterator[Line]:
    line = Line(TriggeredCamera.model_validate({"trigger": trigger, **settings}))
    come(line.camera)
    yield line
    line.device.held.set()
    line.camera.close()


@pytest.fixture
def software() -> Iterator[Line]:
    yield from line("software")


@pytest.fixture
def hardware() -> Iterator[Line]:
    yield from line("hardware", early_ms=1000)


@pytest.fixture
def free() -> Iterator[Line]:
    yield from line("free", silence_s=60)


def test_a_command_brings_its_own_frame(software: Line) -> None:
    assert [software.number() for _ in range(3)] == [1, 2, 3]
    assert software.device.fired == 3


def test_a08_a_frame_that_waits_since_before_the_command_is_not_taken(software: Line) -> None:
    software.device.send(number=1)
    software.settled()
    software.device._number = 7
    assert software.number() == 8


def test_a07_a_frame_that_comes_too_late_is_not_used_for_the_next_trigger(software: Line) -> None:
    software.device.answers = False
    assert code_of(lambda: software.grab(SHORT)).code is Code.FRAME_TIMEOUT
    software.device.send(number=1)  # what the first command brings at last
    software.device.answers = True
    software.device._number = 1
    assert software.number() == 2
    assert software.device.restarted == 1


def test_a04_a_device_whose_counter_stands_is_frozen(hardware: Line) -> None:
    hardware.device.send(number=5)
    assert hardware.number() == 5
    hardware.device.send(number=5)
    assert code_of(lambda: hardware.grab(SHORT)).code is Code.FRAME_REPEATED


def test_a12_a_frame_that_comes_twice_is_used_once_and_the_next_one_is_good(hardware: Line) -> None:
    for number in (5, 5, 6):
        hardware.device.send(number=number)
    assert [hardware.number(), hardware.number()] == [5, 6]


def test_a_wire_s_frame_may_come_a_little_before_the_plc_s_trigger(hardware: Line) -> None:
    hardware.device.send()
    hardware.settled()
    assert hardware.number() == 1


def test_a08_a_wire_s_frame_of_long_before_belongs_to_no_trigger(hardware: Line) -> None:
    hardware.device.send()
    hardware.settled()
    error = code_of(lambda: hardware.grab(SHORT, triggered=time.monotonic() + 2))
    assert error.code is Code.FRAME_TIMEOUT
    assert "before the trigger" in error.text


def test_a07_a_late_frame_of_a_wire_does_not_move_to_the_next_trigger(hardware: Line) -> None:
    hardware.device.held.clear()  # the driver is busy: nothing is taken off before the next trigger has come
    assert code_of(lambda: hardware.grab(SHORT)).code is Code.FRAME_TIMEOUT
    hardware.device.send(number=1)
    hardware.device.held.set()
    for _ in range(1000):
        if hardware.device.restarted:
            break
        time.sleep(0.001)
    hardware.device.send(number=9)
    assert hardware.number() == 9


def test_a_free_running_camera_gives_the_newest_frame(free: Line) -> None:
    for _ in range(5):
        free.device.send()
    free.settled()
    assert free.grab(triggered=time.monotonic() - 5).facts.number == 5


def test_a08_a_free_running_camera_gives_no_frame_of_before_the_trigger(free: Line) -> None:
    free.device.send()
    free.settled()
    assert code_of(lambda: free.grab(SHORT)).code is Code.FRAME_TIMEOUT


@pytest.fixture
def slow() -> Iterator[Line]:
    yield from line("free", silence_s=60, latency_ms=60_000)


def test_a08_a_frame_of_a_free_camera_is_as_old_as_the_settings_say(slow: Line) -> None:
    triggered = time.monotonic()
    slow.device.send()
    slow.settled()
    assert code_of(lambda: slow.grab(SHORT, triggered=triggered)).code is Code.FRAME_TIMEOUT


def test_a13_a_jump_of_the_camera_s_clock_is_told_and_the_frame_is_good(hardware: Line) -> None:
    hardware.device.send(device_time=500.0)
    assert not hardware.grab().facts.clock_jumped
    hardware.device.send(device_time=20.0)
    assert hardware.grab().facts.clock_jumped


def test_a_repeated_frame_takes_no_good_one_s_place(free: Line) -> None:
    free.device.send(number=3)
    free.device.send(number=3)
    free.settled()
    assert free.grab(triggered=time.monotonic() - 5).facts.number == 3


def test_a10_a_torn_frame_of_a_command_is_a_fault_and_the_next_one_is_good(software: Line) -> None:
    software.device.torn = "packets are missing"
    error = code_of(software.grab)
    assert (error.code, error.text, error.lost) == (Code.IMAGE_INVALID, "packets are missing", False)
    software.device.torn = ""
    assert software.grab().pixels.shape == (48, 64, 3)


def test_a10_a_torn_frame_of_a_wire_is_a_fault_and_the_next_one_is_good(hardware: Line) -> None:
    hardware.device.send(broken="packets are missing")
    assert code_of(hardware.grab).code is Code.IMAGE_INVALID
    hardware.device.send()
    assert hardware.number() == 2


def test_a10_a_camera_that_runs_free_gives_the_frame_behind_a_torn_one(free: Line) -> None:
    begun = time.monotonic()
    free.device.send(broken="packets are missing")
    free.device.send()
    assert free.grab(triggered=begun).facts.number == 2
    begun = time.monotonic()
    free.device.send(broken="packets are missing")
    assert code_of(lambda: free.grab(1.0, begun)).code is Code.IMAGE_INVALID


def test_a10_a_torn_frame_that_is_the_trigger_itself_is_a_fault() -> None:
    line = Line(TriggeredCamera.model_validate({"trigger": "hardware", "starts": True}))
    come(line.camera)
    try:
        line.device.send(broken="packets are missing")
        line.device.send()
        line.settled()
        first, second = numbers_of(line)
        assert code_of(lambda: started(line, first)).code is Code.IMAGE_INVALID
        assert started(line, second).pixels.shape == (48, 64, 3)
    finally:
        line.camera.close()


def numbers_of(line: Line) -> list[int]:
    numbers: list[int] = []
    for _ in range(1000):
        numbers += line.camera.came()
        if len(numbers) == 2:
            return numbers
        time.sleep(0.001)
    raise AssertionError(f"only {numbers} came")


def started(line: Line, number: int) -> Grabbed:
    return line.camera.grab(buffer(), Order(1, 0, LONG, time.monotonic(), number))


def test_a02_unplugged_during_the_exposure(software: Line) -> None:
    software.device.answers = False
    unplugging = threading.Timer(0.05, software.device.unplug)
    unplugging.start()
    error = code_of(software.grab)
    unplugging.join()
    assert error.code is Code.CAMERA_LINK
    assert error.lost


def test_a_driver_that_does_not_return_is_found_out(software: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software.camera._pump, "_allowed", 0.05)
    software.device.held.clear()
    error = lost(software.camera)
    assert error.hung


def test_no_second_thread_enters_a_driver_that_does_not_return(software: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "CLOSING", 0.01)
    software.device.held.clear()
    time.sleep(2 * device.WAIT)
    software.camera.close()
    assert code_of(software.camera.open).code is Code.STARTING
    assert sum(thread.name == "camera" for thread in threading.enumerate()) == 1
    software.device.held.set()
    come(software.camera)
    assert software.number() is not None


def test_what_a_driver_raises_ends_the_camera_alone(software: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(wait: float) -> None:
        raise RuntimeError("vendor says no")

    monkeypatch.setattr(software.device, "next", broken)
    error = lost(software.camera)
    assert error.code is Code.CAMERA_LINK
    assert "vendor says no" in error.text


@pytest.mark.parametrize("kind", ["mono8", "mono10", "mono12", "mono16", "bgr8", "rgb8"])
def test_pixels_of_each_format_become_bgr(kind: PixelFormat) -> None:
    bits = {"mono10": 10, "mono12": 12, "mono16": 16}.get(kind, 8)
    colour = np.array([[[10, 100, 200]]], np.uint8)
    if kind in ("bgr8", "rgb8"):
        raw = np.tile(colour if kind == "bgr8" else colour[..., ::-1], (4, 6, 1))
        expected = np.tile(colour, (4, 6, 1))
    else:
        raw = np.full((4, 6), 100 << (bits - 8), np.uint16 if bits > 8 else np.uint8)
        expected = np.full((4, 6, 3), 100, np.uint8)
    assert np.array_equal(to_bgr(raw, kind, buffer(1000)), expected)


@pytest.mark.parametrize(
    ("kind", "corner"),
    [("bayer_rg8", (0, 0)), ("bayer_bg8", (1, 1)), ("bayer_gr8", (0, 1)), ("bayer_gb8", (1, 0))],
)
def test_bayer_patterns_are_named_by_their_first_row(kind: PixelFormat, corner: tuple[int, int]) -> None:
    """Red light: only the red pixels see it. RG means that the first pixel is red."""
    raw = np.zeros((16, 16), np.uint8)
    raw[corner[0] :: 2, corner[1] :: 2] = 200
    blue, green, red = to_bgr(raw, kind, buffer(1000))[4:12, 4:12].reshape(-1, 3).mean(axis=0)
    assert red > 150
    assert blue == green == 0


def test_yuyv_becomes_bgr() -> None:
    raw = np.tile(np.array([[[128, 128], [128, 128]]], np.uint8), (4, 3, 1))
    expected = cv2.cvtColor(raw, cv2.COLOR_YUV2BGR_YUYV)
    assert np.array_equal(to_bgr(raw, "yuyv", buffer(1000)), expected)
    assert abs(int(expected.mean()) - 130) < 5


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("mono8", np.zeros((4, 4, 3), np.uint8)),
        ("bgr8", np.zeros((4, 4), np.uint8)),
        ("mono12", np.zeros((4, 4), np.uint8)),
        ("mono8", np.zeros((0, 4), np.uint8)),
        ("mono8", np.zeros(16, np.uint8)),
    ],
)
def test_a09_pixels_that_are_not_what_was_said_are_refused(kind: PixelFormat, raw: np.ndarray) -> None:
    with pytest.raises(CameraError) as caught:
        to_bgr(raw, kind, buffer(1000))
    assert caught.value.code is Code.IMAGE_FORMAT
