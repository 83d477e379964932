"""Brush and paint of the rendered bracket: sprites baked once, then a few fast passes per picture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.bracket import (
    CHAMFER,
    CORNER_RADII,
    CORNERS,
    HOLE_RADIUS,
    HOLES,
    POCKET,
    POCKET_RADIUS,
    SLOT,
    SLOT_RADIUS,
    VARIANTS,
    Burr,
    MissingHole,
    Plan,
    Scratch,
    rounded,
)

Grey = NDArray[np.uint8]
Field = NDArray[np.float32]

CANVAS = (846, 666)  # a sprite: the part, its burrs and its shadow; width, height
CENTRE = np.array([408.0, 318.0])
LIGHT = (-0.6, -0.8)  # the lamp stands up and left
SHADOW = (11, 15)
_FINE = 2  # sprites are baked so many times larger, then averaged down
_SHIFT = 4  # fixed-point bits of cv2's drawing functions
_LARGE = (CANVAS[1] * _FINE, CANVAS[0] * _FINE)
_SPARE = 256  # textures are so much larger than a frame, to be cut anywhere


class Painter:
    """Paints frames of one size with the textures of one seed; keeps its buffers, so one thread at a time."""

    def __init__(self, seed: int, size: tuple[int, int]) -> None:
        """Bakes all textures: some tenths of a second."""
        rng = np.random.default_rng([seed, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF])
        self._seed, self._size = seed, size
        self._belt = _belt(rng, size)
        self._noise = _noise(rng, size)
        self._sprites = [_bake(rng) for _ in range(VARIANTS)]
        self._sprite = (np.empty(CANVAS[::-1], np.uint8), np.empty(CANVAS[::-1], np.uint8))
        self._frame = np.empty(size[::-1], np.uint8)
        self._lit = np.empty(size[::-1], np.uint8)

    def paint(self, plan: Plan, number: int, out: Grey) -> None:
        """Paint the planned part into `out`, BGR; light, gain, belt and noise are drawn from (seed, number)."""
        rng = np.random.default_rng([self._seed, number, 1])
        width, height = self._size
        x, y = rng.integers(_SPARE, size=2)
        frame = self._frame
        np.copyto(frame, self._belt[y : y + height, x : x + width])
        self._place(plan, frame)
        lit = cv2.multiply(frame, _light(rng, self._size), self._lit, 1 / 128)
        cv2.GaussianBlur(lit, (3, 3), float(rng.uniform(0.5, 0.9)), frame)
        x, y = rng.integers(_SPARE, size=2)
        strength = float(rng.uniform(0.5, 1.0))
        noise = self._noise[y : y + height, x : x + width]
        cv2.addWeighted(frame, 1.0, noise, strength, -128 * strength, lit)
        cv2.merge((lit, lit, cv2.LUT(lit, _RED)), out)

    def _place(self, plan: Plan, frame: Grey) -> None:
        """Lay the part with its shadow on the belt."""
        gray, clear = self._flawed(plan)
        matrix = plan.pose.matrix(self._size)
        matrix[:, 2] -= matrix[:, :2] @ CENTRE
        corners = np.array([[0, 0], [CANVAS[0], 0], [0, CANVAS[1]], CANVAS]) @ matrix[:, :2].T + matrix[:, 2]
        left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, self._size)
        matrix[:, 2] -= (left, top)
        area = (int(right - left), int(bottom - top))
        part = cv2.warpAffine(gray, matrix, area, flags=cv2.INTER_LINEAR, borderValue=0)
        around = cv2.warpAffine(clear, matrix, area, flags=cv2.INTER_LINEAR, borderValue=255)
        window = frame[top:bottom, left:right]
        cv2.multiply(window, around, around, 1 / 255)
        cv2.add(part, around, window)

    def _flawed(self, plan: Plan) -> tuple[Grey, Grey]:
        """The sprite (grey levels, and how clear it is: 0 the part, 255 the belt) with the plan's flaws."""
        gray, clear, blank, blank_clear = self._sprites[plan.variant]
        if not plan.flaws:
            return gray, clear
        np.copyto(self._sprite[0], gray)
        np.copyto(self._sprite[1], clear)
        for flaw in plan.flaws:
            if isinstance(flaw, Scratch):
                _draw_scratch(flaw, self._sprite[0])
            elif isinstance(flaw, Burr):
                _draw_burr(flaw, *self._sprite)
            else:
                _close_hole(flaw, self._sprite, (blank, blank_clear))
        return self._sprite


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.round((points + CENTRE) * (1 << _SHIFT)), np.int32).reshape(-1, 1, 2)


