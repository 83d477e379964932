"""The trigger cycle as tables, for both roles: documents and generated PLC code are drawn from here.

`vision_role` plays the gateway's side and `plc_role` the PLC's; both look their moves up in these tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocols.faults import Code
from protocols.signals import UINT_MAX, Result


class Style(Enum):
    """How a PLC triggers and acknowledges; one map serves both, a PLC may change over between two cycles."""

    SEQUENCE = "sequence"
    """TRIGGER_SEQ and RESULT_ACK_SEQ: numbers carry the truth."""
    BITS = "bits"
    """Trigger and ResultAck: four-phase edges."""


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """Times in seconds and rules of one station's cycle."""

    deadline: float = 0.3
    heartbeat: float = 0.2
    plc_heartbeat_timeout: float = 1.0
    plc_heartbeat_required: bool = False
    queue: int = 8
    ack_timeout: float = 5.0
    """An unacknowledged result older than this raises 3005 (degraded); 0 = never."""
    command_timeout: float = 30.0
    min_trigger_interval: float = 0.0
    overlap: bool = False
    """Ready rises again at ExposureDone: the next part is taken while this one is judged."""
    fault_on_disable: bool = False
    """Enable dropped in mid-cycle ends the cycle as FAULT 3006; otherwise it runs to its end."""
    defer_recipe_change: bool = False
    """A recipe change while busy waits for the running inspection; otherwise it is refused with 3006."""
    result_valid_delay: float = 0.0
    """ResultValid follows the result words by this much, for a PLC that reads the bit in a request of its own."""
    own_triggers: bool = False
    """The station is triggered by a tag: triggers of the PLC's are refused with 3006."""
    always_enabled: bool = False
    """Enable counts as set, for a station without a PLC."""
    acknowledged: bool = True
    """Results wait for their ack; otherwise each counts as taken as soon as it is shown."""
    settle: float = 0.0
    """So long after the first sight of a command block it is all baseline: a PLC may write it in several requests."""


# ---------------------------------------------------------------- the gateway's side


class VisionState(Enum):
    """The states of the gateway's side; `VISION` says when each holds."""

    OFFLINE = "offline"
    FAULT = "fault"
    BUSY = "busy"
    DISABLED = "disabled"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class VisionRow:
    """One state: when it holds, and the code with which a trigger is refused there (NONE = accepted)."""

    state: VisionState
    holds: str
    refusal: Code


VISION: tuple[VisionRow, ...] = (
    VisionRow(VisionState.OFFLINE, "taken offline by command, or stopping", Code.OFFLINE),
    VisionRow(VisionState.FAULT, "a fault of class F is active", Code.INTERNAL),
    VisionRow(VisionState.BUSY, "an accepted trigger has no outcome yet", Code.TRIGGER_WHILE_BUSY),
    VisionRow(VisionState.DISABLED, "Enable is 0", Code.NOT_ENABLED),
    VisionRow(VisionState.READY, "none of the above", Code.NONE),
)
"""The first row that holds is the state. OFFLINE and FAULT refuse with the code of what is wrong, if that is known."""

REFUSAL: dict[VisionState, Code] = {row.state: row.refusal for row in VISION}


class TriggerPhase(Enum):
    """Four-phase trigger of bit style."""

    IDLE = "idle"
    ACKED = "acked"
    """TriggerAck is 1 until Trigger falls."""
    HELD = "held"
    """Trigger was refused, or high at the first sight: it must fall before the next edge counts."""


class ResultPhase(Enum):
    """Where the shown result stands between the gateway and the PLC's ack."""

    EMPTY = "empty"
    SHOWN = "shown"
    """ResultValid is 1."""
    RELEASE = "release"
    """Bit style: acknowledged, ResultValid is 0 until ResultAck falls."""


# ---------------------------------------------------------------- what the gateway's side asks of its station


@dataclass(frozen=True, slots=True)
class OwnTrigger:
    """A trigger that does not come from the PLC; with a code it is one to refuse and count."""

    part_id: int = 0
    serial: str = ""
    code: Code = Code.NONE
    times: int = 1
    """Of one to refuse: how many there were."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A trigger was taken: inspect, and finish `cycle` with an outcome by `deadline`."""

    cycle: int
    trigger_seq: int
    style: Style | None
    """None: not the PLC's; `trigger_seq` is our own count, as in bit style."""
    part_id: int
    serial: str
    user: tuple[int, ...]
    at: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A trigger was not taken; `repeated` = its stored outcome is shown again instead."""

    trigger_seq: int
    code: Code
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """The PLC's numbers went on by more than one: so many were never seen, as when it asks faster than it is read."""

    trigger_seq: int
    count: int


SKIPPED_AT_MOST = 1000
"""A longer jump is a counter that was set anew, not numbers left out."""


@dataclass(frozen=True, slots=True)
class Jumped:
    """The PLC's numbers went back, or far ahead: what came in between nobody knows."""

    trigger_seq: int
    before: int


def skipped(before: int, seq: int) -> list[Action]:
    """What is to be told when `seq` follows `before` (0 = nothing known, as after a start of the PLC)."""
    count = (seq - before - 1) % UINT_MAX if before else 0
    if count > SKIPPED_AT_MOST:
        return [Jumped(seq, before)]
    return [Skipped(seq, count)] if count else []


