"""The PLC's side of the trigger cycle, one scan at a time, from the same tables as the gateway's side. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from protocols.faults import Code
from protocols.handshake import PLC_BITS, PLC_SEQUENCE, PlcMove, PlcState, Style
from protocols.signals import UINT_MAX, Command, Control, Judgement, Outputs, Result, StatusBit, next_seq


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended for the PLC: a judgement with its result, or a failure with a code and a word on it."""

    part_id: int
    judgement: Judgement
    reason: int
    result: Result | None = None
    failure: str = ""

    @property
    def good(self) -> bool:
        return self.judgement is Judgement.OK


ACK_STANDS = 0.2
"""Seconds after which an acknowledged result that is still shown counts as not acknowledged."""


class PlcRole:
    """Asks for one part after the other; `scan` takes what was read and returns what to write.

    A result counts only if its trigger number and part are those asked for and the gateway's heartbeat moves.
    """

    def __init__(
        self,
        style: Style = Style.SEQUENCE,
        *,
        timeout: float = 2.0,
        heartbeat: float = 0.2,
        vision_timeout: float = 0.6,
    ) -> None:
        self.style = style
        self.timeout = timeout
        self.state = PlcState.IDLE
        self.outcome: Outcome | None = None
        self._moves: Final = PLC_SEQUENCE if style is Style.SEQUENCE else PLC_BITS
        self._command = Command(control=Control.ENABLE)
        self._heartbeat = heartbeat
        self._vision_timeout = vision_timeout
        self._beat_at: float | None = None
        self._seen_beat: tuple[int, int] | None = None
        self._seen_at = 0.0
        self._asked: tuple[int, str] | None = None
        self._until = 0.0
        self._missed = 0
        self._seen_result = 0
        self._acked_at = 0.0

    # ------------------------------------------------------------ for the machine's program

    def request(self, part_id: int, now: float, *, serial: str = "") -> None:
        """Ask for one inspection; its `outcome` follows within the time-out."""
        if self.busy:
            raise ValueError(f"part {self._asked} is still being inspected")
        self.state, self.outcome = PlcState.IDLE, None
        self._asked, self._until = (part_id, serial), now + self.timeout

    @property
    def busy(self) -> bool:
        """True from `request` until `outcome` is there and the handshake's bits are at rest."""
        return self._asked is not None

    @property
    def command(self) -> Command:
        """The command block as it stands."""
        return self._command

    def write(self, **fields: int) -> None:
        """Set other fields of the command block (COMMAND, COMMAND_SEQ, USER, …); control bits as a whole number."""
        self._command = replace(self._command, **fields)  # type: ignore[arg-type]

    def alive(self, now: float) -> bool:
        """True while the gateway's heartbeat moves."""
        return self._seen_beat is not None and now - self._seen_at <= self._vision_timeout

    def scan(self, outputs: Outputs, now: float) -> Command:
        """One PLC scan: at most one move, then the command block to write."""
        self._watch(outputs, now)
        before = self._command.result_ack_seq
        for move in self._moves:
            if move.state is self.state and self._holds(move, outputs, now):
                self._act(move, outputs)
                self.state = move.to
                break
        if self._command.result_ack_seq != before:
            self._acked_at = now
        if self.state in (PlcState.DONE, PlcState.FAILED) and self._asked is not None:
            self._asked = None
            self.state = PlcState.IDLE
        return self._command

    # ------------------------------------------------------------ inside

    def _watch(self, outputs: Outputs, now: float) -> None:
        beat = (outputs.status.heartbeat, outputs.status.boot_id)
        if beat != self._seen_beat:
            self._seen_beat, self._seen_at = beat, now
        if self._beat_at is None or now >= self._beat_at:
            self._beat_at = now + self._heartbeat
            self._command = replace(self._command, plc_heartbeat=self._command.plc_heartbeat % UINT_MAX + 1)

    def _holds(self, move: PlcMove, outputs: Outputs, now: float) -> bool:
        guard = _GUARDS[move.guard]
        return guard(self, outputs, now)

    def _act(self, move: PlcMove, outputs: Outputs) -> None:
        _ACTIONS[move.action](self, outputs)

    def _control(self, bit: Control, on: bool) -> None:
        control = self._command.control | bit if on else self._command.control & ~int(bit)  # user bits stay
        self._command = replace(self._command, control=int(control))

    def _valid(self, o: Outputs) -> bool:
        return bool(o.status.bits & StatusBit.RESULT_VALID)

    def _own(self, o: Outputs) -> bool:
        if self.state is PlcState.IDLE:
            return False  # nothing was sent: the same part again must not take its late result for the answer
        asked = self._asked
        fresh = o.result.part_id == (asked[0] if asked else -1)
        if self.style is Style.SEQUENCE:
            return fresh and o.result.trigger_seq == self._command.trigger_seq
        return fresh and o.result.result_seq != self._seen_result

    def _requested_and_ready(self, o: Outputs, now: float) -> bool:
        return self._asked is not None and o.status.ready and self.alive(now)

    @property
    def _acking(self) -> bool:
        return bool(self._command.control & Control.RESULT_ACK)

    def _ready_for_bits(self, o: Outputs, now: float) -> bool:
        at_rest = not self._acking and not self._valid(o) and not o.status.bits & StatusBit.TRIGGER_ACK
        return at_rest and self._requested_and_ready(o, now)

    def _refused(self, o: Outputs) -> bool:
        mine = o.status.trigger_seq_ack == self._command.trigger_seq
        return mine and o.status.trigger_refused not in (Code.NONE, Code.REPEATED_SEQ)

    def _write_part(self, o: Outputs) -> None:
        part_id, serial = self._asked or (0, "")
        self._missed = o.status.missed
        self._command = replace(self._command, part_id=part_id, serial=serial)

    def _write_trigger_seq(self, o: Outputs) -> None:
        self._write_part(o)
        # Never the number the gateway saw last: after our restart that would be a repeat of an old part.
        seq = next_seq(max(self._command.trigger_seq, 0) or o.status.trigger_seq_ack)
        self._command = replace(self._command, trigger_seq=seq)

    def _raise_trigger(self, o: Outputs) -> None:
        self._write_part(o)
        self._seen_result = o.result.result_seq
        self._control(Control.TRIGGER, True)

    def _take(self, o: Outputs) -> None:
        r = o.result
        known = r.judgement in (Judgement.OK, Judgement.NG, Judgement.RECHECK, Judgement.FAULT)
        judgement = Judgement(r.judgement) if known else Judgement.FAULT
        self.outcome = Outcome(r.part_id, judgement, r.reason, r)

    def _take_and_acknowledge_seq(self, o: Outputs) -> None:
        self._take(o)
        self._acknowledge_seq(o)

    def _acknowledge_seq(self, o: Outputs) -> None:
        self._command = replace(self._command, result_ack_seq=o.result.result_seq)

    def _take_and_raise_result_ack(self, o: Outputs) -> None:
        self._take(o)
        self._control(Control.RESULT_ACK, True)

    def _ack_stands(self, o: Outputs, now: float) -> bool:
        """The shown number stands in RESULT_ACK_SEQ, and the gateway waits for a change: write 0, then it again."""
        stands = self._valid(o) and o.result.result_seq == self._command.result_ack_seq
        return stands and now - self._acked_at > ACK_STANDS

    def _fail(self, reason: int, failure: str) -> None:
        part_id = self._asked[0] if self._asked else 0
        self.outcome = Outcome(part_id, Judgement.FAULT, reason, failure=failure)
        self._control(Control.TRIGGER, False)

    def _give_up(self, o: Outputs) -> None:
        reason = o.status.not_ready_reason or int(Code.DEADLINE_MISSED)
        self._fail(reason, f"no answer in state {self.state.value}")

    def _overdue(self, now: float) -> bool:
        return self._asked is not None and now >= self._until