def _draw_scratch(flaw: Scratch, gray: Grey) -> None:
    """A bright (or dark) line with a weaker opposite flank, as a groove shows under a slanting lamp."""
    low = np.floor((flaw.points + CENTRE).min(axis=0)).astype(int) - 8
    high = np.ceil((flaw.points + CENTRE).max(axis=0)).astype(int) + 9
    window = gray[low[1] : high[1], low[0] : high[0]]
    groove, flank = np.zeros_like(window), np.zeros_like(window)
    level = abs(flaw.contrast)
    aside = np.array([0.5, 0.8]) * flaw.width
    cv2.polylines(groove, [_fixed(flaw.points - low)], False, level, flaw.width, cv2.LINE_AA, _SHIFT)
    cv2.polylines(flank, [_fixed(flaw.points + aside - low)], False, 0.5 * level, 2, cv2.LINE_AA, _SHIFT)
    lighter, darker = (groove, flank) if flaw.contrast > 0 else (flank, groove)
    cv2.subtract(window, darker, window)
    cv2.add(window, lighter, window)


def _draw_burr(flaw: Burr, gray: Grey, clear: Grey) -> None:
    """A torn lip of metal: its own level, a bright crest, a dark root."""
    outline, crest, root = _fixed(flaw.points), _fixed(flaw.points[: flaw.crest]), _fixed(flaw.points[flaw.crest :])
    cv2.fillPoly(gray, [outline], flaw.level, cv2.LINE_AA, _SHIFT)
    cv2.fillPoly(clear, [outline], 0, cv2.LINE_AA, _SHIFT)
    cv2.polylines(gray, [root], False, 0.45 * flaw.level, 2, cv2.LINE_AA, _SHIFT)
    cv2.polylines(gray, [crest], False, min(255.0, flaw.level + 45), 2, cv2.LINE_AA, _SHIFT)


def _close_hole(flaw: MissingHole, sprite: tuple[Grey, Grey], blank: tuple[Grey, Grey]) -> None:
    reach = HOLE_RADIUS + CHAMFER + 2
    x, y = (np.array(HOLES[flaw.hole]) + CENTRE).astype(int)
    window = np.s_[y - reach : y + reach + 1, x - reach : x + reach + 1]
    for drilled, plain in zip(sprite, blank, strict=True):
        drilled[window] = plain[window]


def _light(rng: np.random.Generator, size: tuple[int, int]) -> Grey:
    """Gain (128 is one) over the frame: the lamp's level, its slope and the lens' fall-off."""
    x, y = np.linspace(-1, 1, 40, dtype=np.float32), np.linspace(-1, 1, 32, dtype=np.float32)[:, None]
    slope = rng.uniform(-0.13, 0.13, 2)
    gain = rng.uniform(0.82, 1.16) * (1 + slope[0] * x + slope[1] * y - rng.uniform(0, 0.1) * (x * x + y * y))
    coarse = np.asarray(np.round(128 * gain), np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), np.uint8)


# Grey level to red: the lamp is a little cold, seen most on the dark belt.
_RED = np.array([max(0, round(grey - 8 * (1 - grey / 255) ** 2)) for grey in range(256)], np.uint8)


