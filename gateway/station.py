"""One station's scan: inputs, step, outputs, like the PLC it serves. It never waits for an inspection.

Everything here runs on the control loop and returns at once: commands of the PLC, answers of the vision workers,
commits of the history and the clock each call in, the handshake says what to do, and the outputs are shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import structlog

from gateway.cycle import Cycle, to_result, trigger_of
from gateway.equipment import Equipment, NoEquipment
from gateway.history import HistoryError, Recovered
from gateway.inspection import Inspection, Observation
from gateway.judge import judge
from gateway.log import log_inspection
from gateway.metrics import StationMetrics
from gateway.outcomes import COMMIT_GRACE, Outcomes, Store
from gateway.recipe import Recipe
from gateway.recipe_changes import RecipeChanges
from gateway.station_setup import Pool, Setup
from gateway.vision.wire import ModelFacts
from protocols import handshake as hs
from protocols.faults import CATALOGUE, Code
from protocols.handshake import Last
from protocols.link import Link, LinkState
from protocols.seat import Seat
from protocols.signals import Command, CommandCode, Result

if TYPE_CHECKING:
    from protocols.seats import Handover, Turned

FAREWELL = 0.5
"""Seconds at the end in which the PLC may take the last results."""
OUTPUT_WAIT = 1.0
"""Seconds at the end in which gates and lamps are brought to rest."""
VEIL = 0.02
"""Seconds an accepted trigger is shown later at most, for its row: what the PLC saw accepted, a kill must not take."""
STALL = 0.5
"""A heartbeat later than this is told as 5002: the loop was held up."""

log = structlog.get_logger("station")


class Station:
    """The inspection station's control side: one PLC, one camera, one handshake."""

    def __init__(
        self,
        setup: Setup,
        link: Link,
        store: Store,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = setup.name
        self.metrics = StationMetrics()
        self.role, self._shared = setup.role()
        self.role.config_crc = setup.config_crc
        self.role.condition(Code.STARTING, True)
        self.recipe = next(iter(setup.recipes.values()))
        self._setup = setup
        self._link = link
        self._pool: Pool | None = None
        self._equipment: Equipment = NoEquipment()
        self._seat = Seat.LINK
        self._plc_lost = self._device_lost = False
        self._clock, self._wall = clock, wall
        self._outcomes = Outcomes(self, store, clock)
        self.facts = ModelFacts()
        self._worker_fault = Code.STARTING
        self._changing = False
        self._recovered = False
        self._held: Command | None = None
        self.recipes = RecipeChanges(self, setup)
        self._all_taken = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._veil: asyncio.TimerHandle | None = None
        """Set while the outputs wait for the row of the trigger accepted last."""
        self._veiled = 0
        self._log = log.bind(station=setup.name)

    # ------------------------------------------------------------ life

    def use(self, pool: Pool) -> None:
        """Name the vision workers that look for this station."""
        self._pool = pool
        self.recipes.use(pool)

    def equip(self, equipment: Equipment) -> None:
        """Name what stands around this station."""
        self._equipment = equipment

    def recover(self, recovered: Recovered | None) -> None:
        """Begin where the last run ended: numbers go on, interrupted inspections are told, a repeat can be answered."""
        now = self._clock()
        recovered = recovered or Recovered()
        self.stored(None)
        last = recovered.last
        known: Last | None = None
        if last is not None:
            known = Last(last.trigger.trigger_seq, last.trigger.part_id, last.trigger.serial, to_result(last))
        self.role.restore(recovered.result_seq, known)
        for inspection in recovered.interrupted:
            self._log.warning("interrupted_inspection", result_seq=inspection.result_seq, code=inspection.reason)
            self._act(self.role.offer(to_result(inspection), now))
        self._recovered = True
        if self._held is not None:
            self._act(self.role.command(self._held, now))
            self._held = None
        self._show()

    async def run(self) -> None:
        """Beat, and change recipes when asked, until cancelled."""
        self.role.monitor.reset(self._clock())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._beat(), name=f"{self.name} heartbeat")
            tasks.create_task(self.recipes.run(), name=f"{self.name} recipes")

    async def stop(self, grace: float) -> None:
        """Ready off, let the running inspection end within `grace` seconds or end it as FAULT 5005, outputs invalid."""
        self.role.stop()
        self._show()
        if not await self._ended(grace):
            for cycle in self._outcomes.unshown():
                if self._outcomes.running(cycle) is not None:
                    self._fault(cycle, Code.STOPPING, "the gateway was stopped")
            if not await self._ended(COMMIT_GRACE * 4):
                self._log.error("not_recorded", cycles=self._outcomes.unshown())
        await self._taken(FAREWELL)
        await self._equipment.stop(OUTPUT_WAIT)
        self.role.invalidate()
        self._show()

    async def _taken(self, wait: float) -> None:
        """Leave the last results on the wire until the PLC has taken them, or `wait` seconds have passed."""
        self._all_taken.clear()
        if self.role.results.pending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._all_taken.wait()

    async def _ended(self, wait: float) -> bool:
        """True when all open cycles have their outcome within `wait` seconds."""
        try:
            async with asyncio.timeout(wait):
                await self._outcomes.idle.wait()
        except TimeoutError:
            return False
        return True

    async def _beat(self) -> None:
        period = self._setup.settings.heartbeat
        due = self._clock()
        while True:
            late = self._clock() - due
            if late > STALL:
                self._log.warning("loop_stalled", seconds=round(late, 3), code=int(Code.LOOP_STALLED))
                due = self._clock()
            self.role.condition(Code.LOOP_STALLED, late > STALL)
            self.role.beat()
            self.tick()
            due += period
            await asyncio.sleep(max(0.0, due - self._clock()))

    # ------------------------------------------------------------ what the changes of recipe call

    def recipe_changed(self, recipe: Recipe, facts: ModelFacts) -> None:
        """Every trigger from now on is judged by this one."""
        self.recipe, self.facts = recipe, facts
        self.role.recipe_active = facts.recipe

    def command_ended(self, request: hs.Execute, code: Code) -> None:
        """A change of recipe that the driver asked for is done, or could not be."""
        if self.role.command_finished(request.token, code):
            self._commanded(CommandCode.ACTIVATE_RECIPE, request.param, code)
        self.tick()

    def changing(self, active: bool) -> None:
        """No trigger is taken while a person changes the recipe."""
        self._changing = active
        self._starting()
        self.tick()

    def _starting(self) -> None:
        self.role.condition(Code.STARTING, self._changing or self._worker_fault is Code.STARTING)

    # ------------------------------------------------------------ what the link calls

    def command(self, command: Command) -> None:
        """The PLC's command block, as one consistent moment."""
        if not self._recovered:
            self._held = command
            return
        self._act(self.role.command(command, self._clock()))
        self._show()

    def link_changed(self, state: LinkState, reason: str) -> None:
        """The carrier went up or down."""
        down = state is LinkState.DOWN
        self._log.log(30 if down else 20, "link", state=state.value, reason=reason)
        if not down:
            self.role.resync(self._clock())
        if self._plc_lost and not down:
            self.metrics.link_ups += 1
        self._plc_lost = down
        self.role.condition(Code.LINK_LOST, self._plc_lost or self._device_lost)
        self._equipment.doubt()
        self._show()

    # ------------------------------------------------------------ what the seats call

    @property
    def executing(self) -> bool:
        """A command of the driver's is being carried out."""
        return self.role.commands.executing

    def driven(self, handover: Handover) -> None:
        """Another one drives from now on; results not taken yet wait for those who asked for them."""
        self._seat, self._plc_lost = handover.seat, handover.lost
        self._log.info("driver", driver=handover.seat.name.lower(), reason=handover.reason)
        self.role.condition(Code.LINK_LOST, self._plc_lost or self._device_lost)
        if self._shared is not None:
            self._act(self._shared.handover(handover.seat, handover.absence, self._clock()))
        self._equipment.doubt()
        self._show()

    def turned_away(self, turned: Turned) -> None:
        """Somebody who does not drive asked for something."""
        code, seat = turned.code, turned.seat.name.lower()
        if turned.trigger_seq is not None:
            self._refused(hs.Refused(turned.trigger_seq, code), seat=seat)
            return
        self.metrics.refused(code)
        self._log.warning("turned_away", seat=seat, code=int(code), text=CATALOGUE[code].text)

    # ------------------------------------------------------------ what the equipment calls

    def own_trigger(self, call: hs.OwnTrigger) -> None:
        """A tag asks for an inspection, or tells of one that was missed."""
        if not self._recovered:
            call = hs.OwnTrigger(code=call.code or Code.STARTING, times=call.times)
        self._act(self.role.trigger(call, self._clock()))
        self._show()

    def needs(self, code: Code, missing: bool) -> None:
        """Something without which the station must not be Ready is missing (3001, 3021), or is back."""
        if code is Code.LINK_LOST:
            self._device_lost = missing
            missing = self._plc_lost or missing
            self._equipment.doubt()
        if self.role.condition(code, missing):
            self._log.log(30 if missing else 20, "equipment", code=int(code), missing=missing)
        self._show()

    # ------------------------------------------------------------ what the vision workers call

    def workers_ready(self, facts: ModelFacts) -> None:
        """Model loaded, camera there: triggers may come."""
        self.facts = facts
        self.role.simulated, self.role.recipe_active = facts.simulated, facts.recipe
        self.role.condition(Code.ENGINE_FALLBACK, bool(facts.missed))
        self._set_worker_fault(Code.NONE, "")
        self._show()

    def workers_down(self, code: Code, detail: str) -> None:
        """Nobody can look: Ready goes off with this code until `workers_ready`."""
        self._set_worker_fault(code, detail)
        self._show()

    def exposed(self, cycle: int, utc: float) -> None:
        """The frame of a cycle is taken."""
        self.role.exposed(cycle)
        self._show()

    def observed(self, cycle: int, observation: Observation) -> None:
        """What was seen: judge it, record it, then show it."""
        running = self._outcomes.running(cycle)
        if running is None:
            self.metrics.late += 1
            self._log.warning("late_observation", cycle=cycle)
        elif observation.fault is not Code.NONE:
            self._fault(cycle, observation.fault, observation.detail, observation)
        else:
            self._outcomes.verdict(running, judge(running.recipe, observation.findings, running.trigger), observation)

    def picture_written(self, path: str) -> None:
        """The newest picture with its findings drawn."""
        self._log.info("picture", path=path)

    def _set_worker_fault(self, code: Code, detail: str) -> None:
        before, self._worker_fault = self._worker_fault, code
        if before is code:
            return
        if before is not Code.NONE:
            self.role.condition(before, False)
        self._starting()
        if code in (Code.NONE, Code.STARTING):
            self._log.info("vision_starting" if code else "vision_ready", **({"after": int(before)} if before else {}))
        else:
            self.role.condition(code, True)
            self._log.error("vision_down", code=int(code), text=CATALOGUE[code].text, detail=detail)

    # ------------------------------------------------------------ what the outcomes call

    def reserve_seq(self) -> int:
        """The number of the next result."""
        return self.role.reserve_seq()

    def decided(self, inspection: Inspection) -> None:
        """Show this outcome to the PLC now."""
        cycle = inspection.trigger.cycle
        self._unveil(cycle)
        result = to_result(inspection)
        if self._setup.outcome is not None:
            self._setup.outcome(inspection, result)
        self._act(self.role.finish(cycle, result, self._clock()))
        self._show()
        self._equipment.decided(cycle, inspection.judgement)
        self.metrics.result(inspection.judgement)
        log_inspection(inspection)
        pictures = self._setup.pictures
        if pictures is not None and inspection.judgement in pictures.verdicts and self._pool is not None:
            name = f"{self.role.boot_id:05d}-{inspection.result_seq:05d}-{inspection.judgement.name}.jpg"
            self._pool.picture(inspection, str(pictures.folder / name))

    def stored(self, error: HistoryError | None) -> None:
        """The history wrote (None), or could not: then Ready goes off until it can."""
        code = Code.NONE if error is None else error.code
        news = [self.role.condition(known, known is code) for known in (Code.STORE_WRITE, Code.DISK_FULL)]
        if any(news):
            self._log.log(20 if error is None else 40, "history", code=int(code), detail=str(error or "writes again"))
            self._show()

    def store_trouble(self, error: HistoryError) -> None:
        """The history reports what no commit can tell: it cannot be opened, or was damaged and set aside."""
        if error.code is Code.STORE_CORRUPT:
            self.role.condition(Code.STORE_CORRUPT, True)
            self._show()
        else:
            self.stored(error)

    def _fault(self, cycle: int, code: Code, detail: str, seen: Observation | None = None) -> None:
        self.role.conditions.latch(code)
        self._outcomes.fault(cycle, code, detail, seen)

    # ------------------------------------------------------------ the handshake's wishes

    def _act(self, actions: list[hs.Action]) -> None:
        for action in actions:
            match action:
                case hs.Accepted():
                    self._accepted(action)
                case hs.Expired(cycle, code):
                    self._expired(cycle, code)
                case hs.Execute():
                    self._execute(action)
                case hs.Refused():
                    self._refused(action)
                case hs.Commanded(command, param, code):
                    self._commanded(command, param, code)
                case hs.AckIgnored() | hs.Skipped() | hs.Jumped() | hs.Restarted():
                    self._odd(action)
                case hs.Lost(result):
                    self._lost(result)
                case hs.Changed():
                    self._changed(action)
                case hs.Cleared():
                    self._cleared()
                case hs.Acknowledged():
                    self.metrics.acknowledged += 1
                    if not self.role.results.pending:
                        self._all_taken.set()

    def _refused(self, refusal: hs.Refused, **whose: str) -> None:
        code, repeated = refusal.code, refusal.repeated
        self.metrics.refused(code)
        if not repeated:
            self._equipment.refused()
        self._log.warning(
            "trigger_refused",
            trigger_seq=refusal.trigger_seq,
            code=int(code),
            text=CATALOGUE[code].text,
            repeated=repeated,
            **whose,
        )

    def _odd(self, action: hs.AckIgnored | hs.Skipped | hs.Jumped | hs.Restarted) -> None:
        """What a PLC should not do in production: told. A part that was never asked for may be on its way."""
        if isinstance(action, hs.AckIgnored):
            self.metrics.refused(Code.OUT_OF_ORDER)
            self._log.warning("ack_ignored", result_seq=action.result_seq, code=int(Code.OUT_OF_ORDER))
            return
        if isinstance(action, hs.Skipped):
            self.metrics.skipped += action.count
            self._log.warning("trigger_skipped", trigger_seq=action.trigger_seq, missing=action.count)
        elif isinstance(action, hs.Jumped):
            self._log.warning("trigger_jumped", trigger_seq=action.trigger_seq, before=action.before)
        else:
            self._log.warning("plc_restarted")
        self._equipment.doubt()

    def _changed(self, news: hs.Changed) -> None:
        level, code = 30 if news.active else 20, news.code
        self._log.log(level, "condition", code=int(code), active=news.active, text=CATALOGUE[code].text)
        if code is Code.PLC_HEARTBEAT_LOST:
            self._equipment.doubt()  # while nobody triggers a part may pass

    def _accepted(self, request: hs.Accepted) -> None:
        trigger = trigger_of(request, self._wall(), self._equipment.snapshot(), self._seat)
        self.metrics.accepted += 1
        if self._pool is not None:
            self._pool.inspect(trigger)
        self._hide(request.cycle)
        cycle = Cycle(self.name, self.role.boot_id, trigger, self.recipe, self.facts.model_crc, self.facts.provider)
        self._outcomes.begin(cycle, partial(self._unveil, request.cycle))
        self._equipment.accepted(request.cycle)

    def _expired(self, cycle: int, code: Code) -> None:
        if self._outcomes.running(cycle) is not None and self._pool is not None:
            self._pool.give_up(cycle)
        text = "no verdict by the deadline" if code is Code.DEADLINE_MISSED else CATALOGUE[code].text
        self.role.conditions.latch(code)
        self._outcomes.expire(cycle, code, text)

    def _cleared(self) -> None:
        self._log.info("faults_cleared")
        if self._pool is not None:
            self._pool.reset()

    def _commanded(self, command: int, param: int, code: Code) -> None:
        if code is not Code.NONE:
            self.metrics.refused(code)
        self._log.log(30 if code else 20, "command", command=command, param=param, code=int(code))

    def _execute(self, request: hs.Execute) -> None:
        if not self.recipes.ask(request):
            self.role.command_finished(request.token, Code.OUT_OF_ORDER)

    def _lost(self, result: Result) -> None:
        self.metrics.lost += 1
        self._log.error(
            "result_lost",
            result_seq=result.result_seq,
            trigger_seq=result.trigger_seq,
            pending=self.role.results.pending,
        )

    # ------------------------------------------------------------ outputs

    def tick(self) -> None:
        """Time has passed: deadlines, heartbeats, time-outs."""
        self._act(self.role.tick(self._clock()))
        self._show()

    def _show(self) -> None:
        now = self._clock()
        if self._veil is None:
            self._link.publish(self.role.outputs(now))
        self._arm(now)

    def _hide(self, cycle: int) -> None:
        """Until `_unveil(cycle)`, VEIL at most: the PLC sees the trigger accepted when its row is there."""
        if self._veil is not None:
            self._veil.cancel()
        self._veiled = cycle
        self._veil = asyncio.get_running_loop().call_later(VEIL, self._unveil, cycle)

    def _unveil(self, cycle: int) -> None:
        if self._veil is not None and cycle == self._veiled:
            self._veil.cancel()
            self._veil = None
            self._show()

    def _arm(self, now: float) -> None:
        """One timer for the next thing that happens by time alone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self.role.deadline(now)
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self.tick)
