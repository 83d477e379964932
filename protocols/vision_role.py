"""The gateway's side of the trigger cycle: given commands and `now`, it says what to do and what to show. Pure."""

from __future__ import annotations

from dataclasses import replace

from protocols import handshake as hs
from protocols.commands import CommandChannel
from protocols.conditions import Conditions
from protocols.faults import Code, FaultClass
from protocols.handshake import CycleSettings, Last, Style, TriggerPhase, VisionState
from protocols.heartbeat import HeartbeatMonitor
from protocols.open_cycles import OpenCycles
from protocols.results import ResultQueue
from protocols.signals import (
    NO_RESULT,
    UINT_MAX,
    Command,
    CommandCode,
    Control,
    Outputs,
    Result,
    Status,
    next_seq,
)

# Plain ints: arithmetic on IntFlag members costs a microsecond each, and this is the scan.
_ENABLE, _TRIGGER, _RESULT_ACK, _EXECUTE, _CLEAR_FAULT, _ABORT = (int(bit) for bit in Control)


class VisionRole:
    """One station's cycle. Every accepted trigger ends in exactly one `finish`; `now` is monotonic seconds."""

    def __init__(self, settings: CycleSettings, *, boot_id: int = 1) -> None:
        self.settings = settings
        self.results = ResultQueue(settings)
        self.commands = CommandChannel(settings.command_timeout)
        self.monitor = HeartbeatMonitor(settings.plc_heartbeat_timeout, required=settings.plc_heartbeat_required)
        self.boot_id = boot_id
        self.config_crc = self.recipe_active = self.missed = self.heartbeat = 0
        self.simulated = False
        self.conditions = Conditions()
        self.newest_result_seq = self._result_seq = 0
        self._last: Last | None = None
        self._unseen = False
        """TRIGGER_SEQ_ACK is of the run before: what the PLC asks for now has not been looked at."""
        self._bit_count = 0
        self._online = True
        self._stopped = False
        self._enabled = settings.always_enabled
        self._before: Command | None = None
        self._baseline_code = Code.RESTARTED
        self._open = OpenCycles(overlap=settings.overlap)
        self._cycle = 0
        self._accepted_at: float | None = None
        self._trigger_phase = TriggerPhase.IDLE
        self._trigger_seq_ack = 0
        self._trigger_refused = Code.NONE
        self._missed_bit = self._overrun = self._exposure_done = False
        self._deferred: tuple[int, int] | None = None
        self._settled = 0.0
        self._settling = self._forgotten = False
        self._zeros = False
        """All words were zero, and Enable has not been 1 since: no PLC has seen Ready meanwhile."""

    # ------------------------------------------------------------ inputs

    def command(self, command: Command, now: float) -> list[hs.Action]:
        """Take one moment of the command block: edges and changed numbers act, repeated writes do nothing."""
        actions: list[hs.Action] = []
        before, self._before = self._before, command
        self.monitor.see(command.plc_heartbeat, now)
        self._watch(now, actions)
        if before is None:
            self._settled = now + self.settings.settle
        self._settling = now < self._settled
        if before is None or (self._settling and command != before):
            self._baseline(command, now, actions)
        elif command != before:
            if command.blank:
                self._forget(now, actions)
            self._edges(before, command, now, actions)
        self._next_command(now, actions)
        self._watch(now, actions)
        return actions

    def tick(self, now: float) -> list[hs.Action]:
        """Let time pass: deadlines, the PLC's heartbeat, the ack and command time-outs."""
        actions: list[hs.Action] = []
        self._open.expire(now, actions)
        self._settling = self._before is not None and now < self._settled
        if self.commands.expire(now):
            actions.append(hs.Commanded(*self.commands.what, Code.COMMAND_TIMEOUT))
        self._next_command(now, actions)
        self._watch(now, actions)
        return actions

    def beat(self) -> None:
        """One heartbeat of our own: call it from the control loop itself, nowhere else."""
        self.heartbeat = (self.heartbeat + 1) & UINT_MAX

    def resync(self, now: float) -> None:
        """The link came (back): the next command is a baseline; a number changed meanwhile is refused, not taken."""
        if self._before is not None:
            self._baseline_code = Code.LINK_LOST
        self._before = None
        self.monitor.reset(now)

    def trigger(self, call: hs.OwnTrigger, now: float) -> list[hs.Action]:
        """A trigger that is not the PLC's: the same rules, but TRIGGER_SEQ_ACK and TRIGGER_REFUSED stay the PLC's."""
        actions: list[hs.Action] = []
        refused, count = self._trigger_refused, next_seq(self._bit_count)
        if call.code is not Code.NONE:
            self.missed = min(self.missed + call.times - 1, UINT_MAX)
            self._refuse(count, call.code, actions)
        elif self._take(count, None, Command(part_id=call.part_id, serial=call.serial), now, actions):
            self._bit_count = count
        self._trigger_refused = refused
        self._watch(now, actions)
        return actions

    def exposed(self, cycle: int) -> None:
        """The frame of this cycle is taken: the part may move."""
        if self._open.exposed(cycle):
            self._exposure_done = True

    def reserve_seq(self) -> int:
        """The number of the next result; each reserved number must be shown by `finish` or `offer`."""
        self._result_seq = next_seq(self._result_seq)
        if self._before is not None and self._result_seq == self._before.result_ack_seq:
            # It stands in RESULT_ACK_SEQ already (our history was removed, say): no change could acknowledge it.
            self._result_seq = next_seq(self._result_seq)
        return self._result_seq

    def finish(self, cycle: int, result: Result, now: float) -> list[hs.Action]:
        """Show the outcome of an open cycle; a cycle already finished is left as it is."""
        if not self._open.end(cycle):
            return []
        if self._last is not None and self._last.cycle == cycle:
            self._last = replace(self._last, result=result)
            self._drop_forgotten()
        actions = self.offer(result, now)
        if not self._open and self._deferred is not None:
            token, param = self._deferred
            self._deferred = None
            actions.append(hs.Execute(token, param))
        return actions

    def offer(self, result: Result, now: float) -> list[hs.Action]:
        """Queue a result for the PLC, newest last."""
        self.newest_result_seq = result.result_seq
        return self._queue(result, now)

    def condition(self, code: Code, active: bool) -> bool:
        """A fault or degradation of the station began or ended; True when that is news."""
        return self.conditions.set(code, active)

    def restore(self, result_seq: int, last: Last | None) -> None:
        """Continue the numbers of the run before; `last` answers a repeat of its trigger."""
        self._result_seq = self.newest_result_seq = result_seq
        self._last = last
        if last is not None:  # a PLC that starts anew counts on from here, and so asks for no old outcome
            self._trigger_seq_ack, self._unseen = last.trigger_seq, True

    def command_finished(self, token: int, code: Code) -> bool:
        """The answer to Execute; False when it came too late."""
        return self.commands.finish(token, code)

    def stop(self) -> None:
        """Ready off for good; open cycles may still finish."""
        self.condition(Code.STOPPING, True)

    def invalidate(self) -> None:
        """The last outputs before the end: nothing valid, no result, not online."""
        self._stopped = True
        self.results.block = NO_RESULT

    # ------------------------------------------------------------ views

    @property
    def state(self) -> VisionState:
        """The first row of `handshake.VISION` that holds."""
        if not self._online or self._stopped or self.conditions.holds(Code.STOPPING):
            return VisionState.OFFLINE
        if self.conditions.first(FaultClass.FAULT) is not Code.NONE:
            return VisionState.FAULT
        if self._open.busy:
            return VisionState.BUSY
        return VisionState.READY if self._enabled else VisionState.DISABLED

    @property
    def open_cycles(self) -> tuple[int, ...]:
        return self._open.numbers

    def not_ready_reason(self) -> Code:
        """Why Ready is low, NONE when it is high."""
        reason = self._reason()
        held = reason is Code.NONE and self._trigger_phase is TriggerPhase.HELD
        return Code.OUT_OF_ORDER if held else reason

    def outputs(self, now: float) -> Outputs:
        """What the PLC is shown at this moment."""
        return Outputs(self._status(now), self.results.block)

    def deadline(self, now: float) -> float | None:
        """When `tick` or `outputs` next has something to do."""
        times = self._open.deadlines()
        times += [self._settled] if self._settling else []
        times += [t for t in (self.results.valid_at, self.results.ack_due) if t is not None and now < t]
        beat = None if self.conditions.holds(Code.PLC_HEARTBEAT_LOST) else self.monitor.deadline()
        times += [t for t in (self.commands.deadline(), beat) if t is not None]
        return min(times, default=None)

    # ------------------------------------------------------------ commands of the PLC

    def _baseline(self, c: Command, now: float, actions: list[hs.Action]) -> None:
        """The first sight of a PLC: levels count, edges do not; its open request is answered, never taken anew."""
        if c.blank:
            self._forget(now, actions)
        self.commands.seen = c.command_seq
        self._enabled = self.settings.always_enabled or bool(c.control & _ENABLE)
        if self._zeros and not c.blank:
            self._forgotten = self._forgotten and not self._stands_again(c)
        self._zeros = self._zeros and c.blank and not self._enabled
        self._drop_forgotten()
        self._trigger_phase = TriggerPhase.HELD if c.control & _TRIGGER else TriggerPhase.IDLE
        if self.results.ack_seq(c.result_ack_seq, now):
            actions.append(hs.Acknowledged(c.result_ack_seq))
        if c.control & _RESULT_ACK:
            self.results.hold()
        else:
            self.results.ack_fall(now)
        known = c.trigger_seq == self._trigger_seq_ack and not self._unseen
        self._unseen = self._unseen and not c.trigger_seq
        if not c.trigger_seq or (known and self._trigger_refused is not self._baseline_code):
            return
        if self._is_repeat(c.trigger_seq, c):
            self._repeat(c, now, actions, first_sight=True)
        elif not known and self._trigger_phase is not TriggerPhase.HELD:
            self._trigger_seq_ack, self._trigger_refused = c.trigger_seq, self._baseline_code
            actions.append(hs.Refused(c.trigger_seq, self._baseline_code))

    def _edges(self, b: Command, c: Command, now: float, actions: list[hs.Action]) -> None:
        rise, fall = c.control & ~b.control, b.control & ~c.control
        self._enable(self.settings.always_enabled or bool(c.control & _ENABLE), actions)
        if rise & _CLEAR_FAULT:
            self._overrun = self._missed_bit = False
            self.conditions.clear()
            actions.append(hs.Cleared())
        self._acks(b, c, rise, fall, now, actions)
        if rise & _ABORT:
            self._open.abort(Code.ABORTED, actions)
        self._execute_bit(c, rise, fall, now, actions)
        if fall & _TRIGGER:
            self._trigger_phase = TriggerPhase.IDLE
        if c.trigger_seq not in (0, b.trigger_seq):
            self._sequence_trigger(b, c, now, actions)
        elif rise & _TRIGGER:
            self._bit_trigger(c, now, actions)
        elif b.trigger_seq == UINT_MAX and c.trigger_seq == 0 and self._enabled:
            # A counter that wraps to 0 asks for a part that would silently be missed: say no aloud.
            self._trigger_seq_ack = 0
            self._refuse(0, Code.OUT_OF_ORDER, actions)
        self._zeros = self._zeros and not self._enabled
        self._drop_forgotten()

    def _enable(self, enabled: bool, actions: list[hs.Action]) -> None:
        if self._enabled and not enabled and self.settings.fault_on_disable:
            self._open.abort(Code.OUT_OF_ORDER, actions)
        self._enabled = enabled

    def _acks(self, b: Command, c: Command, rise: int, fall: int, now: float, actions: list[hs.Action]) -> None:
        by_seq = c.result_ack_seq not in (0, b.result_ack_seq)
        if by_seq:
            known = self.results.ack_seq(c.result_ack_seq, now)
            actions.append(hs.Acknowledged(c.result_ack_seq) if known else hs.AckIgnored(c.result_ack_seq))
        if rise & _RESULT_ACK:
            shown = self.results.shown
            if by_seq or not self._valid(now):
                self.results.hold()  # the edge means a result acknowledged by number just now, or one not yet valid
                actions += [] if by_seq else [hs.AckIgnored(0)]
            elif shown is not None and self.results.ack_rise():
                actions.append(hs.Acknowledged(shown.result_seq))
        if fall & _RESULT_ACK:
            self.results.ack_fall(now)

    # ------------------------------------------------------------ triggers

    def _sequence_trigger(self, b: Command, c: Command, now: float, actions: list[hs.Action]) -> None:
        if self._is_repeat(seq := c.trigger_seq, c) and (not self._zeros or self._stands_again(c)):
            self._repeat(c, now, actions, first_sight=self._zeros)
        else:
            actions += hs.skipped(self._trigger_seq_ack, seq)
            self._trigger_seq_ack = seq
            self._take(seq, Style.SEQUENCE, c, now, actions)
            if c.control & _TRIGGER and not b.control & _TRIGGER:
                self._trigger_phase = TriggerPhase.ACKED

    def _bit_trigger(self, c: Command, now: float, actions: list[hs.Action]) -> None:
        self._trigger_phase = TriggerPhase.HELD
        count = next_seq(self._bit_count)
        if self._take(count, Style.BITS, c, now, actions):
            self._bit_count = count
            self._trigger_phase = TriggerPhase.ACKED

    def _take(self, seq: int, style: Style | None, c: Command, now: float, actions: list[hs.Action]) -> bool:
        foreign = self.settings.own_triggers and style is not None
        code = Code.OUT_OF_ORDER if foreign else self._refusal(now)
        if code is not Code.NONE:
            self._refuse(seq, code, actions)
            return False
        self._cycle += 1
        deadline = now + self.settings.deadline
        request = hs.Accepted(self._cycle, seq, style, c.part_id, c.serial, c.user, now, deadline)
        self._open.begin(request)
        if style is Style.SEQUENCE:
            # A bit-style count is ours, not the PLC's: a number of the PLC's that equals it is no repeat of it.
            self._last = Last(seq, c.part_id, c.serial, cycle=self._cycle)
        self._accepted_at = now
        self._trigger_refused = Code.NONE
        self._missed_bit = self._exposure_done = False
        actions.append(request)
        return True

    def _reason(self) -> Code:
        """Why the state takes no trigger, whatever the Trigger bit does."""
        state = self.state
        if state is VisionState.OFFLINE and (self._stopped or self.conditions.holds(Code.STOPPING)):
            return Code.STOPPING
        if state is VisionState.FAULT:
            return self.conditions.first(FaultClass.FAULT)
        if state in (VisionState.READY, VisionState.DISABLED) and (self.commands.executing or self._settling):
            return Code.STARTING
        return hs.REFUSAL[state]

    def _refusal(self, now: float) -> Code:
        reason, last = self._reason(), self._accepted_at
        if reason is Code.NONE and self._zeros:
            return Code.NOT_ENABLED  # it came with Enable, before Ready could be seen
        if reason is Code.NONE and last is not None and now - last < self.settings.min_trigger_interval:
            return Code.TOO_FAST
        return reason

    def _refuse(self, seq: int, code: Code, actions: list[hs.Action]) -> None:
        self.missed = min(self.missed + 1, UINT_MAX)
        self._missed_bit = True
        self._trigger_refused = code
        actions.append(hs.Refused(seq, code))

    def _is_repeat(self, seq: int, c: Command) -> bool:
        last = self._last
        return last is not None and (last.trigger_seq, last.part_id, last.serial) == (seq, c.part_id, c.serial)

    def _repeat(self, c: Command, now: float, actions: list[hs.Action], *, first_sight: bool = False) -> None:
        """The same number for the same part: one inspection; its outcome is shown (again)."""
        self._trigger_seq_ack = c.trigger_seq
        self._forgotten = False
        result = self._last.result if self._last is not None else None
        if result is None:
            self._trigger_refused = Code.NONE
            return
        self._trigger_refused = Code.REPEATED_SEQ
        actions.append(hs.Refused(c.trigger_seq, Code.REPEATED_SEQ, repeated=True))
        taken = c.result_ack_seq == result.result_seq
        if not self.results.holds(result.result_seq) and not (taken and first_sight):
            actions += self._queue(result, now, taken=taken)

    def _stands_again(self, c: Command) -> bool:
        """After zeros: this is the block of before, whose outcome the PLC has taken, or is shown, or will be."""
        if self._last is None or not self._is_repeat(c.trigger_seq, c):
            return False
        result = self._last.result
        if result is None:
            return True
        return self._enabled and (c.result_ack_seq == result.result_seq or self.results.holds(result.result_seq))

    def _forget(self, now: float, actions: list[hs.Action]) -> None:
        """The PLC started anew: its numbers begin again, so an old number is a new part once the open one has ended.

        Or a block of words was lost, and the program behind it goes on: then the block stands again as it stood, with
        Enable and number in one, where a PLC that starts waits for Ready. So the number is kept until Enable is seen.
        """
        actions += [hs.Restarted()] if self._cycle else []
        self._forgotten = self._zeros = True
        self._trigger_seq_ack = 0
        self._trigger_refused = Code.NONE
        self.monitor.reset(now)

    def _drop_forgotten(self) -> None:
        if self._forgotten and not self._zeros and not self._open:
            self._last, self._forgotten = None, False

    # ------------------------------------------------------------ command channel

    def _execute_bit(self, c: Command, rise: int, fall: int, now: float, actions: list[hs.Action]) -> None:
        if fall & _EXECUTE:
            self.commands.execute_fell()
        if rise & _EXECUTE and c.command_seq in (0, self.commands.seen):
            if self.commands.executing:
                actions.append(hs.Commanded(c.command, c.command_param, Code.OUT_OF_ORDER))
            else:
                self._begin(None, c, now, actions)

    def _next_command(self, now: float, actions: list[hs.Action]) -> None:
        if self._before is not None and self.commands.due(self._before.command_seq):
            self._begin(self._before.command_seq, self._before, now, actions)

    def _begin(self, seq: int | None, c: Command, now: float, actions: list[hs.Action]) -> None:
        token = self.commands.begin(seq, (c.command, c.command_param), now)
        if c.command == CommandCode.ACTIVATE_RECIPE:
            self._recipe_change(token, c.command_param, actions)
        else:
            self._end_command(token, self._simple_command(c.command), actions)

    def _end_command(self, token: int, code: Code, actions: list[hs.Action]) -> None:
        self.commands.finish(token, code)
        actions.append(hs.Commanded(*self.commands.what, code))

    def _recipe_change(self, token: int, param: int, actions: list[hs.Action]) -> None:
        if not self._open:
            actions.append(hs.Execute(token, param))
        elif self.settings.defer_recipe_change:
            self._deferred = (token, param)
        else:
            self._end_command(token, Code.OUT_OF_ORDER, actions)

    def _simple_command(self, command: int) -> Code:
        if command == CommandCode.RESET_COUNTERS:
            self.missed = self.results.lost = 0
        elif command in (CommandCode.GO_OFFLINE, CommandCode.GO_ONLINE):
            self._online = command == CommandCode.GO_ONLINE
        else:
            return Code.UNKNOWN_RECIPE
        return Code.NONE

    # ------------------------------------------------------------ inside

    def _queue(self, result: Result, now: float, *, taken: bool = False) -> list[hs.Action]:
        dropped = self.results.offer(result, now, taken=taken)
        if dropped is None:
            return []
        self._overrun = self._overrun or self.settings.queue > 0
        return [hs.Lost(dropped)]

    def _watch(self, now: float, actions: list[hs.Action]) -> None:
        lost = self.monitor.lost(now)
        if self.condition(Code.PLC_HEARTBEAT_LOST, lost):
            actions.append(hs.Changed(Code.PLC_HEARTBEAT_LOST, lost))
        due = self.results.ack_due
        late = due is not None and now >= due
        if self.condition(Code.ACK_TIMEOUT, late):
            actions.append(hs.Changed(Code.ACK_TIMEOUT, late))

    def _valid(self, now: float) -> bool:
        at = self.results.valid_at
        return not self._stopped and not self._settling and at is not None and now >= at

    def _status(self, now: float) -> Status:
        reason = self.not_ready_reason()
        return Status(
            bits=self._bits(now, reason),
            heartbeat=self.heartbeat,
            trigger_seq_ack=self._trigger_seq_ack,
            trigger_refused=int(self._trigger_refused),
            newest_result_seq=self.newest_result_seq,
            pending=self.results.pending,
            lost=self.results.lost,
            missed=self.missed,
            fault_code=self.conditions.latched,
            not_ready_reason=int(reason),
            recipe_active=self.recipe_active,
            command_seq_ack=self.commands.seq_ack,
            command_result=self.commands.result,
            config_crc=self.config_crc,
            boot_id=self.boot_id,
        )

    def _bits(self, now: float, reason: Code) -> int:
        conditions, commands = self.conditions, self.commands
        fail_safe = self._stopped or conditions.holds(Code.PLC_HEARTBEAT_LOST, Code.LINK_LOST, Code.STOPPING)
        flags = (
            self._online and not self._stopped,
            reason is Code.NONE,
            self._trigger_phase is TriggerPhase.ACKED,
            bool(self._open),
            self._exposure_done,
            self._valid(now),
            self._overrun,
            self._missed_bit,
            commands.executing,
            commands.done,
            commands.failed,
            conditions.first(FaultClass.DEGRADED) is not Code.NONE,
            conditions.fault_latched,
            self.simulated,
            fail_safe,
            self.results.toggle,
        )  # in the order of StatusBit
        return sum(1 << bit for bit, on in enumerate(flags) if on)
