"""Cameras of any vendor through its GenTL producer (a .cti file), by harvesters."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gateway.vision.camera_settings import GenicamCamera
from gateway.vision.cameras import CameraError
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival
from gateway.vision.cameras.features import Features, Limits, Value, refused, settle
from gateway.vision.cameras.found import FoundCamera, missing_package
from gateway.vision.cameras.pfnc import CODE, arrival
from protocols.faults import Code

SEARCH_PATH = "GENICAM_GENTL64_PATH"
"""The GenTL standard's variable: folders that hold producers, set by the vendors' installers (GenTL 1.6 §3)."""
POLL = 0.001
"""Seconds between two looks for a frame: the binding holds Python's lock while it waits, so it is not let wait."""
PING_EVERY = 0.5
"""Seconds without a frame after which the camera is asked whether it is there."""


class Genicam:
    """The camera that fits the settings, behind its vendor's producer."""

    def __init__(self, config: GenicamCamera) -> None:
        self._config = config
        self._harvester: Any = None
        self._acquirer: Any = None
        self.features: Features | None = None
        """Of the open camera."""
        self._incomplete = False
        self._pings = False
        self._heard = 0.0

    def open(self) -> None:
        """Load the producer, find the camera, apply the settings, start the stream; CameraError 1001, 7001."""
        core = _import()
        self._harvester = _harvester(core, self._config)
        with _told("cannot be opened"):
            wanted = _choose(self._harvester.device_info_list, self._config)
            keys = core.ParameterKey
            parameters = core.ParameterSet(
                {
                    keys.TIMEOUT_PERIOD_ON_UPDATE_EVENT_DATA_CALL: 1,
                    keys.NUM_BUFFERS_FOR_FETCH_CALL: self._config.buffers,
                    keys.ENABLE_AUTO_CHUNK_DATA_UPDATE: False,
                }
            )
            self._acquirer = acquirer = self._harvester.create(wanted, config=parameters)
            self.features = _Features(acquirer.remote_device.node_map)
            settle(self.features, self._config)
            acquirer.add_callback(acquirer.Events.INCOMPLETE_BUFFER, _on_incomplete(core, self._torn))
            self._pings = self._alive()
            acquirer.start()
        self._heard = time.monotonic()

    def next(self, wait: float) -> Arrival | None:
        """The next buffer; CameraError 1001 if the camera is gone."""
        end = time.monotonic() + wait
        with _told("is gone"):
            stream = self._acquirer.data_streams[0]
            while not stream.num_awaiting_delivery:
                now = time.monotonic()
                if self._pings and now - self._heard > PING_EVERY:
                    self._ask()
                    self._heard = now
                if now > end:
                    return None
                time.sleep(POLL)
            self._heard = now = time.monotonic()
            self._incomplete = False
            buffer = self._acquirer.try_fetch(timeout=wait)
            if buffer is not None:
                try:
                    return self._arrival(buffer, now)
                finally:
                    buffer.queue()
            return Arrival.broken_by("the camera's frame is not whole", Stamp(now)) if self._incomplete else None

    def fire(self) -> None:
        """Command one exposure."""
        if self.features is not None:
            self.features.execute("TriggerSoftware")

    def restart(self) -> None:
        """Stop and start the acquisition: the producer throws away what is under way."""
        with _told("cannot be started"):
            self._acquirer.stop()
            self._acquirer.start()

    def close(self) -> None:
        """Close the camera and unload the producer."""
        harvester, self._harvester, self._acquirer, self.features = self._harvester, None, None, None
        if harvester is not None:
            with _told("cannot be closed"):
                harvester.reset()

    def _torn(self) -> None:
        self._incomplete = True

    def _alive(self) -> bool:
        """Whether the camera answers when the first of its registers is read; not all have one there."""
        with contextlib.suppress(CameraError), _told("does not answer"):
            self._ask()
            return True
        return False

    def _ask(self) -> None:
        # the version register of GigE Vision, USB3 Vision and CoaXPress
        self._acquirer.remote_device.port.read(0, 4)

    def _arrival(self, buffer: Any, now: float) -> Arrival:
        raw = buffer.module
        number, ticks = _if_known(raw, "frame_id"), _if_known(raw, "timestamp_ns")
        stamp = Stamp(now, number, ticks / 1e9 if ticks else None)
        parts = buffer.payload.components
        if not parts:
            return Arrival.broken_by("the camera's buffer holds no picture", stamp)
        part = parts[0]
        data = part.data.view(np.uint8)
        return arrival(data, part.data_format_value & CODE, (part.width, part.height), stamp, part.x_padding)


