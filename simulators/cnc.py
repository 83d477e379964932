"""A CNC that machines parts, asks for each to be inspected, and waits for the verdict. Pure: time comes by `advance`.

Its NC program in words: machine the part; count R20 up by one and give M77; wait until R21 is R20 or -R20, at most so
many seconds; positive: count the part and end with M30; negative, or nobody answered: stop with an alarm. The number in
the answer is the part's own, so an old answer can never be taken for that of the next part.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

PROGRAM: Final = "BRACKET_A"
MAIN: Final = "PALLET_1"
ASKED: Final = 20
"""The R-parameter that counts the inspections asked for."""
ANSWER: Final = 21
"""The R-parameter that is to become R20 (good) or -R20 (not good)."""
ASK_CODE: Final = 77
"""The M function that goes with it."""
END_CODE: Final = 30


class Program(IntEnum):
    """What the NC program does."""

    INITIALIZING = 0
    RUNNING = 1
    ENDED = 2
    INTERRUPTED = 3
    ABORTED = 4
    WAITING = 5
    """For the verdict."""


class Quality(IntEnum):
    """PartQuality of OPC 40501-1 §12.6."""

    UNAVAILABLE = 0
    GOOD = 1
    BAD = 2
    NOT_YET_MEASURED = 3
    WILL_NOT_BE_MEASURED = 4


class Block(NamedTuple):
    """One block of the program: its text, its seconds at speed 1 and override 100 %, and what turns and moves."""

    text: str
    seconds: float
    tool: int
    speed: float = 0.0
    feed: float = 0.0
    to: tuple[float, float, float] = (0.0, 0.0, 200.0)
    m: tuple[int, ...] = ()


BLOCKS: Final[tuple[Block, ...]] = (
    Block("N10 T1 M6", 0.6, 1, m=(6,)),
    Block("N20 S4500 M3", 0.2, 1, 4500, m=(3,)),
    Block("N30 G0 X40 Y25 Z5", 0.3, 1, 4500, 12000, (40, 25, 5), (3,)),
    Block("N40 G1 Z-8 F600", 0.9, 1, 4500, 600, (40, 25, -8), (3, 8)),
    Block("N50 G1 X160 F1200", 1.2, 1, 4500, 1200, (160, 25, -8), (3, 8)),
    Block("N60 T4 M6", 0.6, 4, m=(6,)),
    Block("N70 S9000 M3", 0.2, 4, 9000, m=(3,)),
    Block("N80 G1 X160 Y70 Z-12 F800", 1.1, 4, 9000, 800, (160, 70, -12), (3, 8)),
    Block("N90 G0 Z200 M5", 0.3, 4, 0, 12000, (160, 70, 200), (5,)),
)
"""The part; after the last block the program asks for the inspection."""
PAUSE: Final = 0.5
"""Seconds at speed 1 between two parts."""


class Alarm(NamedTuple):
    """A pending alarm."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Rules:
    """How the NC program takes what happens. Times in seconds, not shortened by the speed."""

    verdict_timeout: float = 5.0
    reset_after: float = 2.0
    """An operator acknowledges an alarm after so long and starts again; 0: never."""
    stop_on_bad: bool = True
    """A part that is not good stops the machine; else it only is counted."""
    parts: int = 0
    """It ends for good after so many; 0: never."""