_Guard = Callable[[PlcRole, Outputs, float], bool]
_Action = Callable[[PlcRole, Outputs], None]

_GUARDS: dict[str, _Guard] = {
    "requested_and_ready": PlcRole._requested_and_ready,
    "requested_and_ready_for_bits": PlcRole._ready_for_bits,
    "overdue": lambda plc, o, now: plc._overdue(now),
    "own_result": lambda plc, o, now: plc._valid(o) and plc._own(o),
    "foreign_result": lambda plc, o, now: (
        plc._valid(o) and not plc._own(o) and plc._command.result_ack_seq != o.result.result_seq
    ),
    "own_result_bits": lambda plc, o, now: plc._valid(o) and plc._own(o) and not plc._acking,
    "foreign_result_bits": lambda plc, o, now: plc._valid(o) and not plc._own(o) and not plc._acking,
    "ack_taken": lambda plc, o, now: plc._acking and not plc._valid(o),
    "ack_stands": PlcRole._ack_stands,
    "accepted_seq": lambda plc, o, now: o.status.trigger_seq_ack == plc._command.trigger_seq and not plc._refused(o),
    "refused_seq": lambda plc, o, now: plc._refused(o),
    "trigger_ack": lambda plc, o, now: bool(o.status.bits & StatusBit.TRIGGER_ACK),
    "refused_bit": lambda plc, o, now: o.status.missed != plc._missed,
}

_ACTIONS: dict[str, _Action] = {
    "nothing": lambda plc, o: None,
    "write_trigger_seq": PlcRole._write_trigger_seq,
    "raise_trigger": PlcRole._raise_trigger,
    "lower_trigger": lambda plc, o: plc._control(Control.TRIGGER, False),
    "take_refusal": lambda plc, o: plc._fail(o.status.trigger_refused, "trigger refused"),
    "acknowledge_seq": PlcRole._acknowledge_seq,
    "take_and_acknowledge_seq": PlcRole._take_and_acknowledge_seq,
    "clear_ack_seq": lambda plc, o: plc.write(result_ack_seq=0),
    "raise_result_ack": lambda plc, o: plc._control(Control.RESULT_ACK, True),
    "take_and_raise_result_ack": PlcRole._take_and_raise_result_ack,
    "lower_result_ack": lambda plc, o: plc._control(Control.RESULT_ACK, False),
    "give_up": PlcRole._give_up,
}
