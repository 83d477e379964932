"""The list of drivers for industrial cameras: which one a configuration means. None is loaded before it is opened."""

from __future__ import annotations

from gateway.vision.camera_settings import AravisCamera, BaslerCamera, GenicamCamera
from gateway.vision.cameras import aravis, basler, genicam
from gateway.vision.cameras.device import Device, DeviceCamera
from gateway.vision.cameras.found import FoundCamera

Driven = GenicamCamera | BaslerCamera | AravisCamera


def driven(config: Driven) -> DeviceCamera:
    """The camera that the settings describe, not yet opened."""
    return DeviceCamera(_device(config), config, config.simulated)


def discover(config: Driven) -> list[FoundCamera]:
    """What cameras the driver sees, within some seconds; CameraError."""
    match config:
        case GenicamCamera():
            return genicam.discover(config)
        case BaslerCamera():
            return basler.discover(config)
        case AravisCamera():
            return aravis.discover(config)


def _device(config: Driven) -> Device:
    match config:
        case GenicamCamera():
            return genicam.Genicam(config)
        case BaslerCamera():
            return basler.Basler(config)
        case AravisCamera():
            return aravis.Aravis(config)
