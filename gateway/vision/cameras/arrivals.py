"""Which of the frames that arrive may be used for a trigger: each at most once, none exposed before it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.faults import Code

DRIFT = 2e-4
"""Seconds a second by which a camera's clock may run slower than ours: twice what a poor quartz does."""
JUMP = 1.0
"""Seconds by which a camera's clock must be ahead of all that it showed before to have jumped."""
STEP = 0.2
"""The same where a stream was begun anew, so that no old frame can be what looks like a jump."""
WRAP = 2**15
"""A frame number that falls by more began anew: the shortest counter, that of GigE Vision 1, has 16 bits."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a driver tells of a frame, beside its pixels."""

    arrived: float
    """Our monotonic clock as the driver handed the frame over."""
    number: int | None = None
    """The camera's own count of frames."""
    device_time: float | None = None
    """The camera's clock at the exposure, in seconds since whenever."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a frame is not used."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that arrived, looked at."""

    stamp: Stamp
    exposed: float
    """Our clock at the exposure as far as it is known: never later than the arrival."""
    refusal: Refusal | None = None
    """It was there before: not to be used for any trigger."""
    clock_jumped: bool = False
    missed: int = 0
    """Frames that the camera counted before this one, since it was opened, and that never arrived."""

    def refused(self, since: float) -> Refusal | None:
        """None: new, and exposed at `since` (our monotonic clock) or later; else why it is not to be used."""
        early = since - self.exposed
        if self.refusal is None and early > 0:
            text = f"the newest frame was exposed {max(1, round(early * 1000))} ms before the trigger"
            return Refusal(Code.FRAME_TIMEOUT, text)
        return self.refusal


class Sieve:
    """Looks at every frame of one open camera, in the order of arrival.

    `latency`: seconds a frame may be old when it arrives and its camera's clock cannot be compared with ours.
    """

    def __init__(self, latency: float = 0.0) -> None:
        self._latency = latency
        self._number: int | None = None
        self._clock: _Clock | None = None
        self._former: float | None = None
        """What our clock was ahead of the camera's before the stream began anew."""
        self.jumps = self.missed = 0
        """How often the camera's clock jumped; frames that the camera counted and that never arrived."""

    def arrive(self, stamp: Stamp) -> Seen:
        """To be called for each frame, once."""
        refusal = self._again(stamp.number)
        if refusal is not None:
            return Seen(stamp, stamp.arrived - self._latency, refusal)
        before = self.jumps
        exposed = self._exposed(stamp) - self._latency
        return Seen(stamp, exposed, clock_jumped=self.jumps > before, missed=self.missed)

    def restarted(self) -> None:
        """The stream begins anew: numbers may start again, and no frame of before can come any more."""
        self._number = None
        if self._clock is not None:
            self._former, self._clock = self._clock.ahead, None

    def _again(self, number: int | None) -> Refusal | None:
        if number is None:
            return None
        last = self._number
        if last is not None and number <= last and last - number < WRAP:
            if number == last:
                return Refusal(Code.FRAME_REPEATED, f"frame {number} came again: the camera stands still")
            return Refusal(Code.FRAME_REPEATED, f"frame {number} came after frame {last}: repeated, or out of order")
        if last is not None and number > last:
            self.missed += number - last - 1
        self._number = number
        return None

    def _exposed(self, stamp: Stamp) -> float:
        if stamp.device_time is None:
            return stamp.arrived
        ahead = stamp.arrived - stamp.device_time
        clock = self._clock
        if clock is None:
            if self._former is not None and abs(ahead - self._former) > STEP:
                self.jumps += 1
            clock, self._former = _Clock(ahead, stamp.arrived, stamp.device_time), None
        elif stamp.device_time < clock.device_time or ahead < clock.ahead - JUMP:
            self.jumps += 1
            clock = _Clock(ahead, stamp.arrived, stamp.device_time)
        else:
            drifted = clock.ahead + DRIFT * max(0.0, stamp.arrived - clock.arrived)
            clock = _Clock(min(ahead, drifted), stamp.arrived, stamp.device_time)
        self._clock = clock
        return min(stamp.arrived, stamp.device_time + clock.ahead)


@dataclass(frozen=True, slots=True)
class _Clock:
    """A camera's clock beside ours, at its newest frame."""

    ahead: float
    """Ours minus the camera's, at its smallest: a frame's way to us makes it larger, never smaller."""
    arrived: float
    device_time: float
