"""Findings as rows of a message: written, and read strictly and within bounds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from gateway.inspection import MAX_FINDINGS, Finding

MAX_OUTLINE = 200
MAX_KEYPOINTS = 64
MAX_POINTS = 4000
"""Points of outlines and keypoints in one message: what they cost the control process stays below some milliseconds."""
MAX_READ = 256
"""Characters of what a code says."""
MAX_VALUE = 1e9
MAX_LABEL = 64
MAX_PIXEL = 1e6


class WireError(Exception):
    """The other end sent what is not a message: end the connection."""


def rows_of(findings: tuple[Finding, ...]) -> list[list[Any]]:
    """Label, score, box, and the details of those that have any."""
    return [[f.label, round(f.score, 5), *(round(v, 2) for v in f.box), *_more(f)] for f in findings]


def _more(f: Finding) -> list[dict[str, Any]]:
    """What few findings have, in one object; nothing for a plain one."""
    more: dict[str, Any] = {}
    if f.outline:
        more["outline"] = [round(edge, 2) for point in f.outline for edge in point]
    if f.points:
        more["points"] = [number for x, y, score in f.points for number in (round(x, 2), round(y, 2), round(score, 5))]
    if f.angle is not None:
        more["angle"] = round(f.angle, 3)
    if f.text:
        more["text"] = f.text
    if f.value is not None:
        more["value"] = f.value
    return [more] if more else []


def real(value: object, low: float, high: float, name: str) -> float:
    """The number; WireError."""
    # The range alone: NaN and infinity lie in none, and a whole number of a thousand digits is no float at all.
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        raise WireError(f"{name} is not a number {low:g}…{high:g}")
    return float(value)  # type: ignore[arg-type]


def text(message: dict[str, Any], name: str, limit: int) -> str:
    """The text of a message's field; WireError."""
    value = message.get(name)
    if not isinstance(value, str) or len(value) > limit:
        raise WireError(f"{name} is not a text of at most {limit} characters")
    return value


def sentence(message: dict[str, Any], name: str, limit: int) -> str:
    """The text of a field for people, of which every character can be written down; WireError.

    A file name of another encoding brings halves of characters with it, which no data base takes.
    """
    return text(message, name, limit).encode("utf-8", "backslashreplace").decode()


def _finding(row: object, labels: frozenset[str] | None) -> Finding:
    if not isinstance(row, list) or len(row) not in (6, 7) or not isinstance(row[0], str) or len(row[0]) > MAX_LABEL:
        raise WireError("a finding that is not label, score and box")
    if labels is not None and row[0] not in labels:
        raise WireError(f"label {row[0]!r} is none of the recipe's")
    x1, y1, x2, y2 = (real(value, 0.0, MAX_PIXEL, "box") for value in row[2:6])
    if x1 > x2 or y1 > y2:
        raise WireError("a box with its corners exchanged")
    plain = Finding(row[0], real(row[1], 0.0, 1.0, "score"), (x1, y1, x2, y2))
    return plain if len(row) == 6 else _detailed(plain, row[6])


def _detailed(plain: Finding, more: object) -> Finding:
    if not isinstance(more, dict) or not more.keys() <= {"outline", "points", "angle", "text", "value"}:
        raise WireError("a finding with other details than it may have")
    corners = _numbers(more.get("outline", []), 2 * MAX_OUTLINE, "outline")
    points = _numbers(more.get("points", []), 3 * MAX_KEYPOINTS, "points")
    if len(corners) % 2 or 0 < len(corners) < 6:
        raise WireError("an outline that is no polygon")
    if len(points) % 3 or not all(0.0 <= score <= 1.0 for score in points[2::3]):
        raise WireError("points that are not x, y and score")
    read = text(more, "text", MAX_READ) if "text" in more else ""
    if not read.isprintable():
        raise WireError("a text that cannot be printed")
    return replace(
        plain,
        outline=tuple(zip(corners[::2], corners[1::2], strict=True)),
        points=tuple(zip(points[::3], points[1::3], points[2::3], strict=True)),
        angle=real(more["angle"], -360.0, 360.0, "angle") if "angle" in more else None,
        text=read,
        value=real(more["value"], -MAX_VALUE, MAX_VALUE, "value") if "value" in more else None,
    )


def _numbers(values: object, most: int, name: str) -> list[float]:
    """Coordinates; checked as a whole, for there are many."""
    if not isinstance(values, list) or len(values) > most or not set(map(type, values)) <= {int, float}:
        raise WireError(f"{name} is not a list of at most {most} numbers")
    if values and not (min(values) >= -MAX_PIXEL and max(values) <= MAX_PIXEL and all(map(math.isfinite, values))):
        raise WireError(f"{name} has a coordinate outside {-MAX_PIXEL:g}…{MAX_PIXEL:g}")
    return [float(value) for value in values]


def findings_of(message: dict[str, Any], labels: frozenset[str] | None) -> tuple[Finding, ...]:
    """A message's findings, not trusted; they may carry only `labels`. WireError."""
    rows = message.get("findings")
    if not isinstance(rows, list) or len(rows) > MAX_FINDINGS:
        raise WireError(f"findings is not a list of at most {MAX_FINDINGS}")
    found, points = [], 0
    for row in rows:
        found.append(finding := _finding(row, labels))
        points += len(finding.outline) + len(finding.points)
        if points > MAX_POINTS:
            raise WireError(f"findings with more than {MAX_POINTS} points together")
    return tuple(found)
