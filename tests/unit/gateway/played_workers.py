"""A worker pool whose workers are played and whose clock is moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from gateway.inspection import Inspection, Observation, Trigger
from gateway.vision import wire
from gateway.vision.camera_settings import AnyCamera, SimulatedCamera
from gateway.vision.settings import FramesConfig, PoolSettings, WorkerConfig
from gateway.vision.wire import ModelFacts
from gateway.worker_process import WorkerOwner
from gateway.workers import WorkerPool
from protocols.faults import Code
from protocols.handshake import OwnTrigger
from protocols.signals import Judgement

FACTS = ModelFacts(recipe=1, recipe_name="bracket", labels=("scratch",))
SEEN = Observation(infer=0.005)


class Played:
    """A worker that does what the test says."""

    def __init__(self, line: Line, recipe: Path, owner: WorkerOwner) -> None:
        self.recipe, self.owner, self.line = recipe, owner, line
        self.labels: frozenset[str] | None = None
        self.orders: list[wire.ToWorker] = []
        self.deaf = False
        self.killed = self.stopped = False
        self.undead = False
        """Whether it goes on although it was killed or stopped."""
        self.pid = len(line.workers) + 1000

    def send(self, message: wire.ToWorker) -> bool:
        self.orders.append(message)
        return not self.deaf

    def kill(self) -> None:
        self.killed = True

    def stop(self) -> None:
        self.stopped = True

    def reap(self) -> str | None:
        return "signal SIGKILL" if (self.killed or self.stopped) and not self.undead else None

    def alive(self) -> bool:
        return not self.killed and not self.stopped

    def says(self, message: wire.FromWorker) -> None:
        self.owner.received(self, message)

    def dies(self) -> None:
        self.killed = True
        self.owner.ended(self, "the vision process crashed")

    @property
    def order(self) -> wire.Inspect:
        last = self.orders[-1]
        assert isinstance(last, wire.Inspect)
        return last


@dataclass
class Line:
    """A pool under test and all it told."""

    workers: list[Played] = field(default_factory=list)
    told: list[tuple[object, ...]] = field(default_factory=list)
    now: float = 100.0
    takes: bool = True
    """Whether frames that are triggers are accepted."""
    cycles: Iterator[int] = field(default_factory=lambda: count(501))
    pool: WorkerPool = field(init=False)

    def workers_ready(self, facts: ModelFacts) -> None:
        self.told.append(("ready", facts.recipe))

    def workers_down(self, code: Code, detail: str) -> None:
        assert detail
        self.told.append(("down", code))

    def exposed(self, cycle: int, utc: float) -> None:
        self.told.append(("exposed", cycle))

    def observed(self, cycle: int, observation: Observation) -> None:
        self.told.append(("observed", cycle, observation.fault))

    def own_trigger(self, call: OwnTrigger) -> None:
        """As the station does: the inspection is asked for within the call, if it is taken."""
        self.told.append(("came",))
        if self.takes:
            self.inspect(next(self.cycles))

    def picture_written(self, path: str) -> None:
        self.told.append(("picture", path))

    def spawn(self, settings: PoolSettings, recipe: Path, ring: int, owner: WorkerOwner) -> Played:
        self.workers.append(Played(self, recipe, owner))
        return self.workers[-1]

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.pool.tend()

    def news(self) -> list[tuple[object, ...]]:
        self.pool.tend()
        told, self.told = self.told, []
        return told

    def ready(self, index: int) -> Played:
        self.workers[index].says(wire.Ready(FACTS))
        self.pool.tend()
        return self.workers[index]

    def inspect(self, cycle: int) -> None:
        self.pool.inspect(Trigger(cycle, cycle, deadline=self.now + 0.3))


def make(standby: bool = True, camera: AnyCamera | None = None) -> Line:
    line = Line()
    worker = WorkerConfig(standby=standby, start_timeout_s=30)
    settings = PoolSettings(
        Path("bracket"), camera or SimulatedCamera(), worker=worker, frames=FramesConfig(slots=4, max_bytes=4096)
    )
    line.pool = WorkerPool(settings, line, clock=lambda: line.now, spawn=line.spawn)
    return line


def ng(cycle: int) -> Inspection:
    """The record of a bad part."""
    return Inspection("cell1", Trigger(cycle, cycle), Judgement.NG, 101, cycle, 1)