class _Features:
    """GenApi's node map."""

    def __init__(self, nodes: Any) -> None:
        from genicam import genapi

        self._nodes = nodes
        self._integer = genapi.IInteger

    def has(self, name: str) -> bool:
        node = self._nodes.get_node(name) if self._nodes.has_node(name) else None
        return node is not None and node.get_access_mode() > 1  # not implemented, not available

    def number(self, name: str) -> float:
        with _said(name):
            return float(self._nodes.get_node(name).value)

    def text(self, name: str) -> str:
        with _said(name):
            return str(self._nodes.get_node(name).to_string())

    def limits(self, name: str) -> Limits:
        with _said(name):
            node = self._nodes.get_node(name)
            step = node.inc if self._whole(node) or node.has_inc() else 0
            return Limits(float(node.min), float(node.max), float(step))

    def choices(self, name: str) -> tuple[str, ...]:
        with _said(name):
            return tuple(self._nodes.get_node(name).symbolics)

    def write(self, name: str, value: Value) -> None:
        with _said(name):
            node = self._nodes.get_node(name)
            whole = self._whole(node) and isinstance(value, float) and value.is_integer()
            node.value = int(value) if whole else value

    def execute(self, name: str) -> None:
        with _said(name):
            self._nodes.get_node(name).execute()

    def _whole(self, node: Any) -> bool:
        return isinstance(node, self._integer)


def discover(config: GenicamCamera) -> list[FoundCamera]:
    """The cameras that the producers of the settings see; CameraError."""
    harvester = _harvester(_import(), config)
    try:
        with _told("cannot be searched for"):
            return [_found(info) for info in harvester.device_info_list]
    finally:
        harvester.reset()


def _found(info: Any) -> FoundCamera:
    vendor, model, serial = (str(_if_known(info, name) or "") for name in ("vendor", "model", "serial_number"))
    return FoundCamera("genicam", vendor, model, serial, str(_if_known(info, "id_") or ""))


def _import() -> Any:
    try:
        from harvesters import core
    except ImportError as error:
        raise missing_package("genicam", "harvesters", error) from error
    # It has a handler of its own that writes to our standard error, tracebacks and all; what matters is raised.
    logging.getLogger("harvesters.core").setLevel(logging.CRITICAL)
    return core


def _harvester(core: Any, config: GenicamCamera) -> Any:
    producers = _producers(config)
    harvester = core.Harvester()
    harvester.timeout_for_update = int(config.open_timeout_s * 1000)
    with _told("cannot be searched for"):
        for path in producers:
            harvester.add_file(str(path))
        harvester.update()
    return harvester


def _producers(config: GenicamCamera) -> list[Path]:
    if config.producer is not None:
        paths = [config.producer]
    else:
        folders = [Path(part) for part in os.environ.get(SEARCH_PATH, "").split(os.pathsep) if part]
        paths = sorted(path for folder in folders if folder.is_dir() for path in folder.glob("*.cti"))
    if not paths:
        refused(f"there is no GenTL producer: set producer to the vendor's .cti file, or {SEARCH_PATH} to its folder")
    for path in paths:
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            refused(f"the GenTL producer {path} cannot be loaded: {error}; install the vendor's driver again")
        if not hasattr(library, "GCInitLib"):
            refused(f"{path} is no GenTL producer; name the vendor's .cti file")
    return paths


def _choose(infos: list[Any], config: GenicamCamera) -> Any:
    """The one that the settings name; CameraError 1001 if it is not there, 7001 if they fit several."""
    wanted = {"id_": config.id, "serial_number": config.serial, "model": config.model}
    asked = {name: value for name, value in wanted.items() if value is not None}
    fit = [info for info in infos if all(str(_if_known(info, name)) == value for name, value in asked.items())]
    there = ", ".join(f"{_found(info).model} {_found(info).serial} ({_found(info).address})" for info in infos)
    if not fit:
        told = " ".join(f"{name.split('_')[0]} {value}" for name, value in asked.items())
        text = f"the producer sees no camera {told}".rstrip() + (f"; it sees {there}" if there else "")
        raise CameraError(Code.CAMERA_LINK, text, lost=True)
    if len(fit) > 1:
        refused(f"the settings fit {len(fit)} cameras; set serial or id; there are {there}")
    return fit[0]


def _if_known(module: Any, name: str) -> Any:
    """What the producer says, or None if it does not."""
    from genicam import gentl

    try:
        return getattr(module, name)
    except gentl.GenericException:
        return None


def _on_incomplete(core: Any, told: Callable[[], None]) -> Any:
    class Incomplete(core.Callback):  # type: ignore[misc] # its base is there only where the package is
        def emit(self, context: object = None) -> None:
            told()

    return Incomplete()


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What the producer raises, as a lost camera."""
    from genicam import genapi, gentl

    try:
        yield
    except (gentl.GenericException, genapi.GenericException, AttributeError) as error:
        raise CameraError(Code.CAMERA_LINK, f"the GenICam camera {what}: {_short(error)}", lost=True) from error


@contextlib.contextmanager
def _said(name: str) -> Iterator[None]:
    """What GenApi says against a feature, as settings that do not suit the camera."""
    from genicam import genapi, gentl

    try:
        yield
    except (genapi.GenericException, gentl.GenericException, AttributeError, TypeError) as error:
        refused(f"the camera refuses {name}: {_short(error)}")


def _short(error: Exception) -> str:
    """The sentence without the place in GenApi's source."""
    text = str(error) or type(error).__name__
    return text.split(" : ", maxsplit=1)[0].strip().split("\n", maxsplit=1)[0].rstrip(".")