@dataclass(frozen=True, slots=True)
class Restarted:
    """The PLC started anew, after parts were accepted: nobody knows what passed meanwhile."""


@dataclass(frozen=True, slots=True)
class Expired:
    """An open cycle must end now, as FAULT with `code`: its deadline passed, or it was aborted."""

    cycle: int
    code: Code


@dataclass(frozen=True, slots=True)
class Execute:
    """The PLC asks for recipe `param`; answer with `command_finished(token, …)`."""

    token: int
    param: int


@dataclass(frozen=True, slots=True)
class Commanded:
    """A command has ended: NONE = done, otherwise the code it was refused with."""

    command: int
    param: int
    code: Code


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The PLC has taken this result."""

    result_seq: int


@dataclass(frozen=True, slots=True)
class AckIgnored:
    """An acknowledgement that names no shown result (3006)."""

    result_seq: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A result was dropped unacknowledged because the queue was full."""

    result: Result


@dataclass(frozen=True, slots=True)
class Cleared:
    """ClearFault rose: latched faults are gone, held conditions may be tried again."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A condition began or ended."""

    code: Code
    active: bool


Action = (
    Accepted
    | Refused
    | Skipped
    | Jumped
    | Restarted
    | Expired
    | Execute
    | Commanded
    | Acknowledged
    | AckIgnored
    | Lost
    | Cleared
    | Changed
)


@dataclass(frozen=True, slots=True)
class Last:
    """The trigger accepted last and its outcome once there is one: a repeat of it is answered from here."""

    trigger_seq: int
    part_id: int
    serial: str
    result: Result | None = None
    cycle: int = 0


# ---------------------------------------------------------------- the PLC's side


class PlcState(Enum):
    """The states of one request on the PLC's side."""

    IDLE = "idle"
    REQUESTED = "requested"
    RUNNING = "running"
    RELEASE = "release"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlcMove:
    """In `state`, when `guard` holds: do `action`, go to `to`. The first row that holds is taken; one a scan."""

    state: PlcState
    guard: str
    action: str
    to: PlcState


PLC_SEQUENCE: tuple[PlcMove, ...] = (
    PlcMove(PlcState.IDLE, "ack_stands", "clear_ack_seq", PlcState.IDLE),
    PlcMove(PlcState.IDLE, "foreign_result", "acknowledge_seq", PlcState.IDLE),
    PlcMove(PlcState.IDLE, "requested_and_ready", "write_trigger_seq", PlcState.REQUESTED),
    PlcMove(PlcState.IDLE, "overdue", "give_up", PlcState.FAILED),
    PlcMove(PlcState.REQUESTED, "own_result", "take_and_acknowledge_seq", PlcState.DONE),
    PlcMove(PlcState.REQUESTED, "foreign_result", "acknowledge_seq", PlcState.REQUESTED),
    PlcMove(PlcState.REQUESTED, "accepted_seq", "nothing", PlcState.RUNNING),
    PlcMove(PlcState.REQUESTED, "refused_seq", "take_refusal", PlcState.FAILED),
    PlcMove(PlcState.REQUESTED, "overdue", "give_up", PlcState.FAILED),
    PlcMove(PlcState.RUNNING, "ack_stands", "clear_ack_seq", PlcState.RUNNING),
    PlcMove(PlcState.RUNNING, "own_result", "take_and_acknowledge_seq", PlcState.DONE),
    PlcMove(PlcState.RUNNING, "foreign_result", "acknowledge_seq", PlcState.RUNNING),
    PlcMove(PlcState.RUNNING, "overdue", "give_up", PlcState.FAILED),
)

PLC_BITS: tuple[PlcMove, ...] = (
    PlcMove(PlcState.IDLE, "ack_taken", "lower_result_ack", PlcState.IDLE),
    PlcMove(PlcState.IDLE, "foreign_result_bits", "raise_result_ack", PlcState.IDLE),
    PlcMove(PlcState.IDLE, "requested_and_ready_for_bits", "raise_trigger", PlcState.REQUESTED),
    PlcMove(PlcState.IDLE, "overdue", "give_up", PlcState.FAILED),
    PlcMove(PlcState.REQUESTED, "trigger_ack", "lower_trigger", PlcState.RUNNING),
    PlcMove(PlcState.REQUESTED, "refused_bit", "take_refusal", PlcState.FAILED),
    PlcMove(PlcState.REQUESTED, "overdue", "give_up", PlcState.FAILED),
    PlcMove(PlcState.RUNNING, "own_result_bits", "take_and_raise_result_ack", PlcState.RELEASE),
    PlcMove(PlcState.RUNNING, "ack_taken", "lower_result_ack", PlcState.RUNNING),
    PlcMove(PlcState.RUNNING, "foreign_result_bits", "raise_result_ack", PlcState.RUNNING),
    PlcMove(PlcState.RUNNING, "overdue", "give_up", PlcState.FAILED),
    PlcMove(PlcState.RELEASE, "ack_taken", "lower_result_ack", PlcState.DONE),
    PlcMove(PlcState.RELEASE, "overdue", "lower_result_ack", PlcState.DONE),
)
