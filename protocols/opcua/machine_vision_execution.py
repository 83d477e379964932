"""What runs for a station in OPC 40100-1: jobs, from the trigger to their one result, whoever asked for them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocols.faults import Code, describe
from protocols.opcua import machine_vision_view as view
from protocols.opcua.machine_vision_driver import Pulse, SeatDriver
from protocols.opcua.machine_vision_jobs import Job, JobBook, Phase
from protocols.opcua.machine_vision_records import (
    IMPORTANT,
    NOTICE,
    Diagnostic,
    JobEvent,
    JobStep,
    ResultReady,
    ResultState,
    Told,
    VisionResult,
)
from protocols.opcua.machine_vision_results import ResultMaker, ResultStore
from protocols.opcua.machine_vision_states import States
from protocols.opcua.machine_vision_tables import Cause, State
from protocols.signals import Control, Status, StatusBit
from protocols.station_view import Outcome, Seat, StationFacts

_ACCEPTED = frozenset({Code.NONE, Code.REPEATED_SEQ})


WORKED = 10.0
"""Seconds after a job in which the system counts as productive (SEMI E10)."""


@dataclass(frozen=True, slots=True)
class MachineSettings:
    """Times in seconds and bounds of the face."""

    job_timeout: float = 10.0
    """A job without an answer ends as failed after this; longer than the station's own deadline."""
    claim_timeout: float = 1.0
    command_timeout: float = 35.0
    """A little longer than the station's own time for a recipe change."""
    session_grace: float = 5.0
    """So long after the last client that drove has left, the station is given back."""
    results: int = 1000
    shared: bool = True
    """False for a station without a PLC: it is enabled although nobody drives it."""


