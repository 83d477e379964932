"""The opencv camera against GStreamer's RTSP server (Debian: gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway.vision.camera_settings import OpenCvCamera
from gateway.vision.cameras import Camera, Order, make_camera
from protocols.faults import Code
from tests.contract.camera_rigs import buffer, come
from tests.contract.test_cameras import code_of, lost
from tests.contract.test_opencv_camera import come_once

pytestmark = pytest.mark.interop
SYSTEM_PYTHON = Path("/usr/bin/python3")
PROBE = (
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
    "Gst.init(None); "
    "assert Gst.ElementFactory.find('rtpjpegpay') and Gst.ElementFactory.find('jpegenc')"
)


@pytest.fixture(scope="module")
def installed() -> None:
    if not SYSTEM_PYTHON.exists():
        pytest.skip("no system Python for GStreamer's RTSP server")
    if subprocess.run([SYSTEM_PYTHON, "-c", PROBE], capture_output=True, check=False).returncode:
        pytest.skip("GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good) is not installed")


@pytest.fixture
def server(installed: None) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).with_name("rtsp_server.py")
    process = subprocess.Popen(
        [SYSTEM_PYTHON, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    yield process
    process.kill()
    process.communicate()


@pytest.fixture(params=["tcp", "udp"])
def camera(request: pytest.FixtureRequest, server: subprocess.Popen[str]) -> Iterator[Camera]:
    assert server.stdout is not None
    url = f"rtsp://127.0.0.1:{int(server.stdout.readline())}/line"
    camera = make_camera(
        OpenCvCamera(url=url, transport=request.param, open_timeout_s=10, silence_s=1, latency_ms=0, frozen_check=False)
    )
    come(camera)
    yield camera
    camera.close()


def look(camera: Camera, cycle: int) -> np.ndarray:
    return camera.grab(buffer(), Order(cycle, 0, 10.0)).pixels


def test_frames_of_an_rtsp_stream_are_new_ones(camera: Camera) -> None:
    first, second = look(camera, 1), look(camera, 2)
    assert first.shape == second.shape == (240, 320, 3)
    assert not np.array_equal(first, second)
    assert first.max() > 200  # the ball


def test_a03_a_stream_that_falls_silent_or_ends_is_lost(camera: Camera, server: subprocess.Popen[str]) -> None:
    look(camera, 1)
    server.kill()
    assert lost(camera).code in (Code.CAMERA_LINK, Code.FRAME_TIMEOUT)


def test_a_stream_of_another_name_is_refused(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    camera = make_camera(OpenCvCamera(url=f"rtsp://127.0.0.1:{int(server.stdout.readline())}/other", open_timeout_s=10))
    assert code_of(lambda: come_once(camera)).code is Code.CAMERA_LINK
    camera.close()
