"""What a user may set: the models of the configuration file. `config` reads the file and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.tag_settings import StationTagsConfig
from gateway.validation import alike
from gateway.vision.camera_settings import CameraConfig
from gateway.vision.engine_settings import EngineConfig, OnnxRuntimeConfig
from gateway.vision.settings import FramesConfig, WorkerConfig
from protocols.devices import AnyDevice, ModbusDeviceConfig, OpcUaDeviceConfig
from protocols.handshake import CycleSettings
from protocols.links import LinkConfig
from protocols.opcua.server_settings import OpcUaServerConfig

StationName = Annotated[str, Field(max_length=63, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
"""A DNS label (RFC 1123 §2.1, in lower case): it becomes a folder, a metric label and part of an OPC UA node id."""
Verdicts = Annotated[tuple[Literal["OK", "NG", "RECHECK", "FAULT"], ...], Field(max_length=4)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class LogConfig(_Part):
    """What is logged and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """What is less important is left out."""
    format: Literal["console", "json"] = "console"
    """Coloured lines for people, or one JSON object a line for programs."""


class CycleConfig(_Part):
    """Times and rules of a station's trigger cycle."""

    deadline_ms: Annotated[float, Field(ge=5, le=600_000)] = 300
    """From the trigger seen to the verdict; then the gateway answers FAULT 2003."""
    grab_timeout_ms: Annotated[float, Field(ge=1, le=600_000)] = 200
    """What the camera may take of it; then the gateway answers FAULT 1002."""
    heartbeat_ms: Annotated[float, Field(ge=20, le=10_000)] = 200
    """Period in which our HEARTBEAT counts up."""
    plc_heartbeat_timeout_ms: Annotated[float, Field(ge=50, le=600_000)] = 1000
    """Without a beat of the PLC for this long, Ready goes off."""
    plc_heartbeat_required: bool = False
    """Demand beats from the beginning; else a PLC that never beats is not watched."""
    queue: Annotated[int, Field(ge=0, le=8)] = 8
    """Results that wait for their ack; 0: the newest overwrites."""
    ack_timeout_s: Annotated[float, Field(ge=0, le=3600)] = 5
    """A result that waits longer for its ack raises 3005; 0: never."""
    command_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = 30
    """For a recipe change; then COMMAND_RESULT is 3011."""
    min_trigger_interval_ms: Annotated[float, Field(ge=0, le=600_000)] = 0
    """Triggers that follow faster are refused with 3008; 0: none are."""
    overlap: bool = False
    """Ready rises again as soon as the picture is taken."""
    on_disable: Literal["finish", "fault"] = "finish"
    """What becomes of a running inspection when Enable falls: it is finished, or ends as FAULT 3006."""
    recipe_change: Literal["refuse", "defer"] = "refuse"
    """A recipe change while busy is refused with 3006, or carried out after the running inspection."""
    result_valid_delay_ms: Annotated[float, Field(ge=0, le=10_000)] = 0
    """ResultValid follows the result words by this much: one poll or more for a PLC that reads it separately."""
    enable: Literal["plc", "always"] = "plc"
    """Who enables the station: the PLC's Enable bit, or nobody need, for a station without a PLC."""
    acknowledge: Literal["plc", "none"] = "plc"
    """Who takes results: the PLC by its ack, or nobody; then each is shown until the next one."""
    grace_s: Annotated[float, Field(ge=0, le=60)] = 2
    """How long a running inspection may take at shutdown before it ends as FAULT 5005."""

    @property
    def grab_timeout(self) -> float:
        """In seconds."""
        return self.grab_timeout_ms / 1000

    def settings(self, *, own_triggers: bool = False) -> CycleSettings:
        """What the handshake needs of this, in seconds."""
        return CycleSettings(
            own_triggers=own_triggers,
            always_enabled=self.enable == "always",
            acknowledged=self.acknowledge == "plc",
            deadline=self.deadline_ms / 1000,
            heartbeat=self.heartbeat_ms / 1000,
            plc_heartbeat_timeout=self.plc_heartbeat_timeout_ms / 1000,
            plc_heartbeat_required=self.plc_heartbeat_required,
            queue=self.queue,
            ack_timeout=self.ack_timeout_s,
            command_timeout=self.command_timeout_s,
            min_trigger_interval=self.min_trigger_interval_ms / 1000,
            overlap=self.overlap,
            fault_on_disable=self.on_disable == "fault",
            defer_recipe_change=self.recipe_change == "defer",
            result_valid_delay=self.result_valid_delay_ms / 1000,
        )


class PicturesConfig(_Part):
    """Which pictures are kept as files."""

    keep: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    """How many for each station; the oldest is removed. 0: none."""
    verdicts: Verdicts = ("NG", "RECHECK")
    """Of parts with these judgements."""


class StationConfig(_Part):
    """One camera, its recipes, and the link to its PLC."""

    name: StationName
    """Unique; a-z, 0-9 and hyphens."""
    link: LinkConfig
    """How the PLC is reached."""
    camera: CameraConfig
    """Where the pictures come from."""
    recipes: Annotated[tuple[Path, ...], Field(min_length=1, max_length=1000)]
    """Recipe folders; the first is active at start."""
    engine: EngineConfig = OnnxRuntimeConfig()
    worker: WorkerConfig = WorkerConfig()
    frames: FramesConfig = FramesConfig()
    cycle: CycleConfig = CycleConfig()
    pictures: PicturesConfig = PicturesConfig()
    tags: StationTagsConfig = Field(default_factory=StationTagsConfig)


alike(ModbusDeviceConfig, OpcUaDeviceConfig)


class GatewayConfig(_Part):
    """The whole file."""

    name: StationName = "gateway"
    """The gateway's own name, in logs and metrics."""
    data_dir: Path
    """History, kept pictures and the lock file live here."""
    log: LogConfig = LogConfig()
    stations: Annotated[tuple[StationConfig, ...], Field(min_length=1, max_length=32)]
    devices: Annotated[tuple[AnyDevice, ...], Field(max_length=64)] = ()
    """Equipment beside the PLCs, whose values the stations use as tags."""
    opcua: OpcUaServerConfig | None = None
    """The OPC UA server that shows all stations; without this key there is none."""
