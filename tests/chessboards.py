"""Pictures of a chessboard as a known camera would take them: drawn pixel by pixel through the lens."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 640, 480
CAMERA = (700.0, 702.0, 322.0, 236.0)
DISTORTION = (-0.22, 0.08, 0.0006, -0.0004, 0.0)
COLUMNS, ROWS, SQUARE = 9, 6, 10.0
"""Inner corners, and mm."""
FINE = 2
"""Points looked at within a pixel, on each side."""

Matrix = NDArray[np.float64]


def pose(x: float, y: float, z: float, tilt: float = 0.0, pan: float = 0.0, roll: float = 0.0) -> tuple[Matrix, Matrix]:
    """Turn (degrees) and place (mm) of the board seen by the camera; x and y are those of the board's middle."""
    turn = np.eye(3)
    for axis, degrees in ((0, tilt), (1, pan), (2, roll)):
        vector = np.zeros(3)
        vector[axis] = math.radians(degrees)
        turn = cv2.Rodrigues(vector)[0] @ turn
    middle = np.array([(COLUMNS - 1) * SQUARE / 2, (ROWS - 1) * SQUARE / 2, 0.0])
    return turn, np.array([x, y, z]) - turn @ middle


POSES = [
    pose(0, 0, 180),
    pose(-25, -18, 150, 20, 0),
    pose(25, -18, 150, 0, 25),
    pose(-25, 18, 150, -20, 10, 5),
    pose(25, 18, 150, 10, -25, -8),
    pose(0, 0, 140, 25, 15, 12),
    pose(-30, 0, 170, -25, 20),
    pose(30, 0, 170, 15, -30, 20),
    pose(0, 20, 150, 30, -10),
    pose(0, -20, 150, -28, 5, -15),
]


@functools.cache
def rays() -> Matrix:
    """Where the points within the pixels look to: x, y, 1."""
    ys, xs = np.mgrid[0 : HEIGHT * FINE, 0 : WIDTH * FINE]
    pixels = np.stack(((xs + 0.5) / FINE - 0.5, (ys + 0.5) / FINE - 0.5), axis=-1).reshape(-1, 1, 2)
    matrix = np.array([[CAMERA[0], 0, CAMERA[2]], [0, CAMERA[1], CAMERA[3]], [0, 0, 1]])
    flat = cv2.undistortPoints(pixels, matrix, np.array(DISTORTION)).reshape(-1, 2)
    return np.column_stack((flat, np.ones(len(flat))))


def picture(board: tuple[Matrix, Matrix]) -> NDArray[np.uint8]:
    """The board as the camera sees it, grey, softened as a lens does."""
    turn, place = board
    # A point of the board is turn @ (u, v, 0) + place; on the ray it is in proportion to (x, y, 1).
    back = np.linalg.inv(np.column_stack((turn[:, 0], turn[:, 1], place)))
    on_board = rays() @ back.T
    u, v = on_board[:, 0] / on_board[:, 2] / SQUARE, on_board[:, 1] / on_board[:, 2] / SQUARE
    inside = (u > -1.6) & (u < COLUMNS + 0.6) & (v > -1.6) & (v < ROWS + 0.6)
    white = (np.floor(u) + np.floor(v)) % 2 == 0
    border = (u < -1) | (u > COLUMNS) | (v < -1) | (v > ROWS)
    grey = np.where(inside, np.where(border | white, 225, 30), 110).astype(np.float32)
    grey = grey.reshape(HEIGHT, FINE, WIDTH, FINE).mean(axis=(1, 3))
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.7).round(), np.uint8)


def write(folder: Path, poses: Sequence[tuple[Matrix, Matrix]] = POSES) -> Path:
    """The pictures: board-0.png and so on."""
    folder.mkdir(exist_ok=True)
    for number, board in enumerate(poses):
        cv2.imwrite(str(folder / f"board-{number}.png"), picture(board))
    return folder
