"""A camera's features by their standard names (GenICam SFNC): the settings applied, and read back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, NoReturn, Protocol

from gateway.vision.camera_settings import GenicamSettings, Region
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.pfnc import names_of, settings_of
from protocols.faults import Code

ROUNDING = 0.01
"""What a camera may make of an exposure time or a gain: its clock has steps. More is another setting."""

Value = bool | int | float | str


class Limits(NamedTuple):
    """What a number may be."""

    low: float
    high: float
    step: float
    """0: any."""


class Features(Protocol):
    """The features of one open camera; every call but `has` raises CameraError with what the driver says."""

    def has(self, name: str) -> bool:
        """Whether the camera knows the feature and offers it now."""

    def number(self, name: str) -> float:
        """Of an integer or a float."""

    def text(self, name: str) -> str:
        """Of an enumeration or a string."""

    def limits(self, name: str) -> Limits:
        """Of an integer or a float, as things stand."""

    def choices(self, name: str) -> tuple[str, ...]:
        """Of an enumeration, as things stand."""

    def write(self, name: str, value: Value) -> None:
        """Set it; a number for an integer must be whole."""

    def execute(self, name: str) -> None:
        """Give a command."""


def settle(features: Features, config: GenicamSettings) -> None:
    """Apply the settings in an order that cameras bear, and read back what they made of them.

    CameraError 7001 for a value that the camera refuses or changes, 1005 for its pixel format.
    """
    for name, value in config.features.items():
        features.write(name, value)
    if features.has("AcquisitionMode"):
        _choose(features, "AcquisitionMode", "Continuous", "trigger")
    _pixels(features, config)
    if config.roi is not None:
        _region(features, config.roi)
    _measure(features, "exposure_us", config.exposure_us, ("ExposureTime", "ExposureTimeAbs", "ExposureTimeRaw"))
    _measure(features, "gain", config.gain, ("Gain", "GainAbs", "GainRaw"))
    _trigger(features, config)


def refused(text: str) -> NoReturn:
    """The settings do not suit the camera."""
    raise CameraError(Code.CONFIG_INVALID, text)


def _pixels(features: Features, config: GenicamSettings) -> None:
    choices = features.choices("PixelFormat")
    if config.pixel_format is None:
        now = features.text("PixelFormat")
        if settings_of((now,)) != settings_of(()):
            return
        text = f"the camera is set to send {now} pixels, which are not taken; set pixel_format"
    else:
        for name in names_of(config.pixel_format):
            if name in choices:
                features.write("PixelFormat", name)
                if features.text("PixelFormat") == name:
                    return
        text = f"pixel_format {config.pixel_format}: the camera does not send it"
    raise CameraError(Code.IMAGE_FORMAT, f"{text}; it can do {settings_of(choices)} (it says {', '.join(choices)})")


def _region(features: Features, roi: Region) -> None:
    """Offsets first go to their lowest, else the camera refuses a larger size."""
    if features.has("OffsetX"):
        for name in ("OffsetX", "OffsetY"):
            features.write(name, int(features.limits(name).low))
    elif roi.x or roi.y:
        refused("roi: the camera has no offsets (OffsetX, OffsetY); leave x and y at 0")
    _whole(features, "roi.width", roi.width, "Width")
    _whole(features, "roi.height", roi.height, "Height")
    if features.has("OffsetX"):
        _whole(features, "roi.x", roi.x, "OffsetX")
        _whole(features, "roi.y", roi.y, "OffsetY")


def _whole(features: Features, setting: str, wanted: int, name: str) -> None:
    """A pixel count must be kept to the pixel: what the recipe measures depends on it."""
    low, high, step = features.limits(name)
    if not low <= wanted <= high or (step > 1 and (wanted - low) % step):
        steps = f" in steps of {step:.0f}" if step > 1 else ""
        refused(f"{setting} {wanted}: the camera takes {low:.0f} to {high:.0f}{steps} ({name})")
    features.write(name, wanted)
    got = features.number(name)
    if got != wanted:
        refused(f"{setting} {wanted}: the camera makes {got:.0f} of it ({name})")


def _measure(features: Features, setting: str, wanted: float | None, names: Iterable[str]) -> None:
    if wanted is None:
        return
    for auto in ("ExposureAuto",) if setting == "exposure_us" else ("GainAuto",):
        if features.has(auto):
            features.write(auto, "Off")
    name = next((name for name in names if features.has(name)), None)
    if name is None:
        refused(f"{setting}: the camera has none of {', '.join(names)}; leave the setting out")
    low, high, step = features.limits(name)
    if not low <= wanted <= high:
        refused(f"{setting} {wanted:g}: the camera takes {low:g} to {high:g} ({name})")
    features.write(name, low + round((wanted - low) / step) * step if name.endswith("Raw") and step else wanted)
    got = features.number(name)
    if abs(got - wanted) > ROUNDING * max(wanted, step):
        refused(f"{setting} {wanted:g}: the camera makes {got:g} of it ({name}); set what it can do")


def _trigger(features: Features, config: GenicamSettings) -> None:
    if not features.has("TriggerMode"):
        if config.trigger != "free":
            refused(f"trigger {config.trigger}: the camera has no trigger (TriggerMode); set trigger: free")
        return
    if features.has("TriggerSelector"):
        for selector in features.choices("TriggerSelector"):
            features.write("TriggerSelector", selector)
            if features.has("TriggerMode") and features.text("TriggerMode") != "Off":
                features.write("TriggerMode", "Off")
        if config.trigger != "free":
            _choose(features, "TriggerSelector", "FrameStart", "trigger")
    if config.trigger == "free":
        return
    if config.trigger == "software":
        _choose(features, "TriggerSource", "Software", "trigger")
    else:
        _choose(features, "TriggerSource", config.trigger_line, "trigger_line")
        edge = "RisingEdge" if config.trigger_edge == "rising" else "FallingEdge"
        if features.has("TriggerActivation") or edge != "RisingEdge":
            _choose(features, "TriggerActivation", edge, "trigger_edge")
    _choose(features, "TriggerMode", "On", "trigger")
    if config.trigger == "software" and not features.has("TriggerSoftware"):
        refused("trigger software: the camera has no TriggerSoftware; set trigger: hardware or free")


def _choose(features: Features, name: str, choice: str, setting: str) -> None:
    choices = features.choices(name)
    if choice not in choices:
        refused(f"{setting}: the camera's {name} has no {choice}, but {', '.join(choices) or 'nothing'}")
    if features.text(name) != choice:
        features.write(name, choice)
        got = features.text(name)
        if got != choice:
            refused(f"{setting}: the camera makes {got} of {name} {choice}")
