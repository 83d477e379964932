"""The vision of one station: triggers go to the active worker, and on to the standby if that one dies."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from gateway.inspection import Inspection, Observation, Trigger
from gateway.vision import wire
from gateway.vision.settings import PoolSettings
from gateway.vision.wire import ModelFacts
from gateway.worker_process import WorkerProcess
from gateway.worker_team import Drawing, Fault, Member, Spawn, WorkerError, WorkerTeam
from protocols.faults import Code
from protocols.handshake import OwnTrigger

__all__ = ["ModelFacts", "PoolCounts", "WorkerError", "WorkerEvents", "WorkerPool"]

PICTURE_TIMEOUT = 5.0
"""Seconds a picture may take before its worker counts as hung."""

log = structlog.get_logger("vision")


class WorkerEvents(Protocol):
    """What the station hears of its vision. Calls come from the event loop, never from within a call of the pool."""

    def workers_ready(self, facts: ModelFacts) -> None:
        """Triggers can be inspected, by this model."""

    def workers_down(self, code: Code, detail: str) -> None:
        """Triggers cannot be inspected now, and why; the reason may change while down."""

    def exposed(self, cycle: int, utc: float) -> None:
        """The frame is taken, the part may move; at most once a cycle."""

    def observed(self, cycle: int, observation: Observation) -> None:
        """The outcome; exactly once a cycle, unless it was given up."""

    def own_trigger(self, call: OwnTrigger) -> None:
        """A frame came that is a trigger: its inspection, if it is accepted, is asked for within this call."""

    def picture_written(self, path: str) -> None:
        """A picture asked for lies there."""


@dataclass(slots=True)
class PoolCounts:
    """What happened since the start, for metrics."""

    started: int = 0
    died: int = 0
    repeated: int = 0
    late: int = 0
    pictures: int = 0
    pictures_skipped: int = 0
    fallbacks: int = 0
    """Times a network ran on another device than wished."""


@dataclass(slots=True)
class _Flight:
    """A trigger on its way."""

    trigger: Trigger
    slot: int
    member: Member
    frame: int = 0
    """That was the trigger; it lies with its member."""
    exposed: bool = False
    attempt: int = 0


@dataclass(slots=True)
class Slots:
    """Which slot of the ring holds which cycle; the one not used for longest is taken next."""

    free: deque[int]
    of_cycle: dict[int, int] = field(default_factory=dict)

    def take(self, cycle: int, busy: set[int]) -> int | None:
        """A slot for `cycle` that nobody reads or writes, or None."""
        slot = next((slot for slot in self.free if slot not in busy), None)
        if slot is not None:
            self.free.remove(slot)
            self.free.append(slot)
            self.of_cycle = {known: at for known, at in self.of_cycle.items() if at != slot}
            self.of_cycle[cycle] = slot
        return slot


class WorkerPool:
    """Inspects triggers in vision processes and says what it can do through `events`."""

    def __init__(
        self,
        settings: PoolSettings,
        events: WorkerEvents,
        clock: Callable[[], float] = time.monotonic,
        spawn: Spawn = WorkerProcess,
    ) -> None:
        self._settings, self._events, self._clock = settings, events, clock
        self._team = WorkerTeam(settings, self, clock, spawn)
        self._slots = Slots(deque(range(settings.frames.slots)))
        self._flights: dict[int, _Flight] = {}
        self._answers: list[tuple[int, Observation]] = []
        """Outcomes we decided ourselves, to be told by `tend`."""
        self._counts = PoolCounts()
        self._came = 0
        """The frame that just now is a trigger."""
        self._told: ModelFacts | Fault | None = None
        self._wake = asyncio.Event()
        self._landed = asyncio.Event()
        """No trigger is on its way."""
        self._landed.set()
        self._activation = asyncio.Lock()

    @property
    def counts(self) -> PoolCounts:
        """What happened since the start."""
        self._counts.started, self._counts.died = self._team.started, self._team.died
        return self._counts

    @property
    def recipe(self) -> Path:
        """The folder of the recipe that runs."""
        return self._team.recipe

    # what the station calls

    def inspect(self, trigger: Trigger) -> None:
        """Inspect; the outcome comes as `observed`, at once as a fault if nobody can."""
        member, down = self._team.active, self._team.down
        if member is None or down is not None:
            code, text = down or (Code.WORKER_DIED, "no vision process")
            self._answer(trigger.cycle, Observation(fault=code, detail=text))
            return
        slot = self._slots.take(trigger.cycle, self._busy_slots())
        if slot is None:
            self._answer(trigger.cycle, Observation(fault=Code.INTERNAL, detail="every frame slot is in use"))
            return
        flight = self._flights[trigger.cycle] = _Flight(trigger, slot, member, self._came)
        self._landed.clear()
        self._send(flight)

    def give_up(self, cycle: int) -> None:
        """Its deadline has passed: whatever comes for it later is dropped; a process that hangs is replaced."""
        flight = self._land(cycle)
        if flight is not None and self._team.give_up(flight.member, cycle, flight.slot):
            log.warning("standby_takes_over", cycle=cycle, detail="no answer in time")
            self.lost(flight.member, "the vision process does not answer")

    def picture(self, inspection: Inspection, path: str) -> bool:
        """Have its frame drawn and written by a worker with nothing else to do; False if it is skipped."""
        cycle = inspection.trigger.cycle
        member, slot = self._idle(), self._slots.of_cycle.get(cycle)
        if member is not None and slot is not None:
            verdict, findings = inspection.judgement.name, inspection.findings
            order = wire.Picture(
                cycle, slot, path, verdict, _caption(inspection), findings, self._settings.pictures_keep
            )
            if member.worker.send(order):
                member.drawing = Drawing(slot, self._clock() + PICTURE_TIMEOUT)
                self.wake()
                return True
        self._counts.pictures_skipped += 1
        return False

    async def activate(self, recipe: Path) -> ModelFacts:
        """Load another recipe beside the running one and change over between triggers; WorkerError: the old one stays.

        `workers_ready` (or `workers_down`, if its camera is not there) follows by itself.
        """
        async with self._activation:
            held = self._team.held
            if held is not None and held[0] is Code.CRASH_LOOP:
                raise WorkerError(*held)
            member = self._team.start(recipe)
            member.ready = asyncio.get_running_loop().create_future()
            self._team.candidate = member
            self.wake()
            try:
                facts = await member.ready
                await self._landed.wait()
                if self._team.candidate is not member:
                    raise WorkerError(Code.WORKER_DIED, f"the vision process of recipe {recipe.name} died at once")
            except BaseException:
                if self._team.candidate is member:
                    self._team.dismiss(member)
                raise
            self._team.change_over(member)
            self._told = None
            return facts

    def reset(self) -> None:
        """Clear a crash loop or a refused model: start anew."""
        self._team.reset()

    async def run(self) -> None:
        """Keep the workers alive until cancelled; then no process of ours is left. Once."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                # not wait_for: until Python 3.12 it may swallow the cancellation that comes with the wake
                alarm = loop.call_later(self.tend(), self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    alarm.cancel()
        finally:
            await self._team.stop()

    def tend(self) -> float:
        """Do what is due and tell what changed; seconds until it is needed again."""
        now = self._clock()
        answers, self._answers = self._answers, []
        for cycle, observation in answers:
            self._events.observed(cycle, observation)
        due = self._team.tend(now)
        self._tell()
        return max(0.0, due - now)

    # what the team says

    def said(self, member: Member, message: wire.FromWorker) -> None:
        """A worker sent what concerns triggers or pictures."""
        match message:
            case wire.Observed(cycle, observation):
                self._observed(member, cycle, observation)
            case wire.Exposed(cycle, utc, _):
                flight = self._flights.get(cycle)
                if flight is not None and flight.member is member and not flight.exposed:
                    flight.exposed = True
                    self._events.exposed(cycle, utc)
            case wire.FrameCame(number):
                self._frame_came(member, number)
            case wire.PictureDone(_, path, error):
                self._pictured(member, path, error)
            case _:
                pass

    def lost(self, member: Member, reason: str) -> None:
        """Give its triggers to the active worker, once each, while their deadlines allow; else they end as fault."""
        now = self._clock()
        for flight in [flight for flight in self._flights.values() if flight.member is member]:
            active = self._team.active
            if active is None or self._unable(active, flight) or flight.attempt > 0 or flight.trigger.deadline <= now:
                if self._land(flight.trigger.cycle) is not None:
                    self._answer(flight.trigger.cycle, Observation(fault=Code.WORKER_DIED, detail=reason))
                continue
            if not flight.exposed and not self._move(flight):
                continue
            flight.member, flight.attempt = active, flight.attempt + 1
            self._counts.repeated += 1
            self._send(flight)

    def _move(self, flight: _Flight) -> bool:
        """Another slot for a frame that has yet to come: who had the trigger before may still write into this one."""
        cycle = flight.trigger.cycle
        flight.member.late[cycle] = flight.slot
        slot = self._slots.take(cycle, self._busy_slots())
        if slot is None:
            self._land(cycle)
            self._answer(cycle, Observation(fault=Code.INTERNAL, detail="every frame slot is in use"))
            return False
        flight.slot = slot
        return True

    def _unable(self, active: Member, flight: _Flight) -> bool:
        """Nobody can look; but where the frame was taken, the want of a camera is none."""
        down = self._team.down
        return down is not None and not (flight.exposed and down == active.camera)

    def _frame_came(self, member: Member, number: int) -> None:
        if member is self._team.active:
            self._came = number
            try:
                self._events.own_trigger(OwnTrigger())
            finally:
                self._came = 0

    def wake(self) -> None:
        """`tend` has something to do."""
        self._wake.set()

    # inside

    def _tell(self) -> None:
        """Say whether triggers can be inspected, if that has changed."""
        active = self._team.active
        now: ModelFacts | Fault | None = self._team.down or (active.facts if active is not None else None)
        if now is None or now == self._told:
            return
        self._told = now
        if isinstance(now, ModelFacts):
            log.info("vision_ready", recipe=now.recipe_name, runs_on=now.provider)
            if now.missed:
                self._counts.fallbacks += 1
                log.warning("engine_fallback", code=int(Code.ENGINE_FALLBACK), detail=now.missed)
            self._events.workers_ready(now)
        else:
            self._events.workers_down(*now)

    def _answer(self, cycle: int, observation: Observation) -> None:
        self._answers.append((cycle, observation))
        self.wake()

    def _land(self, cycle: int) -> _Flight | None:
        flight = self._flights.pop(cycle, None)
        if not self._flights:
            self._landed.set()
        return flight

    def _busy_slots(self) -> set[int]:
        busy = {flight.slot for flight in self._flights.values()}
        for member in (*self._team.members.values(), *self._team.leaving):  # one that is leaving is not dead yet
            busy.update(member.late.values())
            if member.drawing is not None:
                busy.add(member.drawing.slot)
        return busy

    def _send(self, flight: _Flight) -> None:
        trigger = flight.trigger
        budget = max(0.0, min(self._settings.grab_timeout, trigger.deadline - self._clock()))
        reuse = flight.attempt > 0 and flight.exposed
        order = wire.Inspect(
            trigger.cycle,
            flight.slot,
            trigger.part_id,
            trigger.trigger_seq,
            budget,
            flight.attempt,
            trigger.accepted,
            flight.frame,
            reuse,
        )
        if not flight.member.worker.send(order):
            self._team.lose(flight.member, "the vision process does not read its orders")

    def _observed(self, member: Member, cycle: int, observation: Observation) -> None:
        flight = self._flights.get(cycle)
        if flight is not None and flight.member is member:
            self._land(cycle)
            self._events.observed(cycle, observation)
            return
        self._counts.late += 1
        log.warning("late_answer", cycle=cycle, process=member.worker.pid)
        self._team.answered_late(member, cycle)

    def _pictured(self, member: Member, path: str, error: str) -> None:
        member.drawing = None
        if error:
            self._counts.pictures_skipped += 1
            log.warning("picture_skipped", path=path, detail=error)
            return
        self._counts.pictures += 1
        self._events.picture_written(path)

    def _idle(self) -> Member | None:
        """The worker that may draw: the standby, or the active one at rest where there is to be no standby."""
        member = self._team.standby
        if member is None and not self._settings.worker.standby and not self._flights:
            member = self._team.active
        return member if member is not None and member.drawing is None else None


def _caption(inspection: Inspection) -> str:
    """What stands in a picture's banner beside the verdict."""
    why = f"{inspection.reason} {inspection.rule}  " if inspection.reason else ""
    return f"{why}part {inspection.trigger.part_id}  result {inspection.result_seq}"
