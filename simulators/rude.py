"""A PLC that misbehaves, by switches that combine: the mistakes that PLC programs are known to make.

`RudeRole` bends the tables of `protocols.plc_role` (a guard ignored, an action spoilt) and what is written to the wire.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from protocols.handshake import PlcMove, PlcState, Style
from protocols.plc_role import Outcome, PlcRole
from protocols.signals import UINT_MAX, Command, Control, Judgement, Outputs, StatusBit, next_seq

PHANTOM = 0x8000_0000
"""Set in the part of a trigger that the PLC should not have sent: its result can never pass for the real part's."""
_BEATS_FIRST = 5
"""A heartbeat that never moved is not supervised: it has to move before it sticks."""


@dataclass(frozen=True, slots=True)
class Rude:
    """What this PLC does wrong; the default is nothing."""

    hold_trigger: float = 0.0
    """Seconds that Trigger stays 1 after it should have fallen."""
    early_ack: bool = False
    """Acknowledges together with the trigger, and takes it back at once."""
    power_cycle: int = 0
    """Every so many parts the power fails in mid-handshake: all words zero, everything forgotten."""
    power_off: float = 0.05
    early_trigger: bool = False
    """Triggers without looking at Ready, and once more while Busy."""
    storm: int = 0
    """Further triggers at every scan while a part is being inspected."""
    wrong_ack: int = 0
    """Scans for which another number is acknowledged before the right one."""
    never_ack: bool = False
    heartbeat: int | None = None
    """The value at which PLC_HEARTBEAT sticks."""
    duplicate: bool = False
    """Sends each number a second time, for the same part, after its result was taken."""
    skip: int = 0
    """Numbers left out before each trigger."""
    first_seq: int = 0
    """TRIGGER_SEQ at the start."""


class Switch(NamedTuple):
    """One named kind of rudeness, and the styles in which it means anything."""

    fields: dict[str, int | float | bool]
    styles: frozenset[Style]
    text: str


_BOTH, _SEQUENCE, _BITS = frozenset(Style), frozenset({Style.SEQUENCE}), frozenset({Style.BITS})

SWITCHES: dict[str, Switch] = {
    "late-drop": Switch({"hold_trigger": 0.15}, _BITS, "hold Trigger for 150 ms after it should have fallen"),
    "early-ack": Switch({"early_ack": True}, _BOTH, "acknowledge before the result is there"),
    "power-cycle": Switch({"power_cycle": 5}, _BOTH, "lose power in mid-handshake at every 5th part: all words zero"),
    "early-trigger": Switch({"early_trigger": True}, _BOTH, "trigger without Ready, and again while Busy"),
    "storm": Switch({"storm": 1}, _BOTH, "a further trigger at every scan while Busy"),
    "burst": Switch({"storm": 20}, _BOTH, "twenty further triggers at every scan while Busy (2 kHz at 10 ms)"),
    "wrong-ack": Switch({"wrong_ack": 3}, _SEQUENCE, "acknowledge a wrong number three times, then the right one"),
    "never-ack": Switch({"never_ack": True}, _BOTH, "never acknowledge a result"),
    "heartbeat-high": Switch({"heartbeat": UINT_MAX}, _BOTH, "the PLC's heartbeat sticks at 65535 after 5 beats"),
    "heartbeat-low": Switch({"heartbeat": 0}, _BOTH, "the PLC's heartbeat sticks at 0 after 5 beats"),
    "duplicate": Switch({"duplicate": True}, _SEQUENCE, "send each trigger number twice for the same part"),
    "skip": Switch({"skip": 3}, _SEQUENCE, "leave out three trigger numbers before each part"),
    "wrap": Switch({"first_seq": UINT_MAX - 3}, _SEQUENCE, "begin at 65532, so that the numbers soon wrap to 1"),
}


def named(names: Iterable[str], style: Style) -> Rude:
    """The switches of these names together; ValueError with a sentence for an unknown or meaningless one."""
    rude = Rude()
    for name in names:
        switch = SWITCHES.get(name)
        if switch is None:
            raise ValueError(f"no rudeness is called {name}; there are {', '.join(SWITCHES)}")
        if style not in switch.styles:
            raise ValueError(f"{name} means nothing in {style.value} style")
        rude = replace(rude, **switch.fields)  # type: ignore[arg-type]
    return rude


