"""Which vision process is what: one active, one standby, others starting, late or leaving; deaths and restarts."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from gateway.vision import wire
from gateway.vision.settings import PoolSettings
from gateway.vision.wire import ModelFacts
from gateway.worker_process import Worker, WorkerOwner, make_ring
from protocols.faults import Code

DEATHS = 3
DEATH_WINDOW = 60.0
"""So many deaths within so many seconds are a crash loop: nothing is started until `reset`."""
LATE_GRACE = 0.5
"""Seconds a worker may still answer after it was given up on, before it counts as hung and is killed."""
STOP_TIMEOUT = 1.0
RETRY_FIRST, RETRY_LIMIT = 0.25, 2.0
REAP_EVERY = 0.01

Spawn = Callable[[PoolSettings, Path, int, WorkerOwner], Worker]
Fault = tuple[Code, str]

_STARTING: Fault = (Code.STARTING, "the vision process is starting")
_OPENING: Fault = (Code.STARTING, "the camera is being opened")

log = structlog.get_logger("vision")


class WorkerError(Exception):
    """A recipe cannot be activated: fault code and one sentence why."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(slots=True)
class Drawing:
    """A picture a worker is busy with: whose frame, and until when."""

    slot: int
    until: float


@dataclass(eq=False, slots=True)
class Member:
    """One worker and what is known of it; compared by identity."""

    worker: Worker
    until: float
    """Ready before this, else killed; while leaving: dead before this, else killed."""
    facts: ModelFacts | None = None
    camera: Fault | None = None
    failed: Fault | None = None
    drawing: Drawing | None = None
    ready: asyncio.Future[ModelFacts] | None = None
    """Of the activation that waits for it."""
    late: dict[int, int] = field(default_factory=dict)
    """Cycles given up on that it may still answer, and their slots, which it may still write to."""
    late_until: float = 0.0


class TeamOwner(Protocol):
    """Who has the triggers."""

    def said(self, member: Member, message: wire.FromWorker) -> None:
        """A worker sent what concerns triggers or pictures."""

    def lost(self, member: Member, reason: str) -> None:
        """A worker is gone and its successor, if there is one, is active: repeat its triggers."""

    def wake(self) -> None:
        """`tend` has something to do."""


