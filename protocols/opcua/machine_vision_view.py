"""What a station's words mean in OPC 40100-1: its state, its SEMI E10 state, the conditions that hold. Pure."""

from __future__ import annotations

from protocols.faults import CATALOGUE, Code, FaultClass, describe, fault_class
from protocols.opcua.machine_vision_records import Grade, SystemState
from protocols.opcua.machine_vision_tables import State
from protocols.signals import Status, StatusBit
from protocols.station_view import Seat

_PEER = frozenset({Code.LINK_LOST, Code.PLC_HEARTBEAT_LOST})
"""Faults of the PLC's side: the vision system itself waits for somebody to drive it."""
_PASSING = frozenset({Code.NONE, Code.STARTING, Code.STOPPING})
_BY_HAND = frozenset(
    {
        Code.CRASH_LOOP,
        Code.MODEL_LOAD,
        Code.MODEL_HASH,
        Code.MODEL_MISMATCH,
        Code.ENGINE_UNPROVEN,
        Code.CONFIG_INVALID,
        Code.CERT_EXPIRED,
    }
)
"""Nothing of this goes away without somebody's hand: a persistent error."""
_NOT_ENABLED = frozenset({Code.NOT_ENABLED, Code.DRIVEN_BY_OTHER}) | _PEER


def broken(status: Status, seat: Seat) -> int:
    """The code of the fault that keeps the vision system from working, 0 for none."""
    reason = status.not_ready_reason
    if status.ready or reason in _PASSING or fault_class(reason) is not FaultClass.FAULT:
        return 0
    return 0 if reason in _PEER and seat is not Seat.MACHINE_VISION else reason


def place(status: Status, seat: Seat) -> State | None:
    """The state that the station is in; SingleExecution = busy, None = as before, for it is changing over."""
    reason = status.not_ready_reason
    if not status.bits & StatusBit.ONLINE or reason == Code.STOPPING:
        return State.HALTED
    if status.ready:
        return State.READY if status.recipe_active else State.INITIALIZED
    if broken(status, seat):
        return State.ERROR
    if reason == Code.STARTING:
        return None if status.bits & StatusBit.EXECUTING else State.PREOPERATIONAL
    if reason == Code.TRIGGER_WHILE_BUSY:
        return State.SINGLE_EXECUTION
    return State.PREOPERATIONAL if reason in _NOT_ENABLED else State.READY


def system_state(outer: State, *, working: bool, status: Status) -> SystemState:
    """SEMI E10: `working` = a job runs or ended just now."""
    if outer is State.ERROR:
        return SystemState.UNSCHEDULED_DOWNTIME
    if outer is State.HALTED:
        stopping = status.not_ready_reason == Code.STOPPING
        return SystemState.NON_SCHEDULED if stopping else SystemState.SCHEDULED_DOWNTIME
    if status.bits & StatusBit.SIMULATED:
        return SystemState.ENGINEERING
    return SystemState.PRODUCTIVE if working else SystemState.STANDBY


def reason_text(status: Status) -> str:
    """Why no job can be started, for people; empty when it can."""
    return describe(status.not_ready_reason) if status.not_ready_reason else ""


def reason_name(code: int) -> str:
    """The catalogue's name of a code, empty for one that is not in it."""
    info = CATALOGUE.get(code)
    return info.name if info is not None else ""


def grade(code: int) -> Grade:
    """The condition type that shows this code."""
    if code in _BY_HAND:
        return Grade.PERSISTENT
    mere = not code or code in _PEER or fault_class(code) is not FaultClass.FAULT
    return Grade.WARNING if mere else Grade.ERROR


def holding(status: Status, seat: Seat, degraded: int) -> dict[int, bool]:
    """The codes that hold, each with whether it stops operation; `degraded`: the degradation known from before."""
    codes: dict[int, bool] = {}
    latched, reason = status.fault_code, status.not_ready_reason
    if latched and fault_class(latched) is FaultClass.FAULT and latched not in _PASSING:
        codes[latched] = False
    if reason not in _PASSING and fault_class(reason) is FaultClass.FAULT and not status.ready:
        codes[reason] = bool(broken(status, seat))
    if status.bits & StatusBit.DEGRADED:
        codes[degraded_code(status) or degraded] = False
    return codes


def degraded_code(status: Status) -> int:
    """The code of a degradation, where FAULT_CODE tells it: a latched fault hides it; 0 = unknown."""
    latched = status.fault_code
    return latched if latched and fault_class(latched) is FaultClass.DEGRADED else 0


def as_code(number: int) -> Code:
    """A code that came over the wire; one that the catalogue does not have is an internal error."""
    return Code(number) if number in CATALOGUE else Code.INTERNAL
