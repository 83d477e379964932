"""The folder camera: pictures from files, one a trigger, in the order of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gateway.vision.camera_settings import FolderCamera, TriggeredCamera
from gateway.vision.cameras import Camera, CameraError, Grabbed, OnDemand, Order, fit, made_now
from gateway.vision.cameras.device import DeviceCamera
from gateway.vision.cameras.pixels import decode
from gateway.vision.frames import Pixels
from protocols.faults import Code

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
MAX_FILE = 256 * 2**20


def make(config: FolderCamera) -> Camera:
    """The camera, not yet opened."""
    if not config.watch:
        return Folder(config)
    from gateway.vision.cameras.watched import WatchedFolder

    paired = TriggeredCamera(
        trigger="hardware", starts=config.starts, early_ms=config.early_ms, frozen_check=config.frozen_check
    )
    ask = f"does anybody put pictures into {config.path}?"
    return DeviceCamera(WatchedFolder(config), paired, ask=ask)


class Folder(OnDemand):
    """Shows picture (cycle - 1) of the folder, counted round: the same one on whichever process asks."""

    simulated = True
    frozen_check = False
    """A folder shows its pictures again and again."""

    def __init__(self, config: FolderCamera) -> None:
        self._config = config
        self._files: list[Path] = []

    def open(self) -> None:
        """Read the folder; CameraError 1001 if it is missing or holds no picture."""
        self.check()
        try:
            files = sorted(path for path in self._config.path.iterdir() if path.suffix.lower() in SUFFIXES)
            if self._config.order == "time":
                files.sort(key=lambda path: path.stat().st_mtime_ns)
            self._files = files
        except OSError as error:
            raise self._lost(f"cannot be read: {error.strerror}") from error
        if not self._files:
            raise self._lost("holds no picture (png, jpg, bmp)")

    def grab(self, out: Pixels, order: Order) -> Grabbed:
        """The next picture; CameraError 1004 for one that cannot be decoded, 1002 behind the last one."""
        self.check()
        index = order.cycle - 1
        if index >= len(self._files) and not self._config.loop:
            raise CameraError(Code.FRAME_TIMEOUT, f"all {len(self._files)} pictures of {self._config.path} were shown")
        picture = self._decode(self._files[index % len(self._files)])
        pixels = fit(out, *picture.shape[:2])
        pixels[:] = picture
        return made_now(pixels)

    def check(self) -> None:
        """The folder must be there."""
        if not self._config.path.is_dir():
            raise self._lost("does not exist")

    def close(self) -> None:
        """Nothing to let go of."""

    def _lost(self, why: str) -> CameraError:
        return CameraError(Code.CAMERA_LINK, f"camera folder {self._config.path} {why}", lost=True)

    def _decode(self, path: Path) -> Pixels:
        try:
            if path.stat().st_size > MAX_FILE:
                raise CameraError(Code.IMAGE_INVALID, f"{path} is larger than {MAX_FILE >> 20} MiB")
            data = np.fromfile(path, np.uint8)
        except OSError as error:
            raise CameraError(Code.IMAGE_INVALID, f"{path} cannot be read: {error.strerror}") from error
        return decode(data, str(path))
