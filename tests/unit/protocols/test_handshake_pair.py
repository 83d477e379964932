"""Both roles against each other without I/O: any interleaving, a rude PLC, power cycles on either side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocols import handshake as hs
from protocols.handshake import CycleSettings, Last, Style
from protocols.plc_role import Outcome, PlcRole
from protocols.signals import NO_RESULT, Command, Control, Judgement, Outputs, Result
from protocols.vision_role import VisionRole

SCAN = 0.01


def truth(part: int) -> Judgement:
    return Judgement.NG if part % 3 == 0 else Judgement.OK


class World:
    """A gateway and a PLC joined by two images that are copied only when the schedule says so."""

    def __init__(self, style: Style, config: CycleSettings) -> None:
        self.style, self.config = style, config
        self.now = 1000.0
        self.boot = 1
        self.gateway = VisionRole(config, boot_id=1)
        self.plc = PlcRole(style, timeout=1.0)
        self.command = Command()
        self.seen = Outputs()
        self.running: list[hs.Accepted] = []
        self.inspected: dict[int, int] = {}
        self.last: tuple[hs.Accepted, Result] | None = None
        self.result_seq = 0
        self.part = 0
        self.asked = 0
        self.outcomes: list[Outcome] = []
        self.rude = False
        self.disturbed = 0
        """Up to this part somebody wrote foreign numbers in between: no gateway can tell that an old one comes back."""

    def gateway_reads(self) -> None:
        self.take(self.gateway.command(self.command, self.now))

    def plc_writes(self, command: Command | None = None) -> None:
        self.command = command or self.plc.command
        self.gateway_reads()

    def plc_reads(self) -> None:
        self.seen = self.gateway.outputs(self.now)

    def plc_scans(self) -> None:
        before = self.plc.outcome
        self.plc.scan(self.seen, self.now)
        after = self.plc.outcome
        if after is not None and after is not before:
            self.judge_outcome(after)

    def judge_outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        assert outcome.part_id == self.asked
        if outcome.result is None:
            assert outcome.judgement is Judgement.FAULT
            assert outcome.reason != 0 or self.rude
        else:
            assert outcome.judgement in (truth(self.asked), Judgement.FAULT), "a verdict of another part"

    def take(self, actions: list[hs.Action]) -> None:
        for action in actions:
            if isinstance(action, hs.Accepted):
                self.running.append(action)
                self.inspected[action.part_id] = self.inspected.get(action.part_id, 0) + 1
            elif isinstance(action, hs.Expired):
                self.finish(next(r for r in self.running if r.cycle == action.cycle), Judgement.FAULT)

    def finish(self, request: hs.Accepted, judgement: Judgement) -> None:
        self.running.remove(request)
        self.result_seq = self.gateway.reserve_seq()
        result = Result(self.result_seq, request.trigger_seq, request.part_id, judgement)
        self.remember(request, result)
        self.take(self.gateway.finish(request.cycle, result, self.now))

    def remember(self, request: hs.Accepted, result: Result) -> None:
        """What the history tells after a restart: the last trigger that came by number."""
        if request.style is Style.SEQUENCE:
            self.last = (request, result)

    def gateway_restarts(self) -> None:
        """As after a kill: the history ends what was open as FAULT; the numbers go on."""
        self.boot += 1
        self.gateway = VisionRole(self.config, boot_id=self.boot)
        open_now, self.running = self.running, []
        interrupted = []
        for request in open_now:
            self.result_seq = self.result_seq % 65535 + 1
            result = Result(self.result_seq, request.trigger_seq, request.part_id, Judgement.FAULT, reason=5006)
            interrupted.append(result)
            self.remember(request, result)
        known = None
        if self.last is not None:
            request, result = self.last
            known = Last(request.trigger_seq, request.part_id, request.serial, result)
        self.gateway.restore(self.result_seq, known)
        for result in interrupted:
            self.gateway.offer(result, self.now)
        self.gateway_reads()

    def fair_scan(self) -> None:
        """What happens in a healthy plant in 10 ms."""
        self.now += SCAN
        self.gateway.beat()
        self.plc_reads()
        self.plc_scans()
        self.plc_writes()
        for request in list(self.running):
            self.gateway.exposed(request.cycle)
            self.finish(request, truth(request.part_id))
        self.take(self.gateway.tick(self.now))

    def ask(self) -> None:
        self.part += 1
        self.asked = self.part
        self.plc.request(self.part, self.now)


class Handshake(RuleBasedStateMachine):
    world: World

    @initialize(style=st.sampled_from(Style), queue=st.integers(0, 8), overlap=st.booleans())
    def begin(self, style: Style, queue: int, overlap: bool) -> None:
        self.world = World(style, CycleSettings(queue=queue, overlap=overlap, ack_timeout=0.5))

    @rule()
    def read(self) -> None:
        self.world.plc_reads()

    @rule()
    def scan(self) -> None:
        self.world.plc_scans()

    @rule()
    def write(self) -> None:
        self.world.plc_writes()

    @rule(times=st.integers(1, 8))
    def scans(self, times: int) -> None:
        for _ in range(times):
            self.world.fair_scan()

    @precondition(lambda self: not self.world.plc.busy)
    @rule()
    def ask(self) -> None:
        self.world.ask()

    @precondition(lambda self: self.world.running)
    @rule(good=st.booleans())
    def worker_answers(self, good: bool) -> None:
        request = self.world.running[0]
        self.world.gateway.exposed(request.cycle)
        self.world.finish(request, truth(request.part_id) if good else Judgement.FAULT)

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.31, 1.2]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.take(self.world.gateway.tick(self.world.now))

    @rule()
    def plc_power_cycle(self) -> None:
        self.world.rude = True
        self.world.plc = PlcRole(self.world.style, timeout=1.0)
        self.world.plc_writes(Command())

    @rule()
    def command_block_lost(self) -> None:
        """All words zero, and the program that writes them goes on: its next write brings the whole block again."""
        self.world.rude = True
        self.world.plc_writes(Command())

    @rule(bits=st.integers(0, 63), seq=st.sampled_from([0, 1, 2, 65535]), ack=st.integers(0, 9))
    def rude_write(self, bits: int, seq: int, ack: int) -> None:
        """Bits in any order, numbers out of the air; under a part id that no honest request uses."""
        self.world.rude = True
        self.world.disturbed = self.world.asked
        honest = self.world.plc.command
        self.world.plc_writes(
            replace(honest, control=bits & ~Control.EXECUTE, trigger_seq=seq, result_ack_seq=ack, part_id=0)
        )

    @rule()
    def gateway_restart(self) -> None:
        self.world.gateway_restarts()

    @invariant()
    def one_inspection_a_request(self) -> None:
        if hasattr(self, "world"):
            calm = {part: n for part, n in self.world.inspected.items() if part > self.world.disturbed}
            assert all(times == 1 for times in calm.values()), "a part was inspected twice"

    @invariant()
    def outputs_are_honest(self) -> None:
        if not hasattr(self, "world"):
            return
        out = self.world.gateway.outputs(self.world.now)
        assert (out.status.not_ready_reason == 0) is out.status.ready
        assert out.status.pending <= max(1, self.world.config.queue)
        if out.result is not NO_RESULT and out.result.part_id:
            assert out.result.judgement in (truth(out.result.part_id), Judgement.FAULT)

    def teardown(self) -> None:
        """Never wedged: in a healthy plant the next parts get their own verdicts."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for scan in range(400):
            if not world.plc.busy and scan >= 5:
                break
            world.fair_scan()
        assert not world.plc.busy
        for _ in range(2):
            world.ask()
            for _ in range(400):
                world.fair_scan()
                if not world.plc.busy:
                    break
            assert world.outcomes[-1].part_id == world.part
            assert world.outcomes[-1].result is not None, f"wedged: {world.outcomes[-1]}"
            assert world.outcomes[-1].judgement is truth(world.part)


TestHandshake = pytest.mark.timeout(300)(Handshake.TestCase)
TestHandshake.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
