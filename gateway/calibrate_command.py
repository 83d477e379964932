"""`gateway camera calibrate`: from pictures of a chessboard to the file that recipes refer to."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.launch import COMMAND, environment

MODULE = "gateway.vision.calibrate"
MEMORY_MB = 4096
PATIENCE = 600.0
"""Seconds: a hundred large pictures take minutes."""


class CalibrationError(Exception):
    """No calibration was made: one sentence with cause and remedy."""


def add(camera: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `calibrate` to the commands of `gateway camera`."""
    calibrate = camera.add_parser(
        "calibrate", help="make a calibration (lens, millimetres) from pictures of a chessboard"
    )
    calibrate.add_argument(
        "folder", type=Path, metavar="FOLDER", help="pictures of the board: 10 to 30, tilted, at all places"
    )
    calibrate.add_argument("--board", type=_board, required=True, metavar="CxR", help="inner corners, such as 9x6")
    calibrate.add_argument("--square", type=_length, required=True, metavar="MM", help="side of one square")
    calibrate.add_argument(
        "--plane",
        default="",
        metavar="PICTURE",
        help="the one where the board lies as the part does: then findings are in mm",
    )
    calibrate.add_argument(
        "--out", type=Path, default=Path("calibration.yaml"), metavar="FILE", help="default: calibration.yaml"
    )
    calibrate.add_argument("--least", type=int, default=8, metavar="N", help="boards that must be found (default 8)")
    calibrate.add_argument(
        "--max-error", type=_length, default=0.5, metavar="PX", help="worst root mean square (default 0.5)"
    )
    calibrate.set_defaults(command=_calibrate)


def _board(text: str) -> tuple[int, int]:
    columns, _, rows = text.lower().partition("x")
    if not (columns.isdecimal() and rows.isdecimal() and 3 <= int(columns) <= 100 and 3 <= int(rows) <= 100):
        raise argparse.ArgumentTypeError(f"{text} is no board; count the corners inside, such as 9x6")
    return int(columns), int(rows)


def _length(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is no number above 0")
    return value


def _calibrate(options: argparse.Namespace) -> int:
    from gateway import calibration
    from gateway.yamlfile import FileError

    out: Path = options.out
    try:
        if out.exists():
            raise CalibrationError(f"{out} is there already; take it away, or name another file by --out")
        found = _ask(options)
        text = _text(found["calibration"])
        calibration.parse(text, str(out))
        out.write_text(text, "utf-8")
    except (CalibrationError, FileError) as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{out} cannot be written ({error.strerror}); name another place by --out", file=sys.stderr)
        return 1
    print("\n".join(_told(out, text, found)))
    return 0


def _ask(options: argparse.Namespace) -> Mapping[str, Any]:
    """What the process that looks at the pictures answers."""
    folder: Path = options.folder
    if not folder.is_dir():
        raise CalibrationError(f"{folder}: there is no such folder; check the path")
    order = {
        "folder": str(folder.resolve()),
        "columns": options.board[0],
        "rows": options.board[1],
        "square": options.square,
        "plane": options.plane,
        "least": max(3, options.least),
        "max_error": options.max_error,
    }
    try:
        done = subprocess.run(
            [*COMMAND, MODULE, json.dumps(order), str(MEMORY_MB), str(os.getpid())],
            capture_output=True,
            timeout=PATIENCE,
            env=environment(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CalibrationError(f"{folder}: not done within {PATIENCE:g} s; use fewer or smaller pictures") from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise CalibrationError(f"{folder}: a picture ended the process that looked at it ({words[0][:200]})")
    answer: Mapping[str, Any] = json.loads(done.stdout)
    if "error" in answer:
        raise CalibrationError(str(answer["error"]))
    return answer


def _text(found: Mapping[str, Any]) -> str:
    """The calibration file; numbers as precise as they are."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in found.items())


def _told(out: Path, text: str, found: Mapping[str, Any]) -> list[str]:
    made = found["calibration"]
    lines = [f"{out}: {made['boards']} boards, corners {made['error_px']:.3f} px from where they should lie"]
    if "plane" in made:
        lines.append(
            f"millimetres on the plane of the part: {made['plane_error_mm']:.3f} mm from where they should lie"
        )
    if found["missed"]:
        lines.append(f"no board found in {', '.join(found['missed'])}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return [
        *lines,
        "copy it into the recipe's folder, and write into recipe.yaml:",
        f'calibration: {{ file: {out.name}, sha256: "{digest}" }}',
    ]
