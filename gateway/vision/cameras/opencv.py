"""What OpenCV can open: USB cameras (V4L2), network streams and video files (FFmpeg)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import cv2

from gateway.vision.camera_settings import OpenCvCamera
from gateway.vision.cameras import Camera, CameraError, Grabbed, OnDemand, Order, fit, made_now
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival, DeviceCamera
from gateway.vision.frames import Pixels
from protocols.faults import Code

WHITELISTS = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,tls,tcp",
    "http": "http,tcp",
    "https": "https,tls,tcp",
    "": "file",
}
"""By scheme: what FFmpeg may open on the way. A stream cannot lead to a file, nor a file to the network."""
V4L2_MANUAL = 1
"""V4L2_EXPOSURE_MANUAL of linux/v4l2-controls.h; V4L2_CID_EXPOSURE_ABSOLUTE counts in 100 µs."""


def make(config: OpenCvCamera) -> Camera:
    """The camera, not yet opened."""
    return VideoFile(config, config.path) if config.path is not None else DeviceCamera(Stream(config), config)


class Stream:
    """A USB camera or a network stream; see `Device`."""

    def __init__(self, config: OpenCvCamera) -> None:
        self._config = config
        self._capture: cv2.VideoCapture | None = None
        self._packed = False

    def open(self) -> None:
        """Open by number, name or address; 1001 if it is not there, 1002 if it says nothing."""
        config, begin = self._config, time.monotonic()
        if config.url is not None:
            capture = ffmpeg(_address(config), urlsplit(config.url).scheme, config)
        else:
            capture = cv2.VideoCapture(config.device, cv2.CAP_V4L2, _of_usb(config))  # type: ignore[arg-type]
        self._capture = capture
        if capture.isOpened():
            # JPEG after JPEG: decoded when one is wanted, and by us. FFmpeg would bring all to the size of the first.
            motion_jpeg = round(capture.get(cv2.CAP_PROP_FOURCC)) == cv2.VideoWriter.fourcc(*"MJPG")
            self._packed = config.url is not None and motion_jpeg and capture.set(cv2.CAP_PROP_FORMAT, -1)
            return
        if time.monotonic() - begin >= 0.9 * config.open_timeout_s:
            text = f"{self._name} does not answer within {config.open_timeout_s:g} s (open_timeout_s)"
            raise CameraError(Code.FRAME_TIMEOUT, text)
        raise CameraError(Code.CAMERA_LINK, f"{self._name} cannot be opened: not there, refused, or no video")

    def next(self, wait: float) -> Arrival | None:
        """The next frame; OpenCV waits for it as long as `silence_s` allows."""
        assert self._capture is not None  # noqa: S101 - next comes after open
        begin = time.monotonic()
        if self._capture.grab():
            stamp = Stamp(time.monotonic())
            good, pixels = self._capture.retrieve()
            if good and self._packed:
                return Arrival(pixels.reshape(-1), "jpeg", stamp)
            if good:
                return Arrival(pixels, "bgr8", stamp)
        if time.monotonic() - begin >= 0.9 * self._config.silence_s:
            text = f"{self._name} has sent nothing for {self._config.silence_s:g} s (silence_s)"
            raise CameraError(Code.FRAME_TIMEOUT, text)
        raise CameraError(Code.CAMERA_LINK, f"{self._name} ended, or sent what is no picture")

    def fire(self) -> None:
        """Nothing can be commanded."""

    def restart(self) -> None:
        """Nothing to do: frames are taken off as they come."""

    def close(self) -> None:
        """Close the device or the connection."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    @property
    def _name(self) -> str:
        """Of an address what holds no secret: many a camera takes user and password in its query, or in its path."""
        if self._config.url is None:
            return f"USB camera {self._config.device}"
        parts = urlsplit(self._config.url)
        return urlunsplit((parts.scheme, parts.netloc, "/…" if "=" in parts.path else parts.path, "", ""))


