"""What holds for every driver: found, missing, begun anew, and silent towards the network."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.vision.camera_settings import AravisCamera, BaslerCamera, GenicamCamera
from gateway.vision.cameras import aravis_library
from gateway.vision.cameras.aravis import Aravis
from gateway.vision.cameras.basler import Basler
from gateway.vision.cameras.drivers import Driven, discover
from protocols.faults import Code
from tests.contract.vendor_rigs import ADDRESS, emulator, gige, own, shown, viky
from tests.contract.vendor_steps import PLAYED, refusal

pytestmark = pytest.mark.usefixtures("locks_of_genicam")


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
SENDING = ("sendto", "sendmsg", "sendmmsg", "connect")


@pytest.mark.parametrize("kind", ["basler", "genicam", "aravis"])
def test_nothing_is_sent_beyond_this_machine(kind: str, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder = shown(tmp_path / "shown")
    settings: dict[str, Callable[[], Driven]] = {"basler": lambda: emulator(folder), "genicam": viky, "aravis": gige}
    settings[kind]()  # skips what is not installed
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
