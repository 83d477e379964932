"""The two state machines of OPC 40100-1 as tables: states, transitions, causes and effects. Pure.

OPC 40100-1 (OPC UA for Machine Vision, Part 1), VisionStateMachineType and VisionAutomaticModeStateMachineType; the
numbers are those of its information model 1.0.0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum


class State(IntEnum):
    """StateNumber. Up to 4: the outer machine; from 5: the automatic mode's, which is entered with Operational."""

    PREOPERATIONAL = 1
    HALTED = 2
    ERROR = 3
    OPERATIONAL = 4
    INITIALIZED = 5
    READY = 6
    SINGLE_EXECUTION = 7
    CONTINUOUS_EXECUTION = 8

    @property
    def inner(self) -> bool:
        """True for a state of the automatic mode's machine."""
        return self > State.OPERATIONAL

    @property
    def title(self) -> str:
        """The BrowseName."""
        return self.name.title().replace("_", "")


class Cause(Enum):
    """What brings a transition about: a method, or the station itself."""

    AUTOMATIC = "automatic"
    SELECT_MODE_AUTOMATIC = "SelectModeAutomatic"
    HALT = "Halt"
    RESET = "Reset"
    PREPARE_RECIPE = "PrepareRecipe"
    UNPREPARE_RECIPE = "UnprepareRecipe"
    START_SINGLE_JOB = "StartSingleJob"
    START_CONTINUOUS = "StartContinuous"
    STOP = "Stop"
    ABORT = "Abort"


class Effect(Enum):
    """An event that a transition brings, beside StateChanged, which every one brings."""

    ERROR = "Error"
    ERROR_RESOLVED = "ErrorResolved"
    JOB_STARTED = "JobStarted"
    READY = "Ready"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row; `node` is the numeric identifier of the transition object in the type."""

    number: int
    name: str
    source: State
    target: State
    cause: Cause
    node: int
    effects: tuple[Effect, ...] = ()

    @property
    def inner(self) -> bool:
        """True for a transition of the automatic mode's machine."""
        return self.source.inner


_S, _C, _E = State, Cause, Effect

_OUTER = (
    (120, "PreoperationalToHaltedAuto", _S.PREOPERATIONAL, _S.HALTED, _C.AUTOMATIC, 5033),
    (121, "PreoperationalToHalted", _S.PREOPERATIONAL, _S.HALTED, _C.HALT, 5032),
    (130, "PreoperationalToErrorAuto", _S.PREOPERATIONAL, _S.ERROR, _C.AUTOMATIC, 5034, (_E.ERROR,)),
    (140, "PreoperationalToOperationalAuto", _S.PREOPERATIONAL, _S.OPERATIONAL, _C.AUTOMATIC, 5254),
    (141, "PreoperationalToOperational", _S.PREOPERATIONAL, _S.OPERATIONAL, _C.SELECT_MODE_AUTOMATIC, 5253),
    (210, "HaltedToPreoperationalAuto", _S.HALTED, _S.PREOPERATIONAL, _C.AUTOMATIC, 5038),
    (211, "HaltedToPreoperational", _S.HALTED, _S.PREOPERATIONAL, _C.RESET, 5037),
    (310, "ErrorToPreoperationalAuto", _S.ERROR, _S.PREOPERATIONAL, _C.AUTOMATIC, 5040, (_E.ERROR_RESOLVED,)),
    (311, "ErrorToPreoperational", _S.ERROR, _S.PREOPERATIONAL, _C.RESET, 5039),
    (320, "ErrorToHaltedAuto", _S.ERROR, _S.HALTED, _C.AUTOMATIC, 5042),
    (321, "ErrorToHalted", _S.ERROR, _S.HALTED, _C.HALT, 5041),
    (340, "ErrorToOperationalAuto", _S.ERROR, _S.OPERATIONAL, _C.AUTOMATIC, 5255, (_E.ERROR_RESOLVED,)),
    (410, "OperationalToPreoperationalAuto", _S.OPERATIONAL, _S.PREOPERATIONAL, _C.AUTOMATIC, 5048),
    (411, "OperationalToPreoperational", _S.OPERATIONAL, _S.PREOPERATIONAL, _C.RESET, 5047),
    (420, "OperationalToHaltedAuto", _S.OPERATIONAL, _S.HALTED, _C.AUTOMATIC, 5050),
    (421, "OperationalToHalted", _S.OPERATIONAL, _S.HALTED, _C.HALT, 5049),
    (430, "OperationalToErrorAuto", _S.OPERATIONAL, _S.ERROR, _C.AUTOMATIC, 5051, (_E.ERROR,)),
)
# The information model hangs Error on 130 alone and ErrorResolved on 340 alone; its text wants Error at every entry
# of Error and ErrorResolved whenever the error holds the system no longer: so 430 and 310 have them too.

