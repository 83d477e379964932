"""What each driver of industrial cameras does beyond the suite of all cameras: formats, refusals, losses, silence."""

from __future__ import annotations

import ctypes
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from gateway.vision.camera_settings import AravisCamera, BaslerCamera, GenicamCamera, Region
from gateway.vision.cameras import CameraError, Order, aravis_library, basler, gvcp, make_camera
from gateway.vision.cameras.aravis import CONTROL, Aravis
from gateway.vision.cameras.basler import Basler
from gateway.vision.cameras.device import DeviceCamera
from gateway.vision.cameras.drivers import Driven, discover
from protocols.faults import Code
from tests.contract.camera_rigs import Image, buffer, come
from tests.contract.vendor_rigs import ADDRESS, emulator, fake_camera, gige, need, own, producer, shown, viky
from tests.pictures import real_pictures

COLOUR = (40, 90, 200)
"""Blue, green, red of a picture of one colour: whatever its format, the frame must show it."""


@contextmanager
def opened(settings: Driven) -> Iterator[DeviceCamera]:
    camera = make_camera(settings)
    assert isinstance(camera, DeviceCamera)
    try:
        come(camera)
        yield camera
    finally:
        camera.close()


def grab(camera: DeviceCamera, cycle: int = 1) -> Image:
    return camera.grab(buffer(), Order(cycle, 0, 10.0)).pixels


def outcome(camera: DeviceCamera, cycle: int, budget: float = 10.0) -> Code:
    """Of a trigger whose frame may be torn: then it is a fault that says so, and the camera is not lost."""
    try:
        camera.grab(buffer(), Order(cycle, 0, budget))
    except CameraError as error:
        if error.lost or not ("not whole" in error.text or error.code is Code.FRAME_TIMEOUT):
            raise
        return error.code
    return Code.NONE


def refusal(settings: Driven) -> CameraError:
    """What opening a camera with these settings ends in."""
    camera = make_camera(settings)
    try:
        while True:
            try:
                camera.open()
            except CameraError as error:
                if error.code is not Code.STARTING:
                    return error
            else:
                raise AssertionError("the camera was opened")
    finally:
        camera.close()


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


@pytest.mark.parametrize("kind", ["basler", "aravis"])
def test_a_frame_that_waits_when_the_stream_begins_anew_is_thrown_away(kind: str, tmp_path: Path) -> None:
    """It belongs to a trigger that has been answered; and the driver has its buffers back."""
    with contextmanager(PLAYED["aravis" if kind == "aravis" else "basler"])():
        device: Basler | Aravis
        if kind == "basler":
            device = Basler(emulator(shown(tmp_path / "shown"), buffers=2))
        else:
            device = Aravis(gige(buffers=2))
        device.open()
        try:
            for _ in range(5):  # more than there are buffers
                device.fire()
                wait_until(lambda: waiting(device) > 0)
                device.restart()
                assert device.next(0.0) is None
            device.fire()
            wait_until(lambda: waiting(device) > 0)
            arrival = device.next(0.1)
            assert arrival is not None
            assert not arrival.broken
        finally:
            device.close()


def waiting(device: Basler | Aravis) -> int:
    """Frames that the driver holds ready."""
    if isinstance(device, Basler):
        return int(device._camera.NumReadyBuffers.GetValue())
    into, out = ctypes.c_int(), ctypes.c_int()
    count = aravis_library.library()._aravis.arv_stream_get_n_buffers
    count.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)]
    count.restype = None
    count(device._stream, ctypes.byref(into), ctypes.byref(out))
    return out.value


def wait_until(wanted: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.002)


