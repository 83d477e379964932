"""A station with everything around it played: the PLC on a loopback, the vision, the disk and the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from typing_extensions import override

from gateway.history import HistoryError, Recovered
from gateway.inspection import Finding, Inspection, Observation, Trigger
from gateway.recipe import Recipe
from gateway.station import Station
from gateway.station_setup import Pictures, Setup
from gateway.vision.wire import ModelFacts
from gateway.workers import WorkerError
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.loopback import Loopback
from protocols.signals import Command, Control, Judgement, Outputs, Result, Status

ON = int(Control.ENABLE)
SCRATCH = Finding("scratch", 0.9, (1, 2, 30, 40))


def recipe(number: int = 1, name: str = "plate") -> Recipe:
    return Recipe.model_validate(
        {
            "recipe": name,
            "number": number,
            "model": {"file": "model.onnx", "sha256": "0" * 64},
            "task": {"kind": "detect", "format": "end2end", "classes": ["scratch"], "min_score": 0.1},
            "rules": [
                {"name": "scratch", "when": {"label": "scratch", "min_score": 0.5}, "verdict": "NG", "code": 101}
            ],
        }
    ).placed(Path(f"/recipes/{name}"))


class Disk:
    """The history: commits at once, or when told, or fails."""

    def __init__(self) -> None:
        self.accepted: list[Trigger] = []
        self.rows: dict[int, Inspection] = {}
        self.amended: list[Inspection] = []
        self.slow = False
        self.error: HistoryError | None = None
        self.waiting: list[tuple[Inspection, Callable[[HistoryError | None], None]]] = []
        self.owed: list[Callable[[], None]] = []
        self.opened: list[Callable[[], None]] = []

    def accept(self, station: str, trigger: Trigger, recipe: int, recorded: Callable[[], None]) -> None:
        self.accepted.append(trigger)
        self.opened.append(recorded)
        if not self.slow:
            self.open_rows()

    def open_rows(self) -> None:
        """Tell of the rows of accepted triggers."""
        while self.opened:
            self.opened.pop(0)()

    def commit(self, inspection: Inspection, done: Callable[[HistoryError | None], None]) -> None:
        self.waiting.append((inspection, done))
        if not self.slow:
            self.flush()

    def flush(self) -> None:
        self.open_rows()
        waiting, self.waiting = self.waiting, []
        for inspection, done in waiting:
            if self.error is None:
                self.rows[inspection.trigger.cycle] = inspection
            done(self.error)

    def amend(self, inspection: Inspection, written: Callable[[], None]) -> None:
        self.amended.append(inspection)
        self.rows[inspection.trigger.cycle] = inspection
        self.owed.append(written)


class Vision:
    """The worker pool: remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Trigger] = []
        self.given_up: list[int] = []
        self.resets = 0
        self.pictures: list[str] = []
        self.refuses: WorkerError | None = None
        self.activated: list[Path] = []

    def inspect(self, trigger: Trigger) -> None:
        self.asked.append(trigger)

    def give_up(self, cycle: int) -> None:
        self.given_up.append(cycle)

    def reset(self) -> None:
        self.resets += 1

    async def activate(self, recipe: Path) -> ModelFacts:
        self.activated.append(recipe)
        if self.refuses is not None:
            raise self.refuses
        return ModelFacts(recipe=2, model_crc=222)

    def picture(self, inspection: Inspection, path: str) -> bool:
        self.pictures.append(path)
        return True


class Cell(Loopback):
    """The PLC's end of the loopback, and everything else within reach."""

    def __init__(self, settings: CycleSettings | None = None) -> None:
        super().__init__()
        self._shown = asyncio.Event()
        self.now = 1000.0
        self.disk, self.vision = Disk(), Vision()
        self.plc = Command()
        setup = Setup(
            "cell1",
            settings or CycleSettings(),
            {1: recipe(), 2: recipe(2, "lid")},
            boot_id=7,
            config_crc=99,
            pictures=Pictures(Path("pictures"), frozenset({Judgement.NG})),
        )
        self.station = Station(setup, self, self.disk, lambda: self.now, lambda: 1.8e9)
        self.station.use(self.vision)
        self.attach(self.station)

    def ready(self, recovered: Recovered | None = None) -> Cell:
        self.station.recover(recovered)
        self.station.workers_ready(ModelFacts(recipe=1, model_crc=111, simulated=True))
        self.send(control=ON)
        return self

    def send(self, **fields: object) -> None:
        self.plc = replace(self.plc, **fields)  # type: ignore[arg-type]
        self.write(self.plc)

    def trigger(self, seq: int, part: int = 0) -> int:
        """The accepted cycle's number."""
        before = len(self.vision.asked)
        self.send(trigger_seq=seq, part_id=part)
        assert len(self.vision.asked) == before + 1
        return self.vision.asked[-1].cycle

    def seen(self, cycle: int, *findings: Finding, fault: Code = Code.NONE) -> None:
        self.station.exposed(cycle, 1.8e9)
        observation = Observation(findings, fault, "", grab=0.01, infer=0.005, exposed_utc=1.8e9 + 0.25, simulated=True)
        self.station.observed(cycle, observation)

    async def pass_time(self, seconds: float) -> None:
        """Move the clock and let the station's timer see it."""
        self.now += seconds
        self.station.tick()
        await asyncio.sleep(0)

    @property
    def status(self) -> Status:
        return self.outputs.status

    @property
    def result(self) -> Result:
        return self.outputs.result

    @override
    def publish(self, outputs: Outputs) -> None:
        super().publish(outputs)
        self._shown.set()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until outputs are shown of which this holds."""
        async with asyncio.timeout(5):
            while not true():
                self._shown.clear()
                await self._shown.wait()
