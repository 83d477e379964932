"""The methods of OPC 40100-1 as requests: what is allowed in which state, and why not otherwise. Pure.

None of them waits: a request is taken or refused at once, and what comes of it is told by states and events.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.opcua.machine_vision_conditions import Answer, Comment
from protocols.opcua.machine_vision_driver import Order, Pulse
from protocols.opcua.machine_vision_identity import NO_RECIPE, configuration, internal_recipe
from protocols.opcua.machine_vision_jobs import Phase
from protocols.opcua.machine_vision_machine import SILENT, Machine
from protocols.opcua.machine_vision_records import (
    NO_IDENT,
    BinaryId,
    Diagnostic,
    Grade,
    Ident,
    MethodError,
    Refusal,
    Reply,
    SafetyReported,
)
from protocols.opcua.machine_vision_tables import Cause, State
from protocols.signals import CommandCode, Control, StatusBit
from protocols.station_view import Seat


@dataclass(frozen=True, slots=True)
class JobRequest:
    """The arguments of StartSingleJob and StartContinuous; `parameters`: how many there are."""

    meas: Ident = NO_IDENT
    part: Ident = NO_IDENT
    recipe: BinaryId = NO_RECIPE
    product: str = ""
    parameters: int = 0


class VisionMachine(Machine):
    """One station as a client of OPC 40100-1 may use it; `session` names who asks."""

    # ------------------------------------------------------------ the outer machine

    def select_mode_automatic(self, session: str, now: float) -> Reply:
        """Ask for the station; Operational follows when it is given."""
        unshared = not self.settings.shared and not self.automatic and self.states.outer is State.OPERATIONAL
        if unshared or self._driven_by_others or self.states.allows(Cause.SELECT_MODE_AUTOMATIC):
            return self._wish(Cause.SELECT_MODE_AUTOMATIC, session, now)
        return self._no(Cause.SELECT_MODE_AUTOMATIC)

    def reset(self, session: str, now: float) -> Reply:
        """Clear faults, go online, give the station back: Preoperational."""
        if self.states.outer is State.ERROR and self.conditions.waits_for_people:
            why = "a persistent error has to be acknowledged and confirmed before Reset"
            return self._told(Cause.RESET, Reply(MethodError.CONFIRM_FIRST, why=why))
        if self.automatic:
            self._reset(now)
            return self._taken(Cause.RESET, now)
        return self._wish(Cause.RESET, session, now)

    def halt(self, session: str, now: float) -> Reply:
        """Take the station offline and give it back: Halted."""
        if not self.states.allows(Cause.HALT):
            return self._no(Cause.HALT)
        if self.automatic:
            self._halt(now)
            return self._taken(Cause.HALT, now)
        return self._wish(Cause.HALT, session, now)

    def _wish(self, goal: Cause, session: str, now: float) -> Reply:
        """Something for which the station has to be ours first."""
        if self.stale:
            return self._no(goal, Refusal.SILENT, SILENT)
        if self.status is None:
            return self._no(goal, Refusal.SILENT, self.text)
        if self._driven_by_others:
            return self._no(goal, Refusal.STATE, f"{self.seat.name} drives the station")
        if self._goal is not None:
            return self._told(goal, Reply(MethodError.STILL_BUSY, why=f"{self._goal.value} is still being carried out"))
        self._goal = goal
        self._by(session)
        return self._taken(goal, now)

    @property
    def _driven_by_others(self) -> bool:
        """Known for sure: somebody else's Enable is 1. While it cannot be seen, the station is asked."""
        if self.seat is Seat.MACHINE_VISION or not self.settings.shared or self.status is None:
            return False
        return self.states.outer is State.OPERATIONAL or self.status.ready or bool(self.status.bits & StatusBit.BUSY)

    # ------------------------------------------------------------ the automatic mode's machine

    def start_single_job(self, session: str, request: JobRequest, now: float) -> Reply:
        """One inspection; its result comes as ResultReady with the JobId of the answer."""
        return self._start(Cause.START_SINGLE_JOB, session, request, now)

    def start_continuous(self, session: str, request: JobRequest, now: float) -> Reply:
        """One inspection after the other under one JobId, until Stop or Abort."""
        return self._start(Cause.START_CONTINUOUS, session, request, now)

    def _start(self, cause: Cause, session: str, request: JobRequest, now: float) -> Reply:
        if refused := self._not_ours(cause):
            return refused
        error, why = self._wrong_with(request)
        if error is not MethodError.NONE:
            return self._told(cause, Reply(error, why=why))
        job = self.book.start(request.meas, request.part, now, continuous=cause is Cause.START_CONTINUOUS)
        self.states.by(cause, job.id)
        self._job = job
        self.driver.trigger(job.part_word, job.serial)
        self._by(session)
        return self._taken(cause, now, Reply(job_id=job.id))

    def _wrong_with(self, request: JobRequest) -> tuple[MethodError, str]:
        if request.product:
            return MethodError.NO_PRODUCTS, "there are no products here; leave ProductId empty"
        if request.parameters:
            return MethodError.NO_PARAMETERS, "recipes take no parameters here; leave Parameters empty"
        if not request.recipe.id:
            return MethodError.NONE, ""
        recipe = self.recipes.external(request.recipe)
        if recipe is None:
            return MethodError.UNKNOWN_RECIPE, f"no recipe has the external id {request.recipe.id!r}"
        if recipe.number != self.prepared:
            return MethodError.NOT_PREPARED, f"recipe {recipe.number} is not prepared, {self.prepared or 'none'} is"
        return MethodError.NONE, ""

    def stop(self, session: str, now: float) -> Reply:
        """End the operation; an inspection that runs still gives its result."""
        return self._end(Cause.STOP, session, now)

    def abort(self, session: str, now: float) -> Reply:
        """End the operation at once; an inspection that runs ends as aborted."""
        return self._end(Cause.ABORT, session, now)

    def _end(self, cause: Cause, session: str, now: float) -> Reply:
        job = self._job
        if refused := self._not_ours(cause):
            return refused
        if job is None:
            return self._no(cause, Refusal.STATE, "the job that is shown is another driver's")
        self._by(session)
        job.ending = cause
        if job.phase is not Phase.WAITING and cause is Cause.ABORT:
            self.driver.do(Pulse(Control.ABORT))
            self._leave_execution(job)
        self._cut_short(job)
        return self._taken(cause, now)

    def simulation_mode(self, activate: bool) -> Reply:
        """True only when the station is already as asked: whether pictures are simulated is a matter of its camera."""
        simulated = self.status is not None and bool(self.status.bits & StatusBit.SIMULATED)
        if self.stale:
            return self._no_call("SimulationMode", Refusal.SILENT, SILENT)
        if activate == simulated:
            return Reply()
        why = "the pictures are simulated by the configured camera" if simulated else "the camera is a real one"
        self._tell(f"SimulationMode({activate}) refused: {why}", level=Diagnostic.REFUSALS)
        return Reply(MethodError.NO_SIMULATION, why=why)

    # ------------------------------------------------------------ recipes and configuration

    def prepare_recipe(self, session: str, external: BinaryId, internal: BinaryId, now: float) -> Reply:
        """Activate a recipe; not completed at once, RecipePrepared follows, or a warning that it failed."""
        if refused := self._not_ours(Cause.PREPARE_RECIPE, State.INITIALIZED, State.READY):
            return refused
        recipe = self.recipes.find(external, internal)
        if recipe is None:
            why = f"no recipe has the id {(internal.id or external.id)!r} and this content"
            return self._told(Cause.PREPARE_RECIPE, Reply(MethodError.UNKNOWN_RECIPE, why=why))
        if self.driver.ordering is not None:
            why = "another recipe is being prepared"
            return self._told(Cause.PREPARE_RECIPE, Reply(MethodError.STILL_BUSY, why=why))
        self._by(session)
        answer = Reply(recipe=internal_recipe(recipe), completed=self.prepared == recipe.number)
        if not answer.completed and self.status is not None and self.status.recipe_active == recipe.number:
            self._unprepared, self._by_method = False, True
            self._tell_recipe(recipe.number)
            answer = Reply(recipe=answer.recipe, completed=True)
        elif not answer.completed:
            self.driver.do(Order(CommandCode.ACTIVATE_RECIPE, recipe.number))
        return self._taken(Cause.PREPARE_RECIPE, now, answer)

    def unprepare_recipe(self, session: str, external: BinaryId, internal: BinaryId, now: float) -> Reply:
        """No job is started with it until it is prepared again: Initialized. The station keeps it loaded."""
        if refused := self._not_ours(Cause.UNPREPARE_RECIPE, State.INITIALIZED, State.READY):
            return refused
        recipe = self.recipes.find(external, internal)
        if recipe is None:
            why = f"no recipe has the id {(internal.id or external.id)!r} and this content"
            return self._told(Cause.UNPREPARE_RECIPE, Reply(MethodError.UNKNOWN_RECIPE, why=why))
        if recipe.number != self.prepared:
            why = f"recipe {recipe.number} is not prepared"
            return self._told(Cause.UNPREPARE_RECIPE, Reply(MethodError.NOT_PREPARED, why=why))
        self._by(session)
        self._unprepared = True
        self.states.by(Cause.UNPREPARE_RECIPE)
        return self._taken(Cause.UNPREPARE_RECIPE, now, Reply(recipe=internal_recipe(recipe)))

    def activate_configuration(self, internal: BinaryId) -> Reply:
        """There is one configuration, and it is active."""
        if configuration(self.facts).named_by(internal):
            return Reply()
        return Reply(MethodError.UNKNOWN_CONFIGURATION, why=f"there is no configuration {internal.id!r}")

    # ------------------------------------------------------------ safety and conditions

    def report_safety_state(self, triggered: bool, information: str) -> Reply:
        """Pass on what a client reports; information only, nothing here is a safety function."""
        self.states.tell(SafetyReported(triggered, information))
        return Reply()

    def confirm_all(self, comment: Comment) -> None:
        """Confirm every condition that waits for it."""
        for changed in self.conditions.confirm_all(comment):
            self.states.tell(changed)

    def acknowledge(self, kind: Grade, serial: int, comment: Comment) -> Answer:
        """Part 9, Acknowledge; `serial` stands for the EventId."""
        answer, changed = self.conditions.acknowledge(kind, serial, comment)
        for event in changed:
            self.states.tell(event)
        return answer

    def confirm(self, kind: Grade, serial: int, comment: Comment) -> Answer:
        """Part 9, Confirm."""
        answer, changed = self.conditions.confirm(kind, serial, comment)
        for event in changed:
            self.states.tell(event)
        return answer

    def comment(self, kind: Grade, serial: int, comment: Comment) -> Answer:
        """Part 9, AddComment."""
        answer, changed = self.conditions.comment(kind, serial, comment)
        for event in changed:
            self.states.tell(event)
        return answer

    # ------------------------------------------------------------ inside

    def _by(self, session: str) -> None:
        self._sessions.add(session)
        self._release_at = None

    def _taken(self, cause: Cause, now: float, reply: Reply | None = None) -> Reply:
        self._tell(f"{cause.value} taken", level=Diagnostic.COMMANDS, job_id=reply.job_id if reply else "")
        self._step(now)
        return reply or Reply()

    def _not_ours(self, cause: Cause, *allowed: State) -> Reply | None:
        """Why this method, which needs the station to be ours, cannot be carried out now."""
        if self.stale:
            return self._no(cause, Refusal.SILENT, SILENT)
        if not self.automatic:
            return self._no(cause, Refusal.STATE, f"SelectModeAutomatic first: {self.seat.name} drives the station")
        possible = self.states.inner in allowed if allowed else self.states.allows(cause)
        return None if possible else self._no(cause)

    def _no(self, cause: Cause, refusal: Refusal = Refusal.STATE, why: str = "") -> Reply:
        return self._no_call(cause.value, refusal, why or f"not in {(self.states.inner or self.states.outer).title}")

    def _no_call(self, name: str, refusal: Refusal, why: str) -> Reply:
        self._tell(f"{name} refused: {why}", level=Diagnostic.REFUSALS)
        return Reply(refusal=refusal, why=why)

    def _told(self, cause: Cause, reply: Reply) -> Reply:
        self._tell(f"{cause.value} refused ({reply.error.value}): {reply.why}", level=Diagnostic.REFUSALS)
        return reply