class WorkerTeam:
    """Keeps one worker active and one warm, within limits."""

    def __init__(self, settings: PoolSettings, owner: TeamOwner, clock: Callable[[], float], spawn: Spawn) -> None:
        self.recipe = settings.recipe
        self.active: Member | None = None
        self.standby: Member | None = None
        self.starting: Member | None = None
        self.candidate: Member | None = None
        """Started with another recipe, to replace all others."""
        self.members: dict[Worker, Member] = {}
        """All that are not leaving."""
        self.leaving: list[Member] = []
        self.held: Fault | None = None
        """Why no new process is started: crash loop, or a model that cannot run."""
        self.started = self.died = 0
        self._settings, self._owner, self._clock, self._spawn = settings, owner, clock, spawn
        self._ring = make_ring(settings.frames)
        self._deaths: deque[float] = deque(maxlen=DEATHS)
        self._why = _STARTING
        self._next_start = 0.0
        self._retry = RETRY_FIRST

    @property
    def down(self) -> Fault | None:
        """Why no trigger can be inspected, or None."""
        if self.held is not None and (self.active is None or self.held[0] is Code.CRASH_LOOP):
            return self.held
        if self.active is None:
            return self._why
        if self.active.late and (self.standby is None or self._settings.camera.exclusive):
            return Code.DEADLINE_MISSED, "the only vision process has not answered the last trigger yet"
        return self.active.camera

    # what the workers say

    def received(self, worker: Worker, message: wire.FromWorker) -> None:
        """A message of one of our workers."""
        member = self.members.get(worker)
        if member is None:
            return
        match message:
            case wire.Ready() if member.facts is not None:
                self.lose(member, "the vision process said twice what it has loaded")
            case wire.Ready(facts):
                worker.labels = frozenset(facts.labels)
                member.facts = facts
                self._became_ready(member, facts)
            case wire.Failed(code, text):
                member.failed = (code, text)
            case wire.CameraDown(code, text):
                member.camera = (code, text)
            case wire.CameraUp():
                member.camera = None
            case _:
                self._owner.said(member, message)
                return
        self._owner.wake()

    def ended(self, worker: Worker, reason: str) -> None:
        """One of our workers died by itself."""
        member = self.members.get(worker)
        if member is not None:
            self.lose(member, reason, kill=False)

    def _became_ready(self, member: Member, facts: ModelFacts) -> None:
        self._retry = RETRY_FIRST
        if member.ready is not None and not member.ready.done():
            member.ready.set_result(facts)
        elif member is self.starting:
            self.starting = None
            self.standby = member
            self.promote()

    # changes

    def start(self, recipe: Path) -> Member:
        """A new process for a recipe; WorkerError if the system has none left."""
        try:
            worker = self._spawn(self._settings, recipe, self._ring, self)
        except OSError as error:
            raise WorkerError(Code.MEMORY, f"no vision process can be started: {error.strerror}") from error
        self.started += 1
        member = Member(worker, self._clock() + self._settings.worker.start_timeout_s)
        self.members[worker] = member
        return member

    def lose(self, member: Member, reason: str, kill: bool = True) -> None:
        """A process died, hangs or failed to start: the standby takes over, the owner repeats, deaths are counted."""
        if member.worker not in self.members:
            return
        if kill:
            member.worker.kill()
        self._leave(member)
        if member is self.active:
            self.active = None
            self._why = (Code.WORKER_DIED, f"{reason}; a new one is starting")
        if member is self.standby:
            self.standby = None
        if member.failed is not None:
            self._refuse(member, *member.failed)
        else:
            self._count_death(member, reason)
        self.promote()
        self._owner.lost(member, reason)
        self._owner.wake()

    def promote(self) -> None:
        """Let the standby take over if nobody is active."""
        if self.active is None and self.standby is not None:
            member, self.standby = self.standby, None
            self._lead(member)

    def _lead(self, member: Member) -> None:
        self.active = member
        if self._settings.camera.exclusive:
            member.camera = _OPENING
            member.worker.send(wire.Lead())  # one that does not read is found out by its next trigger

    def give_up(self, member: Member, cycle: int, slot: int) -> bool:
        """No answer in time: the standby takes over; True if it could. The late one is killed if it stays silent."""
        if not member.late:
            member.late_until = self._clock() + LATE_GRACE
        member.late[cycle] = slot
        self._owner.wake()
        if member is not self.active or self.standby is None or self.standby.camera is not None:
            return False
        if self._settings.camera.exclusive:
            return False  # the camera is still in its hands: the standby must wait for its death
        self.active = None
        self.promote()
        return True

    def answered_late(self, member: Member, cycle: int) -> None:
        """It was slow, not hung: being warm, it may serve again."""
        if member.late.pop(cycle, None) is None or member.late:
            return
        if member is not self.active:
            if self.standby is None and self._settings.worker.standby:
                self.standby = member
                self.promote()
            else:
                self.dismiss(member)
        self._owner.wake()

    def change_over(self, member: Member) -> None:
        """The candidate becomes active, all others go."""
        self.recipe = member.worker.recipe
        self.candidate = None
        for other in list(self.members.values()):
            if other is not member:
                self.dismiss(other)
        self.standby = self.starting = None
        self._lead(member)
        if self.held is not None and self.held[0] is not Code.CRASH_LOOP:
            self.held = None
        self._next_start = 0.0
        self._owner.wake()

    def dismiss(self, member: Member) -> None:
        """End a worker that is not needed any more."""
        if member is self.candidate:
            self.candidate = None
        self._leave(member)
        if member.facts is None:
            member.worker.kill()  # still loading: it would not hear
        else:
            member.worker.stop()

    def reset(self) -> None:
        """Forget deaths and refusals: start anew."""
        self._deaths.clear()
        self.held = None
        self._why = _STARTING
        self._next_start, self._retry = 0.0, RETRY_FIRST
        self._owner.wake()

    def _leave(self, member: Member) -> None:
        self.members.pop(member.worker, None)
        member.until = self._clock() + STOP_TIMEOUT
        self.leaving.append(member)

    def _count_death(self, member: Member, reason: str) -> None:
        now = self._clock()
        self.died += 1
        log.warning("worker_lost", process=member.worker.pid, detail=reason, recipe=str(member.worker.recipe))
        loading = f"{reason} while it loaded the recipe {member.worker.recipe.name}"
        if member is self.candidate:
            self._refuse(member, Code.MODEL_LOAD, loading)
            return
        if member is self.starting:
            self.starting = None
            self._why = (Code.MODEL_LOAD, loading)
            self._later(now)
        self._deaths.append(now)
        if len(self._deaths) == DEATHS and now - self._deaths[0] <= DEATH_WINDOW and self.held is None:
            last = loading if member.facts is None else reason
            self.held = (Code.CRASH_LOOP, f"{DEATHS} deaths within {now - self._deaths[0]:.0f} s, the last: {last}")
            log.error("vision_held", code=int(self.held[0]), detail=self.held[1])

    def _refuse(self, member: Member, code: Code, text: str) -> None:
        """The recipe cannot run: an activation hears it, else nothing is started until something changes."""
        if member is self.candidate:
            self.candidate = None
            if member.ready is not None and not member.ready.done():
                member.ready.set_exception(WorkerError(code, text))
            return
        self.starting = None
        self.held = (code, text)
        log.error("vision_held", code=int(code), detail=text)

    def _later(self, now: float) -> None:
        self._next_start, self._retry = now + self._retry, min(RETRY_LIMIT, 2 * self._retry)

    # time

    def tend(self, now: float) -> float:
        """Kill the overdue, reap the dead, start the missing; when it is needed again."""
        for member in (self.starting, self.candidate):
            if member is not None and member.facts is None and now >= member.until:
                self.lose(member, f"the vision process was not ready in {self._settings.worker.start_timeout_s:g} s")
        for member in list(self.members.values()):
            if member.late and now >= member.late_until:
                self.lose(member, "the vision process hung and was killed")
            elif member.drawing is not None and now >= member.drawing.until:
                self.lose(member, "the vision process hung while it wrote a picture")
        self._reap(now)
        if self._wants_one(now):
            try:
                self.starting = self.start(self.recipe)
            except WorkerError as error:
                self._why = (error.code, error.text)
                self._later(now)
        return min(self._dues(now))

    def _wants_one(self, now: float) -> bool:
        if self.held is not None or self.starting is not None or self.candidate is not None or now < self._next_start:
            return False
        if self.active is None:
            return True
        late = any(member.late for member in self.members.values())
        return self._settings.worker.standby and self.standby is None and not late

    def _reap(self, now: float) -> None:
        for member in list(self.leaving):
            how = member.worker.reap()
            if how is not None:
                self.leaving.remove(member)
                log.info("worker_ended", process=member.worker.pid, detail=how)
            elif now >= member.until:
                member.worker.kill()

    def _dues(self, now: float) -> list[float]:
        dues = [now + 1.0]
        for member in self.members.values():
            if member.facts is None:
                dues.append(member.until)
            if member.late:
                dues.append(member.late_until)
            if member.drawing is not None:
                dues.append(member.drawing.until)
        if self.leaving:
            dues.append(now + REAP_EVERY)
        if self._next_start > now:
            dues.append(self._next_start)
        return dues

    async def stop(self) -> None:
        """Ask all to end, wait, kill, wait: bounded, whatever they do; then no process of ours is left."""
        for member in list(self.members.values()):
            if member.ready is not None and not member.ready.done():
                member.ready.set_exception(WorkerError(Code.STOPPING, "the gateway is stopping"))
            self.dismiss(member)
        try:
            await self._wait_for_ends()
        finally:
            for member in self.leaving:
                member.worker.kill()
            self._wait_for_killed()
            os.close(self._ring)

    async def _wait_for_ends(self) -> None:
        end = time.monotonic() + STOP_TIMEOUT
        while self.leaving and time.monotonic() < end:
            self._reap(self._clock())
            await asyncio.sleep(REAP_EVERY)

    def _wait_for_killed(self) -> None:
        """Not awaited: it must also end when the cancellation is repeated."""
        end = time.monotonic() + STOP_TIMEOUT
        while self.leaving and time.monotonic() < end:
            self._reap(self._clock())
            time.sleep(REAP_EVERY / 5)
