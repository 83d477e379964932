"""A machining cell as a PLC or a CNC shows it: a program, a tool, a spindle, parts, temperatures, alarms. Pure."""

from __future__ import annotations

import math
import random
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple

PROGRAMS: Final = (1001, 1002)
"""Program numbers, in turn; a new one every `PARTS_A_PROGRAM` parts."""
PARTS_A_PROGRAM: Final = 20
TOOL_LIFE: Final = 400
"""Cuts after which a tool is worn."""


class Phase(IntEnum):
    """What the machine is doing; the value stands in CYCLE_STATE."""

    LOADING = 1
    CUTTING = 2
    TOOL_CHANGE = 3
    UNLOADING = 4
    STOPPED = 5


class Alarm(IntFlag):
    """Bits of ALARM_WORD."""

    COOLANT_LOW = 1 << 0
    TOOL_WORN = 1 << 1
    SPINDLE_OVERLOAD = 1 << 2
    DOOR_OPEN = 1 << 3


class Step(NamedTuple):
    """One step of the cycle at speed 1: its phase, its seconds, the tool in the spindle."""

    phase: Phase
    seconds: float
    tool: int


CYCLE: Final[tuple[Step, ...]] = (
    Step(Phase.LOADING, 1.0, 1),
    Step(Phase.CUTTING, 2.5, 1),
    Step(Phase.TOOL_CHANGE, 0.5, 4),
    Step(Phase.CUTTING, 1.5, 4),
    Step(Phase.TOOL_CHANGE, 0.5, 1),
    Step(Phase.UNLOADING, 1.0, 1),
)
"""One part; when unloading ends PART_COUNTER counts."""


class Register(NamedTuple):
    """One row of the register table; holding and input registers show the same. REAL and UDINT: high word first."""

    address: int
    """PDU address, from 0."""
    name: str
    type: str
    unit: str
    text: str


REGISTERS: Final[tuple[Register, ...]] = (
    Register(0, "PROGRAM_NUMBER", "UINT", "", f"active NC program, {PROGRAMS[0]} or {PROGRAMS[1]}"),
    Register(1, "TOOL_ID", "UINT", "", "tool in the spindle"),
    Register(2, "SPINDLE_LOAD", "UINT", "0.1 %", "0…2000; more than 1200 is overload"),
    Register(3, "SPINDLE_SPEED", "UINT", "1/min", ""),
    Register(4, "FEED_OVERRIDE", "UINT", "%", "may be written, 0…200; 0 stops the machine"),
    Register(5, "CYCLE_STATE", "UINT", "", ", ".join(f"{phase.value} {phase.name.lower()}" for phase in Phase)),
    Register(6, "PART_COUNTER", "UDINT", "", "finished parts; counts at the end of unloading"),
    Register(8, "CYCLE_TIME", "REAL", "s", "of the last finished part"),
    Register(10, "TEMP_SPINDLE", "INT", "0.1 °C", "may be negative in winter"),
    Register(11, "TEMP_COOLANT", "INT", "0.1 °C", ""),
    Register(12, "ALARM_WORD", "UINT", "bits", ", ".join(f"{n} {bit.name}" for n, bit in enumerate(Alarm))),
    Register(13, "TOOL_LIFE", "UINT", "cuts", "left for the tool in the spindle"),
    Register(14, "HEARTBEAT", "UINT", "", "+1 every 100 ms"),
    Register(15, "OUTPUTS_SEEN", "UINT", "bits", "the coils as the machine has taken them"),
    Register(16, "REJECTED", "UINT", "", "parts that the reject gate let out"),
    Register(17, "AXIS_X", "REAL", "mm", "position of the table; NaN while it moves"),
)
WORDS: Final = 19
FEED_OVERRIDE: Final = 4

COILS: Final[tuple[tuple[int, str, str], ...]] = (
    (0, "LAMP_GOOD", "green lamp"),
    (1, "LAMP_BAD", "red lamp"),
    (2, "LAMP_UNSURE", "yellow lamp"),
    (3, "REJECT_GATE", "1 lets the part through to good; 0, and also a lost connection, leads it to the reject bin"),
)
"""Coils to write; discrete inputs 0…3 show the same as the machine has taken them."""
GATE: Final = 1 << 3

_BLOCK = struct.Struct(">6HIf2h5Hf")
_BEAT = 0.1
_AMBIENT = 21.0


@dataclass(slots=True)
class Tool:
    """One tool of the magazine."""

    cuts: int = 0

    @property
    def left(self) -> int:
        """Cuts until it is worn."""
        return max(0, TOOL_LIFE - self.cuts)


