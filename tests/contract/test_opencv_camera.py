"""The opencv camera: what it refuses to open, streams that damage or starve, video files."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.vision.camera_settings import OpenCvCamera
from gateway.vision.cameras import Camera, CameraError, Order, make_camera
from gateway.vision.cameras.opencv import ffmpeg
from gateway.vision.cameras.pixels import decode
from protocols.faults import Code
from tests.contract.camera_rigs import buffer, come, picture, video
from tests.contract.mjpeg_server import MjpegServer
from tests.contract.test_cameras import code_of, lost


def look(camera: Camera, cycle: int = 1, budget: float = 10.0) -> np.ndarray:
    return camera.grab(buffer(), Order(cycle, 0, budget)).pixels


@pytest.mark.parametrize(
    "url",
    [
        "concat:a.mp4|b.mp4",
        "file:" + "//etc/passwd",
        "subfile,,start,0,end,0,,:/etc/passwd",
        "tcp://10.0.0.1:80",
        "/etc/passwd",
        "ftp://host/x",
        "rtsp://",
        "http:///x",
        "rtsp://host:99999/x",
        "rtsp://user:secret@host/x",
        "rtsp://user:sec/secret@host/x",
        "rtsp://user:1#secret@host/x",
        "rtsp://user:secret",
        "rtsp://[secret",
        "rtsp://ho st/x",
    ],
)
def test_only_streams_of_the_named_schemes_are_configured(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenCvCamera(url=url)
    assert "secret" not in str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"url": "rtsp://host/x", "path": Path("x.avi")},
        {"url": "rtsp://host/x", "exposure_us": 100},
        {"path": Path("x.avi"), "width": 100},
        {"device": 0, "pixel_format": "mono8"},
        {"device": 0, "roi": {"width": 8, "height": 8}},
        {"device": "/etc/../dev/../etc/passwd|x"},
        {"device": "video=0"},
    ],
)
def test_settings_that_cannot_be_obeyed_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OpenCvCamera.model_validate(settings)


def test_a_usb_camera_that_is_not_there_is_a_lost_one() -> None:
    camera = make_camera(OpenCvCamera(device="/dev/video63"))
    error = code_of(lambda: come_once(camera))
    camera.close()
    assert error.code is Code.CAMERA_LINK
    assert "video63" in error.text


def come_once(camera: Camera) -> None:
    """Open until there is an answer: yes or no."""
    while True:
        try:
            camera.open()
            return
        except CameraError as error:
            if error.code is not Code.STARTING:
                raise


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a03_a_computer_that_accepts_and_says_nothing_is_given_up(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        camera = make_camera(OpenCvCamera(url=f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/x", open_timeout_s=0.3))
        error = code_of(lambda: come_once(camera))
        camera.close()
    assert error.code is Code.FRAME_TIMEOUT
    assert "open_timeout_s" in error.text


def test_a03_the_worker_is_not_held_up_while_the_camera_is_being_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        camera = make_camera(OpenCvCamera(url=f"http://127.0.0.1:{silent.getsockname()[1]}/x", open_timeout_s=1.5))
        assert code_of(camera.open).code is Code.STARTING
        assert code_of(camera.check).code is Code.STARTING
        assert code_of(camera.open).code is Code.STARTING
        code_of(lambda: come_once(camera))
        camera.close()


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as server:
        yield server


@pytest.fixture
def stream(server: MjpegServer) -> Iterator[Camera]:
    camera = make_camera(OpenCvCamera(url=server.url, silence_s=0.5, latency_ms=0))
    come(camera)
    look(camera)
    yield camera
    camera.close()


def test_a_stream_that_falls_silent_is_lost_with_its_own_code(server: MjpegServer, stream: Camera) -> None:
    server.silence()
    error = lost(stream)
    assert error.code is Code.FRAME_TIMEOUT
    assert "silence_s" in error.text


@pytest.mark.parametrize("source", ["concat:{0}|{0}", "subfile,,start,0,end,0,,:{0}", "http://127.0.0.1:9/x"])
def test_a_file_leads_to_nothing_but_files(source: str, tmp_path: Path) -> None:
    """Settings cannot say such a thing; a playlist or container that is opened as a file can."""
    path = video(tmp_path / "x.avi")
    capture = ffmpeg(source.format(path), "", OpenCvCamera(path=path))
    assert not capture.isOpened()
    capture.release()


@pytest.mark.parametrize("path", ["x?user=a&pwd=secret", "user=a&password=secret&channel=1.sdp", "x#secret"])
def test_i7_no_sentence_shows_what_follows_the_name_of_the_stream(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    camera = make_camera(OpenCvCamera(url=f"http://127.0.0.1:9/{path}", open_timeout_s=0.3))
    told = code_of(lambda: come_once(camera)).text
    camera.close()
    assert "http://127.0.0.1:9/" in told
    assert "secret" not in told + "".join(capfd.readouterr())


def test_a_redirection_into_a_file_is_not_followed(server: MjpegServer, tmp_path: Path) -> None:
    path = video(tmp_path / "secret.avi")
    scheme = "file:" + "//"
    server.head = f"HTTP/1.0 302 Found\r\nLocation: {scheme}{path}\r\nContent-Length: 0\r\n\r\n".encode()
    camera = make_camera(OpenCvCamera(url=server.url, open_timeout_s=0.5))
    assert code_of(lambda: come_once(camera)).lost
    camera.close()


def test_a10_a_damaged_frame_is_an_invalid_image_and_the_stream_goes_on(server: MjpegServer, stream: Camera) -> None:
    whole = cv2.imencode(".jpg", picture(1, 64, 48))[1].tobytes()
    for damaged in (whole[:20] + b"\xff\xd9", b"\xff\xd8" + b"x" * 500 + b"\xff\xd9", b"no picture at all"):
        server.payload = damaged
        assert invalid(stream).code is Code.IMAGE_INVALID
    server.payload = None
    for _ in range(50):
        try:
            look(stream)
            return
        except CameraError as error:
            assert error.code is Code.IMAGE_INVALID  # noqa: PT017 - one that was on its way
    raise AssertionError("no good frame came any more")


def invalid(camera: Camera) -> CameraError:
    """Good frames may still be on their way."""
    for _ in range(50):
        try:
            look(camera)
        except CameraError as error:
            return error
    raise AssertionError("a damaged frame was taken for a picture")


BOMB = """
import resource, sys
from gateway.vision.cameras import CameraError, Order, make_camera
from gateway.vision.camera_settings import FolderCamera, OpenCvCamera
from tests.contract.camera_rigs import buffer, come
kind, source = sys.argv[1:]
camera = make_camera(FolderCamera(path=source) if kind == "folder" else OpenCvCamera(url=source, latency_ms=0))
come(camera)
def look(cycle):
    try:
        camera.grab(buffer(), Order(cycle, 0, 10.0))
    except CameraError as error:
        return int(error.code)
    return 0
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
while look(1) == 0 and kind == "http":
    print("good", flush=True)
    sys.stdin.readline()
