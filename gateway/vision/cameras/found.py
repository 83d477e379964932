"""What the search for cameras finds, and what is said where a back-end's package is missing."""

from __future__ import annotations

from typing import NamedTuple

from gateway.vision.cameras import CameraError
from protocols.faults import Code


class FoundCamera(NamedTuple):
    """A camera that answered a search."""

    kind: str
    vendor: str
    model: str
    serial: str
    address: str
    """What the settings name it by, where that is not the serial number."""


def missing_package(extra: str, package: str, error: ImportError) -> CameraError:
    """The back-end's package is not installed, or cannot be loaded."""
    if error.name is not None and error.name.split(".")[0] == package:
        text = f"cameras of kind {extra} need {package}: pip install 'vision-plc-gateway[{extra}]', or make extras"
    else:
        text = f"{package} cannot be loaded: {error}; install it anew: pip install 'vision-plc-gateway[{extra}]'"
    return CameraError(Code.CONFIG_INVALID, text, lost=True)
