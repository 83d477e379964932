"""Which cameras of a kind are there; a missing package is a CameraError that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from gateway.vision.camera_settings import AravisCamera, BaslerCamera, GenicamCamera
from gateway.vision.cameras import CameraError, drivers
from gateway.vision.cameras.found import FoundCamera
from protocols.faults import Code

V4L2 = Path("/sys/class/video4linux")
NAMES = Path("/dev/v4l/by-id")


def usb(classes: Path = V4L2, names: Path = NAMES) -> Iterator[FoundCamera]:
    """Video devices of Linux, by their lasting names where udev gives them any; metadata nodes are left out."""
    lasting = {link.resolve().name: str(link) for link in sorted(names.glob("*"))} if names.is_dir() else {}
    nodes = (node for node in classes.glob("video*") if _text(node / "index") in ("0", ""))
    for node in sorted(nodes, key=lambda node: int(node.name.removeprefix("video") or 0)):
        yield FoundCamera("opencv", "", _text(node / "name"), "", lasting.get(node.name, f"/dev/{node.name}"))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""


def _genicam(network: bool) -> Iterable[FoundCamera]:
    if not network:
        text = "not looked for: its producers may search the network by broadcast; say --network"
        raise CameraError(Code.CAMERA_LINK, text)
    return drivers.discover(GenicamCamera())


def _basler(network: bool) -> Iterable[FoundCamera]:
    return drivers.discover(BaslerCamera(transport="any" if network else "usb"))


def _aravis(network: bool) -> Iterable[FoundCamera]:
    return drivers.discover(AravisCamera(interface="any" if network else "usb"))


FINDERS: Mapping[str, Callable[[bool], Iterable[FoundCamera]]] = {
    "opencv": lambda network: usb(),
    "genicam": _genicam,
    "basler": _basler,
    "aravis": _aravis,
}
"""By `kind` of the configuration; whether the network may be searched, which is a broadcast."""
