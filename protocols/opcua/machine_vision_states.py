"""Where the two machines of OPC 40100-1 stand; they move along the tables only, and every move is told. Pure."""

from __future__ import annotations

from protocols.opcua.machine_vision_records import Event, JobEvent, JobStep, StateChanged
from protocols.opcua.machine_vision_tables import Cause, Effect, State, Transition, caused, way

_STEPS = {Effect.JOB_STARTED: JobStep.STARTED, Effect.READY: JobStep.READY}


class States:
    """The outer state, and the inner one while that is Operational."""

    def __init__(self) -> None:
        self.outer = State.PREOPERATIONAL
        self.inner: State | None = None
        self.last_outer: Transition | None = None
        self.last_inner: Transition | None = None
        self.why = ""
        """What the error is: told with Error and with ErrorResolved."""
        self._events: list[Event] = []

    @property
    def executing(self) -> bool:
        """A job is shown as running."""
        return self.inner in (State.SINGLE_EXECUTION, State.CONTINUOUS_EXECUTION)

    def allows(self, cause: Cause) -> bool:
        """True when this method brings a transition now."""
        return self._caused(cause) is not None

    def by(self, cause: Cause, job_id: str = "") -> bool:
        """Take the transition that a method brings; False when it brings none in this state."""
        step = self._caused(cause)
        if step is not None:
            self._go(step, job_id)
        return step is not None

    def reach(self, target: State, job_id: str = "") -> bool:
        """Go there by automatic transitions, step by step; False when no way leads there or it is reached already."""
        before = (self.outer, self.inner)
        outer = State.OPERATIONAL if target.inner else target
        for step in way(self.outer, outer):
            self._go(step, job_id)
        if target.inner and self.inner is not None:
            for step in way(self.inner, target):
                self._go(step, job_id)
        return (self.outer, self.inner) != before

    def take_events(self) -> list[Event]:
        """What was not told yet, in order."""
        events, self._events = self._events, []
        return events

    def tell(self, event: Event) -> None:
        """Something else to tell, in the same order as the moves."""
        self._events.append(event)

    def _caused(self, cause: Cause) -> Transition | None:
        inner = caused(self.inner, cause) if self.inner is not None else None
        return inner or caused(self.outer, cause)

    def _go(self, step: Transition, job_id: str) -> None:
        if step.inner:
            self.inner, self.last_inner = step.target, step
        else:
            self.outer, self.last_outer = step.target, step
            # Entering automatic mode lands in Initialized; leaving it leaves the inner machine without a state.
            self.inner = State.INITIALIZED if step.target is State.OPERATIONAL else None
            self.last_inner = None
        self.tell(StateChanged(step))
        for effect in step.effects:
            if effect in _STEPS:
                self.tell(JobEvent(_STEPS[effect], job_id))
            else:
                said = self.why if effect is Effect.ERROR else f"over: {self.why}"
                self.tell(StateChanged(step, effect.value, said))
