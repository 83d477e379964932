"""The bracket's geometry, and what the lot decides about one part. Units: pixels of a 1280x1024 frame, y down."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # [n, 2], x and y
Box = tuple[float, float, float, float]

FRAME = (1280, 1024)
CORNERS = ((-380, -290), (380, -290), (380, 10), (-60, 10), (-60, 290), (-380, 290))
CORNER_RADII = (26, 26, 26, 48, 26, 26)
POCKET = ((-330, -90), (-120, -90), (-120, 100), (-330, 100))
POCKET_RADIUS = 40
HOLES = ((-290, -205), (290, -210), (290, -70), (-220, 205))
HOLE_RADIUS = 32
CHAMFER = 10
SLOT = ((-30, -140), (90, -140))
SLOT_RADIUS = 27
VARIANTS = 4

BOX_MARGIN = 12.0  # covers anti-aliasing and the lens' blur
BOX_SIDE = 56.0  # thin boxes are widened: at 320x256 a box is never narrower than 14 pixels
_GAP = 18.0  # free pixels between a scratch and any edge


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the part lies: turned by `angle` degrees about its centre, then moved by dx, dy pixels."""

    angle: float
    dx: float
    dy: float

    def matrix(self, size: tuple[int, int]) -> NDArray[np.float64]:
        """The 2x3 matrix from part to frame coordinates for a frame of (width, height)."""
        scale = min(size[0] / FRAME[0], size[1] / FRAME[1])
        cos, sin = scale * math.cos(math.radians(self.angle)), scale * math.sin(math.radians(self.angle))
        x, y = (size[0] - 1) / 2 + scale * self.dx, (size[1] - 1) / 2 + scale * self.dy
        return np.array([[cos, -sin, x], [sin, cos, y]])


@dataclass(frozen=True, slots=True, eq=False)
class Scratch:
    """A thin curve on the face; contrast is signed grey levels, width whole pixels."""

    points: Points
    contrast: float
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Burr:
    """A ragged bump beyond an edge: a closed polygon whose first half is its crest; level is its grey."""

    points: Points
    crest: int
    level: float


@dataclass(frozen=True, slots=True)
class MissingHole:
    """Hole number `hole` of HOLES was not drilled."""

    hole: int


