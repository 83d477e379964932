"""What a user may set about cameras. Light: control process and vision workers import it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

PartNumbers = Annotated[tuple[int, ...], Field(max_length=200)]
Milliseconds = Annotated[float, Field(ge=0, le=60_000)]
PixelFormat = Literal[
    "mono8", "mono10", "mono12", "mono16", "bgr8", "rgb8", "yuyv",
    "bayer_rg8", "bayer_gb8", "bayer_gr8", "bayer_bg8",
]  # fmt: skip
"""How a camera hands over its pixels; mono10 and mono12 lie in 16 bits each."""
Trigger = Literal["software", "hardware", "free"]
DeviceName = Annotated[str, Field(min_length=1, max_length=255)]
FeatureName = Annotated[str, Field(max_length=63, pattern="^[A-Za-z][A-Za-z0-9_]*$")]
IPV4 = r"^(\d{1,3}\.){3}\d{1,3}$"


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

    exposure_us: float | None = Field(default=None, gt=0, le=60_000_000)
    """Exposure time; without it the camera's own."""
    gain: float | None = Field(default=None, ge=0, le=1000)
    """In the camera's own unit, mostly dB."""
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

    exclusive: ClassVar[bool] = True
    """Only one process can have the camera: the standby opens it when it takes over."""

    trigger: Trigger = "software"
    """software: each trigger of the PLC commands an exposure; hardware: a wire does, and the frame is paired with the
    PLC's trigger; free: the camera runs, and the newest frame exposed after the trigger is taken."""
    roi: Region | None = None
    """The part of the sensor to read."""
    pixel_format: PixelFormat | None = None
    """How the camera is to send its pixels; without it as it is set."""
    starts: bool = False
    """With `trigger: hardware`: each frame that arrives is a trigger; those of the PLC are then refused with 3006."""
    early_ms: Milliseconds = 20
    """With `trigger: hardware`: how much earlier than the PLC's trigger the frame of the wire may arrive."""

    @model_validator(mode="after")
    def _starts_by_wire(self) -> Self:
        if self.starts and self.trigger != "hardware":
            raise ValueError(f"starts needs trigger: hardware; with {self.trigger} no frame comes without a trigger")
        return self


class GenicamSettings(TriggeredCamera):
    """What is set of every camera with the standard's features (GenICam SFNC)."""

    trigger_line: Annotated[str, Field(min_length=1, max_length=63)] = "Line1"
    """With `trigger: hardware`: the camera's input the wire is at, as the camera names it (TriggerSource)."""
    trigger_edge: Literal["rising", "falling"] = "rising"
    """With `trigger: hardware`: the edge that exposes."""
    buffers: int = Field(default=5, ge=2, le=64)
    """Frames that the driver can hold."""
    features: Annotated[dict[FeatureName, bool | int | float | str], Field(max_length=64)] = Field(default_factory=dict)
    """Further features of the camera by their names, set before all else, in this order: `BalanceWhiteAuto: Once`."""

    @property
    def simulated(self) -> bool:
        """Whether it is a driver's test camera: results carry the Simulated bit."""
        return False


class GenicamCamera(GenicamSettings):
    """A camera of any vendor through the vendor's GenTL producer; needs the extra `genicam`."""

    kind: Literal["genicam"] = "genicam"
    producer: Path | None = None
    """The vendor's .cti file; without it all in the folders of GENICAM_GENTL64_PATH."""
    id: DeviceName | None = None
    """Which camera, as the producer names it; id, serial and model must together fit one."""
    serial: DeviceName | None = None
    model: DeviceName | None = None


class BaslerCamera(GenicamSettings):
    """A Basler camera, or pylon's emulated one; needs the extra `basler`."""

    kind: Literal["basler"] = "basler"
    transport: Literal["any", "gige", "usb", "emulator"] = "any"
    """Where it is looked for; only `any` and `gige` search the network. The emulator's results carry the Simulated
    bit."""
    serial: DeviceName | None = None
    """Which camera; without serial, name and address the first one found."""
    name: DeviceName | None = None
    """The name that a user gave the camera (DeviceUserID)."""
    address: Annotated[str, Field(pattern=IPV4)] | None = None
    """Of a GigE camera."""
    pictures: Path | None = None
    """With `transport: emulator`: the folder of pictures (png, bmp, tif) that it shows."""

    @property
    def simulated(self) -> bool:
        """The emulator is."""
        return self.transport == "emulator"


class AravisCamera(GenicamSettings):
    """A GigE Vision or USB3 Vision camera through the system's libaravis (apt install libaravis-0.8-0)."""

    kind: Literal["aravis"] = "aravis"
    address: DeviceName | None = None
    """The camera's IP address, then no search is sent out; or its name as Aravis shows it; without it the first one
    found."""
    interface: Literal["any", "gige", "usb", "fake"] = "any"
    """Where it is looked for; fake is libaravis' own test camera, whose results carry the Simulated bit."""

    @property
    def simulated(self) -> bool:
        """The library's own test camera is."""
        return self.interface == "fake"