@dataclass(slots=True)
class Cnc:
    """The machine. The same seed, the same noise. `told` is what it would say to a person, newest last."""

    speed: float = 1.0
    rules: Rules = field(default_factory=Rules)
    seed: int = 0
    first: int = 0
    """R20 at the start."""
    state: Program = Program.INITIALIZING
    r: dict[int, float] = field(default_factory=dict)
    gud: dict[str, float] = field(default_factory=lambda: {"VISION_OK": 0.0})
    quality: int = Quality.NOT_YET_MEASURED
    parts: int = 0
    """Finished, whatever their verdict."""
    good: int = 0
    bad: int = 0
    unanswered: int = 0
    override: float = 100.0
    spindle_override: float = 100.0
    alarms: list[Alarm] = field(default_factory=list)
    told: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    position: tuple[float, float, float] = (0.0, 0.0, 200.0)
    load: float = 0.0
    rpm: float = 0.0
    stalled: bool = False
    """The NC hangs: nothing moves any more, though its network answers."""
    _block: int = -1
    _in_state: float = 0.0
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self.r = dict.fromkeys(range(100), 0.0) | {ASKED: float(self.first)} | self.r

    @property
    def asked(self) -> int:
        """The number of the inspection asked for last."""
        return int(self.r[ASKED])

    @property
    def done(self) -> bool:
        """All parts that it was to make are made."""
        return bool(self.rules.parts) and self.parts + self.unanswered >= self.rules.parts and self._resting

    @property
    def block(self) -> Block | None:
        """The block that runs."""
        return BLOCKS[self._block] if 0 <= self._block < len(BLOCKS) and self.state is Program.RUNNING else None

    @property
    def tool(self) -> int:
        """In the spindle; 0 before the first tool change."""
        return BLOCKS[min(self._block, len(BLOCKS) - 1)].tool if self._block >= 0 else 0

    @property
    def m_functions(self) -> tuple[int, ...]:
        """M functions that are active."""
        if self.state is Program.WAITING:
            return (5, ASK_CODE)
        if self.state is Program.ENDED:
            return (5, END_CODE)
        return self.block.m if self.block else ()

    @property
    def text(self) -> str:
        """The block that is shown."""
        if self.state is Program.WAITING:
            return f"N100 M{ASK_CODE} ; WAIT FOR ABS(R{ANSWER})==R{ASKED}"
        return self.block.text if self.block else ""

    @property
    def _resting(self) -> bool:
        return self.state in (Program.ENDED, Program.INITIALIZING, Program.ABORTED)

    def advance(self, seconds: float) -> None:
        """Let so much real time pass."""
        if self.stalled:
            return
        left = seconds
        for _ in range(10_000):  # a bound, not a rule: one step ends a block, and there are few in a tick
            left = self._step(left)
            if left <= 0:
                return

    def _step(self, seconds: float) -> float:
        """One state's or block's share of the time; what is left of it."""
        pace = self.speed * self.override / 100
        block = self.block
        if block is not None:
            return self._cut(block, seconds, pace)
        self.rpm = self.load = 0.0
        if pace <= 0 and self.state not in (Program.WAITING, Program.INTERRUPTED):
            return 0.0
        due = self._due(pace)
        spent = min(seconds, max(0.0, due - self._in_state))
        self._in_state += spent
        if self.state is Program.WAITING and abs(self.r[ANSWER]) == self.r[ASKED]:
            self._answered(self.r[ANSWER] > 0)
        elif self._in_state >= due - 1e-9:
            self._due_now()
        else:
            return 0.0
        return seconds - spent

    def _due(self, pace: float) -> float:
        """When the state ends by time alone."""
        if self.state is Program.WAITING:
            return self.rules.verdict_timeout
        if self.state is Program.INTERRUPTED:
            return self.rules.reset_after or math.inf
        return math.inf if self.done else PAUSE / pace

    def _due_now(self) -> None:
        match self.state:
            case Program.WAITING:
                self.unanswered += 1
                self._stop(Alarm(700002, f"no verdict for part {self.asked}"))
            case Program.INTERRUPTED:
                self.alarms.clear()
                self._to(Program.ABORTED)
            case Program.ENDED | Program.ABORTED:
                self._to(Program.INITIALIZING)
            case _:
                self.quality = Quality.NOT_YET_MEASURED
                self._block = 0
                self._to(Program.RUNNING)

    def _cut(self, block: Block, seconds: float, pace: float) -> float:
        if pace <= 0:
            return 0.0
        spent = min(seconds, block.seconds / pace - self._in_state)
        self._in_state += spent
        part = min(1.0, self._in_state * pace / block.seconds)
        self._move(block, part)
        if part >= 1.0 - 1e-9:
            self._block += 1
            self._in_state = 0.0
            if self._block == len(BLOCKS):
                self.r[ASKED] += 1
                self._to(Program.WAITING)
                self.told.append(f"part {self.asked} machined, asking for its inspection")
        return seconds - max(0.0, spent)

    def _move(self, block: Block, part: float) -> None:
        before = BLOCKS[self._block - 1].to if self._block else (0.0, 0.0, 200.0)
        at = [start + (end - start) * part for start, end in zip(before, block.to, strict=True)]
        self.position = (at[0], at[1], at[2])
        self.rpm = block.speed * self.spindle_override / 100
        cutting = 0 < block.feed < 5000
        self.load = (45.0 + 20.0 * math.sin(6 * part) + self._chance.gauss(0, 2)) if cutting else self.rpm / 3000

    def _answered(self, good: bool) -> None:
        number = self.asked
        self.parts += 1
        if good:
            self.good += 1
            self.told.append(f"part {number} is good, going on")
            self._to(Program.ENDED)
            return
        self.bad += 1
        if self.rules.stop_on_bad:
            self._stop(Alarm(700001, f"part {number} is not good"))
        else:
            self.told.append(f"part {number} is not good, going on")
            self._to(Program.ENDED)

    def _stop(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)
        self.told.append(f"stopped with alarm {alarm.number}: {alarm.text}")
        self._to(Program.INTERRUPTED)

    def _to(self, state: Program) -> None:
        self.state, self._in_state = state, 0.0
