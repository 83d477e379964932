"""Pictures for people: the inspected frame with its findings and verdict, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import cv2
import numpy as np

from gateway.inspection import Finding
from gateway.vision.frames import Pixels

COLOURS = {"OK": (80, 160, 40), "NG": (40, 40, 210), "RECHECK": (0, 150, 230), "FAULT": (130, 60, 130)}
"""BGR, by judgement; the word is always written too, for colour-blind eyes."""
GREY = (110, 110, 110)
QUALITY = 88
SURE = 0.5
"""Keypoints of less are drawn hollow."""
LETTERS = 40
"""Of what a code says."""
FARTHEST = 30_000.0


def draw(pixels: Pixels, verdict: str, caption: str, findings: tuple[Finding, ...]) -> Pixels:
    """The frame, drawn over in place, with boxes, labels and a banner of verdict and caption."""
    height, width = pixels.shape[:2]
    scale = max(0.4, height / 900)
    thick = max(1, round(2 * scale))
    colour = COLOURS.get(verdict, GREY)
    for finding in findings:
        x1, y1, x2, y2 = (_pixel(value) for value in finding.box)
        if finding.outline:
            corners = np.array([[_pixel(x), _pixel(y)] for x, y in finding.outline], np.int32)
            cv2.polylines(pixels, [corners], True, colour, thick, cv2.LINE_AA)
        else:
            cv2.rectangle(pixels, (x1, y1), (x2, y2), colour, thick)
        for x, y, score in finding.points:
            filled = cv2.FILLED if score >= SURE else 1
            cv2.circle(pixels, (_pixel(x), _pixel(y)), 2 * thick, colour, filled, cv2.LINE_AA)
        _label(pixels, _words(finding), (x1, y1), colour, 0.55 * scale)
    banner = round(44 * scale)
    cv2.rectangle(pixels, (0, 0), (width, banner), colour, cv2.FILLED)
    place = (round(14 * scale), round(32 * scale))
    cv2.putText(
        pixels, f"{verdict}  {caption}", place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thick, cv2.LINE_AA
    )
    return pixels


def _words(finding: Finding) -> str:
    """What stands at a finding; OpenCV's letters are ASCII."""
    words = f"{finding.label} {finding.score:.2f}"
    if finding.value is not None:
        words += f" = {finding.value:.2f}"
    return f"{words}: {finding.text[:LETTERS]}" if finding.text else words


def _pixel(value: float) -> int:
    """Bounded, as OpenCV draws with 16 bits before the point."""
    return round(min(max(value, -FARTHEST), FARTHEST))


def _label(pixels: Pixels, text: str, corner: tuple[int, int], colour: tuple[int, int, int], scale: float) -> None:
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = max(0, min(corner[0], pixels.shape[1] - width))
    y = corner[1] if corner[1] > height + base else corner[1] + height + base
    cv2.rectangle(pixels, (x, y - height - base), (x + width, y), colour, cv2.FILLED)
    cv2.putText(pixels, text, (x, y - base // 2), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)


def write(pixels: Pixels, path: Path) -> None:
    """Encode by the name's suffix (jpg or png) and put the file there in one step; OSError, ValueError."""
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix, pixels, options)
    except cv2.error as error:
        raise ValueError(f"{path}: pictures are written as .jpg or .png") from error
    if not done:
        raise ValueError(f"{path} cannot be encoded")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.asarray(data).tofile(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def keep_newest(folder: Path, suffix: str, keep: int) -> None:
    """Remove all but the newest `keep` pictures of a folder, and half-written ones of processes that died."""
    found = []
    for entry in os.scandir(folder):
        if entry.name.endswith(suffix) and not entry.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.stat().st_mtime_ns, entry.name))
        elif entry.name.startswith(".") and entry.name.endswith(".part"):
            (folder / entry.name).unlink(missing_ok=True)
    for _, name in sorted(found)[: max(0, len(found) - keep)]:
        (folder / name).unlink(missing_ok=True)