before = peak()
codes = {look(cycle) for cycle in range(1, 6)}
camera.close()
print(*codes, peak() - before)
"""


def bomb(kind: str, source: str) -> subprocess.Popen[str]:
    """A process of its own, with the bound that the vision process sets: OpenCV reads it as it is loaded."""
    return subprocess.Popen(
        [sys.executable, "-c", BOMB, kind, source],
        env=os.environ | {"OPENCV_IO_MAX_IMAGE_PIXELS": str(16 * 2**20)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


WHOLE = cv2.imencode(".jpg", picture(1, 64, 48))[1].tobytes()


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a10_bytes_that_were_changed_on_the_way_end_in_a_picture_or_as_1004(changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for at, value in changes:
        data[at] = value
    try:
        shown = decode(np.frombuffer(bytes(data), np.uint8), "it")
    except CameraError as error:
        assert error.code is Code.IMAGE_INVALID  # noqa: PT017 - one of two ends
    else:
        assert shown.dtype == np.uint8
        assert shown.ndim == 3


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@given(cut=st.integers(1, 1000))
def test_a10_a_picture_that_is_cut_is_none(suffix: str, cut: int) -> None:
    data = cv2.imencode(suffix, picture(1, 64, 48))[1]
    with pytest.raises(CameraError):
        decode(data[:-cut], "it")


def huge_jpeg(side: int = 30_000) -> bytes:
    """A small file whose head promises a picture of side x side."""
    data = bytearray(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)


def test_a11_an_image_bomb_in_a_stream_is_refused_before_it_is_decoded(server: MjpegServer) -> None:
    process = bomb("http", server.url)
    assert process.stdout is not None
    assert process.stdout.readline() == "good\n"
    server.payload = huge_jpeg()
    rest = process.communicate("\n" * 1000)[0].splitlines()[-1].split()
    assert rest[0] == str(int(Code.IMAGE_INVALID))
    assert int(rest[-1]) < 50


def test_a11_an_image_bomb_in_a_folder_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "bomb.jpg").write_bytes(huge_jpeg())
    rest = bomb("folder", str(tmp_path)).communicate()[0].split()
    assert rest[0] == str(int(Code.IMAGE_INVALID))
    assert int(rest[-1]) < 50


def test_a_video_file_is_shown_in_order_and_again(tmp_path: Path) -> None:
    camera = make_camera(OpenCvCamera(path=video(tmp_path / "line.avi", count=4)))
    camera.open()
    greys = [look(camera, cycle).mean() for cycle in range(1, 9)]
    camera.close()
    assert [round((grey - greys[0]) / 40) for grey in greys] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_video_file_shown_once_ends(tmp_path: Path) -> None:
    camera = make_camera(OpenCvCamera(path=video(tmp_path / "line.avi", count=4), loop=False))
    camera.open()
    look(camera, 4)
    error = code_of(lambda: look(camera, 5))
    camera.close()
    assert error.code is Code.FRAME_TIMEOUT


@pytest.mark.parametrize("content", [b"", b"no video", b"RIFF" + b"\0" * 100])
def test_a_damaged_video_file_is_a_lost_camera(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.avi"
    path.write_bytes(content)
    camera = make_camera(OpenCvCamera(path=path))
    assert code_of(camera.open).code is Code.CAMERA_LINK
