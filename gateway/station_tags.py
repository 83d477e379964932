"""One station's tags at work: what it records, what triggers it, its lamps and gates. Callbacks of the control loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Protocol

import structlog

from gateway.reject import Gate
from gateway.tag_settings import AnswerConfig, GateConfig, LampConfig, OutputValue, StationTagsConfig, TriggerConfig
from gateway.tags import TagBook
from protocols.faults import Code
from protocols.handshake import OwnTrigger
from protocols.signals import Judgement
from protocols.tag_watch import Rule, Seen, Watch
from protocols.tags import Quality, TagValue

log = structlog.get_logger("tags")

NOT_WRITTEN = "not written yet"


class Owner(Protocol):
    """The station whose tags these are."""

    name: str

    def own_trigger(self, call: OwnTrigger) -> None:
        """A tag asks for an inspection, or tells of one that was missed."""

    def needs(self, code: Code, missing: bool) -> None:
        """Something without which the station must not be Ready is missing (3001, 3021), or is back."""


class _Lamp:
    """Shows the last verdict until the next part comes, or for `hold` seconds."""

    def __init__(self, config: LampConfig) -> None:
        self.config = config
        self._value: OutputValue = config.idle
        self._until: float | None = None

    def show(self, judgement: Judgement, now: float) -> None:
        self._value = self.config.of(judgement)
        self._until = now + self.config.hold_ms / 1000 if self.config.hold_ms else None

    def clear(self) -> None:
        self._value, self._until = self.config.idle, None

    def value(self, now: float) -> OutputValue:
        if self._until is not None and now >= self._until:
            self.clear()
        return self._value

    def due(self, now: float) -> float | None:
        return self._until

    def doubt(self) -> None:
        """What a lamp shows stays true."""


class _Gate:
    """A gate's position as a value."""

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self.parts = Gate(config.settings())

    def value(self, now: float) -> OutputValue:
        return self.config.pass_value if self.parts.open(now) else self.config.reject_value

    def doubt(self) -> None:
        self.parts.doubt()

    def due(self, now: float) -> float | None:
        return self.parts.due(now)


class _Answer:
    """Tells a waiting program which part was proved good, and which was not."""

    def __init__(self, config: AnswerConfig) -> None:
        self.config = config
        self._value = 0
        self._asked = (0, 0)
        """Cycle and number of the part that was asked for last: nobody waits for one before it any more."""

    def asked(self, cycle: int, number: int) -> None:
        self._value, self._asked = 0, (cycle, number)

    def decided(self, cycle: int, good: bool) -> None:
        if cycle == self._asked[0]:
            self._value = self._asked[1] if good else -self._asked[1]

    def refused(self, number: int) -> None:
        """Nobody looks at this part."""
        if number:
            self._value, self._asked = -number, (0, 0)

    def clear(self) -> None:
        self._value, self._asked = 0, (0, 0)

    def value(self, now: float) -> OutputValue:
        return self._value

    def due(self, now: float) -> float | None:
        return None

    def doubt(self) -> None:
        """The answer names its part: what became of others changes nothing."""


_Output = _Lamp | _Gate | _Answer


