"""libaravis by ctypes: the few calls of its stable C interface that a camera needs, typed."""

from __future__ import annotations

import ctypes
import functools
from ctypes import c_bool, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_void_p
from typing import Any, NamedTuple

import numpy as np

from gateway.vision.frames import Pixels

LIBRARIES = ("libaravis-0.8.so.0", "libgobject-2.0.so.0", "libglib-2.0.so.0")
INSTALL = "sudo apt install libaravis-0.8-0"
SUCCESS = 0
FIXED = 0
"""ARV_GV_STREAM_SOCKET_BUFFER_FIXED: otherwise it is one frame without the kernel's own needs, and overflows."""
# ArvBufferStatus, arvbuffer.h
STATUS = {
    1: "cleared",
    2: "it did not end in time",
    3: "packets are missing",
    4: "packets came out of order",
    5: "its size is not the one announced",
    6: "it was still being filled",
    7: "the acquisition was stopped",
    8: "its kind of payload is not known",
}


class AravisError(Exception):
    """What libaravis says."""


class _GError(ctypes.Structure):
    _fields_ = (("domain", c_uint32), ("code", c_int), ("message", c_char_p))


_ERROR = ctypes.POINTER(ctypes.POINTER(_GError))
_INT64S, _DOUBLES = ctypes.POINTER(c_int64), ctypes.POINTER(c_double)

# Name: result, arguments. In the first table a GError** follows, and is what tells of failure.
_FAILING: dict[str, tuple[Any, ...]] = {
    "arv_camera_new": (c_void_p, c_char_p),
    "arv_camera_is_feature_available": (c_bool, c_void_p, c_char_p),
    "arv_camera_get_integer": (c_int64, c_void_p, c_char_p),
    "arv_camera_get_float": (c_double, c_void_p, c_char_p),
    "arv_camera_get_string": (c_char_p, c_void_p, c_char_p),
    "arv_camera_get_integer_bounds": (None, c_void_p, c_char_p, _INT64S, _INT64S),
    "arv_camera_get_float_bounds": (None, c_void_p, c_char_p, _DOUBLES, _DOUBLES),
    "arv_camera_get_integer_increment": (c_int64, c_void_p, c_char_p),
    "arv_camera_set_integer": (None, c_void_p, c_char_p, c_int64),
    "arv_camera_set_float": (None, c_void_p, c_char_p, c_double),
    "arv_camera_set_string": (None, c_void_p, c_char_p, c_char_p),
    "arv_camera_set_boolean": (None, c_void_p, c_char_p, c_bool),
    "arv_camera_dup_available_enumerations_as_strings": (c_void_p, c_void_p, c_char_p, ctypes.POINTER(c_uint)),
    "arv_camera_execute_command": (None, c_void_p, c_char_p),
    "arv_camera_get_payload": (c_uint, c_void_p),
    "arv_camera_create_stream": (c_void_p, c_void_p, c_void_p, c_void_p),
    "arv_camera_start_acquisition": (None, c_void_p),
    "arv_camera_stop_acquisition": (None, c_void_p),
    "arv_device_read_register": (c_bool, c_void_p, c_uint64, ctypes.POINTER(c_uint32)),
}
_PLAIN: dict[str, tuple[Any, ...]] = {
    "arv_enable_interface": (None, c_char_p),
    "arv_disable_interface": (None, c_char_p),
    "arv_update_device_list": (None,),
    "arv_get_n_devices": (c_uint,),
    "arv_get_device_id": (c_char_p, c_uint),
    "arv_get_device_vendor": (c_char_p, c_uint),
    "arv_get_device_model": (c_char_p, c_uint),
    "arv_get_device_serial_nbr": (c_char_p, c_uint),
    "arv_get_device_address": (c_char_p, c_uint),
    "arv_camera_get_device": (c_void_p, c_void_p),
    "arv_camera_is_gv_device": (c_bool, c_void_p),
    "arv_gv_device_is_controller": (c_bool, c_void_p),
    "arv_camera_gv_set_stream_options": (None, c_void_p, c_int),
    "arv_device_get_feature": (c_void_p, c_void_p, c_char_p),
    "arv_gc_float_get_type": (c_size_t,),
    "arv_gc_integer_get_type": (c_size_t,),
    "arv_gc_boolean_get_type": (c_size_t,),
    "arv_buffer_new": (c_void_p, c_size_t, c_void_p),
    "arv_stream_push_buffer": (None, c_void_p, c_void_p),
    "arv_stream_timeout_pop_buffer": (c_void_p, c_void_p, c_uint64),
    "arv_stream_try_pop_buffer": (c_void_p, c_void_p),
    "arv_buffer_get_status": (c_int, c_void_p),
    "arv_buffer_get_frame_id": (c_uint64, c_void_p),
    "arv_buffer_get_timestamp": (c_uint64, c_void_p),
    "arv_buffer_get_data": (c_void_p, c_void_p, ctypes.POINTER(c_size_t)),
    "arv_buffer_get_image_pixel_format": (c_uint32, c_void_p),
    "arv_buffer_get_image_width": (c_int, c_void_p),
    "arv_buffer_get_image_height": (c_int, c_void_p),
}


