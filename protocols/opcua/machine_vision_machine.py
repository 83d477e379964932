"""A station as OPC 40100-1 sees it: its words and outcomes in, states, events and results out; methods become requests.

Pure: it is given `now` (monotonic seconds). It drives the station as a PLC would, through one command block. There is
one state machine underneath, the station's; what another driver does with it shows here as automatic transitions.
"""

from __future__ import annotations

from collections.abc import Callable

from protocols.faults import Code, describe
from protocols.opcua import machine_vision_view as view
from protocols.opcua.machine_vision_conditions import Conditions
from protocols.opcua.machine_vision_driver import Granted, NotGranted, Order, Ordered, Passed, Pulse, Taken
from protocols.opcua.machine_vision_execution import WORKED, Execution, MachineSettings
from protocols.opcua.machine_vision_identity import RecipeBook, external_recipe, internal_recipe
from protocols.opcua.machine_vision_jobs import Phase
from protocols.opcua.machine_vision_records import (
    IMPORTANT,
    Diagnostic,
    Event,
    RecipePrepared,
    SystemState,
)
from protocols.opcua.machine_vision_tables import Cause, State
from protocols.signals import Command, CommandCode, Control, Judgement, Outputs, Status, StatusBit
from protocols.station_view import Outcome, Seat, StationFacts

HOLD = 5.0
"""Seconds after Reset or Halt in which the station may carry it out before its words decide the state again."""
SILENT = "the control process is silent: nothing is known of the station"


