"""The PLC's side of the contract as the methods of OPC 40100-1 need it: a seat, orders, triggers, acks. Pure.

It writes one command block in sequence style, like `plc_role`, but takes the station first and gives it back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from protocols.faults import Code
from protocols.opcua.machine_vision_view import as_code
from protocols.signals import UINT_MAX, Command, CommandCode, CommandResult, Control, Outputs, StatusBit, next_seq

PULSE = 0.05
"""Seconds that an edge (ClearFault, Abort) stays high."""
BEAT = 0.2
ACK_STANDS = 0.2
"""Seconds after which an acknowledged result that is still shown is acknowledged once more."""
TASKS = 16


@dataclass(frozen=True, slots=True)
class Pulse:
    """Raise a bit of CONTROL and lower it again."""

    bit: Control


@dataclass(frozen=True, slots=True)
class Order:
    """COMMAND and COMMAND_PARAM, by COMMAND_SEQ."""

    command: CommandCode
    param: int = 0


@dataclass(frozen=True, slots=True)
class Granted:
    """The station is ours."""


@dataclass(frozen=True, slots=True)
class NotGranted:
    """Nobody gave us the station in time: it is not asked for any more."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody else has the station now, though we did not give it back."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order has ended: NONE = done."""

    order: Order
    code: Code


@dataclass(frozen=True, slots=True)
class Passed:
    """A result that nobody had acknowledged, of before we drove, was acknowledged so that ours can be shown."""

    result_seq: int


News = Granted | NotGranted | Taken | Ordered | Passed


class SeatDriver:
    """One command block and what still has to be written into it; every wish ends within its time-out."""

    def __init__(self, claim_timeout: float = 1.0, command_timeout: float = 30.0) -> None:
        self.ours = False
        """We asked for the station and have it."""
        self._told_ours = False
        self.trigger_seq = 0
        self._claim_timeout, self._command_timeout = claim_timeout, command_timeout
        self._command = Command()
        self._wanted = self._leaving = False
        self._until = 0.0
        self._tasks: deque[Pulse | Order] = deque()
        self._running: Pulse | Order | None = None
        self._running_until = 0.0
        self._trigger: tuple[int, str] | None = None
        self._beat_at = 0.0
        self._acked_at = 0.0
        self._own_triggers: deque[int] = deque(maxlen=64)
        self._out: list[Command] = []
        self._news: list[News] = []

    # ------------------------------------------------------------ wishes

    @property
    def claiming(self) -> bool:
        """Asked for, not granted yet."""
        return self._wanted and not self.ours

    @property
    def busy(self) -> bool:
        """Something asked for has not ended yet, or the station is still to be given back."""
        return bool(self._tasks) or self._running is not None or self._leaving

    @property
    def ordering(self) -> Order | None:
        """The recipe order that runs or waits, if any."""
        waiting = (self._running, *self._tasks)
        return next((t for t in waiting if isinstance(t, Order) and t.command == CommandCode.ACTIVATE_RECIPE), None)

    @property
    def waiting(self) -> bool:
        """A trigger waits for Ready."""
        return self._trigger is not None

    def claim(self, now: float) -> None:
        """Ask for the station; `Granted` or `NotGranted` follows."""
        beat = next_seq(self._command.plc_heartbeat)
        # All numbers begin anew: what we wrote when we drove last time is nothing that may be acted upon.
        self._command = Command(control=int(Control.ENABLE), plc_heartbeat=beat)
        self._own_triggers.clear()
        self._wanted, self._leaving, self.ours = True, False, False
        self._until, self._beat_at = now + self._claim_timeout, now + BEAT
        self._out.append(self._command)

    def do(self, *tasks: Pulse | Order) -> None:
        """Write these one after the other; more than 16 waiting are not taken."""
        self._tasks.extend(tasks[: TASKS - len(self._tasks)])

    def trigger(self, part_id: int, serial: str) -> None:
        """Ask for one inspection as soon as the station is Ready; replaces one that still waits."""
        self._trigger = (part_id, serial)

    def withdraw(self) -> None:
        """The trigger that still waits is not wanted any more."""
        self._trigger = None

    def release(self) -> None:
        """Give the station back when all tasks have ended."""
        self._trigger = None
        self._leaving = self._wanted
        if self._leaving and not self.ours:
            self._leave()

    # ------------------------------------------------------------ what the station says

    def driven(self, ours: bool) -> None:
        """Who drives from now on."""
        self._told_ours = ours
        if ours and self.claiming:
            self._grant()
        elif self.ours and not ours:
            lost = self._wanted
            self._drop_all()
            self.ours = False
            if lost:
                self._leave()
                self._news.append(Taken())

    def scan(self, outputs: Outputs, now: float) -> None:
        """At most one step of everything that waits; call it for all outputs, and when `deadline` has come."""
        if not self._wanted:
            return
        if not self.ours:
            if now >= self._until:
                self._claim_over()
            else:
                self._beat(now)  # asked again: the station may have been in the middle of something
            return
        self._beat(now)
        self._acknowledge(outputs, now)
        self._advance(outputs, now)
        if self._trigger is not None and outputs.status.ready and not self.busy:
            self._write_trigger(outputs)

    def deadline(self) -> float | None:
        """When `scan` has something to do though nothing was shown."""
        if not self._wanted:
            return None
        if not self.ours:
            return min(self._until, self._beat_at)
        return min(self._beat_at, self._running_until) if self._running is not None else self._beat_at

    def take_commands(self) -> list[Command]:
        """The blocks to write, in order; each but once."""
        out, self._out = self._out, []
        return out

    def take_news(self) -> list[News]:
        """What became of the wishes; each but once."""
        news, self._news = self._news, []
        return news

    # ------------------------------------------------------------ inside

    def _write(self, command: Command) -> None:
        self._command = command
        self._out.append(command)

    def _grant(self) -> None:
        self.ours = True
        # The first block after a change of drivers is a baseline: one that says nothing new must come before edges.
        self._out.append(self._command)
        self._news.append(Granted())

    def _claim_over(self) -> None:
        if self._told_ours:  # given back and asked for again too quickly for anybody to tell of it
            self._grant()
            return
        self._leave()
        self._news.append(NotGranted())

    def _leave(self) -> None:
        self._wanted = self._leaving = self.ours = False
        self._write(replace(self._command, control=0))

    def _drop_all(self) -> None:
        self._trigger = None
        dropped = (self._running, *self._tasks)
        self._running = None
        self._tasks.clear()
        self._news += [Ordered(t, Code.DRIVEN_BY_OTHER) for t in dropped if isinstance(t, Order)]

    def _beat(self, now: float) -> None:
        if now >= self._beat_at:
            self._beat_at = now + BEAT
            self._write(replace(self._command, plc_heartbeat=self._command.plc_heartbeat % UINT_MAX + 1))

    def _acknowledge(self, outputs: Outputs, now: float) -> None:
        shown = outputs.result.result_seq
        if not outputs.status.bits & StatusBit.RESULT_VALID or not shown:
            return
        if shown != self._command.result_ack_seq:
            if outputs.result.trigger_seq not in self._own_triggers:
                self._news.append(Passed(shown))
            self._acked_at = now
            self._write(replace(self._command, result_ack_seq=shown))
        elif now - self._acked_at > ACK_STANDS:
            self._acked_at = now
            self._write(replace(self._command, result_ack_seq=0))

    def _advance(self, outputs: Outputs, now: float) -> None:
        if self._running is not None and not self._ended(self._running, outputs, now):
            return
        self._running = None
        if self._tasks:
            self._begin(self._tasks.popleft(), outputs, now)
        elif self._leaving:
            self._leave()

    def _begin(self, task: Pulse | Order, outputs: Outputs, now: float) -> None:
        self._running = task
        if isinstance(task, Pulse):
            self._running_until = now + PULSE
            self._write(replace(self._command, control=self._command.control | int(task.bit)))
        else:
            self._running_until = now + self._command_timeout
            seq = next_seq(self._command.command_seq or outputs.status.command_seq_ack)
            if seq == outputs.status.command_seq_ack:
                seq = next_seq(seq)
            self._write(replace(self._command, command=int(task.command), command_param=task.param, command_seq=seq))

    def _ended(self, task: Pulse | Order, outputs: Outputs, now: float) -> bool:
        late = now >= self._running_until
        if isinstance(task, Pulse):
            if late:
                self._write(replace(self._command, control=self._command.control & ~int(task.bit)))
            return late
        status = outputs.status
        answered = status.command_seq_ack == self._command.command_seq
        if answered and status.command_result > CommandResult.RUNNING:
            done = status.command_result == CommandResult.DONE
            self._news.append(Ordered(task, Code.NONE if done else as_code(status.command_result)))
            return True
        if late:
            self._news.append(Ordered(task, Code.COMMAND_TIMEOUT))
        return late

    def _write_trigger(self, outputs: Outputs) -> None:
        part_id, serial = self._trigger or (0, "")
        self._trigger = None
        self.trigger_seq = next_seq(outputs.status.trigger_seq_ack)
        if self.trigger_seq == self._command.trigger_seq:
            self.trigger_seq = next_seq(self.trigger_seq)  # the same number would be no change
        self._own_triggers.append(self.trigger_seq)
        self._write(replace(self._command, trigger_seq=self.trigger_seq, part_id=part_id, serial=serial))
