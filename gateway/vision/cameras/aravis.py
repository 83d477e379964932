"""GigE Vision and USB3 Vision cameras of any vendor through the system's libaravis, without a vendor's driver."""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import time
from collections.abc import Iterator

from gateway.vision.camera_settings import AravisCamera
from gateway.vision.cameras import CameraError, gvcp
from gateway.vision.cameras.aravis_library import STATUS, SUCCESS, AravisError, Library, library
from gateway.vision.cameras.arrivals import Stamp
from gateway.vision.cameras.device import Arrival
from gateway.vision.cameras.features import Features, Limits, Value, refused, settle
from gateway.vision.cameras.found import FoundCamera
from gateway.vision.cameras.pfnc import arrival
from protocols.faults import Code

INTERFACES = {"gige": "GigEVision", "usb": "USB3Vision", "fake": "Fake"}
NO_PACKET_SOCKET = 1
"""ARV_GV_STREAM_OPTION_PACKET_SOCKET_DISABLED. Where it may (as root), libaravis hears all that passes the interface
until its filter is set; one foreign packet in that moment counts as a frame, and the camera's own as late ones."""
FRAMES_HELD, LARGEST = 4, 256 * 2**20
"""Frames, and bytes at most, that the kernel is to hold while the thread that reads them waits for a processor."""
VERSION, CONTROL, CONTROLLED = 0, 0x0A00, 0b11
"""Register 0 of GigE Vision and USB3 Vision; the control channel privilege of GigE Vision (2.2 §28), and its bits. A
camera whose heartbeat was not answered for some seconds gives the control up and stops, and no wire tells."""
PING_EVERY = 0.25
"""Seconds without a frame after which the camera is asked whether it is there."""


class Aravis:
    """The camera that the settings name, or the first one found."""

    def __init__(self, config: AravisCamera) -> None:
        self._config = config
        self._library: Library | None = None
        self._camera = self._stream = 0
        self._gige = False
        self.features: Features | None = None
        """Of the open camera."""
        self._heard = 0.0

    def open(self) -> None:
        """Connect, apply the settings, start the stream; CameraError 1001, 7001 or 1005."""
        self._library = lib = _load()
        _only(lib, self._config)
        self._ping()
        with _told("cannot be opened"):
            self._camera = lib.call("arv_camera_new", (self._config.address or _first(lib)).encode()) or 0
            if not self._camera:
                raise AravisError("no reason given")
            self._ours(lib)
            self.features = _Features(lib, self._camera)
            settle(self.features, self._config)
            self._stream = lib.call("arv_camera_create_stream", self._camera, None, None)
            size = lib.call("arv_camera_get_payload", self._camera)
            if self._gige:
                lib.receive_buffer(self._stream, min(FRAMES_HELD * size, LARGEST))
            for _ in range(self._config.buffers):
                lib.call("arv_stream_push_buffer", self._stream, lib.call("arv_buffer_new", size, None))
            lib.call("arv_camera_start_acquisition", self._camera)
        self._heard = time.monotonic()

    def next(self, wait: float) -> Arrival | None:
        """The next buffer; CameraError 1001 if the camera is gone."""
        lib = self._opened()
        buffer = lib.call("arv_stream_timeout_pop_buffer", self._stream, int(wait * 1e6))
        now = time.monotonic()
        if not buffer:
            if now - self._heard > PING_EVERY:
                self._ask()
                self._heard = time.monotonic()
            return None
        self._heard = now
        try:
            return self._arrival(lib, buffer, now)
        finally:
            lib.call("arv_stream_push_buffer", self._stream, buffer)

    def fire(self) -> None:
        """Command one exposure."""
        if self.features is not None:
            self.features.execute("TriggerSoftware")

    def restart(self) -> None:
        """Stop and start the acquisition, and give back what lies between."""
        lib = self._opened()
        with _told("cannot be started"):
            lib.call("arv_camera_stop_acquisition", self._camera)
            while buffer := lib.call("arv_stream_try_pop_buffer", self._stream):
                lib.call("arv_stream_push_buffer", self._stream, buffer)
            lib.call("arv_camera_start_acquisition", self._camera)

    def close(self) -> None:
        """Stop, and free stream, buffers and camera; takes seconds where the camera is gone."""
        lib, camera, stream = self._library, self._camera, self._stream
        self._camera = self._stream = 0
        self.features = None
        if lib is None or not camera:
            return
        try:
            if stream:
                with _told("cannot be stopped"):
                    lib.call("arv_camera_stop_acquisition", camera)
        finally:
            for item in filter(None, (stream, camera)):
                lib.unref(item)

    def _ours(self, lib: Library) -> None:
        """A GigE camera belongs to one program; libaravis opens it all the same, and then nothing that is set holds."""
        self._gige = bool(lib.call("arv_camera_is_gv_device", self._camera))
        if not self._gige:
            return
        if not lib.call("arv_gv_device_is_controller", lib.call("arv_camera_get_device", self._camera)):
            text = "another program has the camera; if that one died, the camera waits some seconds for it"
            raise CameraError(Code.CAMERA_LINK, text, lost=True)
        lib.call("arv_camera_gv_set_stream_options", self._camera, NO_PACKET_SOCKET)

    def _opened(self) -> Library:
        if self._library is None or not self._stream:
            raise CameraError(Code.CAMERA_LINK, "the camera is not open", lost=True)
        return self._library

    def _ping(self) -> None:
        """A camera known by its address is asked by ourselves: libaravis takes 2.5 s to say no."""
        address = self._config.address
        if address is not None and _is_address(address) and not gvcp.answers(address):
            raise CameraError(Code.CAMERA_LINK, f"no camera answers at {address}", lost=True)

    def _ask(self) -> None:
        self._ping()
        lib = self._opened()
        with _told("is gone"):
            device, value = lib.call("arv_camera_get_device", self._camera), ctypes.c_uint32()
            register = CONTROL if self._gige else VERSION
            lib.call("arv_device_read_register", device, register, ctypes.byref(value))
        if self._gige and not value.value & CONTROLLED:
            raise CameraError(
                Code.CAMERA_LINK, "the camera has forgotten us: it was out of reach for too long", lost=True
            )

    def _arrival(self, lib: Library, buffer: int, now: float) -> Arrival:
        number = int(lib.call("arv_buffer_get_frame_id", buffer))
        time_ns = int(lib.call("arv_buffer_get_timestamp", buffer))
        stamp = Stamp(now, number, time_ns / 1e9 if time_ns else None)
        status = lib.call("arv_buffer_get_status", buffer)
        if status != SUCCESS:
            why = STATUS.get(status, f"status {status}")
            return Arrival.broken_by(f"the camera's frame is not whole: {why}", stamp)
        frame = lib.frame(buffer)
        return arrival(frame.data, frame.code, (frame.width, frame.height), stamp)