def _grain(rng: np.random.Generator, shape: tuple[int, int], across: int, along: int) -> Field:
    """Noise of unit deviation, its grains `across` rows high and `along` columns wide."""
    coarse = rng.standard_normal((shape[0] // across + 2, shape[1] // along + 2), dtype=np.float32)
    field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(field / field.std(), np.float32)


def _belt(rng: np.random.Generator, size: tuple[int, int]) -> Grey:
    """A dark woven belt with lint, larger than the frame by the spare."""
    shape = (size[1] + _SPARE, size[0] + _SPARE)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    weave = np.sin(x * 0.78) * np.sin(y * 0.78)
    level = 43 + 3 * weave + 4 * _grain(rng, shape, 2, 2) + 3.5 * _grain(rng, shape, 170, 120)
    belt: Grey = np.asarray(np.clip(level, 0, 255), np.uint8)
    for _ in range(110):
        at = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        way = rng.normal(0, 9, 2).astype(int)
        cv2.line(belt, at, (at[0] + int(way[0]), at[1] + int(way[1])), int(rng.integers(55, 95)), 1, cv2.LINE_AA)
    return belt


def _noise(rng: np.random.Generator, size: tuple[int, int]) -> Grey:
    """A sensor's noise about 128."""
    shape = (size[1] + _SPARE, size[0] + _SPARE)
    return np.clip(np.round(128 + 5.0 * rng.standard_normal(shape, dtype=np.float32)), 0, 255).astype(np.uint8)


def _bake(rng: np.random.Generator) -> tuple[Grey, Grey, Grey, Grey]:
    """A good part: grey levels and clearness, then both again with no hole drilled."""
    forms = _forms()
    face = _face(rng)
    floor = 0.8 * float(face.mean()) + 5 * _grain(rng, _LARGE, 50, 2) + 2 * _grain(rng, _LARGE, 2, 2)
    face = np.where(forms.pocket, floor, face).astype(np.float32)
    for edge in forms.edges:
        edge.shade(face)
    blank = _finish(face, forms.blank, forms.blank_clear)
    forms.hole_edge.shade(face)
    return *_finish(face, forms.body, forms.clear), *blank


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """A slanted edge: which pixels of a large sprite it takes, and how much light they throw back."""

    where: NDArray[np.intp]
    shine: Field

    def shade(self, face: Field) -> None:
        """Draw the edge into a face; a third of the face's own streaks stays."""
        face.flat[self.where] = 150 + self.shine + 0.3 * (face.flat[self.where] - 150)


@dataclass(frozen=True, slots=True, eq=False)
class _Forms:
    """What all sprites share: masks 0..1 of the body with and without holes, how clear the rest is, edges."""

    pocket: NDArray[np.bool_]
    body: Field
    clear: Grey
    blank: Field
    blank_clear: Grey
    edges: tuple[_Edge, ...]
    hole_edge: _Edge


@cache
def _forms() -> _Forms:
    plate, pocket = _filled(rounded(CORNERS, CORNER_RADII)), _filled(rounded(POCKET, (POCKET_RADIUS,) * 4))
    slot, holes = _slot(), _holes()
    blank = plate & ~slot
    body = blank & ~holes
    edges = (_edge(pocket, 7, -95), _edge(plate, 4, 80), _edge(255 - slot, CHAMFER, 75))
    return _Forms(
        pocket=pocket > 0,
        body=np.asarray(body / 255, np.float32),
        clear=_clear(body),
        blank=np.asarray(blank / 255, np.float32),
        blank_clear=_clear(blank),
        edges=edges,
        hole_edge=_edge(255 - holes, CHAMFER, 75),
    )


def _edge(inside: Grey, width: int, strength: float) -> _Edge:
    """The edge of `width` pixels within a mask's border; strength (grey levels) below 0 slants it inward."""
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    where = np.flatnonzero((depth > 0) & (depth < width * _FINE))
    smooth = cv2.GaussianBlur(depth, (9, 9), 2.0)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0).flat[where]
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1).flat[where]
    facing = -(dx * LIGHT[0] + dy * LIGHT[1]) / np.maximum(np.hypot(dx, dy), 1e-3)
    return _Edge(where, np.asarray(strength * facing, np.float32))


def _clear(mask: Grey) -> Grey:
    """How much of the belt is seen round a part (255 all), its shadow taken off, at a sprite's size."""
    solid = cv2.resize(mask, CANVAS, interpolation=cv2.INTER_AREA)
    move = np.array([[1, 0, SHADOW[0]], [0, 1, SHADOW[1]]], dtype=np.float32)
    shade = cv2.GaussianBlur(cv2.warpAffine(solid, move, CANVAS), (0, 0), 7.0)
    return np.round((255 - solid.astype(np.float32)) * (1 - 0.75 / 255 * shade)).astype(np.uint8)


def _finish(face: Field, body: Field, clear: Grey) -> tuple[Grey, Grey]:
    """The face cut out by the body, brought to a sprite's size, and its clearness."""
    gray = cv2.resize(np.clip(face, 0, 255) * body, CANVAS, interpolation=cv2.INTER_AREA)
    return np.round(gray).astype(np.uint8), clear


def _large(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.round((points + CENTRE + 0.5) * _FINE - 0.5), np.int32).reshape(-1, 1, 2)


def _filled(outline: NDArray[np.float64]) -> Grey:
    mask = np.zeros(_LARGE, np.uint8)
    cv2.fillPoly(mask, [_large(outline)], 255)
    return mask


def _slot() -> Grey:
    ends = _large(np.array(SLOT, dtype=float)).reshape(2, 2).tolist()
    mask = np.zeros(_LARGE, np.uint8)
    cv2.line(mask, ends[0], ends[1], 255, 2 * SLOT_RADIUS * _FINE)
    return mask


def _holes() -> Grey:
    mask = np.zeros(_LARGE, np.uint8)
    for at in _large(np.array(HOLES, dtype=float)).reshape(-1, 2).tolist():
        cv2.circle(mask, at, HOLE_RADIUS * _FINE, 255, cv2.FILLED)
    return mask


def _face(rng: np.random.Generator) -> Field:
    """Brushed aluminium at a large sprite's size: streaks along x, a band of glare, faint handling marks."""
    y = np.linspace(0, 1, _LARGE[0], dtype=np.float32)[:, None]
    glare = np.exp(-(((y - rng.uniform(0.2, 0.8)) / 0.22) ** 2))
    level = rng.uniform(148, 168) + 16 * glare
    level = (
        level + 5.5 * _grain(rng, _LARGE, 1, 180) + 3.5 * _grain(rng, _LARGE, 4, 440) + 3 * _grain(rng, _LARGE, 1, 24)
    )
    return np.asarray(level + 3 * _grain(rng, _LARGE, 160, 160), np.float32)