class Removed:
    """pylon's camera, as it is after its cable was pulled."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    def IsCameraDeviceRemoved(self) -> bool:  # noqa: N802 - pylon's name
        return True


def loss(camera: DeviceCamera) -> CameraError:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            camera.check()
        except CameraError as error:
            return error
        time.sleep(0.01)
    raise AssertionError("nobody noticed that the camera is gone")


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


# Aravis


def test_a10_lost_packets_spoil_their_frame_alone() -> None:
    """Of a thousand packets fifteen are lost: torn frames are faults, those of the next trigger are not."""
    codes: list[Code] = []
    with fake_camera("-r", "15") as _, opened(gige(buffers=2, trigger="software")) as camera:
        while len(codes) < 200 and not (Code.IMAGE_INVALID in codes and codes[-1] is Code.NONE):
            codes.append(outcome(camera, len(codes) + 1, budget=1.5))
    assert set(codes) <= {Code.NONE, Code.IMAGE_INVALID, Code.FRAME_TIMEOUT}
    assert Code.IMAGE_INVALID in codes
    assert codes[-1] is Code.NONE


@pytest.mark.parametrize("name", ["mono8", "mono16", "rgb8", "bayer_rg8"])
def test_a_gige_camera_s_formats(name: str) -> None:
    with fake_camera() as _, opened(gige(pixel_format=name)) as camera:
        frame = grab(camera)
        assert frame.shape == (128, 256, 3)
        assert frame.std() > 10


def test_a_large_frame_waits_whole_for_the_thread_that_reads_it() -> None:
    """With libaravis' own buffer, as large as the frame's pixels alone, nearly every frame of this size is torn."""
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())
    if allowed < 2**20:
        pytest.skip(f"net.core.rmem_max is {allowed}: too small for frames of this size")
    with fake_camera(), opened(gige(roi=Region(width=512, height=512))) as camera:
        codes = [outcome(camera, cycle, budget=2.0) for cycle in range(1, 11)]
    assert codes.count(Code.NONE) >= 8


GIGE_REFUSED: dict[str, tuple[dict[str, object], Code, str]] = {
    "exposure": ({"exposure_us": 20_000_000}, Code.CONFIG_INVALID, "the camera takes 10 to 1e+07 (ExposureTimeAbs)"),
    "gain": ({"gain": 900}, Code.CONFIG_INVALID, "(GainRaw)"),
    "region": ({"roi": Region(width=4096, height=64)}, Code.CONFIG_INVALID, "roi.width 4096: the camera takes"),
    "format": ({"pixel_format": "mono12"}, Code.IMAGE_FORMAT, "it can do mono8, mono16, bayer_gr8"),
    "line": ({"trigger": "hardware", "trigger_line": "Line7"}, Code.CONFIG_INVALID, "no Line7, but Line0, Software"),
    "no feature": ({"features": {"Nonsense": 1}}, Code.CONFIG_INVALID, "the camera has no Nonsense"),
    "no value": ({"features": {"AcquisitionMode": "Often"}}, Code.CONFIG_INVALID, "refuses AcquisitionMode"),
    "no whole": ({"features": {"Width": 64.5}}, Code.CONFIG_INVALID, "Width takes whole numbers, not 64.5"),
}


def test_what_a_gige_camera_refuses_is_named() -> None:
    with fake_camera():
        for wish, code, words in GIGE_REFUSED.values():
            error = refusal(gige(**wish))
            assert (error.code, error.lost) == (code, True)
            assert words in error.text
            assert "\n" not in error.text


def test_an_address_where_no_camera_answers_is_told_at_once() -> None:
    with fake_camera() as played:
        played.stop()
        assert not gvcp.answers(ADDRESS)
        error = refusal(gige())
        assert (error.code, error.text) == (Code.CAMERA_LINK, f"no camera answers at {ADDRESS}")


@pytest.mark.parametrize("trigger", ["software", "hardware"])
def test_a_gige_camera_that_has_given_up_our_control_is_opened_again(trigger: str) -> None:
    """Out of reach for some seconds, then back: it answers, and will never send a frame."""
    with fake_camera():
        settings = gige(trigger=trigger)
        device = Aravis(settings)
        camera = DeviceCamera(device, settings)
        come(camera)
        try:
            forget(device)
            error = loss(camera)
            assert (error.code, error.lost) == (Code.CAMERA_LINK, True)
            assert "forgotten us" in error.text
            come(camera)
            if trigger == "software":
                grab(camera)
        finally:
            camera.close()


def forget(device: Aravis) -> None:
    lib = aravis_library.library()
    write = lib._aravis.arv_device_write_register
    write.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p]
    assert write(lib.call("arv_camera_get_device", device._camera), CONTROL, 0, None)


def test_the_library_s_own_camera_shows_no_part() -> None:
    with opened(own()) as camera:
        assert camera.simulated
        assert grab(camera).ndim == 3


# all


@pytest.mark.parametrize("kind", ["basler", "genicam", "aravis"])
def test_cameras_are_found(kind: str, tmp_path: Path) -> None:
    rows: dict[str, tuple[Callable[[], Driven], list[tuple[str, str]]]] = {
        "basler": (lambda: emulator(tmp_path), [("Emulation", "0815-0000")]),
        "genicam": (viky, [("Viky", "0"), ("Viky", "1"), ("Viky", "2")]),
        "aravis": (own, [("Fake", "1")]),
    }
    make, expected = rows[kind]
    assert [(camera.model, camera.serial) for camera in discover(make())] == expected


MISSING: dict[str, tuple[BaslerCamera | GenicamCamera, str]] = {
    "pypylon": (BaslerCamera(transport="emulator"), "pip install 'vision-plc-gateway[basler]'"),
    "harvesters": (GenicamCamera(), "pip install 'vision-plc-gateway[genicam]'"),
}


@pytest.mark.parametrize("package", MISSING)
def test_a_missing_package_is_one_sentence(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, command = MISSING[package]
    monkeypatch.setenv("PYLON_CAMEMU", "1")
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    error = refusal(settings)
    assert (error.code, error.lost) == (Code.CONFIG_INVALID, True)
    assert error.text.startswith(f"cameras of kind {settings.kind} need {package}: ")
    assert command in error.text


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aravis_library, "LIBRARIES", ("libaravis-none.so.0",) * 3)
    aravis_library.library.cache_clear()
    try:
        error = refusal(AravisCamera(address=ADDRESS))
    finally:
        aravis_library.library.cache_clear()
    assert error.code is Code.CONFIG_INVALID
    assert "sudo apt install libaravis-0.8-0" in error.text


@pytest.mark.parametrize("address", ["camera.local", "1.2.3", "::1"])
def test_an_address_of_a_basler_camera_is_one_of_four_numbers(address: str) -> None:
    with pytest.raises(ValidationError):
        BaslerCamera(address=address)


ALONE = """
import sys, numpy
from tests.contract.vendor_rigs import emulator, gige, viky, shown
from tests.contract.camera_rigs import come
from gateway.vision.cameras import Order, make_camera
from gateway.vision.cameras.drivers import discover
from pathlib import Path
kind, folder = sys.argv[1:]
settings = {"basler": lambda: emulator(Path(folder)), "genicam": viky, "aravis": gige}[kind]()
camera = make_camera(settings)
come(camera)
camera.grab(numpy.zeros(2**24, numpy.uint8), Order(1, 0, 10.0))
camera.close()
if kind != "aravis":
    discover(settings)