_CONT = State.CONTINUOUS_EXECUTION
_INNER = (
    (560, "InitializedToReadyAuto", _S.INITIALIZED, _S.READY, _C.AUTOMATIC, 5061),
    (561, "InitializedToReadyRecipe", _S.INITIALIZED, _S.READY, _C.PREPARE_RECIPE, 5060),
    (650, "ReadyToInitializedAuto", _S.READY, _S.INITIALIZED, _C.AUTOMATIC, 5063),
    (651, "ReadyToInitializedRecipe", _S.READY, _S.INITIALIZED, _C.UNPREPARE_RECIPE, 5062),
    (670, "ReadyToSingleExecutionAuto", _S.READY, _S.SINGLE_EXECUTION, _C.AUTOMATIC, 5065, (_E.JOB_STARTED,)),
    (671, "ReadyToSingleExecution", _S.READY, _S.SINGLE_EXECUTION, _C.START_SINGLE_JOB, 5064, (_E.JOB_STARTED,)),
    (680, "ReadyToContinuousExecutionAuto", _S.READY, _CONT, _C.AUTOMATIC, 5067, (_E.JOB_STARTED,)),
    (
        681,
        "ReadyToContinuousExecution",
        _S.READY,
        _CONT,
        _C.START_CONTINUOUS,
        5066,
        (_E.JOB_STARTED,),
    ),
    (760, "SingleExecutionToReadyAuto", _S.SINGLE_EXECUTION, _S.READY, _C.AUTOMATIC, 5070, (_E.READY,)),
    (761, "SingleExecutionToReadyStop", _S.SINGLE_EXECUTION, _S.READY, _C.STOP, 5068, (_E.READY,)),
    (762, "SingleExecutionToReadyAbort", _S.SINGLE_EXECUTION, _S.READY, _C.ABORT, 5069, (_E.READY,)),
    (860, "ContinuousExecutionToReadyAuto", _CONT, _S.READY, _C.AUTOMATIC, 5073, (_E.READY,)),
    (861, "ContinuousExecutionToReadyStop", _CONT, _S.READY, _C.STOP, 5071, (_E.READY,)),
    (862, "ContinuousExecutionToReadyAbort", _CONT, _S.READY, _C.ABORT, 5072, (_E.READY,)),
)
# 150/151 (Preoperational → Initialized) describe 140/141 from inside and are not told a second time; PrepareProduct's
# 562/652 never happen: there are no products.

TRANSITIONS: dict[int, Transition] = {row[0]: Transition(*row) for row in (*_OUTER, *_INNER)}
"""By TransitionNumber: every transition that this server ever shows."""

STATE_NODES: dict[State, int] = {
    _S.PREOPERATIONAL: 5028,
    _S.HALTED: 5029,
    _S.ERROR: 5030,
    _S.OPERATIONAL: 5031,
    _S.INITIALIZED: 5056,
    _S.READY: 5057,
    _S.SINGLE_EXECUTION: 5058,
    _S.CONTINUOUS_EXECUTION: 5059,
}
"""Numeric identifiers of the state objects of the types: the same in every server."""


def caused(source: State, cause: Cause) -> Transition | None:
    """The transition that this cause brings in this state; None where it brings none. Automatic ones have `way`."""
    return next((t for t in TRANSITIONS.values() if t.source is source and t.cause is cause), None)


def way(source: State, target: State) -> tuple[Transition, ...]:
    """The shortest chain of automatic transitions of one machine from here to there; empty when there is none."""
    paths: deque[tuple[State, tuple[Transition, ...]]] = deque([(source, ())])
    seen = {source}
    while paths:
        at, path = paths.popleft()
        if at is target:
            return path
        for step in _automatic(at):
            if step.target not in seen:
                seen.add(step.target)
                paths.append((step.target, (*path, step)))
    return ()


def _automatic(source: State) -> Iterable[Transition]:
    return (t for t in TRANSITIONS.values() if t.source is source and t.cause is Cause.AUTOMATIC)
