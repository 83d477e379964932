"""Basler cameras, and pylon's camera emulator, through pypylon."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gateway.vision.camera_settings import BaslerCamera
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival
from gateway.vision.cameras.features import Features, Limits, Value, refused, settle
from gateway.vision.cameras.found import FoundCamera, missing_package
from gateway.vision.cameras.pfnc import CODE, arrival
from protocols.faults import Code

CLASSES = {"gige": "BaslerGigE", "usb": "BaslerUsb", "emulator": "BaslerCamEmu"}
"""pylon's device classes: only the transport layer of the one that is named is loaded, and only that one searches."""
POLL = 0.0005
"""Seconds between two looks. pylon's own waits end by SIGALRM, and a process has one handler of it: where anything else
uses that signal, they never end, or the process does."""
READY = 0.5
"""Seconds a camera may take to be ready for its next exposure; a command that comes sooner is lost without a word."""
NO_NUMBER = 2**64 - 1
NANOSECONDS = 1_000_000_000


class Basler:
    """The first camera that fits the settings."""

    def __init__(self, config: BaslerCamera) -> None:
        self._config = config
        self._camera: Any = None
        self._pylon: Any = None
        self._ticks = float(NANOSECONDS)
        self.features: Features | None = None
        """Of the open camera."""

    def open(self) -> None:
        """Connect, apply the settings, start the stream; CameraError 1001 or 7001."""
        self._pylon = pylon = _import(self._config)
        info = _wanted(pylon, self._config)
        with _told("cannot be opened"):
            self._camera = pylon.InstantCamera(pylon.TlFactory.GetInstance().CreateFirstDevice(info))
            if not suits(self._camera.GetDeviceInfo(), self._config):
                refused("only an emulated Basler camera was found; set transport: emulator, or unset PYLON_CAMEMU")
            self._camera.Open()
            self.features = features = _Features(self._camera.GetNodeMap())
            if self._config.pictures is not None:
                self._replay(features)
            settle(features, self._config)
            if features.has("GevTimestampTickFrequency"):
                self._ticks = features.number("GevTimestampTickFrequency")
            self._camera.MaxNumBuffer.SetValue(self._config.buffers)
            self._start()

    def next(self, wait: float) -> Arrival | None:
        """The next buffer; CameraError 1001 if the camera is gone."""
        pylon, camera = self._pylon, self._camera
        with _told("is gone"):
            _until(camera.NumReadyBuffers.GetValue, wait)
            result = camera.RetrieveResult(0, pylon.TimeoutHandling_Return)
            if not result.IsValid():
                if camera.IsCameraDeviceRemoved():
                    raise CameraError(Code.CAMERA_LINK, "the Basler camera is gone", lost=True)
                return None
            try:
                return self._arrival(result, time.monotonic())
            finally:
                result.Release()

    def fire(self) -> None:
        """Command one exposure; CameraError 1002 if the camera is not ready for one."""
        pylon, camera = self._pylon, self._camera
        with _told("does not take the trigger"):
            tells = camera.CanWaitForFrameTriggerReady()
            if tells and not _until(lambda: camera.WaitForFrameTriggerReady(0, pylon.TimeoutHandling_Return), READY):
                text = f"the Basler camera was not ready for a trigger within {READY:g} s; trigger more slowly"
                raise CameraError(Code.FRAME_TIMEOUT, text)
            camera.TriggerSoftware.Execute()

    def restart(self) -> None:
        """Stop and start grabbing: pylon gives up the frames that are under way."""
        with _told("cannot be started"):
            self._camera.StopGrabbing()
            self._start()

    def close(self) -> None:
        """Close and give back all buffers."""
        camera, self._camera, self.features = self._camera, None, None
        if camera is not None:
            with _told("cannot be closed"):
                camera.Close()

    def _start(self) -> None:
        pylon = self._pylon
        self._camera.StartGrabbing(pylon.GrabStrategy_OneByOne, pylon.GrabLoop_ProvidedByUser)

    def _arrival(self, result: Any, now: float) -> Arrival:
        number = None if result.BlockID == NO_NUMBER else int(result.BlockID)
        stamp = Stamp(now, number, result.TimeStamp / self._ticks if result.TimeStamp else None)
        if not result.GrabSucceeded():
            why = _short(result.ErrorDescription) or f"error 0x{result.ErrorCode:08X}"
            return Arrival.broken_by(f"the camera's frame is not whole: {why}", stamp)
        data = np.frombuffer(result.GetMemoryView(), np.uint8)
        return arrival(data, result.PixelType & CODE, (result.Width, result.Height), stamp, result.PaddingX)

    def _replay(self, features: _Features) -> None:
        """Have the emulator show the pictures of a folder."""
        features.write("TestImageSelector", "Off")
        features.write("ImageFilename", str(self._config.pictures))
        features.write("ImageFileMode", "On")