class _Features:
    """libaravis' features by name."""

    def __init__(self, lib: Library, camera: int) -> None:
        self._lib = lib
        self._camera = camera
        self._device = lib.call("arv_camera_get_device", camera)

    def has(self, name: str) -> bool:
        with contextlib.suppress(AravisError):
            return bool(self._lib.call("arv_camera_is_feature_available", self._camera, name.encode()))
        return False

    def number(self, name: str) -> float:
        with _said(name):
            return float(self._lib.call(f"arv_camera_get_{self._kind(name)}", self._camera, name.encode()))

    def text(self, name: str) -> str:
        with _said(name):
            value: bytes | None = self._lib.call("arv_camera_get_string", self._camera, name.encode())
            return (value or b"").decode(errors="replace")

    def limits(self, name: str) -> Limits:
        with _said(name):
            place = (self._camera, name.encode())
            if self._kind(name) == "float":
                return Limits(*self._lib.bounds("arv_camera_get_float_bounds", ctypes.c_double, *place), 0)
            low, high = self._lib.bounds("arv_camera_get_integer_bounds", ctypes.c_int64, *place)
            return Limits(low, high, self._lib.call("arv_camera_get_integer_increment", *place))

    def choices(self, name: str) -> tuple[str, ...]:
        with _said(name):
            return self._lib.strings("arv_camera_dup_available_enumerations_as_strings", self._camera, name.encode())

    def write(self, name: str, value: Value) -> None:
        kind = "string" if isinstance(value, str) else "boolean" if isinstance(value, bool) else self._kind(name)
        if kind == "integer" and isinstance(value, float) and not value.is_integer():
            refused(f"the camera's {name} takes whole numbers, not {value:g}")
        plain: bytes | bool | int | float = value.encode() if isinstance(value, str) else value
        if kind in {"integer", "float"}:
            plain = int(plain) if kind == "integer" else float(plain)
        with _said(name):
            self._lib.call(f"arv_camera_set_{kind}", self._camera, name.encode(), plain)

    def execute(self, name: str) -> None:
        with _told(f"does not take {name}"):
            self._lib.call("arv_camera_execute_command", self._camera, name.encode())

    def _kind(self, name: str) -> str:
        node = self._lib.call("arv_device_get_feature", self._device, name.encode())
        if not node:
            refused(f"the camera has no {name}")
        return "float" if self._lib.is_a(node, "float") else "integer"


def discover(config: AravisCamera) -> list[FoundCamera]:
    """The cameras of the interfaces that the settings name; a search for GigE cameras is a broadcast. CameraError."""
    lib = _load()
    _only(lib, config)
    lib.call("arv_update_device_list")
    return [_found(lib, index) for index in range(lib.call("arv_get_n_devices"))]


def _first(lib: Library) -> str:
    lib.call("arv_update_device_list")
    if not lib.call("arv_get_n_devices"):
        raise CameraError(Code.CAMERA_LINK, "no camera was found; is it switched on, and its cable in?", lost=True)
    name: bytes = lib.call("arv_get_device_id", 0)
    return name.decode(errors="replace")


def _found(lib: Library, index: int) -> FoundCamera:
    names = ("vendor", "model", "serial_nbr", "address")
    told = [(lib.call(f"arv_get_device_{name}", index) or b"").decode(errors="replace") for name in names]
    vendor, model, serial, address = told
    return FoundCamera("aravis", vendor, model, serial, address)


def _load() -> Library:
    try:
        return library()
    except AravisError as error:
        raise CameraError(Code.CONFIG_INVALID, str(error), lost=True) from error


def _only(lib: Library, config: AravisCamera) -> None:
    """No search goes out but on the interface that the settings name."""
    by_address = config.address is not None and _is_address(config.address)
    for key, name in INTERFACES.items():
        wanted = config.interface == key or (config.interface == "any" and key != "fake")
        if by_address and config.interface == "any":
            wanted = key == "gige"
        lib.call("arv_enable_interface" if wanted else "arv_disable_interface", name.encode())


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What libaravis says, as a lost camera."""
    try:
        yield
    except AravisError as error:
        raise CameraError(Code.CAMERA_LINK, f"the camera {what}: {error}", lost=True) from error


@contextlib.contextmanager
def _said(name: str) -> Iterator[None]:
    """What libaravis says against a feature, as settings that do not suit the camera."""
    try:
        yield
    except AravisError as error:
        refused(f"the camera refuses {name}: {error}")
