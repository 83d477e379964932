"""A gateway's side of the cycle on the bench: its PLC, its clock."""

from __future__ import annotations

from dataclasses import replace

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.signals import Command, Control, Judgement, Result, StatusBit
from protocols.vision_role import VisionRole

ON = int(Control.ENABLE)
ENABLED = Command(control=ON)


class Bench:
    """A role with a clock of its own and the PLC's last command."""

    def __init__(self, settings: CycleSettings | None = None) -> None:
        self.role = VisionRole(settings or CycleSettings())
        self.now = 100.0
        self.plc = Command()
        self.actions: list[hs.Action] = []

    def write(self, **fields: object) -> list[hs.Action]:
        self.plc = replace(self.plc, **fields)  # type: ignore[arg-type]
        self.actions = self.role.command(self.plc, self.now)
        return self.actions

    def enable(self) -> Bench:
        self.write(control=ON)
        return self

    def trigger(self, seq: int, part: int = 0) -> hs.Accepted:
        accepted = [a for a in self.write(trigger_seq=seq, part_id=part) if isinstance(a, hs.Accepted)]
        assert len(accepted) == 1
        return accepted[0]

    def finish(self, cycle: int, seq: int, judgement: Judgement = Judgement.OK, part: int = 0) -> list[hs.Action]:
        result_seq = self.role.reserve_seq()
        result = Result(result_seq=result_seq, trigger_seq=seq, part_id=part, judgement=judgement)
        return self.role.finish(cycle, result, self.now)

    def after(self, seconds: float) -> list[hs.Action]:
        self.now += seconds
        return self.role.tick(self.now)

    @property
    def out(self):  # type: ignore[no-untyped-def]
        return self.role.outputs(self.now)

    def bit(self, bit: StatusBit) -> bool:
        return bool(self.out.status.bits & bit)


def refusals(actions: list[hs.Action]) -> list[tuple[int, Code]]:
    return [(a.trigger_seq, a.code) for a in actions if isinstance(a, hs.Refused)]
