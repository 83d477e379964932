"""What pylon's and GenICam's drivers do beyond the suite of all cameras: formats, refusals, losses."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from gateway.vision.camera_settings import BaslerCamera, Region
from gateway.vision.cameras import basler
from gateway.vision.cameras.basler import Basler
from gateway.vision.cameras.device import DeviceCamera
from protocols.faults import Code
from tests.contract.camera_rigs import come
from tests.contract.vendor_rigs import emulator, need, producer, shown, viky
from tests.contract.vendor_steps import grab, loss, opened, outcome, refusal
from tests.pictures import real_pictures

pytestmark = pytest.mark.usefixtures("locks_of_genicam")

COLOUR = (40, 90, 200)
"""Blue, green, red of a picture of one colour: whatever its format, the frame must show it."""


# pylon's emulator


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A folder with one picture of one colour."""
    folder = tmp_path / "plain"
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full((256, 320, 3), COLOUR, np.uint8))
    return folder


@pytest.mark.parametrize("name", ["bgr8", "rgb8", "bayer_rg8", "bayer_gb8", "bayer_gr8", "bayer_bg8"])
def test_colour_formats_show_the_same_picture(plain: Path, name: str) -> None:
    with opened(emulator(plain, pixel_format=name, frozen_check=False)) as camera:
        inside = grab(camera)[4:-4, 4:-4]
        assert np.abs(inside.astype(int) - COLOUR).max() <= 1


@pytest.mark.parametrize("name", ["mono8", "mono10", "mono12", "mono16"])
def test_grey_formats_are_scaled_to_eight_bits(plain: Path, name: str) -> None:
    with opened(emulator(plain, pixel_format=name, frozen_check=False)) as camera:
        frame = grab(camera)
        assert frame.shape == (256, 320, 3)
        assert abs(int(frame.min()) - 111) <= 1  # pylon's own grey of the colour, whatever the depth
        assert abs(int(frame.max()) - 111) <= 1


def test_real_photographs_pass_unchanged_in_their_order(tmp_path: Path) -> None:
    need("pypylon", "basler")
    folder = tmp_path / "real"
    folder.mkdir()
    photographs = []
    for number, path in enumerate(real_pictures(3)[:3]):
        whole = cv2.imread(str(path))
        assert whole is not None
        photograph = cv2.resize(whole, (320, 256))
        photographs.append(photograph)
        cv2.imwrite(str(folder / f"{number}.png"), photograph)
    with opened(emulator(folder)) as camera:
        for cycle, photograph in enumerate(photographs, 1):
            assert np.array_equal(grab(camera, cycle), photograph)


@pytest.mark.parametrize("trigger", ["software", "free"])
def test_a_torn_buffer_is_used_by_nobody_and_given_back(tmp_path: Path, trigger: str) -> None:
    settings = emulator(shown(tmp_path / "shown"), trigger=trigger, buffers=3, frozen_check=False)
    device = Basler(settings)
    camera = DeviceCamera(device, settings)
    come(camera)
    codes = []
    try:
        for cycle in range(1, 9):  # more than there are buffers
            assert device.features is not None
            device.features.write("ForceFailedBufferCount", 1)
            device.features.execute("ForceFailedBuffer")
            codes.append(outcome(camera, cycle))
            assert np.asarray(grab(camera, cycle)).shape == (256, 320, 3)
    finally:
        camera.close()
    # running free, the next frame will do
    assert codes == [Code.IMAGE_INVALID if trigger == "software" else Code.NONE] * 8


def test_what_the_camera_was_told_is_read_back(tmp_path: Path) -> None:
    settings = emulator(
        shown(tmp_path / "shown"),
        exposure_us=1234.6,
        gain=3.3,
        roi=Region(x=16, y=8, width=64, height=48),
        features={"ReverseX": True, "ExposureAuto": "Continuous"},
    )
    device = Basler(settings)
    camera = DeviceCamera(device, settings)
    come(camera)
    try:
        features = device.features
        assert features is not None
        assert features.number("ExposureTime") == pytest.approx(1235)
        assert features.number("Gain") == pytest.approx(3.3, rel=0.01)
        assert [features.number(name) for name in ("OffsetX", "OffsetY", "Width", "Height")] == [16, 8, 64, 48]
        assert features.number("ReverseX") == 1
        assert [features.text(name) for name in ("TriggerMode", "TriggerSource")] == ["On", "Software"]
        assert features.text("ExposureAuto") == "Off"
        assert grab(camera).shape == (48, 64, 3)
    finally:
        camera.close()


