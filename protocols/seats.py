"""Who drives a station, and what its own link is shown while another does: pure.

The rule. The station's link drives. Another seat may take the station only while the link's command has Enable 0 or its
PLC is gone (link down, heartbeat lost), by a command with Enable 1. It holds the station until it sends Enable 0,
leaves or dies; then the link drives again, and its next command is a baseline. Nobody is driven out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from protocols.faults import Code
from protocols.link import LinkState
from protocols.signals import NO_RESULT, Command, Control, Outputs, Status, StatusBit
from protocols.station_view import Seat

_ENABLE, _TRIGGER, _EXECUTE = int(Control.ENABLE), int(Control.TRIGGER), int(Control.EXECUTE)
_DONE, _FAILED = int(StatusBit.COMMAND_DONE), int(StatusBit.COMMAND_FAILED)
_MISSED = int(StatusBit.MISSED_TRIGGER)
_FAIL_SAFE = int(StatusBit.FAIL_SAFE)
"""The station counts its PLC as gone: no connection, or no heartbeat (a PLC that polls us has no link to go down)."""

HONEST = int(StatusBit.ONLINE | StatusBit.DEGRADED | StatusBit.FAULT | StatusBit.SIMULATED | StatusBit.FAIL_SAFE)
"""Bits of STATUS that the link is shown as they are, whoever drives."""
KEPT = int(StatusBit.OVERRUN | StatusBit.MISSED_TRIGGER | StatusBit.RESULT_TOGGLE) | _DONE | _FAILED
"""Bits of STATUS that belong to the link's own dialogue: they stay as they were when another took over."""
BY_EDGE = frozenset({Seat.VARIABLES})
"""Who must raise Enable to take the station: variables stand, and are written for other reasons than to take it."""


# ---------------------------------------------------------------- what is to be done


@dataclass(frozen=True, slots=True)
class Absence:
    """The link's own dialogue while another drives: what it asks for is refused, and stays answered afterwards."""

    bits: int = 0
    trigger_seq_ack: int = 0
    trigger_refused: int = 0
    newest_result_seq: int = 0
    lost: int = 0
    missed: int = 0
    command_seq_ack: int = 0
    command_result: int = 0


@dataclass(frozen=True, slots=True)
class Pass:
    """Give the station this command."""

    command: Command


@dataclass(frozen=True, slots=True)
class Told:
    """Tell the station that the driver's carrier went up or down."""

    state: LinkState
    reason: str


@dataclass(frozen=True, slots=True)
class Handover:
    """Another one drives from now on; `lost`: it is the link, and that is down. `absence`: what the link missed."""

    seat: Seat
    lost: bool
    reason: str
    absence: Absence | None = None


@dataclass(frozen=True, slots=True)
class Turned:
    """Somebody who does not drive asked for something: the station itself (None), or a trigger or command."""

    seat: Seat
    code: Code
    trigger_seq: int | None = None


Act = Pass | Told | Handover | Turned


