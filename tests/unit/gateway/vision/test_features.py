"""Settings applied to a camera that refuses, rounds, and does not have everything."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.vision.camera_settings import GenicamSettings, Region
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.features import Limits, Value, settle
from protocols.faults import Code

CHOICES = {
    "AcquisitionMode": ("Continuous", "SingleFrame"),
    "PixelFormat": ("Mono8", "RGB8Packed"),
    "TriggerSelector": ("AcquisitionStart", "FrameStart"),
    "TriggerMode": ("Off", "On"),
    "TriggerSource": ("Line1", "Software"),
    "TriggerActivation": ("RisingEdge", "FallingEdge"),
    "ExposureAuto": ("Off", "Continuous"),
    "TriggerSoftware": (),
}
NUMBERS = {
    "Width": Limits(16, 640, 16),
    "Height": Limits(2, 480, 2),
    "OffsetX": Limits(0, 624, 16),
    "OffsetY": Limits(0, 478, 2),
    "ExposureTime": Limits(10, 1e6, 0),
    "GainRaw": Limits(0, 100, 2),
}


@dataclass
class Played:
    """A camera's features: what was written, in order."""

    missing: frozenset[str] = frozenset()
    makes: dict[str, float | str] = field(default_factory=dict)
    """What it makes of any value, by feature."""
    values: dict[str, Value] = field(default_factory=lambda: {"AcquisitionMode": "Continuous", "PixelFormat": "Mono8"})
    modes: dict[str, Value] = field(default_factory=lambda: dict.fromkeys(CHOICES["TriggerSelector"], "On"))
    written: list[tuple[str, Value]] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return name in CHOICES.keys() | NUMBERS.keys() and name not in self.missing

    def number(self, name: str) -> float:
        return float(self.values.get(name, 0))

    def text(self, name: str) -> str:
        if name == "TriggerMode":
            return str(self.modes[self.text("TriggerSelector")])
        return str(self.values.get(name, CHOICES[name][0]))

    def limits(self, name: str) -> Limits:
        return NUMBERS[name]

    def choices(self, name: str) -> tuple[str, ...]:
        return CHOICES[name] if self.has(name) else ()

    def write(self, name: str, value: Value) -> None:
        self.written.append((name, value))
        made = self.makes.get(name, value)
        if name == "TriggerMode":
            self.modes[self.text("TriggerSelector")] = made
        self.values[name] = made

    def execute(self, name: str) -> None:
        raise AssertionError("settings give no commands")


def settled(camera: Played | None = None, **settings: object) -> Played:
    camera = camera or Played()
    settle(camera, GenicamSettings.model_validate({"trigger": "free", **settings}))
    return camera


def refusal(camera: Played | None = None, **settings: object) -> tuple[Code, str]:
    with pytest.raises(CameraError) as caught:
        settled(camera, **settings)
    return caught.value.code, caught.value.text


def test_without_settings_nothing_but_the_triggers_is_touched() -> None:
    names = {name for name, _ in settled().written}
    assert names == {"TriggerSelector", "TriggerMode"}


def test_a_camera_that_runs_free_has_every_trigger_off() -> None:
    assert set(settled().modes.values()) == {"Off"}


@pytest.mark.parametrize(("trigger", "source"), [("software", "Software"), ("hardware", "Line1")])
def test_a_triggered_camera_waits_for_the_start_of_the_frame_alone(trigger: str, source: str) -> None:
    camera = settled(trigger=trigger)
    assert camera.modes == {"AcquisitionStart": "Off", "FrameStart": "On"}
    assert camera.text("TriggerSource") == source


def test_the_edge_is_set() -> None:
    assert settled(trigger="hardware", trigger_edge="falling").text("TriggerActivation") == "FallingEdge"
    code, text = refusal(Played(frozenset({"TriggerActivation"})), trigger="hardware", trigger_edge="falling")
    assert (code, "trigger_edge" in text) == (Code.CONFIG_INVALID, True)
    settled(Played(frozenset({"TriggerActivation"})), trigger="hardware")


