"""The jobs of OPC 40100-1: those asked for by its methods, and those that a PLC or a tag asked for. Pure.

A job is open until its one result; a job that was answered for in its place is remembered, so that its late outcome is
known for what it is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from protocols.opcua.machine_vision_identity import on_the_wire
from protocols.opcua.machine_vision_records import NO_IDENT, Ident
from protocols.opcua.machine_vision_tables import Cause
from protocols.signals import next_seq
from protocols.station_view import Outcome, Seat

FOREIGN_OPEN = 16
REMEMBERED = 64
"""Jobs that may follow before an answer to one that was given up is not expected any more."""


Key = tuple[int, int, str]


class Phase(Enum):
    """How far a job of ours has come."""

    WAITING = "waiting"
    """For Ready: its trigger is not written yet."""
    SENT = "sent"
    ACCEPTED = "accepted"


@dataclass(slots=True)
class Job:
    """One job; a continuous one has many results, each of an inspection of its own. Times are monotonic seconds."""

    id: str
    own: bool
    until: float
    meas: Ident = NO_IDENT
    part: Ident = NO_IDENT
    continuous: bool = False
    phase: Phase = Phase.WAITING
    part_word: int = 0
    serial: str = ""
    trigger_seq: int = 0
    acquired: bool = False
    """AcquisitionDone was told for the inspection that runs."""
    ending: Cause | None = None
    """STOP or ABORT: nothing more is asked of the station for it."""
    results: int = 0
    newest: int = 0
    """Of another's job: NEWEST_RESULT_SEQ when it was seen to run."""

    @property
    def key(self) -> Key:
        """What the station echoes."""
        return self.trigger_seq, self.part_word, self.serial.strip()


@dataclass(slots=True)
class JobBook:
    """The open jobs of a station. Ids: station, boot, start of this server and a count, so no two are ever equal."""

    prefix: str
    timeout: float
    count: int = 0
    own: list[Job] = field(default_factory=list)
    foreign: deque[Job] = field(default_factory=deque)
    ended_newest: int = -1
    """Of the job of another's that ended last: NEWEST_RESULT_SEQ when it was seen, so that older words are known."""
    _results: int = 0
    _late: dict[Key, tuple[str, int]] = field(default_factory=dict)
    """Jobs of ours that were given up, with `count` at that time: numbers that come round again mean new jobs."""
    _late_foreign: dict[int, str] = field(default_factory=dict)

    def start(self, meas: Ident, part: Ident, now: float, *, continuous: bool = False) -> Job:
        """A job of ours, waiting for Ready."""
        job = Job(self._next_id(), True, now + self.timeout, meas, part, continuous)
        job.part_word, job.serial = on_the_wire(part, self.count)
        self.own.append(job)
        return job

    def seen(self, newest: int, now: float) -> Job:
        """A job that somebody else asked for, seen to run."""
        job = Job(self._next_id(), False, now + self.timeout, phase=Phase.ACCEPTED, newest=newest)
        self.foreign.append(job)
        return job

    def unseen(self, now: float) -> Job:
        """A job that ended before it was seen to run."""
        return Job(self._next_id(), False, now, phase=Phase.ACCEPTED)

    def result_id(self) -> str:
        """A ResultId that was never given before."""
        self._results += 1
        return f"{self.prefix}-r{self._results}"

    def mine(self, outcome: Outcome) -> Job | None:
        """The job of ours that this outcome answers."""
        if outcome.seat is not Seat.MACHINE_VISION:
            return None
        return next((j for j in self.own if j.phase is not Phase.WAITING and j.key == _key(outcome)), None)

    def late(self, outcome: Outcome) -> str:
        """The job that this outcome would have answered, had it not been given up; empty for none."""
        if outcome.seat is Seat.MACHINE_VISION and _key(outcome) in self._late:
            return self._late.pop(_key(outcome))[0]
        late = self._late_foreign.pop(outcome.result.result_seq, "")
        if not late:
            self._late_foreign.clear()  # outcomes come in order: the others will not come any more
        return late

    def pop_foreign(self) -> Job | None:
        """The oldest job of another's that is open: its outcome has come."""
        if not self.foreign:
            return None
        job = self.foreign.popleft()
        self.ended_newest = job.newest
        return job

    def close(self, job: Job) -> None:
        """The job has had its last result."""
        if job in self.own:
            self.own.remove(job)
        if job in self.foreign:
            self.foreign.remove(job)

    def give_up(self, job: Job) -> None:
        """The job ends without the station's answer; that answer may still come."""
        self.close(job)
        if not job.own:
            self.ended_newest = job.newest
            if len(self._late_foreign) >= REMEMBERED:
                self._late_foreign.clear()
            self._late_foreign[next_seq(job.newest)] = job.id
        elif job.phase is not Phase.WAITING:
            self._late[job.key] = job.id, self.count

    def overdue(self, now: float) -> list[Job]:
        """Open jobs whose time is over; more of another's than can be open at once count as well."""
        crowd = list(self.foreign)[: max(0, len(self.foreign) - FOREIGN_OPEN)]
        return [j for j in (*self.own, *self.foreign) if now >= j.until or j in crowd]

    def deadline(self) -> float | None:
        return min((j.until for j in (*self.own, *self.foreign)), default=None)

    def _next_id(self) -> str:
        self.count += 1
        self._late = {key: late for key, late in self._late.items() if self.count - late[1] <= REMEMBERED}
        return f"{self.prefix}-{self.count}"


def _key(outcome: Outcome) -> Key:
    return outcome.result.trigger_seq, outcome.result.part_id, outcome.serial.strip()
