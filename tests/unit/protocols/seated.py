"""A shared station without I/O: the seats, the role, and what was asked for by whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from protocols import handshake as hs
from protocols.faults import Code
from protocols.handshake import CycleSettings
from protocols.link import LinkState
from protocols.seats import Act, Handover, Pass, Seats, Told, Turned
from protocols.shared_role import SharedRole
from protocols.signals import Command, Control, Judgement, Outputs, Result, StatusBit
from protocols.station_view import Seat
from protocols.vision_role import VisionRole

ON = int(Control.ENABLE)
PLC, VARIABLES, VISION = Seat.LINK, Seat.VARIABLES, Seat.MACHINE_VISION


@dataclass
class Asked:
    """An accepted trigger: who drove, in which of its turns, and the number of its result once it has one."""

    request: hs.Accepted
    seat: Seat
    turn: int
    result_seq: int = 0


@dataclass
class Bench:
    """Seats and role as the gateway puts them together; `alone`: a plain role without seats."""

    settings: CycleSettings = field(default_factory=CycleSettings)
    alone: bool = False
    opened: bool = True

    def __post_init__(self) -> None:
        self.now = 100.0
        kind = VisionRole if self.alone else SharedRole
        self.role = kind(self.settings, boot_id=7)
        self.seats = Seats(lambda: self.role.commands.executing)
        if self.opened:
            self.seats.open()
        self.driver, self.turn = PLC, 0
        self.lost = False
        self.sent: dict[Seat, Command] = {}
        self.actions: list[hs.Action] = []
        self.turned: list[Turned] = []
        self.handovers: list[Handover] = []
        self.asked: dict[int, Asked] = {}
        self.wishes: list[hs.Execute] = []
        self.outputs = Outputs()
        self.due = False
        self._in_command: Seat | None = None
        self.show()

    # ------------------------------------------------------------ what happens

    def send(self, seat: Seat = PLC, **fields: object) -> None:
        """The seat writes these fields of its block."""
        self.sent[seat] = replace(self.sent.get(seat, Command()), **fields)  # type: ignore[arg-type]
        self.write(seat, self.sent[seat])

    def write(self, seat: Seat, command: Command) -> None:
        self.sent[seat] = command
        if self.alone:
            self._take(self.role.command(command, self.now))
            self.show()
            return
        self._in_command = seat
        self._do(self.seats.command(seat, command))
        self._in_command = None
        self.settle()

    def link(self, seat: Seat, state: LinkState) -> None:
        if self.alone:
            if state is LinkState.UP:
                self.role.resync(self.now)
            self.lost = state is LinkState.DOWN
            self.show()
            return
        self._do(self.seats.link_changed(seat, state, state.value))
        self.settle()

    def finish(self, cycle: int) -> Asked:
        """An inspection has its outcome: OK; its number stands in FINDINGS too."""
        asked = self.asked[cycle]
        asked.result_seq = self.role.reserve_seq()
        request = asked.request
        result = Result(asked.result_seq, request.trigger_seq, request.part_id, Judgement.OK, 1, findings=cycle)
        self._take(self.role.finish(cycle, result, self.now))
        self.show()
        self.settle()
        return asked

    def answer(self) -> None:
        """The oldest recipe change is done."""
        self.role.command_finished(self.wishes.pop(0).token, Code.NONE)
        self.show()
        self.settle()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self._take(self.role.tick(self.now))
        self.show()
        self.settle()

    def settle(self) -> None:
        if self.due:
            self._do(self.seats.settle())

    # ------------------------------------------------------------ what is seen

    @property
    def plc(self) -> Outputs:
        """What the link is shown."""
        return self.outputs if self.alone else self.seats.link_view

    def open_cycles(self) -> tuple[int, ...]:
        return self.role.open_cycles

    def show(self) -> None:
        self.outputs = self.role.outputs(self.now)
        if not self.alone:
            self.due = self.seats.published(self.outputs)

    def _do(self, acts: Iterable[Act]) -> None:
        for act in acts:
            match act:
                case Pass(command):
                    self._take(self.role.command(command, self.now))
                case Told(state, _):
                    if state is LinkState.UP:
                        self.role.resync(self.now)
                    self.lost = state is LinkState.DOWN
                case Handover():
                    self._handover(act)
                case Turned():
                    self.turned.append(act)
            self.show()

    def _handover(self, act: Handover) -> None:
        assert isinstance(self.role, SharedRole)
        assert not self.role.commands.executing
        self.handovers.append(act)
        self.driver, self.turn, self.lost = act.seat, len(self.handovers), act.lost
        self._take(self.role.handover(act.seat, act.absence, self.now))

    def _take(self, actions: list[hs.Action]) -> None:
        self.actions += actions
        for action in actions:
            if isinstance(action, hs.Accepted):
                assert self._in_command in (None, self.driver), "a trigger of one who does not drive was accepted"
                turn = 0 if self.driver is PLC else self.turn
                self.asked[action.cycle] = Asked(action, self.driver, turn)
            elif isinstance(action, hs.Execute):
                self.wishes.append(action)


def bit(outputs: Outputs, which: StatusBit) -> bool:
    return bool(outputs.status.bits & which)


def valid(outputs: Outputs) -> bool:
    return bit(outputs, StatusBit.RESULT_VALID)
