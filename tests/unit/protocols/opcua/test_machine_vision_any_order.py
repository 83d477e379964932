"""Whatever happens in whatever order: legal transitions, one result a job, never a good one without its part."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from protocols.faults import Code
from protocols.opcua.machine_vision_records import (
    BinaryId,
    Grade,
    Ident,
    JobEvent,
    JobStep,
    ResultReady,
    ResultState,
    StateChanged,
)
from protocols.opcua.machine_vision_requests import JobRequest
from protocols.signals import CommandCode, Judgement
from protocols.station_view import Outcome
from tests.unit.protocols.opcua.machine_rig import CYCLE, SETTINGS, Rig
from tests.unit.protocols.opcua.test_machine_vision_tables import GOLDEN
from tests.vision_station import PlayedStation

FAULTS = [Code.CAMERA_LINK, Code.CRASH_LOOP, Code.LINK_LOST, Code.STARTING, Code.DISK_LOW, Code.STOPPING]
SESSIONS = st.sampled_from(["s1", "s2"])
OUTER = {1, 2, 3, 4}


class AnyOrder(RuleBasedStateMachine):
    """Each rule is one thing that may happen; what is carried between the two ends, and when, are rules as well."""

    jobs = Bundle("jobs")

    @initialize(overlap=st.booleans(), slow=st.booleans(), shared=st.booleans(), deadline=st.sampled_from([1.0, 60.0]))
    def begin(self, overlap: bool, slow: bool, shared: bool, deadline: float) -> None:
        cycle = replace(CYCLE, overlap=overlap, always_enabled=not shared, deadline=deadline)
        self.rig = Rig(PlayedStation(cycle, loads=not slow), replace(SETTINGS, shared=shared))
        self.looked = 0
        self.outer, self.inner = 1, 0
        self.started: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.accepted: dict[str, str] = {}
        self.continuous: set[str] = set()
        self.good: Counter[float] = Counter()

    # ------------------------------------------------------------ what is carried

    @rule()
    def commands_arrive(self) -> None:
        self.rig.deliver()

    @rule()
    def told(self) -> None:
        self.rig.tell()

    @rule()
    def shown(self) -> None:
        self.rig.drivers_only()
        self.rig.show()

    @rule(n=st.integers(1, 3))
    def carried(self, n: int) -> None:
        self.rig.carry(n)

    @rule()
    def outcomes_lost(self) -> None:
        self.rig.station.told = [t for t in self.rig.station.told if not isinstance(t, Outcome)]

    @rule(seconds=st.sampled_from([0.05, 0.3, 1.2, 2.5]))
    def time_passes(self, seconds: float) -> None:
        self.rig.now += seconds
        self.rig.station.tick(self.rig.now)
        self.rig.machine.tick(self.rig.now)

    # ------------------------------------------------------------ the ways into the interesting states, whole

    @rule()
    def our_turn(self) -> None:
        """The methods have the station, and nothing is wrong with it."""
        self.well()
        self.rig.write(enable=False)
        self.rig.carry()
        self.rig.machine.select_mode_automatic("s1", self.rig.now)
        self.rig.carry()

    @rule()
    def plcs_turn(self) -> None:
        """The PLC has the station, and nothing is wrong with it."""
        self.well()
        self.rig.station.take_away(self.rig.now)
        self.rig.write(enable=True)
        self.rig.carry()

    @rule(target=jobs, part=st.sampled_from(["7", "A", "B"]), forever=st.booleans())
    def start_and_trigger(self, part: str, forever: bool) -> object:
        reply = self.start("s1", part, forever)
        self.rig.carry()
        return reply

    @rule(judgement=st.sampled_from([Judgement.OK, Judgement.NG]))
    def whole_job(self, judgement: Judgement) -> None:
        """A job of whoever drives, with everything carried but for the outcome."""
        self.start("s1", "A", False)
        self.rig.write(trigger=True, part=5)
        self.rig.carry()
        self.rig.station.expose()
        self.rig.station.finish(judgement, self.rig.now)

    def well(self) -> None:
        self.rig.machine.silent(False, self.rig.now)
        for code in FAULTS:
            self.rig.station.fault(code, False)

    # ------------------------------------------------------------ what the PLC and the station do

    @rule(on=st.booleans())
    def plc_enables(self, on: bool) -> None:
        self.rig.write(enable=on)

    @rule(part=st.integers(1, 9))
    def plc_triggers(self, part: int) -> None:
        self.rig.write(trigger=True, part=part)

    @rule(part=st.integers(1, 9))
    def tag_triggers(self, part: int) -> None:
        self.rig.station.tag(part, self.rig.now)

    @rule(code=st.sampled_from([1, 3, 4]), recipe=st.sampled_from([1, 2, 9]))
    def plc_commands(self, code: int, recipe: int) -> None:
        seq = self.rig.plc.command_seq + 1
        self.rig.write(command=int(CommandCode(code)), command_param=recipe, command_seq=seq)

    @rule()
    def exposed(self) -> None:
        self.rig.station.expose()

    @rule(judgement=st.sampled_from([Judgement.OK, Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT]))
    def judged(self, judgement: Judgement) -> None:
        self.rig.station.finish(judgement, self.rig.now)

    @rule(code=st.sampled_from(FAULTS), active=st.booleans())
    def fault(self, code: Code, active: bool) -> None:
        self.rig.station.fault(code, active)

    @rule()
    def latched(self) -> None:
        self.rig.station.latch(Code.DEADLINE_MISSED)

    @rule(code=st.sampled_from([Code.NONE, Code.MODEL_LOAD]))
    def recipe_loaded(self, code: Code) -> None:
        self.rig.station.loaded(code)

    @rule(stale=st.booleans())
    def silent(self, stale: bool) -> None:
        self.rig.machine.silent(stale, self.rig.now)

    @rule()
    def taken_away(self) -> None:
        self.rig.station.take_away(self.rig.now)

    # ------------------------------------------------------------ what clients do

    @rule(session=SESSIONS, what=st.sampled_from(["select_mode_automatic", "select_mode_automatic", "reset", "halt"]))
    def outer_method(self, session: str, what: str) -> None:
        getattr(self.rig.machine, what)(session, self.rig.now)

    def start(self, session: str, part: str, forever: bool) -> object:
        machine = self.rig.machine
        call = machine.start_continuous if forever else machine.start_single_job
        reply = call(session, JobRequest(part=Ident(part)), self.rig.now)
        if not reply.good:
            return multiple()
        self.accepted[reply.job_id] = part
        if forever:
            self.continuous.add(reply.job_id)
        return reply.job_id

    @rule(target=jobs, part=st.sampled_from(["", "7", "A", "B"]), forever=st.booleans())
    def only_start(self, part: str, forever: bool) -> object:
        return self.start("s2", part, forever)

    @rule(session=SESSIONS, what=st.sampled_from(["stop", "abort"]))
    def end(self, session: str, what: str) -> None:
        getattr(self.rig.machine, what)(session, self.rig.now)

    @rule(session=SESSIONS, recipe=st.sampled_from(["1", "2", "9"]), on=st.booleans())
    def recipe(self, session: str, recipe: str, on: bool) -> None:
        machine = self.rig.machine
        call = machine.prepare_recipe if on else machine.unprepare_recipe
        call(session, BinaryId(recipe), BinaryId(), self.rig.now)

    @rule(session=SESSIONS)
    def leaves(self, session: str) -> None:
        self.rig.machine.session_closed(session, self.rig.now)

    @rule(kind=st.sampled_from(list(Grade)))
    def people(self, kind: Grade) -> None:
        shown = self.rig.machine.conditions.shown(kind)
        self.rig.machine.acknowledge(kind, shown.serial, ("", "", ""))
        self.rig.machine.confirm_all(("", "", ""))

    # ------------------------------------------------------------ what must hold

    @invariant()
    def every_event_is_legal(self) -> None:
        if not hasattr(self, "rig"):
            return
        self.rig.collect()
        for event in self.rig.events[self.looked :]:
            match event:
                case StateChanged(transition, "StateChanged"):
                    self.moved(transition.number)
                case JobEvent(JobStep.STARTED, job):
                    self.started[job] += 1
                case JobEvent(JobStep.READY, job):
                    assert self.started[job] == 1
                case ResultReady():
                    self.result(event)
                case _:
                    pass
        self.looked = len(self.rig.events)
        states = self.rig.machine.states
        assert (int(states.outer), int(states.inner or 0)) == (self.outer, self.inner)
        for kind in Grade:
            shown = self.rig.machine.conditions.shown(kind)
            assert shown.retain or (not shown.active and shown.acked and shown.confirmed)

    def moved(self, number: int) -> None:
        source, target = GOLDEN[number][:2]
        if source in OUTER:
            assert source == self.outer
            self.outer, self.inner = target, 5 if target == 4 else 0
        else:
            assert self.outer == 4
            assert source == self.inner
            self.inner = target

    def result(self, event: ResultReady) -> None:
        r = event.result
        self.ended[r.job_id] += 1
        assert self.started[r.job_id] == 1
        if r.job_id in self.accepted:
            assert r.part.id == self.accepted[r.job_id]
        if r.state is ResultState.COMPLETED:
            outcome = next(o for o in self.rig.station.outcomes if o.result.score == r.content.score)
            self.good[r.content.score] += 1
            assert self.good[r.content.score] == 1, "one inspection, one result"
            assert r.content.good == outcome.good
            if r.job_id in self.accepted and self.accepted[r.job_id] in ("7", "A", "B"):
                assert outcome.serial == self.accepted[r.job_id]
        else:
            assert not r.content.good

    def teardown(self) -> None:
        if not hasattr(self, "rig"):
            return
        rig = self.rig
        self.well()
        for session in ("s1", "s2"):
            rig.machine.session_closed(session, rig.now)
        rig.write(enable=False)
        rig.wait(12.0, 0.1)
        self.every_event_is_legal()
        assert not rig.machine.book.own
        assert not rig.machine.book.foreign
        assert set(self.started) == set(self.ended)
        assert set(self.accepted) <= set(self.ended)
        single = {job: n for job, n in self.ended.items() if job not in self.continuous}
        assert all(n == 1 for n in single.values()), single
        assert len(rig.machine.results) <= SETTINGS.results


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestAnyOrder = AnyOrder.TestCase