REFUSED: dict[str, tuple[dict[str, object], Code, str]] = {
    "exposure": ({"exposure_us": 50_000_000}, Code.CONFIG_INVALID, "the camera takes 1 to 1e+07"),
    "gain": ({"gain": 900}, Code.CONFIG_INVALID, "gain 900: the camera takes"),
    "region": (
        {"roi": Region(width=9000, height=64)},
        Code.CONFIG_INVALID,
        "roi.width 9000: the camera takes 1 to 4096",
    ),
    "offset": ({"roi": Region(x=4000, width=320, height=64)}, Code.CONFIG_INVALID, "roi.x 4000"),
    "format": ({"pixel_format": "yuyv"}, Code.IMAGE_FORMAT, "it can do mono8, mono10"),
    "line": ({"trigger": "hardware", "trigger_line": "Line9"}, Code.CONFIG_INVALID, "no Line9, but Software, Line1"),
    "no feature": ({"features": {"BalanceWhiteAuto": "Off"}}, Code.CONFIG_INVALID, "BalanceWhiteAuto"),
    "no value": ({"features": {"ExposureAuto": "Often"}}, Code.CONFIG_INVALID, "refuses ExposureAuto"),
    "wrong type": ({"features": {"Width": "wide"}}, Code.CONFIG_INVALID, "Width"),
    "serial": ({"serial": "4711"}, Code.CAMERA_LINK, "No device is available"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_a_setting_that_does_not_suit_the_camera_is_named(tmp_path: Path, row: str) -> None:
    wish, code, words = REFUSED[row]
    error = refusal(emulator(shown(tmp_path / "shown"), **wish))
    assert (error.code, error.lost) == (code, True)
    assert words in error.text
    assert "\n" not in error.text


def test_a_basler_camera_that_pylon_calls_removed_is_lost_and_opened_again(tmp_path: Path) -> None:
    settings = emulator(shown(tmp_path / "shown"))
    device = Basler(settings)
    camera = DeviceCamera(device, settings)
    come(camera)
    try:
        grab(camera)
        device._camera = Removed(device._camera)  # the emulator has no cable
        error = loss(camera)
        assert (error.code, error.lost) == (Code.CAMERA_LINK, True)
        come(camera)
        grab(camera)
    finally:
        camera.close()


def test_an_emulated_camera_is_not_taken_for_a_real_one() -> None:
    """Where PYLON_CAMEMU is set, a search that names no transport finds it too; its results would not say so."""
    info = SimpleNamespace(GetDeviceClass=lambda: "BaslerCamEmu")
    assert not basler.suits(info, BaslerCamera())
    assert basler.suits(info, BaslerCamera(transport="emulator"))
    assert basler.suits(SimpleNamespace(GetDeviceClass=lambda: "BaslerUsb"), BaslerCamera())


class Removed:
    """pylon's camera, as it is after its cable was pulled."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    def IsCameraDeviceRemoved(self) -> bool:  # noqa: N802 - pylon's name
        return True


# genicam's producer


def test_the_camera_that_is_named_is_taken() -> None:
    wishes: list[dict[str, object]] = [{"serial": "2"}, {"serial": None, "id": "VikyTL_DEV_blue"}]
    for wish in wishes:
        with opened(viky(**wish)) as camera:
            assert grab(camera).shape == (100, 100, 3)


NOT_OPENED: dict[str, tuple[dict[str, object], Code, str]] = {
    "absent": ({"serial": "9"}, Code.CAMERA_LINK, "sees no camera serial 9; it sees Viky 0 (VikyTL_DEV_red)"),
    "several": ({"serial": None, "model": "Viky"}, Code.CONFIG_INVALID, "fit 3 cameras; set serial or id"),
    "no trigger": ({"trigger": "software"}, Code.CONFIG_INVALID, "set trigger: free"),
    "no exposure": ({"exposure_us": 100}, Code.CONFIG_INVALID, "the camera has none of ExposureTime"),
    "no offsets": ({"roi": Region(x=8, width=100, height=100)}, Code.CONFIG_INVALID, "leave x and y at 0"),
    "format": ({"pixel_format": "rgb8"}, Code.IMAGE_FORMAT, "it can do mono8 (it says RGBa8, Mono8)"),
    "its own format": (
        {"pixel_format": None},
        Code.IMAGE_FORMAT,
        "RGBa8 pixels, which are not taken; set pixel_format",
    ),
    "no file": ({"producer": Path("/nowhere/vendor.cti")}, Code.CONFIG_INVALID, "install the vendor's driver"),
    "no producer": ({"producer": Path(sys.executable).resolve().parent}, Code.CONFIG_INVALID, "cannot be loaded"),
}


@pytest.mark.parametrize("row", NOT_OPENED)
def test_a_genicam_camera_that_cannot_be_had_says_why(row: str) -> None:
    wish, code, words = NOT_OPENED[row]
    error = refusal(viky(**wish))
    assert (error.code, error.lost) == (code, True)
    assert words in error.text
    assert "\n" not in error.text


def test_a_library_that_is_no_producer_is_refused_before_it_is_called() -> None:
    """harvesters would call functions that are not there, and take the process with it."""
    producer()
    import _ctypes

    error = refusal(viky(producer=Path(_ctypes.__file__)))
    assert "is no GenTL producer" in error.text


def test_producers_are_found_where_their_installers_put_them(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = producer().parent
    monkeypatch.setenv("GENICAM_GENTL64_PATH", f"/nowhere:{folder}")
    with opened(viky(producer=None)) as camera:
        grab(camera)
    monkeypatch.delenv("GENICAM_GENTL64_PATH")
    assert "GENICAM_GENTL64_PATH" in refusal(viky(producer=None)).text


def test_the_producer_s_log_does_not_reach_our_output(capfd: pytest.CaptureFixture[str]) -> None:
    refusal(viky(serial="9"))
    with opened(viky()) as camera:
        grab(camera)
        logging.getLogger("harvesters.core").error("what it says of every lost buffer, with a traceback")
    assert capfd.readouterr() == ("", "")
