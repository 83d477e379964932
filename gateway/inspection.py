"""The records of one inspection, from trigger to verdict. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from protocols.faults import Code
from protocols.seat import Seat
from protocols.signals import Judgement

if TYPE_CHECKING:
    from protocols.tags import TagValue

MAX_FINDINGS = 100
"""Of one part. Who finds more tells the best so many; nobody knows then what else there is."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One accepted trigger: who asked for what, and until when (monotonic seconds)."""

    cycle: int
    """The gateway's own number of the cycle, never reused within one run."""
    trigger_seq: int
    """Echoed to the PLC; in bit style the gateway's own count."""
    part_id: int = 0
    serial: str = ""
    user: tuple[int, ...] = ()
    accepted: float = 0.0
    deadline: float = 0.0
    utc: float = 0.0
    """Wall clock at acceptance, seconds since 1970 UTC."""
    by_bit: bool = False
    """Triggered by the Trigger bit, by a tag, or by another than the link: no number that the PLC may repeat."""
    tags: Mapping[str, TagValue] = field(default_factory=dict, hash=False)
    """Readings of equipment at this moment, by `device.tag`; what they are worth follows from `accepted`."""
    seat: Seat = Seat.LINK
    """Who drove the station; not recorded."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something seen in a frame, not yet judged; box x1, y1, x2, y2 in pixels of the frame."""

    label: str
    score: float
    box: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Upright, around all of it."""
    outline: tuple[tuple[float, float], ...] = ()
    """Polygon x, y in pixels of the frame: the contour of a mask, or the corners of an oriented box; or none."""
    points: tuple[tuple[float, float, float], ...] = ()
    """Keypoints x, y, score; pixels of the frame."""
    angle: float | None = None
    """Of an oriented box's first side, in degrees from the x axis towards the y axis: clockwise as one looks at it."""
    text: str = ""
    """What a code says."""
    value: float | None = None
    """What was measured; its unit is the task's."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What is known of a frame beside its pixels."""

    arrived: float = 0.0
    """Monotonic clock when it came."""
    number: int | None = None
    """The camera's own count."""
    device_time: float | None = None
    """The camera's clock at the exposure, seconds since whenever."""
    clock_jumped: bool = False
    """That clock made a jump: the frame's age was judged by its arrival."""
    missed: int = 0
    """Frames that the camera counted since it was opened, and that never arrived."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What the vision worker says of one trigger: findings, or the code of what went wrong; times in seconds."""

    findings: tuple[Finding, ...] = ()
    fault: Code = Code.NONE
    detail: str = ""
    grab: float = 0.0
    infer: float = 0.0
    exposed_utc: float = 0.0
    simulated: bool = False
    frame: FrameFacts = FrameFacts()


class Verdict(Enum):
    """The judge's word on one part. A fault is not a verdict."""

    OK = Judgement.OK
    NG = Judgement.NG
    RECHECK = Judgement.RECHECK


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdict with the rule that decided: its NG code, deciding score, check bits (0…7) and named values."""

    verdict: Verdict
    reason: int = 0
    rule: str = ""
    score: float = 0.0
    checks: int = 0
    values: tuple[float, ...] = ()
    variant: str = ""
    """The recipe's variant that judged."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The record of one cycle: exactly one for each accepted trigger."""

    station: str
    trigger: Trigger
    judgement: Judgement
    reason: int
    result_seq: int
    recipe: int
    recipe_name: str = ""
    model_crc: int = 0
    score: float = 0.0
    rule: str = ""
    checks: int = 0
    values: tuple[float, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    detail: str = ""
    total: float = 0.0
    grab: float = 0.0
    infer: float = 0.0
    exposed_utc: float = 0.0
    simulated: bool = False
    boot_id: int = 0
    provider: str = ""
    """What really ran the network."""
    frame: FrameFacts = FrameFacts()
    """Not recorded in the history, only told in the log."""
