"""From masks to outlines: polygons along the edges of the pixels, with few corners, in pixels of the frame."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from gateway.inspection import Finding
from gateway.vision.engines import Tensor
from gateway.vision.finding_rows import MAX_OUTLINE, MAX_POINTS
from gateway.vision.image import Placement
from gateway.vision.tasks import TaskError
from gateway.vision.tasks.boxes import MIN_SIDE, on_frame
from protocols.faults import Code

Outline = tuple[tuple[float, float], ...]
CORNERS = 3
_TOLERANCE = 1.0
"""Half pixels that a corner which is left out may lie off the line."""


def budget(findings: int) -> int:
    """Corners for each of so many outlines, so that all go into one message."""
    return min(MAX_OUTLINE, MAX_POINTS // max(findings, 1))


def polygon(mask: Tensor, most: int) -> Tensor:
    """The largest part of a mask [height, width] of 0 and 1 as a polygon [n, 2], holes filled; [0, 2] if it is empty.

    In pixels of the mask, whose first pixel reaches from 0 to 1: a square of 3 pixels has corners 3 apart.
    """
    height, width = mask.shape
    fine = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)  # points between the pixels, where their edges are
    fine[1::2, 1::2] = mask
    fine = cv2.dilate(fine, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return np.zeros((0, 2))
    return _simple(max(contours, key=cv2.contourArea), _TOLERANCE, most)[:, 0] / 2


def fitted(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings of several steps or pieces, with fewer corners where all their outlines go into no message."""
    points = sum(len(finding.points) for finding in findings)
    if points + sum(len(finding.outline) for finding in findings) <= MAX_POINTS:
        return findings
    outlines = sum(bool(finding.outline) for finding in findings)
    most = (MAX_POINTS - points) // max(outlines, 1)
    if most < CORNERS:
        text = f"the steps found {points} keypoints, which leaves no room for outlines; raise task.min_score"
        raise TaskError(Code.OUTPUT_INVALID, text)
    return tuple(replace(finding, outline=_fewer(finding.outline, most)) for finding in findings)


def _fewer(outline: Outline, most: int) -> Outline:
    if len(outline) <= most:
        return outline
    corners = _simple(np.array(outline, np.float32)[:, np.newaxis], _TOLERANCE, most)
    return tuple((x, y) for x, y in corners[:, 0].tolist())


def _simple(contour: Tensor, tolerance: float, most: int) -> Tensor:
    """At most so many corners, of those that lie off the line by `tolerance` or more."""
    corners = cv2.approxPolyDP(contour, tolerance, True)
    while len(corners) > most:
        tolerance *= 1.5
        corners = cv2.approxPolyDP(contour, tolerance, True)
    return corners


def framed(points: Tensor, p: Placement) -> Outline:
    """A polygon [n, 2] of the input as an outline in the frame; none when nothing of it is left there."""
    if len(points) < CORNERS:
        return ()
    cut = on_frame(points, p)
    if np.any(cut.max(axis=0) - cut.min(axis=0) < MIN_SIDE):
        return ()
    return tuple((x, y) for x, y in cut.tolist())


def around(outline: Outline) -> tuple[float, float, float, float]:
    """The upright box around an outline."""
    across, down = zip(*outline, strict=True)
    return min(across), min(down), max(across), max(down)


def outlined(finding: Finding, outline: Outline) -> Finding:
    """The finding with this outline, if it is one, and the box around it."""
    if not outline:
        return finding
    return Finding(finding.label, finding.score, around(outline), outline)