class RudeRole(PlcRole):
    """The PLC's side of the cycle with manners as told; `Rude()` makes it exactly a PlcRole."""

    def __init__(
        self,
        style: Style = Style.SEQUENCE,
        rude: Rude | None = None,
        *,
        timeout: float = 2.0,
        heartbeat: float = 0.2,
        vision_timeout: float = 0.6,
    ) -> None:
        self.rude: Final = rude or Rude()
        self._manners = {"timeout": timeout, "heartbeat": heartbeat, "vision_timeout": vision_timeout}
        self.power_cycles = 0
        self._requests = 0
        super().__init__(style, timeout=timeout, heartbeat=heartbeat, vision_timeout=vision_timeout)
        self._start()
        self.write(trigger_seq=self.rude.first_seq)
        self.wire = Command(trigger_seq=self.rude.first_seq)  # a retained counter stands there from the first moment

    def _start(self) -> None:
        """What the rudeness remembers, as after power-up."""
        self._off_until = 0.0
        self._age: int | None = None
        self._phantom_sent = False
        self._storming = False
        self.wire = Command()
        """What was written last."""
        self._trigger_fell: float | None = None
        self._ack_age = 0
        self._beats = 0
        self._replay: Generator[Command, Outputs, None] | None = None

    @property
    def _inspecting(self) -> bool:
        return self.state in (PlcState.REQUESTED, PlcState.RUNNING)

    # ------------------------------------------------------------ one scan

    def writes(self, outputs: Outputs, now: float) -> list[Command]:
        """One PLC scan; the command blocks to write, in this order (one, unless it is rude)."""
        if self._power_fails(now):
            self.wire = Command()
            return [self.wire]
        commands = self._scan(outputs, now)
        commands = [self._bend_lasting(command, now) for command in commands]
        self.wire = commands[-1]
        return commands

    def _scan(self, outputs: Outputs, now: float) -> list[Command]:
        if self._replay is not None:
            self._watch(outputs, now)
            try:
                return [replace(self._replay.send(outputs), plc_heartbeat=self._command.plc_heartbeat)]
            except StopIteration:
                self._replay = None
        busy, acknowledged = self.busy, self._command.result_ack_seq
        command = self.scan(outputs, now)
        self._ack_age = 0 if self._command.result_ack_seq != acknowledged else self._ack_age + 1
        self._age = (0 if self._age is None else self._age + 1) if self._inspecting else None
        self._phantom_sent = self._phantom_sent and self._inspecting
        if busy and not self.busy and self._may_repeat(command):
            self._replay = self._repeat(command)
            next(self._replay)
        return self._bend_running(command, outputs)

    def _power_fails(self, now: float) -> bool:
        every = self.rude.power_cycle
        if every and self._inspecting and self._age is not None and self._requests % every == 0:
            part_id = self._asked[0] if self._asked else 0
            super().__init__(self.style, **self._manners)
            self._start()
            self.power_cycles += 1
            self.outcome = Outcome(part_id, Judgement.FAULT, 0, failure="the PLC lost its power")
            self._off_until = now + self.rude.power_off
        return now < self._off_until

    # ------------------------------------------------------------ the tables, bent

    def _holds(self, move: PlcMove, outputs: Outputs, now: float) -> bool:
        if self.rude.early_trigger and move.guard == "requested_and_ready":
            return self._asked is not None
        if self.rude.early_trigger and move.guard == "requested_and_ready_for_bits":
            return self._asked is not None and not self._acking and not outputs.status.bits & StatusBit.TRIGGER_ACK
        return super()._holds(move, outputs, now)

    def _act(self, move: PlcMove, outputs: Outputs) -> None:
        super()._act(move, outputs)
        if move.action in ("write_trigger_seq", "raise_trigger"):
            self._requests += 1
        if move.action == "write_trigger_seq":
            seq = self._command.trigger_seq
            for _ in range(self.rude.skip):
                seq = next_seq(seq)
            self._command = replace(self._command, trigger_seq=seq)

    # ------------------------------------------------------------ what goes wrong while a part is inspected

    def _bend_running(self, command: Command, outputs: Outputs) -> list[Command]:
        if not self._inspecting:
            return [self._end_storm(command)]
        age = self._age or 0
        if self.rude.early_ack and age == 0:
            return [self._acknowledge_early(command, outputs), command]
        if not outputs.status.bits & StatusBit.BUSY:
            return [command]
        if self.rude.storm and age >= 1:
            return self._storm(command)
        if self.rude.early_trigger and self._phantom_is_due(age):
            self._phantom_sent = True
            return [self._phantom(command, command.trigger_seq, 100), command]
        return [command]

    def _acknowledge_early(self, command: Command, outputs: Outputs) -> Command:
        if self.style is Style.BITS:
            return replace(command, control=command.control | Control.RESULT_ACK)
        return replace(command, result_ack_seq=next_seq(outputs.status.newest_result_seq))

    def _phantom_is_due(self, age: int) -> bool:
        """Once a part; in bit style behind a scan in which Trigger was 0 on the wire, so that it rises."""
        low = self.style is Style.SEQUENCE or not (self.wire.control | self._command.control) & Control.TRIGGER
        return age >= 1 and low and not self._phantom_sent

    def _phantom(self, command: Command, seq: int, step: int) -> Command:
        part_id = command.part_id ^ PHANTOM
        if self.style is Style.BITS:
            return replace(command, part_id=part_id, control=command.control | Control.TRIGGER)
        return replace(command, part_id=part_id, trigger_seq=(seq - 1 + step) % UINT_MAX + 1)

    def _storm(self, command: Command) -> list[Command]:
        if self.style is Style.BITS:
            if self.state is not PlcState.RUNNING:
                return [command]
            return [self._phantom(command, 0, 0), command] * self.rude.storm
        seq = self.wire.trigger_seq if self._storming else command.trigger_seq
        self._storming = True
        return [self._phantom(command, seq, n) for n in range(1, self.rude.storm + 1)]

    def _end_storm(self, command: Command) -> Command:
        """Go on from the last number sent: going back to the part's own one would ask for it a second time."""
        if self._storming:
            self._storming = False
            self.write(trigger_seq=self.wire.trigger_seq)
            command = self._command
        return command

    def _may_repeat(self, command: Command) -> bool:
        # From 65535 to 0 is what a counter without wrap does: the gateway says no to that, it is another mistake.
        known = self.outcome is not None and self.outcome.result is not None
        return self.rude.duplicate and known and command.trigger_seq not in (0, UINT_MAX)

    def _repeat(self, command: Command) -> Generator[Command, Outputs, None]:
        """The same number again for the same part, and its result acknowledged again."""
        outputs = yield command
        for _ in range(2):
            outputs = yield replace(command, trigger_seq=0, result_ack_seq=0)
        for _ in range(50):
            shown = outputs.status.bits & StatusBit.RESULT_VALID
            if shown and outputs.result.trigger_seq == command.trigger_seq:
                yield replace(command, result_ack_seq=outputs.result.result_seq)
                return
            outputs = yield replace(command, result_ack_seq=0)

    # ------------------------------------------------------------ what goes wrong all the time

    def _bend_lasting(self, command: Command, now: float) -> Command:
        rude = self.rude
        if rude.hold_trigger:
            command = self._held_trigger(command, now)
        if rude.wrong_ack and command.result_ack_seq and self._ack_age < rude.wrong_ack:
            command = replace(command, result_ack_seq=(command.result_ack_seq + 6) % UINT_MAX + 1)
        if rude.never_ack:
            command = replace(command, result_ack_seq=0, control=command.control & ~Control.RESULT_ACK)
        if rude.heartbeat is not None:
            self._beats += command.plc_heartbeat != self.wire.plc_heartbeat and self._beats < _BEATS_FIRST
            if self._beats >= _BEATS_FIRST:
                command = replace(command, plc_heartbeat=rude.heartbeat)
        return command

    def _held_trigger(self, command: Command, now: float) -> Command:
        if command.control & Control.TRIGGER or not self.wire.control & Control.TRIGGER:
            self._trigger_fell = None
            return command
        if self._trigger_fell is None:
            self._trigger_fell = now
        if now - self._trigger_fell >= self.rude.hold_trigger:
            return command
        return replace(command, control=command.control | Control.TRIGGER)
