"""`gateway camera calibrate` on pictures of a camera that is known."""

import hashlib
import shutil
from pathlib import Path

import pytest

from gateway import calibration, cli
from tests import chessboards


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chessboards.write(tmp_path_factory.mktemp("boards"))


def calibrate(folder: Path, out: Path, *more: str) -> int:
    return cli.main(["camera", "calibrate", str(folder), "--board", "9x6", "--square", "10", "--out", str(out), *more])


def test_the_camera_is_found_again(boards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "calibration.yaml"
    assert calibrate(boards, out, "--plane", "board-0.png") == 0
    made = calibration.parse(out.read_text(), str(out))
    assert made.camera == pytest.approx(chessboards.CAMERA, abs=2)
    assert made.distortion[:2] == pytest.approx(chessboards.DISTORTION[:2], abs=0.03)
    assert made.error_px < 0.2
    told = capsys.readouterr().out
    assert "9 boards" in told
    assert "no board found in board-2.png" in told  # a part of it is out of the picture
    assert f'sha256: "{hashlib.sha256(out.read_bytes()).hexdigest()}"' in told
    # Three corners of the board as the lens shows them: 80 mm and 50 mm apart.
    turn, place = chessboards.POSES[0]
    seen = []
    for x, y in ((0, 0), (80, 0), (80, 50)):
        u, v, w = turn @ (x, y, 0) + place
        fx, fy, cx, cy = chessboards.CAMERA
        lens = made.model_copy(update={"camera": chessboards.CAMERA, "distortion": chessboards.DISTORTION})
        seen.append(made.on_part(*lens.bend(u / w * fx + cx + 0.5, v / w * fy + cy + 0.5)))
    assert [point for corner in seen for point in corner] == pytest.approx([0, 0, 80, 0, 80, 50], abs=0.15)


def refused(folder: Path, out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    assert calibrate(folder, out, *more) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    return told.err


def test_too_few_boards(boards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for number in (0, 1, 2):
        shutil.copy(boards / f"board-{number}.png", few)
    out = tmp_path / "c.yaml"
    expected = "the board of 9 x 6 inner corners was found in 2 pictures, 8 are needed; none in board-2.png"
    assert expected in refused(few, out, capsys)
    assert not out.exists()


def test_an_error_that_is_too_high(boards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(boards, tmp_path / "c.yaml", capsys, "--max-error", "0.01")
    assert "px (root mean square) from where they should, at most 0.01 is allowed; the worst picture is board-" in told


def test_boards_that_fill_too_little_of_the_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    far = chessboards.write(tmp_path / "far", [chessboards.pose(x, 0, 260, tilt=x) for x in (-20, 0, 20)])
    told = refused(far, tmp_path / "c.yaml", capsys, "--least", "3")
    assert "% of the frame, 35% are needed; add pictures with the board near each corner" in told


def test_boards_that_were_never_tilted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ((-14, -12), (14, 12), (14, -12))
    flat = chessboards.write(tmp_path / "flat", [chessboards.pose(x, y, 150) for x, y in places])
    told = refused(flat, tmp_path / "c.yaml", capsys, "--least", "3")
    assert "the boards are tilted against each other by 0 degrees at most, 20 are needed" in told


def test_what_is_no_picture_of_the_board(boards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c.yaml"
    assert "no board was found in board-2.png, which shows the plane" in refused(
        boards, out, capsys, "--plane", "board-2.png"
    )
    empty = tmp_path / "empty"
    assert "there is no such folder" in refused(empty, out, capsys)
    empty.mkdir()
    assert "holds no picture (.png" in refused(empty, out, capsys)
    (empty / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    assert "a.png cannot be read as a picture" in refused(empty, out, capsys)
    out.write_text("mine")
    assert "is there already" in refused(boards, out, capsys)
    assert out.read_text() == "mine"