Flaw = Scratch | Burr | MissingHole


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything about one part that its ground truth follows from."""

    pose: Pose
    variant: int
    flaws: tuple[Flaw, ...]


def plan(seed: int, number: int, defect_rate: float) -> Plan:
    """Draw part `number`; the same (seed, number) gives the same pose and, where bad, the same flaws at any rate."""
    rng = np.random.default_rng([seed, number])
    pose = Pose(float(rng.uniform(-10, 10)), float(rng.uniform(-90, 90)), float(rng.uniform(-60, 60)))
    variant = int(rng.integers(VARIANTS))
    if rng.random() >= defect_rate:
        return Plan(pose, variant, ())
    flaws: list[Flaw] = []
    boxes: list[Box] = []
    for _ in range(int(rng.choice(3, p=(0.6, 0.25, 0.15))) + 1):
        for _attempt in range(20):
            flaw = _flaw(rng)
            box = bounds(flaw_points(flaw), BOX_MARGIN, BOX_SIDE)
            if not any(_touch(box, other) for other in boxes):
                flaws.append(flaw)
                boxes.append(box)
                break
    return Plan(pose, variant, tuple(flaws))


def flaw_points(flaw: Flaw) -> Points:
    """The outermost points of a flaw in part coordinates."""
    if not isinstance(flaw, MissingHole):
        return flaw.points
    turn = np.linspace(0, 2 * math.pi, 32, endpoint=False)
    circle: Points = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (HOLE_RADIUS + CHAMFER)
    circle += HOLES[flaw.hole]
    return circle


def flaw_box(flaw: Flaw, pose: Pose, size: tuple[int, int]) -> Box:
    """The upright box (x1, y1, x2, y2) round a flaw in a frame of (width, height)."""
    matrix = pose.matrix(size)
    scale = min(size[0] / FRAME[0], size[1] / FRAME[1])
    return bounds(flaw_points(flaw) @ matrix[:, :2].T + matrix[:, 2], BOX_MARGIN * scale, BOX_SIDE * scale)


def bounds(points: Points, margin: float, side: float) -> Box:
    """The upright box round points, `margin` wider on all sides and at least `side` in width and height."""
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    grow = np.maximum(0.0, side - (high - low)) / 2
    low, high = low - grow, high + grow
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def rounded(corners: tuple[tuple[int, int], ...], radii: tuple[int, ...]) -> Points:
    """A polygon with each right-angled corner replaced by an arc of its radius, 9 points an arc."""
    points = []
    for index, corner in enumerate(corners):
        here = np.array(corner, dtype=float)
        before = np.array(corners[index - 1]) - here
        after = np.array(corners[(index + 1) % len(corners)]) - here
        u, v = before / np.linalg.norm(before), after / np.linalg.norm(after)
        for turn in np.linspace(0, math.pi / 2, 9):
            points.append(here + radii[index] * ((1 - math.sin(turn)) * u + (1 - math.cos(turn)) * v))
    return np.array(points)


def on_face(points: Points, gap: float = 0.0) -> bool:
    """Whether all points lie on the machined face, `gap` pixels from every edge, hole and slot."""
    x, y = points[:, 0], points[:, 1]
    leg = (x > -380 + gap) & (x < -60 - gap) & (y > -290 + gap) & (y < 290 - gap)
    arm = (x > -380 + gap) & (x < 380 - gap) & (y > -290 + gap) & (y < 10 - gap)
    free = leg | arm
    for hole in HOLES:
        free &= np.hypot(x - hole[0], y - hole[1]) > HOLE_RADIUS + CHAMFER + gap
    past = np.clip(x, SLOT[0][0], SLOT[1][0])
    free &= np.hypot(x - past, y - SLOT[0][1]) > SLOT_RADIUS + CHAMFER + gap
    return bool(free.all())


def _flaw(rng: np.random.Generator) -> Flaw:
    kind = int(rng.choice(3, p=(0.42, 0.36, 0.22)))
    if kind == 0:
        return _scratch(rng)
    if kind == 1:
        return _burr(rng)
    return MissingHole(int(rng.integers(len(HOLES))))


def _scratch(rng: np.random.Generator) -> Scratch:
    """A curve of 70 to 300 pixels; shorter ones where no longer one finds room."""
    contrast = float(rng.uniform(40, 95)) * (1 if rng.random() < 0.65 else -0.9)
    width = int(rng.integers(2, 5))
    length = float(rng.uniform(70, 300))
    while True:
        start = rng.uniform((-360, -270), (360, 270))
        heading = rng.uniform(0, 2 * math.pi) + np.linspace(0, rng.uniform(-0.9, 0.9), 28)
        heading = heading + rng.normal(0, 0.05, 28)
        steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / 28)
        points = start + np.cumsum(steps, axis=0)
        if on_face(points, _GAP):
            return Scratch(points, contrast, width)
        length = max(70.0, 0.97 * length)


def _burr(rng: np.random.Generator) -> Burr:
    """A bump of 30 to 64 pixels along the outline, a hole or the slot, standing 11 to 24 pixels off the edge."""
    count = 13
    length, height = rng.uniform(30, 64), rng.uniform(11, 24)
    along = np.linspace(-length / 2, length / 2, count)
    profile = np.sin(np.linspace(0.12, math.pi - 0.12, count)) * rng.uniform(0.45, 1.0, count)
    crest = height * profile / profile.max()
    place = rng.random()
    if place < 0.25:
        points = _on_hole(rng, along, crest)
    elif place < 0.4:
        points = _on_line(_slot_side(rng), rng, along, crest)
    else:
        points = _on_line(_outline_side(rng), rng, along, crest)
    return Burr(points, count, float(rng.uniform(150, 250)))


def _on_hole(rng: np.random.Generator, along: Points, crest: Points) -> Points:
    centre = np.array(HOLES[int(rng.integers(len(HOLES)))], dtype=float)
    turn = rng.uniform(0, 2 * math.pi) + along / HOLE_RADIUS
    rays = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    top, base = rays * (HOLE_RADIUS - crest)[:, None], rays * (HOLE_RADIUS + 4)
    bump: Points = np.concatenate([top, base[::-1]])
    return centre + bump


def _on_line(side: tuple[Points, Points, float], rng: np.random.Generator, along: Points, crest: Points) -> Points:
    """A bump on a straight side (start, end, free pixels at both ends); outside is to the left of start to end."""
    start, end, free = side
    reach = float(np.linalg.norm(end - start))
    way = (end - start) / reach
    out = np.array([way[1], -way[0]])
    room = min(free + float(along[-1]), reach / 2)
    middle = start + way * rng.uniform(room, reach - room)
    base = middle + along[:, None] * way
    return np.concatenate([base + crest[:, None] * out, (base - 5 * out)[::-1]])


def _outline_side(rng: np.random.Generator) -> tuple[Points, Points, float]:
    lengths = np.array([math.dist(CORNERS[i], CORNERS[(i + 1) % 6]) for i in range(6)])
    index = int(rng.choice(6, p=lengths / lengths.sum()))
    return np.array(CORNERS[index], dtype=float), np.array(CORNERS[(index + 1) % 6], dtype=float), 48.0


def _slot_side(rng: np.random.Generator) -> tuple[Points, Points, float]:
    """The upper or the lower straight side of the slot, run so that the opening is to the left."""
    left, right = np.array(SLOT[0], dtype=float), np.array(SLOT[1], dtype=float)
    drop = np.array([0.0, SLOT_RADIUS])
    if rng.random() < 0.5:
        return right - drop, left - drop, 0.0
    return left + drop, right + drop, 0.0


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