class SimulatedCamera(Settings):
    """Renders parts with known defects; results carry the Simulated bit."""

    exclusive: ClassVar[bool] = False
    starts: ClassVar[bool] = False

    kind: Literal["simulated"] = "simulated"
    seed: int = Field(default=1, ge=0, le=2**32 - 1)
    defect_rate: float = Field(default=0.3, ge=0, le=1)
    width: int = Field(default=1280, ge=64, le=16384)
    height: int = Field(default=1024, ge=64, le=16384)
    frozen_check: bool = True
    inject: Inject | None = None


class FolderCamera(Settings):
    """Shows the pictures (png, jpg, bmp) of a folder, or watches it for those that another program puts there.

    Shown pictures carry the Simulated bit, those that come do not.
    """

    kind: Literal["folder"] = "folder"
    path: Path
    loop: bool = True
    """Start again after the last picture; otherwise every further trigger ends as 1002."""
    order: Literal["name", "time"] = "name"
    """Of the pictures shown: by name, or the oldest first."""
    watch: bool = False
    """A picture that is completely written after the trigger is its frame; what is there at the start is none."""
    starts: bool = False
    """With `watch`: each picture that comes is a trigger; those of the PLC are then refused with 3006."""
    early_ms: Milliseconds = 20
    """With `watch`: how much earlier than the PLC's trigger its picture may come."""
    frozen_check: bool = True
    """With `watch`: refuse a picture that equals the one before (1003)."""

    @property
    def exclusive(self) -> bool:
        """A watched picture belongs to one process."""
        return self.watch

    @model_validator(mode="after")
    def _starts_by_coming(self) -> Self:
        if self.starts and not self.watch:
            raise ValueError("starts needs watch: true; pictures that are there already come by the PLC's triggers")
        return self


SCHEMES = ("rtsp", "rtsps", "http", "https")


class OpenCvCamera(RealCamera):
    """A USB camera (V4L2), a network stream, or a video file, through OpenCV: name one of `device`, `url`, `path`.

    It runs freely: the newest frame exposed after the trigger is taken. A file gives its next picture at each trigger,
    and results carry the Simulated bit.
    """

    starts: ClassVar[bool] = False

    kind: Literal["opencv"] = "opencv"
    device: Annotated[int, Field(ge=0, le=63)] | Annotated[str, Field(pattern=r"^/dev/[\w./:+-]+$")] | None = None
    """A USB camera: its number, or its name such as /dev/v4l/by-id/…, which stays when others are plugged in."""
    url: Annotated[str, Field(max_length=2000, pattern=r"^\S+$")] | None = None
    """A stream: rtsp://, rtsps://, http:// or https://."""
    path: Path | None = None
    """A video file."""
    loop: bool = True
    """Of a file: start again after the last picture; otherwise every further trigger ends as 1002."""
    user: Annotated[str, Field(max_length=200)] | None = None
    password_file: Path | None = None
    """Its first line is the password of the stream's user."""
    transport: Literal["tcp", "udp"] = "tcp"
    """Of rtsp."""
    width: Annotated[int, Field(ge=8, le=65535)] | None = None
    height: Annotated[int, Field(ge=8, le=65535)] | None = None
    """Of the frames of a USB camera."""
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    fourcc: Annotated[str, Field(pattern="^[A-Z0-9]{4}$")] | None = None
    """How a USB camera packs its frames: MJPG, YUYV."""
    latency_ms: Milliseconds = 100

    @property
    def exclusive(self) -> bool:
        """A file may be read by many."""
        return self.path is None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = [name for name in ("device", "url", "path") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"needs one of device, url and path, and has {' and '.join(named) or 'none'}")
        if self.url is not None:
            self._check_url(self.url)
        usb = ("exposure_us", "gain", "width", "height", "fps", "fourcc")
        wrong = [name for name in usb if getattr(self, name) is not None]
        if wrong and self.device is None:
            raise ValueError(f"{wrong[0]} can be set of a device alone; set it in the camera itself")
        return self

    def _check_url(self, url: str) -> None:
        if "@" in url:  # also behind a / or # of a password, where it is no part of the computer's name any more
            text = "url holds a user; give user and password_file instead, so that no log shows the password"
            raise ValueError(f"{text} (an @ that is part of the path is written %40)")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:  # it says what is wrong by citing it
            raise ValueError("url is no address; it is written rtsp://computer:554/path") from None
        if parts.scheme not in SCHEMES or not host:
            raise ValueError(f"url must begin with {', '.join(f'{s}://' for s in SCHEMES)} and name a computer")


AnyCamera = SimulatedCamera | FolderCamera | OpenCvCamera | GenicamCamera | BaslerCamera | AravisCamera
CameraConfig = Annotated[AnyCamera, Field(discriminator="kind")]