class RawFrame(NamedTuple):
    """A buffer with a picture, as it lies in libaravis' memory until it is pushed back."""

    data: Pixels
    code: int
    width: int
    height: int


class Library:
    """The loaded library; AravisError where it is not installed, or too old."""

    def __init__(self) -> None:
        try:
            self._aravis, self._gobject, self._glib = (ctypes.CDLL(name) for name in LIBRARIES)
            for name, (result, *arguments) in _FAILING.items():
                self._declare(name, result, [*arguments, _ERROR])
            for name, (result, *arguments) in _PLAIN.items():
                self._declare(name, result, arguments)
        except (OSError, AttributeError) as error:
            raise AravisError(f"cameras of kind aravis need libaravis 0.8.20 or newer: {INSTALL} ({error})") from error
        self._gobject.g_object_unref.argtypes = [c_void_p]
        self._gobject.g_type_check_instance_is_a.argtypes = [c_void_p, c_size_t]
        self._glib.g_free.argtypes = [c_void_p]
        self._glib.g_error_free.argtypes = [c_void_p]

    def _declare(self, name: str, result: Any, arguments: list[Any]) -> None:
        function = getattr(self._aravis, name)
        function.restype, function.argtypes = result, arguments

    def call(self, name: str, *arguments: Any) -> Any:
        """Call it; AravisError with its own words if it says that it failed."""
        function = getattr(self._aravis, name)
        if name in _PLAIN:
            return function(*arguments)
        error = ctypes.POINTER(_GError)()
        result = function(*arguments, ctypes.byref(error))
        if ctypes.cast(error, c_void_p).value:
            text = (error.contents.message or b"unknown error").decode(errors="replace")
            self._glib.g_error_free(error)
            raise AravisError(text)
        return result

    def receive_buffer(self, stream: int, size: int) -> None:
        """How much of a GigE stream the kernel may hold until it is read; it allows net.core.rmem_max at most."""
        names = [b"socket-buffer", c_int(FIXED), b"socket-buffer-size", c_int(size), None]
        self._gobject.g_object_set(c_void_p(stream), *names)

    def unref(self, item: int) -> None:
        """Let go of a GObject."""
        self._gobject.g_object_unref(item)

    def is_a(self, item: int, kind: str) -> bool:
        """Whether a feature is a float, an integer or a boolean."""
        return bool(self._gobject.g_type_check_instance_is_a(item, self.call(f"arv_gc_{kind}_get_type")))

    def strings(self, name: str, *arguments: Any) -> tuple[str, ...]:
        """Of a call that returns an array it made of strings it keeps."""
        count = c_uint()
        array = self.call(name, *arguments, ctypes.byref(count))
        if not array:
            return ()
        items = ctypes.cast(array, ctypes.POINTER(c_char_p))
        values = tuple((items[index] or b"").decode(errors="replace") for index in range(count.value))
        self._glib.g_free(array)
        return values

    def bounds(self, name: str, kind: Any, *arguments: Any) -> tuple[float, float]:
        """Of a call that returns two numbers by reference."""
        low, high = kind(), kind()
        self.call(name, *arguments, ctypes.byref(low), ctypes.byref(high))
        return float(low.value), float(high.value)

    def frame(self, buffer: int) -> RawFrame:
        """What lies in a whole buffer."""
        size = c_size_t()
        start = self.call("arv_buffer_get_data", buffer, ctypes.byref(size))
        data = np.ctypeslib.as_array((ctypes.c_uint8 * (size.value if start else 0)).from_address(start or 0))
        shape = (int(self.call(f"arv_buffer_get_image_{name}", buffer)) for name in ("pixel_format", "width", "height"))
        return RawFrame(data, *shape)


@functools.cache
def library() -> Library:
    """Loaded once for the process; AravisError."""
    return Library()
