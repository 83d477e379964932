"""`gateway camera`: in a child that is killed when the driver hangs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from gateway import camera_command, cli
from tests.contract.mjpeg_server import MjpegServer

CONFIG = """\
name: demo
data_dir: data
stations:
  - name: cell1
    link: {{ kind: loopback }}
    camera: {camera}
    recipes: [bracket]
    cycle: {{ grab_timeout_ms: 150 }}
"""


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    with MjpegServer() as server:
        yield server


def config(folder: Path, camera: str) -> str:
    path = folder / "line.yaml"
    path.write_text(CONFIG.format(camera=camera), "utf-8")
    return str(path)


def run(*arguments: str) -> int:
    return cli.main(["camera", *arguments])


def test_a_frame_is_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shown.png"
    file = config(tmp_path, "{ kind: simulated, width: 320, height: 256 }")
    assert run("grab", file, "cell1", "--out", str(out)) == 0
    shown = cv2.imread(str(out))
    assert shown is not None
    assert shown.shape == (256, 320, 3)
    told = capsys.readouterr().out
    assert "320 x 256" in told
    assert "ms of 150" in told
    assert str(out) in told


def test_a_stream_is_measured(tmp_path: Path, server: MjpegServer, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "last.jpg"
    file = config(tmp_path, f"{{ kind: opencv, url: '{server.url}', latency_ms: 0 }}")
    assert run("stream", file, "--seconds", "0.5", "--out", str(out)) == 0
    told = capsys.readouterr().out
    assert "a second" in told
    assert "jitter" in told
    assert out.stat().st_size


@pytest.mark.parametrize(
    ("camera", "text"),
    [
        ("{ kind: opencv, device: /dev/video63 }", "1001"),
        ("{ kind: folder, path: nowhere }", "does not exist"),
    ],
)
def test_a_camera_that_is_not_there_is_one_sentence(
    tmp_path: Path, camera: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("grab", config(tmp_path, camera)) == 1
    told = capsys.readouterr().err
    assert text in told
    assert "Traceback" not in told


@pytest.mark.parametrize("out", ["none/x.png", "x.nothing"])
def test_a_picture_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(tmp_path, "{ kind: simulated, width: 320, height: 256 }")
    assert run("grab", file, "--out", str(tmp_path / out)) == 1
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert "Traceback" not in told


def test_a_driver_that_hangs_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(camera_command, "OPENING", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        file = config(tmp_path, f"{{ kind: opencv, url: '{url}', open_timeout_s: 60 }}")
        assert run("grab", file) == 1
    assert "has not returned within 1 s" in capsys.readouterr().err


def test_an_unknown_station_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("grab", config(tmp_path, "{ kind: simulated }"), "cell9") == 1
    assert "no station cell9" in capsys.readouterr().err


def test_every_kind_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    told = capsys.readouterr().out
    assert all(any(line.startswith(kind) for line in told.splitlines()) for kind in camera_command.KINDS)


def test_the_kinds_are_those_that_can_be_looked_for() -> None:
    from gateway.vision.cameras.finders import FINDERS

    assert set(camera_command.KINDS) == set(FINDERS)
