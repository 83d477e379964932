"""A station that several may drive, without camera, disk or clock: the real VisionRole behind the rule of who drives.

It stands for the control process in the tests of what is told of a station: seats, outputs, outcomes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.signals import Command, Control, Judgement, Outputs, Result, ResultBit
from protocols.station_view import Outcome, RecipeFacts, Seat, StationFacts
from protocols.vision_role import VisionRole

RECIPES = (
    RecipeFacts(
        1, "pin", 3, "pins", b"\x01" * 32, ("length", "angle"), ("pin there", "straight"), ((101, "pin bent"),)
    ),
    RecipeFacts(2, "nut", 1, "", b"\x02" * 32),
)
FACTS = StationFacts("press-1", RECIPES, boot_id=7, config_crc=0xBEEF)

Told = Seat | Outcome


@dataclass
class PlayedStation:
    """`vision` and `link` are its two ends for commands; what it tells waits in `told`, in order."""

    settings: CycleSettings = field(default_factory=CycleSettings)
    seat: Seat = Seat.LINK
    told: list[Told] = field(default_factory=list)
    open: dict[int, tuple[hs.Accepted, Seat]] = field(default_factory=dict)
    orders: list[hs.Execute] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    loads: bool = True
    """A recipe is loaded at once when asked for; otherwise `loaded` says how it went."""
    recipes: tuple[int, ...] = (1, 2)
    _link: Command = field(default_factory=Command)
    _exposed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.role = VisionRole(self.settings, boot_id=7)
        self.role.recipe_active = 1
        self.role.config_crc = 0xBEEF

    # ------------------------------------------------------------ the two ends

    def vision(self, command: Command, now: float) -> None:
        """A command block of the methods."""
        enable = bool(command.control & Control.ENABLE)
        if self.seat is Seat.LINK:
            if not enable or self._link.control & Control.ENABLE:
                return
            self._change(Seat.MACHINE_VISION, now)
        self._act(self.role.command(command, now), now)
        if not enable:
            self._give_back(now)

    def link(self, command: Command, now: float) -> None:
        """A command block of the PLC's."""
        self._link = command
        if self.seat is Seat.LINK:
            self._act(self.role.command(command, now), now)

    def take_away(self, now: float) -> None:
        """The carrier of the methods is not heard any more."""
        if self.seat is Seat.MACHINE_VISION:
            self._give_back(now)

    def _give_back(self, now: float) -> None:
        self._change(Seat.LINK, now)
        self._act(self.role.command(self._link, now), now)

    def _change(self, seat: Seat, now: float) -> None:
        self.seat = seat
        self.told.append(seat)
        self.role.resync(now)

    # ------------------------------------------------------------ what happens in it

    def tick(self, now: float) -> None:
        self.role.beat()
        self._act(self.role.tick(now), now)

    def tag(self, part_id: int, now: float) -> None:
        """A tag asks for an inspection, whoever drives."""
        self._act(self.role.trigger(hs.OwnTrigger(part_id), now), now)

    def expose(self) -> None:
        for cycle in self.open:
            self.role.exposed(cycle)
            self._exposed.add(cycle)

    def finish(self, judgement: Judgement, now: float, reason: int = 0) -> None:
        """The oldest open cycle is judged."""
        if self.open:
            self._finish(next(iter(self.open)), judgement, reason, now)

    def fault(self, code: Code, active: bool) -> None:
        self.role.condition(code, active)

    def latch(self, code: Code) -> None:
        self.role.conditions.latch(code)

    def loaded(self, code: Code = Code.NONE) -> None:
        """The recipe that was asked for is loaded, or cannot be."""
        if self.orders:
            order = self.orders.pop(0)
            code = code or (Code.NONE if order.param in self.recipes else Code.UNKNOWN_RECIPE)
            if code is Code.NONE:
                self.role.recipe_active = order.param
            self.role.command_finished(order.token, code)

    def outputs(self, now: float) -> Outputs:
        return self.role.outputs(now)

    def _act(self, actions: list[hs.Action], now: float) -> None:
        for action in actions:
            match action:
                case hs.Accepted():
                    self.open[action.cycle] = (action, self.seat)
                case hs.Expired(cycle, code):
                    self._finish(cycle, Judgement.FAULT, int(code), now)
                case hs.Execute():
                    self.orders.append(action)
                    if self.loads:
                        self.loaded()
                case _:
                    pass

    def _finish(self, cycle: int, judgement: Judgement, reason: int, now: float) -> None:
        found = self.open.pop(cycle, None)
        if found is None:
            return
        request, seat = found
        number = len(self.outcomes) + 1
        result = Result(
            self.role.reserve_seq(),
            request.trigger_seq,
            request.part_id,
            judgement,
            bits=int(ResultBit.CHECK_0) | 1 << (judgement - 1),
            reason=reason,
            findings=2,
            score=float(number),
            recipe=self.role.recipe_active,
            total=300,
            grab=100,
            values=(1.5, 2.5, *Result().values[2:]),
        )
        exposed = 1000.5 if cycle in self._exposed else 0.0
        told = Outcome(number, result, request.serial, seat, 1000.0, exposed, 1001.0)
        told = replace(told, rule="pin bent" if reason == 101 else "")
        self.outcomes.append(told)
        self.told.append(told)
        self._act(self.role.finish(cycle, result, now), now)
