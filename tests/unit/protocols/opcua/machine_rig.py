"""A machine of OPC 40100-1 and a played station, joined by hand: what is carried when is the test's to say."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from protocols.handshake import CycleSettings
from protocols.opcua.machine_vision_execution import MachineSettings
from protocols.opcua.machine_vision_records import (
    ConditionChanged,
    Event,
    Ident,
    JobEvent,
    JobStep,
    ResultReady,
    StateChanged,
    Told,
    VisionResult,
)
from protocols.opcua.machine_vision_requests import JobRequest, VisionMachine
from protocols.opcua.machine_vision_tables import State
from protocols.signals import Command, Control, Judgement, next_seq
from protocols.station_view import Outcome, Seat
from tests.vision_station import FACTS, PlayedStation

SETTINGS = MachineSettings(job_timeout=2.0, claim_timeout=0.5, command_timeout=3.0, session_grace=1.0, results=50)
CYCLE = CycleSettings(deadline=1.0, command_timeout=2.0)


@dataclass
class Rig:
    """`carry` brings everything to its other end; `events` is all that the machine told."""

    station: PlayedStation = field(default_factory=lambda: PlayedStation(CYCLE))
    settings: MachineSettings = SETTINGS
    now: float = 100.0
    events: list[Event] = field(default_factory=list)
    commands: deque[Command] = field(default_factory=deque)
    plc: Command = field(default_factory=Command)

    def __post_init__(self) -> None:
        self.machine = VisionMachine(FACTS, self.settings, "press-1-7-0", lambda: 1700.0 + self.now)

    # ------------------------------------------------------------ carrying

    def collect(self) -> None:
        self.events += self.machine.take_events()
        self.commands += self.machine.take_commands()

    def deliver(self) -> None:
        """What the methods wrote reaches the station."""
        while self.commands:
            self.station.vision(self.commands.popleft(), self.now)

    def tell(self) -> None:
        """Who drives, and every outcome, reach the machine."""
        told, self.station.told = self.station.told, []
        for what in told:
            if isinstance(what, Outcome):
                self.machine.outcome(what, self.now)
            else:
                self.machine.driven(what, self.now)
            self.collect()

    def drivers_only(self) -> None:
        """Who drives is told; outcomes stay behind."""
        told = self.station.told
        self.station.told = [what for what in told if isinstance(what, Seat)]
        self.tell()
        self.station.told = [what for what in told if isinstance(what, Outcome)]

    def show(self) -> None:
        """The station's words reach the machine."""
        self.machine.outputs(self.station.outputs(self.now), self.now)
        self.collect()

    def carry(self, rounds: int = 3) -> None:
        for _ in range(rounds):
            self.collect()
            self.deliver()
            self.tell()
            self.show()

    def wait(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass, with everything carried."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.station.tick(self.now)
            self.machine.tick(self.now)
            self.carry(1)

    # ------------------------------------------------------------ acting

    def write(self, *, enable: bool | None = None, trigger: bool = False, part: int = 0, **fields: int) -> None:
        """The PLC writes its block."""
        control = self.plc.control if enable is None else int(Control.ENABLE) * enable
        seq = next_seq(self.plc.trigger_seq) if trigger else self.plc.trigger_seq
        words = {"control": control, "trigger_seq": seq, "part_id": part or self.plc.part_id} | fields
        self.plc = Command(**words)  # type: ignore[arg-type]
        self.station.link(self.plc, self.now)

    def automatic(self) -> None:
        """SelectModeAutomatic, carried out."""
        self.carry()
        assert self.machine.select_mode_automatic("s1", self.now).good
        self.carry()

    def judge(self, judgement: Judgement = Judgement.OK, reason: int = 0) -> None:
        self.station.expose()
        self.show()
        self.station.finish(judgement, self.now, reason)

    # ------------------------------------------------------------ looking

    @property
    def numbers(self) -> list[int]:
        return [e.transition.number for e in self.events if isinstance(e, StateChanged) and e.kind == "StateChanged"]

    @property
    def kinds(self) -> list[str]:
        """Names of the event types in order, transitions by number, without diagnostics and conditions."""
        names: list[str] = []
        for event in self.events:
            match event:
                case StateChanged(transition, kind):
                    names.append(str(transition.number) if kind == "StateChanged" else kind)
                case JobEvent(step):
                    names.append(step.value)
                case ResultReady():
                    names.append("ResultReady")
                case _:
                    pass
        return names

    @property
    def results(self) -> list[VisionResult]:
        return [e.result for e in self.events if isinstance(e, ResultReady)]

    @property
    def conditions(self) -> list[ConditionChanged]:
        return [e for e in self.events if isinstance(e, ConditionChanged)]

    def said(self, part: str) -> bool:
        return any(isinstance(e, Told) and part in e.text for e in self.events)

    def jobs(self, step: JobStep) -> list[str]:
        return [e.job_id for e in self.events if isinstance(e, JobEvent) and e.step is step]

    def forget(self) -> None:
        self.events.clear()


PART = JobRequest(Ident("M-1"), Ident("DMX 0815"))


def ready(rig: Rig) -> None:
    """The methods drive, and a job can be started."""
    rig.automatic()
    assert rig.machine.states.inner is State.READY