def test_offsets_make_room_before_the_size_is_set() -> None:
    camera = settled(roi=Region(x=32, y=4, width=64, height=48))
    order = [entry for entry in camera.written if entry[0] in NUMBERS]
    assert order == [("OffsetX", 0), ("OffsetY", 0), ("Width", 64), ("Height", 48), ("OffsetX", 32), ("OffsetY", 4)]


def test_further_features_come_first() -> None:
    camera = settled(features={"Gamma": 0.7, "ExposureAuto": "Continuous"}, exposure_us=100)
    assert camera.written[:2] == [("Gamma", 0.7), ("ExposureAuto", "Continuous")]
    assert camera.text("ExposureAuto") == "Off"


def test_the_packed_name_of_older_cameras_is_known() -> None:
    assert settled(pixel_format="rgb8").text("PixelFormat") == "RGB8Packed"


def test_a_raw_gain_is_written_in_its_steps() -> None:
    assert ("GainRaw", 34) in settled(gain=33.9).written


def test_a_rounded_exposure_is_taken_and_a_changed_one_refused() -> None:
    settled(Played(makes={"ExposureTime": 1005.0}), exposure_us=1000)
    code, text = refusal(Played(makes={"ExposureTime": 2000.0}), exposure_us=1000)
    assert code is Code.CONFIG_INVALID
    assert text == "exposure_us 1000: the camera makes 2000 of it (ExposureTime); set what it can do"


REFUSED: dict[str, tuple[Played, dict[str, object], str]] = {
    "too long": (Played(), {"exposure_us": 2e6}, "exposure_us 2e+06: the camera takes 10 to 1e+06 (ExposureTime)"),
    "no exposure": (Played(frozenset({"ExposureTime"})), {"exposure_us": 9}, "none of ExposureTime, ExposureTimeAbs"),
    "step": (
        Played(),
        {"roi": Region(width=100, height=48)},
        "roi.width 100: the camera takes 16 to 640 in steps of 16",
    ),
    "shifted": (
        Played(makes={"OffsetX": 0}),
        {"roi": Region(x=16, width=64, height=48)},
        "roi.x 16: the camera makes 0",
    ),
    "no offset": (Played(frozenset({"OffsetX"})), {"roi": Region(y=2, width=64, height=48)}, "leave x and y at 0"),
    "no trigger": (Played(frozenset({"TriggerMode"})), {"trigger": "hardware"}, "set trigger: free"),
    "no line": (Played(), {"trigger": "hardware", "trigger_line": "Line9"}, "trigger_line: the camera's TriggerSource"),
    "no command": (Played(frozenset({"TriggerSoftware"})), {"trigger": "software"}, "no TriggerSoftware"),
    "stubborn": (Played(makes={"TriggerSource": "Line1"}), {"trigger": "software"}, "makes Line1 of TriggerSource"),
}


@pytest.mark.parametrize("row", REFUSED)
def test_what_does_not_suit_the_camera_is_refused_with_what_does(row: str) -> None:
    camera, settings, words = REFUSED[row]
    code, text = refusal(camera, **settings)
    assert code is Code.CONFIG_INVALID
    assert words in text


def test_pixel_formats_that_are_not_there_or_not_taken_are_1005() -> None:
    code, text = refusal(pixel_format="mono12")
    assert (code, "it can do mono8, rgb8" in text) == (Code.IMAGE_FORMAT, True)
    camera = Played(values={"AcquisitionMode": "Continuous", "PixelFormat": "Mono12Packed"})
    code, text = refusal(camera)
    assert (code, "set to send Mono12Packed" in text) == (Code.IMAGE_FORMAT, True)
    code, text = refusal(Played(makes={"PixelFormat": "Mono8"}), pixel_format="rgb8")
    assert code is Code.IMAGE_FORMAT