class StationTags:
    """See `gateway.equipment.Equipment`. Registers itself with the book; begins to write with `start`."""

    def __init__(self, config: StationTagsConfig, book: TagBook, owner: Owner) -> None:
        self._record, self._book, self._owner = config.record, book, owner
        self._clock = book.clock
        self._lamps = [_Lamp(output) for output in config.outputs if isinstance(output, LampConfig)]
        self._gates = [_Gate(output) for output in config.outputs if isinstance(output, GateConfig)]
        self._answers = [_Answer(output) for output in config.outputs if isinstance(output, AnswerConfig)]
        self._outputs: list[_Output] = [*self._gates, *self._answers, *self._lamps]
        self._asking = 0
        """The number that triggers just now."""
        self._failing = {output.config.tag: NOT_WRITTEN for output in self._outputs}
        self._required = {output.config.tag for output in self._outputs if output.config.required}
        self._timer: asyncio.TimerHandle | None = None
        self._confirmed = asyncio.Event()
        self._stopped = False
        self._log = log.bind(station=owner.name)
        for output in self._outputs:
            self._follow(output)
        self._trigger = None if config.trigger is None else _Trigger(config.trigger, book, owner, self)

    def _follow(self, output: _Output) -> None:
        ref = output.config.tag
        self._book.output(ref, output.config.refresh, lambda error: self._written(ref, error))
        self._book.follow_link(ref, lambda up, reason: None if up else self._written(ref, reason))

    def start(self) -> None:
        """Have the outputs written from now on; the station is not Ready before the required ones are."""
        self._owner.needs(Code.OUTPUT_FAILED, bool(self._required))
        self._apply()

    # ------------------------------------------------------------ what the station calls

    def snapshot(self) -> Mapping[str, TagValue]:
        """The values to record with a trigger of this moment."""
        return self._book.snapshot(self._record)

    def accepted(self, cycle: int) -> None:
        """A part passed the camera, and this cycle looks at it."""
        now = self._clock()
        for gate in self._gates:
            overflows = gate.parts.overflows
            gate.parts.entered(cycle, now)
            if gate.parts.overflows > overflows:
                self._log.error("gate_overflow", tag=gate.config.tag, queue=gate.config.queue)
        for answer in self._answers:
            answer.asked(cycle, self._asking)
        for lamp in self._lamps:
            lamp.clear()
        self._apply()

    def asking(self, number: int) -> None:
        """What is accepted or refused from now on is the part of this number; 0: of none that has one."""
        self._asking = number

    def refused(self) -> None:
        """A part may have passed the camera, and nobody looked."""
        now = self._clock()
        for answer in self._answers:
            answer.refused(self._asking)
        for gate in self._gates:
            gate.parts.uninspected(now)
        for lamp in self._lamps:
            lamp.show(Judgement.FAULT, now)
        self._apply()

    def decided(self, cycle: int, judgement: Judgement) -> None:
        """The outcome of a cycle, as it is recorded and shown."""
        now = self._clock()
        for gate in self._gates:
            gate.parts.decided(cycle, judgement is Judgement.OK, now)
        for answer in self._answers:
            answer.decided(cycle, judgement is Judgement.OK)
        for lamp in self._lamps:
            lamp.show(judgement, now)
        self._apply()

    def doubt(self) -> None:
        """Something may have been missed: what is on its way is not proved."""
        for output in self._outputs:
            output.doubt()
        self._apply()

    async def stop(self, wait: float) -> None:
        """Gates to reject, lamps to idle; returns when the devices have confirmed, or after `wait` seconds."""
        for lamp in self._lamps:
            lamp.clear()
        for answer in self._answers:
            answer.clear()
        self.doubt()
        self._stopped = True
        self._apply()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                while not all(self._at_rest(output) for output in self._outputs):
                    self._confirmed.clear()
                    await self._confirmed.wait()

    def _at_rest(self, output: _Output) -> bool:
        tag = output.config.tag
        return tag in self._failing or self._book.taken(tag) == output.value(self._clock())

    # ------------------------------------------------------------ outputs

    def _apply(self) -> None:
        """Want what each output must be now, and look again when that changes by time alone."""
        now = self._clock()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped:
            return
        unseen = self._trigger is not None and self._trigger.unseen(now)
        for output in self._outputs:
            # Nobody knows where a gate stands whose last write failed: it must be seen at rest before it opens again.
            if unseen or output.config.tag in self._failing:
                output.doubt()
            self._book.want(output.config.tag, output.value(now))
        due = min((time for output in self._outputs if (time := output.due(now)) is not None), default=None)
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._apply)

    def _written(self, ref: str, error: str) -> None:
        self._late(ref, error)
        before = self._failing.pop(ref, "")
        if error:
            self._failing[ref] = error
        self._confirmed.set()
        if error or before:
            self._apply()
        if bool(before) == bool(error) and before != NOT_WRITTEN:
            return
        if error:
            self._log.error("output_failed", tag=ref, code=int(Code.OUTPUT_FAILED), reason=error)
        else:
            self._log.info("output_written", tag=ref, after=before)
        self._owner.needs(Code.OUTPUT_FAILED, bool(self._required & self._failing.keys()))

    def _late(self, ref: str, error: str) -> None:
        """A gate that the device opened when the part had gone may meet the next one open: the device is too slow."""
        for gate in self._gates:
            if gate.config.tag != ref or error or self._book.taken(ref) != gate.config.pass_value:
                continue
            if gate.value(self._clock()) != gate.config.pass_value:
                gate.doubt()
                self._log.error("gate_late", tag=ref, code=int(Code.OUTPUT_FAILED), pulse_ms=gate.config.pulse_ms)