class Machine(Execution):
    """The automatic part: follows the station and its own driver. The methods are in `machine_vision_requests`."""

    def __init__(self, facts: StationFacts, settings: MachineSettings, prefix: str, wall: Callable[[], float]) -> None:
        super().__init__(facts, settings, prefix, wall)
        self.conditions = Conditions()
        self.recipes = RecipeBook(facts.recipes)
        self._outputs: Outputs | None = None
        self._fresh = False
        """The words are of the present driver's time."""
        self._goal: Cause | None = None
        """What the station is asked for, until it is given."""
        self._by_method = False
        self._recipe_failed = self._degraded = 0
        self._recipe_told: int | None = None
        self._held_until = self._stepped_at = -HOLD
        self._sessions: set[str] = set()
        self._release_at: float | None = None

    # ------------------------------------------------------------ what the station tells

    def outputs(self, outputs: Outputs, now: float) -> None:
        """What the station shows now."""
        self._outputs, self.status = outputs, outputs.status
        self._fresh = True
        self._step(now)

    def driven(self, seat: Seat, now: float) -> None:
        """Who drives from now on."""
        before, self.seat = self.seat, seat
        self._fresh = self._fresh and before is seat
        self.driver.driven(seat is Seat.MACHINE_VISION)
        if before is not seat:
            self._tell(f"{seat.name} drives the station", level=Diagnostic.COMMANDS)
        self._step(now)

    def outcome(self, outcome: Outcome, now: float) -> None:
        """Every inspection once, in order."""
        self._count(outcome)
        job = self.book.mine(outcome)
        if job is not None:
            self._end_own(job, outcome, now)
        elif late := self.book.late(outcome):
            judged = Judgement(outcome.result.judgement).name if outcome.result.judgement in range(5) else "nothing"
            text = f"the answer to job {late} came too late and is in the history only: {judged}"
            self._tell(text, IMPORTANT, job_id=late)
        else:
            self._end_foreign(outcome, now)
        self._step(now)

    def silent(self, stale: bool, now: float) -> None:
        """The control process is silent, or speaks again."""
        self.stale = stale
        self._step(now)

    def tick(self, now: float) -> None:
        """Let time pass; due at `deadline`."""
        if self._release_at is not None and now >= self._release_at:
            self._abandon()
        self._step(now)

    def session_closed(self, session: str, now: float) -> None:
        """A client has gone; the last one of those who drove starts the time until the station is given back."""
        if session in self._sessions:
            self._sessions.discard(session)
            if not self._sessions and (self.automatic or self.driver.claiming):
                self._release_at = now + self.settings.session_grace

    # ------------------------------------------------------------ what is shown

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        held = self._held_until if self._holding and self._held_until > self._stepped_at else None
        times = (self.driver.deadline(), self.book.deadline(), self._release_at, held)
        return min((t for t in times if t is not None), default=None)

    def take_events(self) -> list[Event]:
        """What happened, in order; each once."""
        return self.states.take_events()

    def take_commands(self) -> list[Command]:
        """What the station is to be told, in order; each once."""
        return self.driver.take_commands()

    def system_state(self, now: float) -> SystemState:
        """SEMI E10."""
        working = self.states.executing or now < self._worked_at + WORKED
        return view.system_state(self.states.outer, working=working, status=self.status or Status())

    @property
    def text(self) -> str:
        """Why no job can be started, empty when it can; for the operator."""
        if self.stale:
            return SILENT
        if self.status is None:
            return "the station has not shown anything yet"
        if not self.automatic and self.status.ready:
            return f"{self.seat.name} drives the station; set its Enable to 0 to let SelectModeAutomatic take it"
        if self.status.not_ready_reason == Code.NOT_ENABLED:
            return "nobody drives the station; SelectModeAutomatic takes it"
        return view.reason_text(self.status)

    # ------------------------------------------------------------ one step

    def _step(self, now: float) -> None:
        self._stepped_at = now
        if self._outputs is not None:
            self.driver.scan(self._outputs, now)
        self._written(now)
        self._heed(now)
        self._answers(now)
        for job in self.book.overdue(now):
            self._overdue(job, now)
        self._recipe_changed()
        self._follow(now)
        if self._goal is not None and not self.driver.claiming and not self.driver.busy:
            self.driver.claim(now)
        self._hold()

    def _written(self, now: float) -> None:
        """The trigger of a waiting job has just been written."""
        job = next((j for j in self.book.own if j.phase is Phase.WAITING and j.ending is None), None)
        if job is not None and not self.driver.waiting and self.driver.ours:
            job.phase, job.trigger_seq = Phase.SENT, self.driver.trigger_seq
            self._tell(f"trigger {job.trigger_seq} for job {job.id}", level=Diagnostic.CYCLES, job_id=job.id)

    def _heed(self, now: float) -> None:
        for news in self.driver.take_news():
            match news:
                case Granted():
                    self._granted(now)
                case NotGranted():
                    goal, self._goal = self._goal, None
                    what = goal.value if goal is not None else "the request"
                    self._tell(f"{what} was not carried out: {self.seat.name} keeps the station")
                case Taken():
                    self._tell(f"the station was taken away: {self.seat.name} drives it now", IMPORTANT)
                    self._leave_automatic()
                case Ordered(order, code):
                    self._ordered(order, code)
                case Passed(result_seq):
                    text = f"result {result_seq} had not been acknowledged and gives way; the history has it"
                    self._tell(text, IMPORTANT)

    def _granted(self, now: float) -> None:
        goal, self._goal = self._goal, None
        if goal is Cause.RESET:
            self._reset(now)
        elif goal is Cause.HALT:
            self._halt(now)
        elif self.states.outer in (State.PREOPERATIONAL, State.OPERATIONAL):
            self.automatic = True
            self.states.by(Cause.SELECT_MODE_AUTOMATIC)
        else:
            self.driver.release()
            self._tell(f"SelectModeAutomatic was not carried out: the system is in {self.states.outer.title}")

    def _ordered(self, order: Order, code: Code) -> None:
        if code is not Code.NONE:
            self._tell(f"{order.command.name} {order.param} failed: {describe(code)}", IMPORTANT, code=int(code))
        if order.command != CommandCode.ACTIVATE_RECIPE:
            return
        self._recipe_failed = int(code)
        if code is Code.NONE:
            self._unprepared, self._by_method = False, True
            self._tell_recipe(order.param)

    def _recipe_changed(self) -> None:
        if self.status is None or self.driver.ordering is not None:
            return
        active, known = self.status.recipe_active, self._recipe_told
        if known is not None and active not in (0, known):
            self._tell_recipe(active)
        self._recipe_told = active or known

    def _tell_recipe(self, number: int) -> None:
        self._recipe_told = number
        recipe = self.recipes.numbered(number)
        if recipe is not None:
            self.states.tell(RecipePrepared(internal_recipe(recipe), external_recipe(recipe)))

    # ------------------------------------------------------------ the state that the station is in

    @property
    def _holding(self) -> bool:
        """Reset or Halt is still being carried out."""
        return self.driver.busy or (self.seat is Seat.MACHINE_VISION and not self.automatic)

    def _follow(self, now: float) -> None:
        if self.stale:
            self._leave_operational(State.ERROR, SILENT)
            return
        if self.status is None or not self._fresh or (self._holding and not self.automatic and now < self._held_until):
            return
        ours = self.seat is Seat.MACHINE_VISION
        place = view.place(self.status, self.seat)
        if place in (State.HALTED, State.ERROR):
            self._leave_operational(place, describe(self.status.not_ready_reason))
            if place is State.HALTED and self.automatic:
                self._leave_automatic()
        elif (ours and not self.automatic) or (place is State.PREOPERATIONAL and not self.automatic):
            self._leave_operational(State.PREOPERATIONAL)
        elif place is None and self.states.outer is not State.OPERATIONAL:
            return
        else:
            self.states.reach(State.OPERATIONAL)
            self._follow_inner(place or State.INITIALIZED, now)

    def _leave_operational(self, target: State, why: str = "") -> None:
        self.states.why = why or self.states.why
        if self.states.reach(target):
            self._job = None
            for job in list(self.book.own):
                self._cut_short(job)

    def _follow_inner(self, place: State, now: float) -> None:
        if place is State.SINGLE_EXECUTION:
            if not self.automatic:
                self._foreign_busy(now)
            return
        if place is State.PREOPERATIONAL:
            place = State.INITIALIZED  # enabled by us a moment ago, or settling: not ready yet
        job = self._job
        if job is not None and place is State.READY and not job.continuous and job.phase is Phase.ACCEPTED:
            self._leave_execution(job)
        if self.states.executing:
            return
        changing = self.driver.ordering is not None
        wanted = State.INITIALIZED if changing or (self.automatic and self._unprepared) else place
        if wanted is State.READY and self.states.inner is State.INITIALIZED and self._by_method:
            self.states.by(Cause.PREPARE_RECIPE)
        else:
            self.states.reach(wanted)
        self._by_method = self._by_method and wanted is not State.READY

    # ------------------------------------------------------------ leaving

    def _reset(self, now: float) -> None:
        offline = self.status is not None and not self.status.bits & StatusBit.ONLINE
        self._end_jobs()
        self.driver.do(Pulse(Control.CLEAR_FAULT))
        if offline:
            self.driver.do(Order(CommandCode.GO_ONLINE))
        self._go(Cause.RESET, now)

    def _halt(self, now: float) -> None:
        self._end_jobs()
        self.driver.do(Order(CommandCode.GO_OFFLINE))
        self._go(Cause.HALT, now)

    def _go(self, cause: Cause, now: float) -> None:
        self._recipe_failed = 0
        self._held_until = now + HOLD
        self.driver.release()
        self.automatic = self._unprepared = False
        self._release_at = None
        self._sessions.clear()
        self._job = None
        self.states.by(cause)

    def _end_jobs(self) -> None:
        """Reset and Halt: as fast as possible; what runs ends as aborted."""
        for job in list(self.book.own):
            if job.phase is not Phase.WAITING:
                self.driver.do(Pulse(Control.ABORT))
            self._cut_short(job)

    def _leave_automatic(self) -> None:
        """We do not drive any more."""
        for job in list(self.book.own):
            self._cut_short(job)
        self.driver.release()
        self.automatic = self._unprepared = False
        self._sessions.clear()
        self._release_at = None

    def _abandon(self) -> None:
        self._tell("the client that drove has gone: the station is given back")
        self._goal = None
        self._leave_automatic()
        self._leave_operational(State.PREOPERATIONAL)

    # ------------------------------------------------------------ telling

    def _hold(self) -> None:
        """The conditions that hold now."""
        if self.stale:
            holding = {int(Code.INTERNAL): True}
        elif self.status is None:
            return
        else:
            self._degraded = view.degraded_code(self.status) or self._degraded
            holding = view.holding(self.status, self.seat, self._degraded)
            if not self.status.bits & StatusBit.DEGRADED:
                self._degraded = 0
        failed = (self._recipe_failed,) if self._recipe_failed else ()
        for changed in self.conditions.update(holding, failed):
            self.states.tell(changed)
