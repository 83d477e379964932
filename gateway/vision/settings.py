"""What a user may set about engine, worker processes and frames. Light: both processes import it."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from gateway.vision.camera_settings import AnyCamera, Settings
from gateway.vision.engine_settings import EngineConfig, OnnxRuntimeConfig

SLOT_HEADER = mmap.PAGESIZE
"""Bytes before the pixels of a slot: one page, so that pixels start aligned."""


class WorkerConfig(Settings):
    """The vision processes of a station."""

    standby: bool = True
    """Keep a second, warm process that takes over when the first one dies."""
    nice: int = Field(default=10, ge=0, le=19)
    memory_limit_mb: int = Field(default=1024, ge=512, le=1_048_576)
    start_timeout_s: float = Field(default=30.0, gt=0, le=600)
    cores: Annotated[tuple[Annotated[int, Field(ge=0, le=1023)], ...], Field(max_length=64)] = ()
    """Numbers of the processors its vision may use, so that stations do not take each other's; none given: all."""


class FramesConfig(Settings):
    """The ring of shared memory that holds the newest frames."""

    slots: int = Field(default=8, ge=4, le=256)
    max_bytes: int = Field(default=16 * 2**20, ge=4096, le=2**30)
    """The largest frame: width x height x channels."""

    @property
    def stride(self) -> int:
        """Bytes from one slot to the next."""
        return SLOT_HEADER + -(-self.max_bytes // mmap.PAGESIZE) * mmap.PAGESIZE

    @property
    def total(self) -> int:
        """Bytes of the whole ring."""
        return self.slots * self.stride


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """All that the worker pool of one station needs; paths absolute or relative to the current folder."""

    recipe: Path
    camera: AnyCamera
    engine: EngineConfig = field(default_factory=OnnxRuntimeConfig)
    worker: WorkerConfig = field(default_factory=WorkerConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    grab_timeout: float = 0.2
    """Seconds."""
    pictures_keep: int = 20
    overlap: bool = False
    contents: Mapping[Path, dict[str, Any]] = field(default_factory=dict)
    """Recipes by folder as the control process read them: both judge by the same text, whatever the file says later."""


def as_json(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values, for the way to the worker."""
    return settings.model_dump(mode="json")