class _Trigger:
    """The tag that starts inspections."""

    def __init__(self, config: TriggerConfig, book: TagBook, owner: Owner, tags: StationTags) -> None:
        self._config, self._book, self._owner, self._tags = config, book, owner, tags
        tag = book.tags[config.tag]
        rule = Rule(config.on, config.threshold or 0.0, config.hysteresis, tag.deadband, tag.modulus, config.value)
        self._watch = Watch(rule)
        self._last: float | None = None
        self._broken = False
        self._log = log.bind(station=owner.name)
        book.follow(config.tag, self._see)
        book.follow_link(config.tag, self._link)

    def _link(self, up: bool, reason: str) -> None:
        self._owner.needs(Code.LINK_LOST, not up)
        if not up:
            self._tags.doubt()

    def _see(self, reading: TagValue) -> None:
        now = self._book.clock()
        seen = self._watch.see(reading, now)
        self._row(seen.broken, reading)
        value = reading.value
        self._tags.asking(value if isinstance(value, int) and not isinstance(value, bool) else 0)
        try:
            self._act(seen, now)
        finally:
            self._tags.asking(0)

    def _act(self, seen: Seen, now: float) -> None:
        if seen.fired:
            call = self._call(now)
            self._last = now if call.code is Code.NONE else self._last
            self._owner.own_trigger(call)
        if seen.missed:  # after the one that fired: nobody knows which of them the camera sees
            if seen.fired:
                self._tags.asking(0)  # the number was that of the one that is looked at
            self._owner.own_trigger(OwnTrigger(code=seen.code, times=seen.missed))

    def unseen(self, now: float) -> bool:
        """Whether a part may be passing just now that nobody knows of, though no reading has told so yet."""
        return self._watch.broken(self._book.current[self._config.tag], now)

    def _row(self, broken: bool, reading: TagValue) -> None:
        """A part may have passed while the trigger was not seen: no part before it may meet an open gate."""
        if broken:
            self._tags.doubt()
            if not self._broken:
                reason = reading.reason or "its readings came too late"
                self._log.warning("trigger_unseen", tag=self._config.tag, code=int(Code.TAG_DOUBTFUL), reason=reason)
        self._broken = broken

    def _call(self, now: float) -> OwnTrigger:
        config = self._config
        if self._last is not None and now - self._last < config.min_interval_ms / 1000:
            return OwnTrigger(code=Code.TOO_FAST)
        part = self._part(config.part_id, now)
        serial = self._part(config.serial, now)
        if part is None or serial is None:
            return OwnTrigger(code=Code.TAG_DOUBTFUL)
        return OwnTrigger(int(part or 0), str(serial) if config.serial else "")

    def _part(self, ref: str | None, now: float) -> int | str | None:
        """What identifies the part, 0 where nothing is configured, None where it cannot be trusted."""
        if ref is None:
            return 0
        reading = self._book.current[ref].seen(now)
        trusted = reading.quality is Quality.GOOD and isinstance(reading.value, int | str)
        return reading.value if trusted else None  # type: ignore[return-value]