class VideoFile(OnDemand):
    """Shows picture (cycle - 1) of a file, counted round: the same one on whichever process asks."""

    simulated = True
    frozen_check = False
    """A still scene in a compressed file gives the same picture again and again."""

    def __init__(self, config: OpenCvCamera, path: Path) -> None:
        self._config, self._path = config, path
        self._capture: cv2.VideoCapture | None = None
        self._count = self._position = 0

    def open(self) -> None:
        """Open; CameraError 1001 if the file is missing or holds no picture."""
        self.close()
        self.check()
        self._capture = ffmpeg(str(self._path), "", self._config)
        self._count = round(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)) if self._capture.isOpened() else 0
        if self._count <= 0:
            raise self._lost("holds no pictures that can be counted and decoded")
        self._position = 0

    def grab(self, out: Pixels, order: Order) -> Grabbed:
        """The picture; CameraError 1004 if it cannot be decoded, 1002 behind the last one."""
        self.check()
        index = order.cycle - 1
        if index >= self._count and not self._config.loop:
            raise CameraError(Code.FRAME_TIMEOUT, f"all {self._count} pictures of {self._path} were shown")
        if self._capture is None:
            raise self._lost("is not open")
        if not self._go_to(self._capture, index % self._count, time.monotonic() + order.budget):
            raise CameraError(
                Code.FRAME_TIMEOUT, f"picture {index % self._count} of {self._path} is not reached in time"
            )
        good, picture = self._capture.read()
        if not good:
            self._position = -1
            raise CameraError(Code.IMAGE_INVALID, f"picture {index % self._count} of {self._path} cannot be decoded")
        self._position += 1
        pixels = fit(out, *picture.shape[:2])
        pixels[:] = picture
        return made_now(pixels)

    def check(self) -> None:
        """The file must be there."""
        if not self._path.is_file():
            raise self._lost("does not exist")

    def close(self) -> None:
        """Close the file."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()

    def _go_to(self, capture: cv2.VideoCapture, index: int, end: float) -> bool:
        """Decode what lies before the picture, as far as the time allows: to jump is not exact in every file."""
        if not 0 <= self._position <= index:
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._position = 0
        while self._position < index and time.monotonic() < end and capture.grab():
            self._position += 1
        return self._position == index

    def _lost(self, why: str) -> CameraError:
        return CameraError(Code.CAMERA_LINK, f"video file {self._path} {why}", lost=True)


def ffmpeg(source: str, scheme: str, config: OpenCvCamera) -> cv2.VideoCapture:
    """FFmpeg and no other, within its whitelist and the time-outs, for pictures of a size that fits."""
    options = ["protocol_whitelist", WHITELISTS[scheme]]
    options += ["max_pixels", os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**24))]
    if scheme.startswith("rtsp"):
        options += ["rtsp_transport", config.transport]
    pairs = (";".join(pair) for pair in zip(options[::2], options[1::2], strict=True))
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(pairs)  # OpenCV reads it at each opening
    times = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        round(config.open_timeout_s * 1000),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        round(config.silence_s * 1000),
        cv2.CAP_PROP_N_THREADS,
        1,
    ]
    return cv2.VideoCapture(source, cv2.CAP_FFMPEG, times)


def _address(config: OpenCvCamera) -> str:
    """The url with user and password, which no sentence may show."""
    url = config.url or ""
    if config.user is None:
        return url
    password = ""
    if config.password_file is not None:
        try:
            password = config.password_file.read_text("utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            text = f"{config.password_file} cannot be read; write the password into its first line"
            raise CameraError(Code.CAMERA_LINK, text) from error
    parts = urlsplit(url)
    login = f"{quote(config.user, safe='')}:{quote(password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=login))


def _of_usb(config: OpenCvCamera) -> list[int]:
    """What is set of a USB camera, as OpenCV wants it: whole numbers, in this order."""
    wanted = [
        (cv2.CAP_PROP_FOURCC, None if config.fourcc is None else cv2.VideoWriter.fourcc(*config.fourcc)),
        (cv2.CAP_PROP_FRAME_WIDTH, config.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, config.height),
        (cv2.CAP_PROP_FPS, config.fps),
        (cv2.CAP_PROP_AUTO_EXPOSURE, None if config.exposure_us is None else V4L2_MANUAL),
        (cv2.CAP_PROP_EXPOSURE, None if config.exposure_us is None else max(1, config.exposure_us / 100)),
        (cv2.CAP_PROP_GAIN, config.gain),
    ]
    return [number for key, value in wanted if value is not None for number in (key, round(value))]
