"""A camera that is a device: one thread talks to its driver, the worker takes the frames it lays down.

A driver may block in C for as long as it likes: only its thread waits for it. What a kind of camera has to bring is a
`Device`; how frames are paired with triggers is the same for all and stands here.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from gateway.inspection import FrameFacts
from gateway.vision.camera_settings import PixelFormat, RealCamera, TriggeredCamera
from gateway.vision.cameras import CameraError, Grabbed, Order
from gateway.vision.cameras.arrivals import Refusal, Seen, Sieve, Stamp
from gateway.vision.cameras.bell import Bell
from gateway.vision.cameras.pixels import Raw, decode, to_bgr
from gateway.vision.frames import Pixels
from protocols.faults import Code

WIRE = "does the trigger wire reach the camera?"
WAIT = 0.1
"""Seconds `Device.next` may wait: how soon the thread hears that it is to stop."""
KEPT = 8
"""Frames of a triggered camera that may wait for their triggers; the oldest goes first."""
PATIENCE = 0.1
"""Seconds `open` waits before it says that the camera is still being opened."""
HUNG = 30.0
"""Seconds a driver may stay in one call beyond its own time-outs; so long that three of them are no crash loop."""
CLOSING = 0.8


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame as its driver handed it over; the pixels are its own, not the driver's memory."""

    pixels: Raw
    format: PixelFormat | Literal["jpeg"]
    """jpeg: the pixels are the bytes of a file."""
    stamp: Stamp
    broken: str = ""
    """Why the buffer holds no whole frame: its pixels are used by nobody."""

    @classmethod
    def broken_by(cls, why: str, stamp: Stamp) -> Arrival:
        """A buffer that was not filled as it should."""
        return cls(np.zeros((0, 0), np.uint8), "mono8", stamp, why)


class Device(Protocol):
    """A driver. All calls but `fire` come from one thread; every CameraError of it means that the camera is lost."""

    def open(self) -> None:
        """Connect within open_timeout_s, apply the settings, start the stream; CameraError 1001."""

    def next(self, wait: float) -> Arrival | None:
        """The next frame in the order of arrival, or None if there is none within about `wait` seconds; CameraError."""

    def fire(self) -> None:
        """Command one exposure and return at once; CameraError. With `trigger: software` only; from any thread."""

    def restart(self) -> None:
        """Stop the stream, drop every frame that is under way or waits, start it again; CameraError."""

    def close(self) -> None:
        """Let go of the camera; may be called whatever state it is in. CameraError is ignored."""