print("done")
"""


@pytest.mark.parametrize("kind", ["basler", "genicam", "aravis"])
def test_nothing_is_sent_beyond_this_machine(kind: str, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = shown(tmp_path / "shown")
    trace = tmp_path / "trace"
    with contextmanager(PLAYED[kind])():
        command = [
            "strace",
            "-f",
            "-e",
            "trace=network",
            "-o",
            str(trace),
            sys.executable,
            "-c",
            ALONE,
            kind,
            str(folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        if "Operation not permitted" in done.stderr:
            pytest.skip("strace may not trace here")
        assert done.stdout.strip() == "done", done.stderr
    sent = [line for line in trace.read_text().splitlines() if any(f" {call}(" in line for call in SENDING)]
    far = [line for line in sent if "sa_family=AF_INET" in line and f'inet_addr("{ADDRESS}")' not in line]
    assert far == []
    assert bool([line for line in sent if ADDRESS in line]) is (kind == "aravis")


SENDING = ("sendto", "sendmsg", "sendmmsg", "connect")


def none() -> Iterator[None]:
    yield None


def played() -> Iterator[Any]:
    with fake_camera() as camera:
        yield camera


PLAYED: dict[str, Callable[[], Iterator[Any]]] = {"basler": none, "genicam": none, "aravis": played}