class _Features:
    """pylon's node map."""

    def __init__(self, nodes: Any) -> None:
        from pypylon import genicam

        self._nodes = nodes
        self._genicam = genicam

    def has(self, name: str) -> bool:
        return bool(self._genicam.IsAvailable(self._nodes.GetNode(name)))

    def number(self, name: str) -> float:
        with _said(name):
            return float(self._nodes.GetNode(name).GetValue())

    def text(self, name: str) -> str:
        with _said(name):
            return str(self._nodes.GetNode(name).ToString())

    def limits(self, name: str) -> Limits:
        with _said(name):
            node = self._nodes.GetNode(name)
            step = node.GetInc() if isinstance(node, self._genicam.IInteger) or node.HasInc() else 0
            return Limits(float(node.GetMin()), float(node.GetMax()), float(step))

    def choices(self, name: str) -> tuple[str, ...]:
        with _said(name):
            return tuple(self._nodes.GetNode(name).Symbolics)

    def write(self, name: str, value: Value) -> None:
        with _said(name):
            node = self._nodes.GetNode(name)
            whole = isinstance(node, self._genicam.IInteger) and isinstance(value, float) and value.is_integer()
            node.SetValue(int(value) if whole else value)

    def execute(self, name: str) -> None:
        with _said(name):
            self._nodes.GetNode(name).Execute()


def _until(wanted: Callable[[], object], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not wanted():
        if time.monotonic() > end:
            return False
        time.sleep(POLL)
    return True


def discover(config: BaslerCamera) -> list[FoundCamera]:
    """The cameras of the transport that the settings name, the emulator's only if it is named; CameraError."""
    pylon = _import(config)
    with _told("cannot be searched for"):
        found = pylon.TlFactory.GetInstance().EnumerateDevices([_wanted(pylon, config)])
        return [_found(info) for info in found if suits(info, config)]


def suits(info: Any, config: BaslerCamera) -> bool:
    """An emulated camera is none that was looked for, unless it was named: its results must say so."""
    return config.transport == "emulator" or info.GetDeviceClass() != CLASSES["emulator"]


def _found(info: Any) -> FoundCamera:
    address = info.GetIpAddress() if info.IsIpAddressAvailable() else ""
    return FoundCamera("basler", info.GetVendorName(), info.GetModelName(), info.GetSerialNumber(), address)


def _import(config: BaslerCamera) -> Any:
    if config.transport == "emulator":
        # pylon reads it as it is loaded: so many emulated cameras are there
        os.environ["PYLON_CAMEMU"] = "1"
    try:
        from pypylon import pylon
    except ImportError as error:
        raise missing_package("basler", "pypylon", error) from error
    return pylon


def _wanted(pylon: Any, config: BaslerCamera) -> Any:
    info = pylon.DeviceInfo()
    if config.transport != "any":
        info.SetDeviceClass(CLASSES[config.transport])
    if config.serial is not None:
        info.SetSerialNumber(config.serial)
    if config.name is not None:
        info.SetUserDefinedName(config.name)
    if config.address is not None:
        info.SetIpAddress(config.address)
    return info


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What pylon raises, as a lost camera."""
    from pypylon import genicam

    try:
        yield
    except genicam.GenericException as error:
        raise CameraError(Code.CAMERA_LINK, f"the Basler camera {what}: {_short(str(error))}", lost=True) from error


@contextlib.contextmanager
def _said(name: str) -> Iterator[None]:
    """What pylon says against a feature, as settings that do not suit the camera."""
    from pypylon import genicam

    try:
        yield
    except (genicam.GenericException, AttributeError, TypeError) as error:
        refused(f"the camera refuses {name}: {_short(str(error))}")


def _short(text: str) -> str:
    """pylon's sentence without the place in its source."""
    return text.split(" : ", maxsplit=1)[0].strip().split("\n", maxsplit=1)[0].rstrip(".")