class DeviceCamera:
    """Opens, watches and reopens one `Device`, and pairs its frames with triggers."""

    exclusive = True

    def __init__(self, device: Device, config: RealCamera, simulated: bool = False, ask: str = WIRE) -> None:
        """`ask`: what to look at when nothing comes without our command."""
        self.simulated = simulated
        self._ask = ask
        self.frozen_check = config.frozen_check
        self._device = device
        self._config = config
        self._mode = config.trigger if isinstance(config, TriggeredCamera) else "free"
        self._early = config.early_ms / 1000 if isinstance(config, TriggeredCamera) else 0.0
        self._shape: tuple[int, ...] | None = None
        self._pump: _Pump | None = None
        self._starts = isinstance(config, TriggeredCamera) and config.starts
        self._numbers = itertools.count(1)
        self._bell: Bell | None = None

    def open(self) -> None:
        """Start connecting, or see how far it has come; CameraError until it is done, 5007 if nothing is wrong."""
        pump = self._pump
        if self._starts and self._bell is None:
            self._bell = Bell(self._numbers)
        if pump is None or pump.ended:
            pump = self._pump = _Pump(self._device, self._config, 1 if self._mode == "free" else KEPT, self._bell)
        pump.wait_open(PATIENCE)

    def grab(self, out: Pixels, order: Order) -> Grabbed:
        """The frame of this trigger; CameraError 1002 if there is none in time, 1003 if only old ones came again."""
        end = time.monotonic() + order.budget
        pump = self._there()
        if order.frame:
            return self._started_by(order.frame, pump, out)
        refusal: Refusal | None = None
        since = self._begin(pump, order, end)
        while (found := pump.take(end)) is not None:
            arrival, seen = found
            refusal = seen.refused(since)
            if refusal is None and arrival.broken and self._mode == "free":
                refusal = Refusal(Code.IMAGE_INVALID, arrival.broken)  # the next one will do
            if refusal is None:
                return self._deliver(arrival, seen, out)
        if self._mode != "free" or refusal is not None:
            pump.restart()
        if refusal is not None:
            raise CameraError(refusal.code, refusal.text)
        raise CameraError(Code.FRAME_TIMEOUT, f"no frame within {order.budget * 1000:.0f} ms{self._hint()}")

    def news(self) -> int | None:
        """See `Camera`."""
        return None if self._bell is None else self._bell.fileno()

    def came(self) -> list[int]:
        """See `Camera`."""
        return [] if self._bell is None else self._bell.heard()

    def check(self) -> None:
        """CameraError if the driver has lost the camera, or does not return."""
        self._there()

    def close(self) -> None:
        """Stop the driver's thread; one that does not return is left to the end of the process."""
        if self._pump is not None and self._pump.stop():
            self._pump = None
        bell, self._bell = self._bell, None
        if bell is not None:
            bell.close()

    def _there(self) -> _Pump:
        if self._pump is None:
            raise CameraError(Code.CAMERA_LINK, "the camera is not open", lost=True)
        self._pump.check()
        return self._pump

    def _started_by(self, number: int, pump: _Pump, out: Pixels) -> Grabbed:
        """The frame that was the trigger, and no other."""
        found = pump.take_number(number)
        if found is None:
            text = f"the frame that began this inspection was overtaken by {KEPT} others, or lost with its camera"
            raise CameraError(Code.FRAME_TIMEOUT, text)
        return self._deliver(*found, out)

    def _begin(self, pump: _Pump, order: Order, end: float) -> float:
        """Have the frame exposed if that is ours to do; from when on one is good (monotonic)."""
        if self._mode == "free":
            return order.triggered
        if self._mode == "hardware":
            return order.triggered - self._early
        pump.settle(end)
        fired = time.monotonic()
        self._device.fire()
        return fired

    def _deliver(self, arrival: Arrival, seen: Seen, out: Pixels) -> Grabbed:
        if arrival.broken:
            raise CameraError(Code.IMAGE_INVALID, arrival.broken)
        raw, kind = arrival.pixels, arrival.format
        if kind == "jpeg":
            raw, kind = decode(raw, "a frame of the camera"), "bgr8"
        shape = raw.shape
        if self._shape is None:
            self._shape = shape
        if shape != self._shape:
            was, now = (f"{known[1]} x {known[0]}" for known in (self._shape, shape))
            text = f"the camera sent a frame of {now} after frames of {was}"
            raise CameraError(Code.IMAGE_FORMAT, f"{text}; set it back, or restart the gateway")
        pixels = to_bgr(raw, kind, out)
        stamp = seen.stamp
        facts = FrameFacts(stamp.arrived, stamp.number, stamp.device_time, seen.clock_jumped, seen.missed)
        return Grabbed(pixels, facts)

    def _hint(self) -> str:
        return f"; {self._ask}" if self._mode == "hardware" else ""


@dataclass(frozen=True, slots=True)
class _Laid:
    arrival: Arrival
    seen: Seen
    number: int


