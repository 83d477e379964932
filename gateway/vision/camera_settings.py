"""What a user may set about cameras. Light: control process and vision workers import it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

PartNumbers = Annotated[tuple[int, ...], Field(max_length=200)]
Milliseconds = Annotated[float, Field(ge=0, le=60_000)]
PixelFormat = Literal[
    "mono8", "mono10", "mono12", "mono16", "bgr8", "rgb8", "yuyv",
    "bayer_rg8", "bayer_gb8", "bayer_gr8", "bayer_bg8",
]  # fmt: skip
"""How a camera hands over its pixels; mono10 and mono12 lie in 16 bits each."""
Trigger = Literal["software", "hardware", "free"]


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Inject(Settings):
    """Faults on order, for tests and demonstrations of the simulated camera; part numbers are the PLC's PART_ID."""

    crash_at: PartNumbers = ()
    """The process dies of SIGSEGV between exposure and result; the repeat on the standby succeeds."""
    exit_at: PartNumbers = ()
    """The process dies before the exposure, without a word; the repeat succeeds."""
    poison_at: PartNumbers = ()
    """The process dies of SIGSEGV between exposure and result, at the repeat too."""
    hang_at: PartNumbers = ()
    """The process never answers after the exposure; the repeat succeeds."""
    late_at: PartNumbers = ()
    """The result comes late_ms late."""
    late_ms: float = Field(default=400.0, ge=0, le=60_000)
    slow_ms: float = Field(default=0.0, ge=0, le=60_000)
    """Every grab takes so much longer."""
    black_at: PartNumbers = ()
    freeze_at: PartNumbers = ()
    """The frame before is delivered again."""
    unplug_at: PartNumbers = ()
    """The camera is gone from these parts on, for unplug_s."""
    unplug_s: float = Field(default=1.0, ge=0, le=3600)


class Region(Settings):
    """A part of the sensor, in its pixels."""

    x: int = Field(default=0, ge=0, le=65535)
    y: int = Field(default=0, ge=0, le=65535)
    width: int = Field(ge=8, le=65535)
    height: int = Field(ge=8, le=65535)


class RealCamera(Settings):
    """What is set of every camera that is a device."""

    exclusive: ClassVar[bool] = True
    """Only one process can have the camera: the standby opens it when it takes over."""

    exposure_us: float | None = Field(default=None, gt=0, le=60_000_000)
    """Exposure time; without it the camera's own."""
    gain: float | None = Field(default=None, ge=0, le=1000)
    """In the camera's own unit, mostly dB."""
    roi: Region | None = None
    """The part of the sensor to read."""
    pixel_format: PixelFormat | None = None
    """How the camera is to send its pixels; without it as it is set."""
    latency_ms: Milliseconds = 0
    """How old a frame may be when it arrives (exposure, transport): with `trigger: free` one that arrives sooner than
    this after the trigger is not taken, as it may show the part before."""
    open_timeout_s: float = Field(default=2, ge=0.1, le=60)
    """What connecting may take."""
    silence_s: float = Field(default=2, ge=0.1, le=600)
    """With `trigger: free`: a camera that sends no frame for so long is lost (1002) and opened again."""
    frozen_check: bool = True
    """Refuse a frame whose pixels are those of the one before (1003)."""


class TriggeredCamera(RealCamera):
    """What is set of a camera that can be told when to expose."""

    trigger: Trigger = "software"
    """software: each trigger of the PLC commands an exposure; hardware: a wire does, and the frame is paired with the
    PLC's trigger; free: the camera runs, and the newest frame exposed after the trigger is taken."""
    early_ms: Milliseconds = 20
    """With `trigger: hardware`: how much earlier than the PLC's trigger the frame of the wire may arrive."""


class SimulatedCamera(Settings):
    """Renders parts with known defects; results carry the Simulated bit."""

    exclusive: ClassVar[bool] = False

    kind: Literal["simulated"] = "simulated"
    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    defect_rate: float = Field(default=0.3, ge=0, le=1)
    width: int = Field(default=1280, ge=64, le=16384)
    height: int = Field(default=1024, ge=64, le=16384)
    frozen_check: bool = True
    inject: Inject | None = None


class FolderCamera(Settings):
    """Shows the pictures (png, jpg, bmp) of a folder in the order of their names; results carry the Simulated bit."""

    exclusive: ClassVar[bool] = False

    kind: Literal["folder"] = "folder"
    path: Path
    loop: bool = True
    """Start again after the last picture; otherwise every further trigger ends as 1002."""


AnyCamera = SimulatedCamera | FolderCamera
CameraConfig = Annotated[AnyCamera, Field(discriminator="kind")]