class Execution:
    """The jobs of one station and the states that show them."""

    def __init__(self, facts: StationFacts, settings: MachineSettings, prefix: str, wall: Callable[[], float]) -> None:
        self.facts, self.settings = facts, settings
        self.states = States()
        self.results = ResultStore(settings.results)
        self.book = JobBook(prefix, settings.job_timeout)
        self.driver = SeatDriver(settings.claim_timeout, settings.command_timeout)
        self.seat = Seat.LINK
        self.stale = False
        self.automatic = False
        """We drive, by SelectModeAutomatic."""
        self.status: Status | None = None
        self._maker = ResultMaker(facts)
        self._wall = wall
        self._unprepared = False
        """By UnprepareRecipe: the station keeps its recipe, but no job is started with it."""
        self._job: Job | None = None
        """The job that SingleExecution or ContinuousExecution is shown for."""
        self._worked_at = -WORKED
        self._numbered = 0

    @property
    def prepared(self) -> int:
        """The number of the recipe that is prepared; 0: none."""
        return 0 if self._unprepared or self.status is None else self.status.recipe_active

    def _foreign_busy(self, now: float) -> None:
        """The station is busy for another driver: a job that is known, or a new one."""
        newest = self.status.newest_result_seq if self.status is not None else 0
        job = self._job
        if job is not None and (job.own or job.newest == newest):
            return
        if job is None and newest == self.book.ended_newest:
            return  # words older than the outcome that ended this job
        if job is not None:
            self._leave_execution(job)
        self._execute(self.book.seen(newest, now))

    def _execute(self, job: Job) -> None:
        self.states.reach(State.SINGLE_EXECUTION, job.id)
        self._job = job

    def _leave_execution(self, job: Job) -> None:
        self._job = None
        if self.states.executing and not (job.ending is not None and self.states.by(job.ending, job.id)):
            self.states.reach(State.READY, job.id)

    # ------------------------------------------------------------ jobs

    def _answers(self, now: float) -> None:
        """What the station said of the triggers of our jobs."""
        status = self.status
        if status is None:
            return
        for job in [j for j in self.book.own if j.phase is not Phase.WAITING]:
            if status.trigger_seq_ack != job.trigger_seq:
                continue
            if job.phase is Phase.SENT and status.trigger_refused not in _ACCEPTED:
                self._refused(job, status.trigger_refused, now)
                continue
            job.phase = Phase.ACCEPTED
            if status.bits & StatusBit.EXPOSURE_DONE:
                self._acquired(job, None)
        shown, exposed = self._job, StatusBit.BUSY | StatusBit.EXPOSURE_DONE
        if shown is None or shown.own or shown.newest != status.newest_result_seq:
            return
        if status.bits & exposed == exposed:
            self._acquired(shown, None)

    def _acquired(self, job: Job, at: float | None) -> None:
        if not job.acquired:
            job.acquired = True
            self.states.tell(JobEvent(JobStep.ACQUIRED, job.id, at))

    def _refused(self, job: Job, code: int, now: float) -> None:
        if job.continuous and code == Code.TOO_FAST and job.ending is None:
            self._again(job, job.until)
        else:
            self._tell(f"job {job.id}: trigger refused: {describe(code)}", level=Diagnostic.REFUSALS, job_id=job.id)
            self._fail(job, ResultState.FAILED, view.as_code(code))

    def _again(self, job: Job, until: float) -> None:
        """The next inspection of a continuous job."""
        job.phase, job.acquired, job.until = Phase.WAITING, False, until
        self.driver.trigger(job.part_word, job.serial)

    def _end_own(self, job: Job, outcome: Outcome, now: float) -> None:
        if outcome.exposed:
            self._acquired(job, outcome.exposed)
        self._result(self._maker.of_outcome(outcome, job, self.book.result_id(), self._wall()), now)
        job.results += 1
        if job.continuous and job.ending is None and self.automatic:
            self._again(job, now + self.settings.job_timeout)
            return
        self.book.close(job)
        if self._job is job:
            self._leave_execution(job)

    def _end_foreign(self, outcome: Outcome, now: float) -> None:
        job = self.book.pop_foreign()
        if job is None:
            job = self._caught_up(outcome, now)
        if outcome.exposed:
            self._acquired(job, outcome.exposed)
        self._result(self._maker.of_outcome(outcome, job, self.book.result_id(), self._wall()), now)
        if self._job is job:
            self._leave_execution(job)

    def _caught_up(self, outcome: Outcome, now: float) -> Job:
        """A job that was over before it was seen: told afterwards, with transitions where the machine can have them."""
        job = self.book.unseen(now)
        if not self.automatic and not self.stale and self.states.outer in (State.PREOPERATIONAL, State.OPERATIONAL):
            if self._job is not None:
                self._leave_execution(self._job)
            self._execute(job)
        else:
            self.states.tell(JobEvent(JobStep.STARTED, job.id, outcome.accepted or None))
        return job

    def _fail(self, job: Job, state: ResultState, code: Code) -> None:
        """End a job without an outcome, with the one result that says so."""
        result_id, wall = self.book.result_id(), self._wall()
        self._keep(self._maker.without_outcome(job, (state, code), self.prepared, result_id, wall))
        self.book.give_up(job)
        if self._job is job:
            self._leave_execution(job)

    def _cut_short(self, job: Job) -> None:
        """Nothing more is asked of the station for this job; an inspection that runs still ends."""
        job.ending = job.ending or Cause.AUTOMATIC
        if job.phase is not Phase.WAITING:
            return
        self.driver.withdraw()
        if job.results:
            self.book.close(job)
            if self._job is job:
                self._leave_execution(job)
        else:
            self._fail(job, ResultState.ABORTED, Code.ABORTED)

    def _overdue(self, job: Job, now: float) -> None:
        text = f"job {job.id} got no answer within {self.settings.job_timeout:g} s"
        self._tell(text, IMPORTANT, job_id=job.id, code=int(Code.DEADLINE_MISSED))
        if job.own and job.phase is not Phase.WAITING:
            self.driver.do(Pulse(Control.ABORT))
        self.driver.withdraw() if job.own else None
        self._fail(job, ResultState.FAILED if job.own else ResultState.UNDEFINED, Code.DEADLINE_MISSED)

    def _count(self, outcome: Outcome) -> None:
        missed = outcome.number - self._numbered - 1
        if self._numbered and missed > 0:
            self._tell(f"{missed} results were missed here; they are in the history", IMPORTANT)
            for _ in range(min(missed, len(self.book.foreign))):
                self._fail(self.book.foreign[0], ResultState.UNDEFINED, Code.INTERNAL)
        self._numbered = outcome.number

    def _result(self, result: VisionResult, now: float) -> None:
        self._worked_at = now
        self._keep(result)

    def _keep(self, result: VisionResult) -> None:
        self.results.add(result)
        self.states.tell(ResultReady(result))

    def _tell(
        self, text: str, severity: int = NOTICE, *, level: Diagnostic | None = None, job_id: str = "", code: int = 0
    ) -> None:
        self.states.tell(Told(text, severity, level, job_id, code))
