"""What a station does with tags: record them, be triggered by one, write its outputs to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from protocols.settings import Settings
from protocols.signals import Judgement
from protocols.tag_words import REF_PATTERN, When

if TYPE_CHECKING:
    from gateway.reject import GateSettings

TagRef = Annotated[str, Field(max_length=127, pattern=REF_PATTERN)]
"""A tag as others name it: `device.tag`."""
OutputValue = bool | int | float | str


class TriggerConfig(Settings):
    """The tag that starts an inspection; the PLC's own triggers are then refused with 3006."""

    tag: TagRef
    on: When = When.CHANGE
    """rise, fall, change, count (one part each step), above or below (a threshold), equals (becomes a value)."""
    value: OutputValue | None = None
    """Of equals: the number, truth value or text that it must become, such as ended."""
    threshold: float | None = None
    """Of above and below."""
    hysteresis: Annotated[float, Field(ge=0)] = 0.0
    """How far the number must go back beyond the threshold before it counts again."""
    part_id: TagRef | None = None
    """The number of the part; a uint16 or uint32 of the same device and poll group."""
    serial: TagRef | None = None
    """The serial of the part; a text of the same device and poll group."""
    min_interval_ms: Annotated[float, Field(ge=0, le=600_000)] = 0.0
    """What follows faster is refused with 3008; 0: nothing is."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        level = self.on in (When.ABOVE, When.BELOW)
        if level and self.threshold is None:
            raise ValueError(f"on: {self.on.value} needs a threshold; add it")
        if (self.on is When.EQUALS) != (self.value is not None):
            raise ValueError("on: equals needs a value, and the others none; add it, or remove it")
        if not level and (self.threshold is not None or self.hysteresis):
            raise ValueError(f"threshold and hysteresis are for above and below, not for {self.on.value}; remove them")
        return self


class _OutputConfig(Settings):
    tag: TagRef
    """A tag with access: write."""
    refresh_ms: Annotated[float, Field(ge=0, le=600_000)] = 1000.0
    """Written anew this often, so that a watchdog in the device can tell that we live; 0: on change only."""

    @property
    def refresh(self) -> float:
        """In seconds."""
        return self.refresh_ms / 1000


class LampConfig(_OutputConfig):
    """A tag that shows the last verdict until the next part comes."""

    kind: Literal["lamp"]
    ok: OutputValue = 1
    ng: OutputValue = 2
    recheck: OutputValue = 3
    fault: OutputValue = 4
    """Also for a part that came and was not inspected."""
    idle: OutputValue = 0
    """No verdict: during an inspection, at start and stop."""
    hold_ms: Annotated[float, Field(ge=0, le=3_600_000)] = 0.0
    """Back to idle after this time; 0: only with the next part."""
    required: bool = False
    """Without it the station is not Ready (3021)."""

    def values(self) -> dict[str, OutputValue]:
        """What is written when, by key."""
        return {"ok": self.ok, "ng": self.ng, "recheck": self.recheck, "fault": self.fault, "idle": self.idle}

    def of(self, judgement: Judgement) -> OutputValue:
        """The value for a verdict."""
        return self.values().get(judgement.name.lower(), self.fault)


class GateConfig(_OutputConfig):
    """A reject gate: it rests on reject and lets pass only a part proved OK, while that part is there."""

    kind: Literal["gate"]
    pass_value: OutputValue = 1
    reject_value: OutputValue = 0
    """Also at start and stop, and whenever something is in doubt."""
    delay_ms: Annotated[float, Field(ge=0, le=600_000)] = 0.0
    """From the trigger (or from the last of after_parts) to the gate."""
    after_parts: Annotated[int, Field(ge=0, le=256)] = 0
    """The part is at the gate when so many further ones were triggered; 0: by delay_ms alone."""
    pulse_ms: Annotated[float, Field(ge=10, le=60_000)] = 200.0
    """How long the gate lets pass; the next part ends it earlier."""
    queue: Annotated[int, Field(ge=1, le=1024)] = 64
    """Parts between camera and gate at most; more, and all of them are rejected."""
    expiry_ms: Annotated[float, Field(ge=100, le=3_600_000)] = 60_000.0
    """A part that needs longer to the gate is rejected."""
    required: bool = True
    """A gate that cannot be written keeps the station from Ready (3021)."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.delay_ms and not self.after_parts:
            raise ValueError("a gate needs delay_ms or after_parts: no result is there when the part is triggered")
        if self.after_parts >= self.queue:
            raise ValueError(f"queue {self.queue} is too small for after_parts {self.after_parts}; make it larger")
        if self.delay_ms >= self.expiry_ms:
            raise ValueError(f"expiry_ms {self.expiry_ms:g} is not more than delay_ms; every part would be rejected")
        return self

    def values(self) -> dict[str, OutputValue]:
        """What is written when, by key."""
        return {"pass_value": self.pass_value, "reject_value": self.reject_value}

    def settings(self) -> GateSettings:
        """In seconds."""
        from gateway.reject import GateSettings  # a line without gates starts without

        return GateSettings(
            self.delay_ms / 1000, self.after_parts, self.pulse_ms / 1000, self.queue, self.expiry_ms / 1000
        )


class AnswerConfig(_OutputConfig):
    """A number for a program that waits: N for a part N proved OK, -N for any other; 0 as long as nothing is decided.

    N is the trigger's value, so an old answer can never be taken for that of another part.
    """

    kind: Literal["answer"]
    required: bool = True
    """An answer that cannot be written keeps the station from Ready (3021)."""

    def values(self) -> dict[str, OutputValue]:
        """What may be written, as far as it is known before."""
        return {"tag": -1}


OutputConfig = Annotated[LampConfig | GateConfig | AnswerConfig, Field(discriminator="kind")]


class StationTagsConfig(Settings):
    """What this station does with the tags of `devices`."""

    record: Annotated[tuple[TagRef, ...], Field(max_length=256)] = ()
    """Recorded with each inspection as they are at its trigger, with quality and age."""
    trigger: TriggerConfig | None = None
    """What starts an inspection instead of the PLC."""
    outputs: Annotated[tuple[OutputConfig, ...], Field(max_length=32)] = ()
    """Verdict lamps, reject gates, and answers to programs that wait."""