class Seats:
    """One station's seats. With nobody but the link all commands pass, and `link_view` is what was published.

    `executing`: whether a command of the driver's (a recipe change) is being carried out at this moment.
    """

    def __init__(self, executing: Callable[[], bool] = lambda: False) -> None:
        self.driver = Seat.LINK
        self._executing = executing
        self.command_seen = Command()
        """What the driver has sent last."""
        self.link_view = Outputs()
        """What the station's own link is shown."""
        self._outputs: Outputs | None = None
        self._open = False
        self._states: dict[Seat, LinkState] = {}
        self._before: dict[Seat, Command] = {}
        self._baseline: Command | None = None
        """The link's newest command since it came up."""
        self._absence = Absence()
        self._leaving = ""
        """Why the driver goes, as soon as its command has ended."""

    def open(self) -> None:
        """The station knows where its last run ended: from now on it can be taken."""
        self._open = True

    # Each act is to be carried out before the next one is asked for: who drives changes with the act that says so.

    def command(self, seat: Seat, command: Command) -> Iterator[Act]:
        """A command block of this seat."""
        before = self._before.get(seat)
        self._before[seat] = command
        if seat is Seat.LINK:
            self._baseline = command
            yield from self._pass(command) if self.driver is seat else self._refused(seat, before, command)
        elif self._states.get(seat) is LinkState.DOWN or (self.driver is seat and self._leaving):
            return
        elif self.driver is seat:
            yield from self._pass(command)
            if not command.control & _ENABLE:
                yield from self._leave(f"{seat.name} gave it up")
        else:
            yield from self._claimed(seat, before, command)

    def link_changed(self, seat: Seat, state: LinkState, reason: str) -> Iterator[Act]:
        """The carrier of this seat went up or down."""
        self._states[seat] = state
        if seat is Seat.LINK:
            self._baseline = None
        else:
            self._before.pop(seat, None)
        if self.driver is not seat or self._leaving:
            return
        if seat is Seat.LINK or state is LinkState.UP:
            yield Told(state, reason)
        else:
            yield from self._leave(reason)

    def published(self, outputs: Outputs) -> bool:
        """The station shows this to its driver; True: call `settle` as soon as the station is at rest."""
        self._outputs = outputs
        self.link_view = outputs if self.driver is Seat.LINK else self._masked(outputs)
        return bool(self._leaving) and not self._executing()

    def settle(self) -> Iterator[Act]:
        """Let a driver go whose command has ended."""
        if self._leaving and not self._executing():
            yield from self._release()

    # ------------------------------------------------------------ taking and leaving

    def _claimed(self, seat: Seat, before: Command | None, command: Command) -> Iterator[Act]:
        raised = before is None or not before.control & _ENABLE
        if not command.control & _ENABLE or not (raised or seat not in BY_EDGE):
            yield from self._refused(seat, before, command)
            return
        code = self._taken()
        if code is not Code.NONE:
            yield from [Turned(seat, code)] if raised else self._refused(seat, before, command)
            return
        self.driver = seat
        self._absence = _absence(self.link_view.status)
        yield Handover(seat, False, f"{seat.name} enabled the station")
        yield from self._pass(command)

    def _taken(self) -> Code:
        """Why nobody can take the station now; NONE when it is free."""
        if not self._open or self._outputs is None:
            return Code.STARTING
        if self._outputs.status.not_ready_reason == Code.STOPPING:
            return Code.STOPPING
        link = self._before.get(Seat.LINK)
        gone = self._states.get(Seat.LINK) is LinkState.DOWN or bool(self._outputs.status.bits & _FAIL_SAFE)
        wanted = link is not None and bool(link.control & _ENABLE) and not gone
        taken = self.driver is not Seat.LINK or wanted or self._executing()
        return Code.DRIVEN_BY_OTHER if taken else Code.NONE

    def _leave(self, reason: str) -> Iterator[Act]:
        """Its recipe change is ended first: its answer is not for the next one."""
        self._leaving = reason
        yield from self.settle()

    def _release(self) -> Iterator[Act]:
        reason, self._leaving = self._leaving, ""
        self.driver = Seat.LINK
        self.command_seen = Command()
        lost = self._states.get(Seat.LINK) is LinkState.DOWN
        yield Handover(Seat.LINK, lost, reason, self._absence)
        if self._baseline is not None:
            yield from self._pass(self._baseline)

    def _pass(self, command: Command) -> Iterator[Act]:
        self.command_seen = command
        yield Pass(command)

    # ------------------------------------------------------------ those who do not drive

    def _refused(self, seat: Seat, before: Command | None, c: Command) -> Iterator[Act]:
        """What one who does not drive asks for; the link sees the refusal in its outputs."""
        if before is None:
            return
        rise, fall = c.control & ~before.control, before.control & ~c.control
        asked = self._absence
        if c.trigger_seq not in (0, before.trigger_seq) or rise & _TRIGGER:
            seq = c.trigger_seq if c.trigger_seq not in (0, before.trigger_seq) else asked.trigger_seq_ack
            missed = min(asked.missed + 1, 0xFFFF)
            bits, code = asked.bits | _MISSED, int(Code.DRIVEN_BY_OTHER)
            asked = replace(asked, bits=bits, trigger_seq_ack=seq, trigger_refused=code, missed=missed)
            yield Turned(seat, Code.DRIVEN_BY_OTHER, seq)
        by_seq = c.command_seq not in (0, before.command_seq)
        if by_seq or rise & _EXECUTE:
            bits, seq = asked.bits & ~_DONE | _FAILED, c.command_seq if by_seq else asked.command_seq_ack
            asked = replace(asked, bits=bits, command_seq_ack=seq, command_result=int(Code.DRIVEN_BY_OTHER))
            yield Turned(seat, Code.DRIVEN_BY_OTHER)
        elif fall & _EXECUTE:
            asked = replace(asked, bits=asked.bits & ~(_DONE | _FAILED), command_result=0)
        if seat is Seat.LINK and asked is not self._absence:
            self._absence = asked
            if self._outputs is not None:
                self.link_view = self._masked(self._outputs)

    def _masked(self, outputs: Outputs) -> Outputs:
        """Nothing to take and nothing to ask for, but what is true of the station whoever drives."""
        true, own = outputs.status, self._absence
        stopping = true.not_ready_reason == Code.STOPPING
        status = Status(
            bits=true.bits & HONEST | own.bits,
            heartbeat=true.heartbeat,
            trigger_seq_ack=own.trigger_seq_ack,
            trigger_refused=own.trigger_refused,
            newest_result_seq=own.newest_result_seq,
            pending=0,
            lost=own.lost,
            missed=own.missed,
            fault_code=true.fault_code,
            not_ready_reason=int(Code.STOPPING if stopping else Code.DRIVEN_BY_OTHER),
            recipe_active=true.recipe_active,
            command_seq_ack=own.command_seq_ack,
            command_result=own.command_result,
            config_crc=true.config_crc,
            boot_id=true.boot_id,
            map_version=true.map_version,
        )
        return Outputs(status, NO_RESULT)


def _absence(shown: Status) -> Absence:
    """As the link's dialogue stands when it is left alone."""
    return Absence(
        shown.bits & KEPT,
        shown.trigger_seq_ack,
        shown.trigger_refused,
        shown.newest_result_seq,
        shown.lost,
        shown.missed,
        shown.command_seq_ack,
        shown.command_result,
    )
