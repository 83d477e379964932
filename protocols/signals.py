"""The PLC contract as frozen records: what the PLC writes (Command) and what the gateway writes (Status, Result)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, IntFlag

MAP_VERSION = 1
USER_WORDS = 6
SERIAL_BYTES = 32
VALUES = 13
CHECKS = 8
"""Named checks of a recipe that have a bit of their own in RESULT_BITS (8…15)."""

UINT_MAX = 0xFFFF
UDINT_MAX = 0xFFFF_FFFF


class Control(IntFlag):
    """CONTROL, written by the PLC. Levels and edges; the gateway never clears them."""

    ENABLE = 1 << 0
    TRIGGER = 1 << 1
    RESULT_ACK = 1 << 2
    EXECUTE = 1 << 3
    CLEAR_FAULT = 1 << 4
    ABORT = 1 << 5


class StatusBit(IntFlag):
    """STATUS, written by the gateway."""

    ONLINE = 1 << 0
    READY = 1 << 1
    TRIGGER_ACK = 1 << 2
    BUSY = 1 << 3
    EXPOSURE_DONE = 1 << 4
    RESULT_VALID = 1 << 5
    OVERRUN = 1 << 6
    MISSED_TRIGGER = 1 << 7
    EXECUTING = 1 << 8
    COMMAND_DONE = 1 << 9
    COMMAND_FAILED = 1 << 10
    DEGRADED = 1 << 11
    FAULT = 1 << 12
    SIMULATED = 1 << 13
    FAIL_SAFE = 1 << 14
    RESULT_TOGGLE = 1 << 15


class Judgement(IntEnum):
    """What the PLC acts on: OK is good, anything else is not."""

    NONE = 0
    OK = 1
    NG = 2
    RECHECK = 3
    FAULT = 4


class ResultBit(IntFlag):
    """RESULT_BITS of one result; bits 8…15 belong to the recipe's named checks."""

    OK = 1 << 0
    NG = 1 << 1
    RECHECK = 1 << 2
    FAULT = 1 << 3
    DEADLINE_MISSED = 1 << 4
    SIMULATED = 1 << 5
    CHECK_0 = 1 << 8


class CommandCode(IntEnum):
    """COMMAND: what Execute or a new COMMAND_SEQ asks for."""

    NONE = 0
    ACTIVATE_RECIPE = 1
    RESET_COUNTERS = 2
    GO_OFFLINE = 3
    GO_ONLINE = 4


class CommandResult(IntEnum):
    """COMMAND_RESULT below 1000; any other value is a fault code."""

    NONE = 0
    RUNNING = 1
    DONE = 2


@dataclass(frozen=True, slots=True)
class Command:
    """The command block as the PLC wrote it: one consistent moment of 32 words."""

    control: int = 0
    trigger_seq: int = 0
    result_ack_seq: int = 0
    plc_heartbeat: int = 0
    command: int = 0
    command_param: int = 0
    command_seq: int = 0
    part_id: int = 0
    user: tuple[int, ...] = (0,) * USER_WORDS
    serial: str = ""

    @property
    def blank(self) -> bool:
        """All words zero: a PLC that has just started."""
        return self == BLANK_COMMAND


BLANK_COMMAND = Command()


@dataclass(frozen=True, slots=True)
class Status:
    """The status words 0…15."""

    bits: int = 0
    heartbeat: int = 0
    trigger_seq_ack: int = 0
    trigger_refused: int = 0
    newest_result_seq: int = 0
    pending: int = 0
    lost: int = 0
    missed: int = 0
    fault_code: int = 0
    not_ready_reason: int = 0
    recipe_active: int = 0
    command_seq_ack: int = 0
    command_result: int = 0
    config_crc: int = 0
    boot_id: int = 0
    map_version: int = MAP_VERSION

    @property
    def ready(self) -> bool:
        return bool(self.bits >> 1 & 1)


@dataclass(frozen=True, slots=True)
class Result:
    """The result words 16…63 of one inspection; times in 0.1 ms, capped at 65535; unused values are NaN."""

    result_seq: int = 0
    trigger_seq: int = 0
    part_id: int = 0
    judgement: int = Judgement.NONE
    bits: int = 0
    reason: int = 0
    findings: int = 0
    score: float = 0.0
    recipe: int = 0
    model_crc: int = 0
    total: int = 0
    grab: int = 0
    infer: int = 0
    time_s: int = 0
    time_ms: int = 0
    values: tuple[float, ...] = (math.nan,) * VALUES


NO_RESULT = Result()


@dataclass(frozen=True, slots=True)
class Outputs:
    """Everything the gateway shows to the PLC at one moment."""

    status: Status = Status()
    result: Result = NO_RESULT


def next_seq(seq: int) -> int:
    """The sequence number after `seq`: 1…65535, then 1 again; never 0."""
    return seq % UINT_MAX + 1


def tenths_ms(seconds: float) -> int:
    """A duration in 0.1 ms as a UINT, capped at 65535."""
    return max(0, min(UINT_MAX, round(seconds * 10_000)))