class Cell:
    """The machine. `advance` lets time pass; `block` is what its registers show. The same seed, the same noise."""

    def __init__(self, *, seed: int = 0, speed: float = 1.0) -> None:
        self.parts = self.rejected = 0
        self.override = 100
        self.outputs = 0
        """The coils as bits, as taken at the last `advance`."""
        self.alarms = Alarm(0)
        self.phase = CYCLE[0].phase
        self.cycle_time = 0.0
        self.tools = {step.tool: Tool() for step in CYCLE}
        self.coolant = 100.0
        """Per cent."""
        self._chance = random.Random(seed)
        self._speed = speed
        self._step = 0
        self._in_step = self._in_part = 0.0
        self._heat = 0.0
        """Kelvin above ambient at the spindle."""
        self._load = 0.0
        self._time = 0.0

    @property
    def program(self) -> int:
        """The active program's number."""
        return PROGRAMS[self.parts // PARTS_A_PROGRAM % len(PROGRAMS)]

    @property
    def tool(self) -> int:
        """The tool in the spindle."""
        return CYCLE[self._step].tool

    def advance(self, seconds: float, *, outputs: int = 0, override: int | None = None) -> int:
        """Let so much real time pass with these coils; how many parts were finished meanwhile."""
        self.outputs = outputs & 0xF
        self.override = self.override if override is None else min(200, override)
        self._time += seconds
        machine = seconds * self._speed * self.override / 100
        finished = 0
        while machine > 0:
            step = CYCLE[self._step]
            spent = min(machine, step.seconds - self._in_step)
            self._pass(step, spent)
            machine -= spent
            if self._in_step >= step.seconds - 1e-9:
                finished += self._next()
        self.phase = CYCLE[self._step].phase if self.override else Phase.STOPPED
        self._watch()
        return finished

    def _pass(self, step: Step, seconds: float) -> None:
        self._in_step += seconds
        self._in_part += seconds
        cutting = step.phase is Phase.CUTTING
        self._load = (62.0 + 18.0 * math.sin(3 * self._in_step) + self._chance.gauss(0, 3)) if cutting else 4.0
        self._heat += ((18.0 if cutting else 0.0) - self._heat) * min(1.0, seconds / 60)
        self.coolant = max(0.0, self.coolant - (0.05 * seconds if cutting else 0.0))

    def _next(self) -> int:
        """The step is over; 1 when the part is."""
        if CYCLE[self._step].phase is Phase.CUTTING:
            self.tools[self.tool].cuts += 1
        self._in_step = 0.0
        self._step = (self._step + 1) % len(CYCLE)
        if self._step:
            return 0
        self.cycle_time, self._in_part = self._in_part, 0.0
        self.parts += 1
        self.rejected += not self.outputs & GATE
        return 1

    def _watch(self) -> None:
        worn = {number for number, tool in self.tools.items() if not tool.left}
        self.alarms = (
            (Alarm.COOLANT_LOW if self.coolant < 20 else Alarm(0))
            | (Alarm.TOOL_WORN if self.tool in worn else Alarm(0))
            | (Alarm.SPINDLE_OVERLOAD if self._load > 120 else Alarm(0))
            | (Alarm.DOOR_OPEN if self.phase is Phase.STOPPED else Alarm(0))
        )
        if self.coolant < 15:
            self.coolant = 100.0  # somebody fills it up
        if self.phase is Phase.TOOL_CHANGE:
            for number in worn:
                self.tools[number].cuts = 0

    def block(self) -> bytes:
        """Registers 0…18 as big-endian words, 38 bytes."""
        cutting = self.phase is Phase.CUTTING
        return _BLOCK.pack(
            self.program,
            self.tool,
            round(max(0.0, self._load) * 10),
            9000 if cutting else 0,
            self.override,
            self.phase,
            self.parts & 0xFFFFFFFF,
            self.cycle_time,
            round((_AMBIENT + self._heat) * 10),
            round((_AMBIENT + self._heat / 4) * 10),
            self.alarms,
            self.tools[self.tool].left,
            int(self._time / _BEAT) & 0xFFFF,
            self.outputs,
            self.rejected & 0xFFFF,
            math.nan if self.phase is not Phase.LOADING else 0.0,
        )


def seconds() -> float:
    """How long one part takes at speed 1 and 100 % override."""
    return sum(step.seconds for step in CYCLE)


def table() -> str:
    """The register table as markdown."""
    rows = ["| PDU | holding / input | name | type | unit | |", "|---|---|---|---|---|---|"]
    for row in REGISTERS:
        place = f"4{row.address + 1:04d} / 3{row.address + 1:04d}"
        rows.append(f"| {row.address} | {place} | {row.name} | {row.type} | {row.unit} | {row.text} |")
    rows += ["", "| coil | discrete input | name | |", "|---|---|---|---|"]
    rows += [f"| {n} | {n} | {name} | {text} |" for n, name, text in COILS]
    return "\n".join(rows)
