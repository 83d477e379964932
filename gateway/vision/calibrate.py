"""A camera's calibration from pictures of a chessboard, made by a process that may die of a picture."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gateway import child
from gateway.vision.frames import Pixels

PICTURES = 100
"""Most pictures that are looked at."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
COVERED = 0.35
"""Part of the frame that the boards together must cover: the distortion outside of it is guessed."""
TILTED = 20.0
"""Degrees by which two of the boards must be tilted against each other. Boards that all face the camera fit any focal
length: the fit's own standard deviations stay small then, while the focal length is wrong by half."""

Corners = NDArray[np.float32]


class UnfitError(Exception):
    """No calibration can be made of it: one sentence."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked: inner corners of the board, side of a square in mm, the picture that lies on the part's plane."""

    folder: str
    columns: int
    rows: int
    square: float
    plane: str
    least: int
    max_error: float


@dataclass(frozen=True, slots=True)
class Board:
    """Where the corners of the board lie in one picture, in OpenCV's pixels."""

    name: str
    corners: Corners


def main(arguments: list[str]) -> None:
    """ORDER as JSON, MEMORY_MB, PARENT: print the calibration, or {"error": sentence}."""
    order, memory, parent = arguments
    child.die_with(int(parent))
    child.limit_memory(int(memory))
    try:
        answer = calibrated(Order(**json.loads(order)))
    except UnfitError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": f"the pictures need more than {memory} MB of memory"}
    sys.stdout.write(json.dumps(answer))


def calibrated(order: Order) -> dict[str, Any]:
    """The calibration's content, and `seen` and `missed`: pictures with and without a board. UnfitError."""
    boards, missed, (width, height) = _boards(order)
    if len(boards) < order.least:
        without = f"; none in {', '.join(missed[:5])}" if missed else ""
        raise UnfitError(
            f"the board of {order.columns} x {order.rows} inner corners was found in {len(boards)} pictures, "
            f"{order.least} are needed{without}; see that all of the board is in the picture, sharp and evenly lit"
        )
    _covering(boards, width, height)
    grid = _grid(order)
    matrix, distortion, error = _lens(order, boards, grid, (width, height))
    found: dict[str, Any] = {
        "kind": "camera calibration",
        "width": width,
        "height": height,
        "camera": [float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2])],
        "distortion": [float(number) for number in distortion.ravel()[:5]],
        "boards": len(boards),
        "error_px": error,
    }
    if order.plane:
        found |= _plane(order, boards, grid, matrix, distortion)
    return {"calibration": found, "seen": [board.name for board in boards], "missed": missed}


def _lens(
    order: Order, boards: Sequence[Board], grid: Corners, size: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Camera matrix, distortion and the error in pixels; UnfitError where they are not known well enough.

    k3 stays 0: but for fisheyes it fits the noise of the pictures rather than the lens.
    """
    error, matrix, distortion, turns, _, _, _, each = cv2.calibrateCameraExtended(  # type: ignore[call-overload]
        [grid] * len(boards), [board.corners for board in boards], size, None, None, flags=cv2.CALIB_FIX_K3
    )
    if not error <= order.max_error:
        worst = int(each.ravel().argmax())
        raise UnfitError(
            f"the corners lie {error:.2f} px (root mean square) from where they should, at most {order.max_error:g} "
            f"is allowed; the worst picture is {boards[worst].name} ({float(each.ravel()[worst]):.2f} px): take it "
            "away, or see that the board is flat and sharp"
        )
    tilt = _tilt(turns)
    if not tilt >= TILTED:
        text = f"the boards are tilted against each other by {tilt:.0f} degrees at most, {TILTED:.0f} are needed"
        raise UnfitError(f"{text}, or the focal length cannot be known; add pictures with the board tilted all ways")
    return matrix, distortion, float(error)


def _tilt(turns: Sequence[NDArray[Any]]) -> float:
    """The largest angle between two boards' faces, in degrees."""
    faces = np.array([cv2.Rodrigues(turn)[0][:, 2] for turn in turns])
    return math.degrees(math.acos(min(1.0, max(-1.0, float((faces @ faces.T).min())))))


def _boards(order: Order) -> tuple[list[Board], list[str], tuple[int, int]]:
    folder = Path(order.folder)
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UnfitError(f"{folder} holds no picture ({', '.join(SUFFIXES)}); put those of the board there")
    boards: list[Board] = []
    missed: list[str] = []
    size: tuple[int, int] | None = None
    for path in paths[:PICTURES]:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise UnfitError(f"{path} cannot be read as a picture; take it away, or save it again")
        this = grey.shape[1], grey.shape[0]
        if size is not None and size != this:
            text = f"{path} has {this[0]} x {this[1]} pixels, those before {size[0]} x {size[1]}"
            raise UnfitError(f"{text}; all must be whole frames of the same camera")
        size = this
        corners = _corners(grey, order)  # type: ignore[arg-type]
        if corners is None:
            missed.append(path.name)
        else:
            boards.append(Board(path.name, corners))
    return boards, missed, size or (0, 0)


def _corners(grey: Pixels, order: Order) -> Corners | None:
    flags = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_NORMALIZE_IMAGE
    there, corners = cv2.findChessboardCornersSB(grey, (order.columns, order.rows), flags=flags)
    return np.asarray(corners, np.float32).reshape(-1, 1, 2) if there else None


def _grid(order: Order) -> Corners:
    """The board's corners in mm, on its own plane."""
    grid = np.zeros((order.columns * order.rows, 1, 3), np.float32)
    grid[:, 0, :2] = np.mgrid[0 : order.columns, 0 : order.rows].T.reshape(-1, 2) * order.square
    return grid


def _covering(boards: Sequence[Board], width: int, height: int) -> None:
    everything = np.concatenate([board.corners for board in boards])
    covered = float(cv2.contourArea(cv2.convexHull(everything))) / (width * height)
    if covered < COVERED:
        raise UnfitError(
            f"the boards cover {covered:.0%} of the frame, {COVERED:.0%} are needed; add pictures with the board near "
            "each corner of the frame"
        )


def _plane(
    order: Order, boards: Sequence[Board], grid: Corners, matrix: NDArray[Any], distortion: NDArray[Any]
) -> dict[str, Any]:
    """The map from straight pixels to millimetres, as the board lies in the picture that `plane` names."""
    board = next((board for board in boards if board.name == order.plane), None)
    if board is None:
        raise UnfitError(f"no board was found in {order.plane}, which shows the plane of the part; take it again")
    straight = cv2.undistortPoints(board.corners.astype(np.float64), matrix, distortion, P=matrix).reshape(-1, 2) + 0.5
    there = grid[:, 0, :2].astype(np.float64)
    plane, _ = cv2.findHomography(straight, there, 0)
    if plane is None:
        raise UnfitError(f"the board in {order.plane} is seen too flatly; look at it more from above")
    mapped = cv2.perspectiveTransform(straight.reshape(-1, 1, 2), plane).reshape(-1, 2)
    error = math.sqrt(float(((mapped - there) ** 2).sum(1).mean()))
    return {"plane": [float(number) for number in (plane / plane[2, 2]).ravel()], "plane_error_mm": error}


if __name__ == "__main__":
    main(sys.argv[1:])