class _Pump:
    """The thread of one opening of a device, and the frames it has laid down."""

    def __init__(self, device: Device, config: RealCamera, kept: int, bell: Bell | None) -> None:
        self._device = device
        self._silence = config.silence_s if kept == 1 else None
        self._allowed = HUNG + config.open_timeout_s
        self._bell = bell
        self._sieve = Sieve(config.latency_ms / 1000)
        self._frames: deque[_Laid] = deque(maxlen=kept)
        self._news = threading.Condition()
        self._open = self._stopping = self._restart = False
        self._error: CameraError | None = None
        self._called = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    # what the worker calls

    @property
    def ended(self) -> bool:
        """The device was lost, and is closed."""
        return not self._thread.is_alive()

    def stop(self) -> bool:
        """True: the driver is closed; else its thread will do so as soon as it returns."""
        with self._news:
            self._stopping, self._open = True, False
        self._thread.join(CLOSING)
        return self.ended

    def wait_open(self, patience: float) -> None:
        with self._news:
            self._news.wait_for(lambda: self._open or self._error is not None, patience)
        self.check()

    def check(self) -> None:
        if self._error is not None:
            raise self._error
        if time.monotonic() - self._called > self._allowed:
            text = f"the camera's driver has not returned for {self._allowed:.0f} s; its process is replaced"
            raise CameraError(Code.CAMERA_LINK, text, lost=True, hung=True)
        if not self._open:
            raise CameraError(Code.STARTING, "the camera is being opened", lost=True)

    def settle(self, end: float) -> None:
        """Let a stream that is to begin anew have begun, until `end`."""
        with self._news:
            self._news.wait_for(lambda: not self._restart or self._error, max(0.0, end - time.monotonic()))
        self.check()

    def restart(self) -> None:
        """Have the stream begin anew: what is under way belongs to no trigger any more."""
        with self._news:
            self._frames.clear()
            self._restart = True

    def take_number(self, number: int) -> tuple[Arrival, Seen] | None:
        """The frame of this number; those before it are no trigger's any more."""
        with self._news:
            while self._frames and self._frames[0].number <= number:
                laid = self._frames.popleft()
                if laid.number == number:
                    return laid.arrival, laid.seen
        self.check()
        return None

    def take(self, end: float) -> tuple[Arrival, Seen] | None:
        """The next frame, waiting for it until `end`; None then. CameraError if the camera is lost meanwhile."""
        with self._news:
            self._news.wait_for(lambda: self._usable() or self._error, max(0.0, end - time.monotonic()))
            if self._usable():
                laid = self._frames.popleft()
                return laid.arrival, laid.seen
        if self._error is not None:
            raise self._error
        return None

    def _usable(self) -> bool:
        return bool(self._frames) and not self._restart

    # the thread

    def _run(self) -> None:
        try:
            self._device.open()
            with self._news:
                self._open = True
                self._news.notify_all()
            self._stream()
        except CameraError as error:
            self._fail(CameraError(error.code, error.text, lost=True, hung=error.hung))
        except Exception as error:  # noqa: BLE001 - the thread's boundary: whatever a vendor's driver raises ends the camera only
            self._fail(CameraError(Code.CAMERA_LINK, f"its driver failed: {type(error).__name__}: {error}", lost=True))
        finally:
            with contextlib.suppress(Exception):
                self._device.close()

    def _stream(self) -> None:
        heard = time.monotonic()
        while not self._stopping:
            self._called = time.monotonic()
            if self._restart:
                self._device.restart()
                self._sieve.restarted()
                with self._news:
                    self._frames.clear()
                    self._restart = False
                    self._news.notify_all()
            arrival = self._device.next(WAIT)
            now = time.monotonic()
            if arrival is not None:
                heard = now
                seen = self._sieve.arrive(arrival.stamp)
                with self._news:
                    if seen.refusal is None or not self._frames:  # a repeated one takes no good one's place
                        rings = self._bell is not None and seen.refusal is None
                        number = self._bell.ring() if self._bell is not None and rings else 0
                        self._frames.append(_Laid(arrival, seen, number))
                    self._news.notify_all()
            elif self._silence is not None and now - heard > self._silence:
                text = f"the camera has sent nothing for {self._silence:g} s (silence_s)"
                raise CameraError(Code.FRAME_TIMEOUT, text)

    def _fail(self, error: CameraError) -> None:
        with self._news:
            self._error = error
            self._open = False
            self._news.notify_all()
