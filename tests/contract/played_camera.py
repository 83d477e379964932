"""A camera device that does what a test says; its frames count up, and no two are alike."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np

from gateway.vision.camera_settings import PixelFormat
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival
from gateway.vision.cameras.pixels import Raw
from protocols.faults import Code


class PlayedDevice:
    """See `gateway.vision.cameras.device.Device`."""

    def __init__(self, *, streams: bool = False, answers: bool = True) -> None:
        self.streams, self.answers = streams, answers
        """Whether it sends frames by itself, and whether a command brings one."""
        self.torn = ""
        """What is wrong with the frame that a command brings."""
        self.size = (48, 64)
        self.format: PixelFormat = "mono8"
        self.plugged = True
        self.opened = self.closed = self.restarted = self.fired = 0
        self.held = threading.Event()
        """Cleared: every call of the driver blocks."""
        self.held.set()
        self._number = 0
        self._frames: deque[Arrival] = deque()
        self._news = threading.Condition()

    # what the test does

    def send(
        self, number: int | None = None, pixels: Raw | None = None, device_time: float | None = None, broken: str = ""
    ) -> None:
        """A frame arrives now."""
        with self._news:
            self._number = self._number + 1 if number is None else number
            shown = self._picture(self._number) if pixels is None else pixels
            stamp = Stamp(time.monotonic(), self._number, device_time)
            self._frames.append(Arrival.broken_by(broken, stamp) if broken else Arrival(shown, self.format, stamp))
            self._news.notify_all()

    def unplug(self) -> None:
        with self._news:
            self.plugged = False
            self._news.notify_all()

    def plug(self) -> None:
        self.plugged = True

    # what the camera calls

    def open(self) -> None:
        self.held.wait()
        self._there()
        self.opened += 1

    def next(self, wait: float) -> Arrival | None:
        self.held.wait()
        with self._news:
            if self.streams and not self._frames:
                self._news.wait(0.002)
                self.send()
            self._news.wait_for(lambda: self._frames or not self.plugged, wait)
            self._there()
            return self._frames.popleft() if self._frames else None

    def fire(self) -> None:
        self.fired += 1
        if self.answers:
            self.send(broken=self.torn)

    def restart(self) -> None:
        self.restarted += 1
        with self._news:
            self._frames.clear()

    def close(self) -> None:
        self.closed += 1

    def _there(self) -> None:
        if not self.plugged:
            raise CameraError(Code.CAMERA_LINK, "the played camera is unplugged")

    def _picture(self, number: int) -> Raw:
        height, width = self.size
        random = np.random.default_rng(number)
        channels = (3,) if self.format in ("bgr8", "rgb8") else ()
        deep = self.format in ("mono10", "mono12", "mono16")
        bits = int(self.format.removeprefix("mono")) if deep else 8
        return random.integers(0, 2**bits, (height, width, *channels), np.uint16 if deep else np.uint8)
