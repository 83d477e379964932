"""What a peer sends is decoded in bounded time: asyncua 2.1 believes every length that a message claims.

A string of length -4 is read backwards, an array of 2^31 Nulls takes no byte, dimensions of a few bytes make a million
lists: a hundred bytes, sent before anybody has logged in, keep asyncua's loop busy for hours.
Source: OPC UA Part 6 §5.2.2 (Built-in Types), §5.2.2.16 (Variant: dimensions), §5.2.5 (Arrays).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from asyncua.common.utils import Buffer, NotEnoughData
from asyncua.ua import ua_binary
from asyncua.ua.uaerrors import UaError

STEPS = 100_000
"""Values, and elements of arrays that are no numbers, in one message; a thousand monitored items have a third of it."""
DIMENSIONS = 8


class TooMuchError(UaError):
    """A message is made of more pieces than one message of anybody needs."""


_allowed = STEPS


def install(steps: int = STEPS) -> None:
    """Bound the decoding of whatever is sent to this process; `steps`: values in one message. Idempotent."""
    global _allowed  # noqa: PLW0603 - asyncua makes the buffers, and there is no other way to tell them
    _allowed = steps
    if ua_binary._reshape is _reshape:
        return
    Buffer.__init__ = _begin  # type: ignore[method-assign]
    Buffer.read, Buffer.copy, Buffer.skip = _read, _copy, _skip  # type: ignore[method-assign]
    ua_binary._reshape = _reshape
    module: Any = ua_binary
    for name in ("_create_list_deserializer", "_create_uatype_array_deserializer"):
        setattr(module, name, _counted(getattr(module, name)))
    for name in ("list", "uatype_array", "uatype", "type", "dataclass"):
        made = getattr(module, f"_create_{name}_deserializer")
        getattr(made, "cache_clear", lambda: None)()


def _begin(self: Any, data: bytes, start_pos: int = 0, size: int = -1) -> None:
    self._data, self._cur_pos = data, start_pos
    self._size = len(data) - start_pos if size == -1 else size
    self._steps = [_allowed]  # shared with the copies of its parts


def _spend(self: Any, steps: int) -> None:
    self._steps[0] -= steps
    if self._steps[0] < 0:
        raise TooMuchError(f"a message of more than {_allowed} values")


def _read(self: Any, size: int) -> bytes:
    if not 0 <= size <= self._size:
        raise NotEnoughData(f"{size} bytes of {self._size}")
    _spend(self, 1)
    at = self._cur_pos
    self._size -= size
    self._cur_pos = at + size
    found: bytes = self._data[at : at + size]
    return found


def _copy(self: Any, size: int = -1) -> Any:
    made = Buffer(self._data, self._cur_pos, self._size if size == -1 else max(0, min(size, self._size)))
    made._steps = self._steps  # type: ignore[attr-defined]
    return made


def _skip(self: Any, size: int) -> None:
    if not 0 <= size <= self._size:
        raise NotEnoughData(f"{size} bytes of {self._size}")
    self._size -= size
    self._cur_pos += size


def _counted(create: Callable[[Any], Callable[[Any], Any]]) -> Callable[[Any], Callable[[Any], Any]]:
    """Decoders of arrays whose length is paid for before the first element is looked for."""
    numbers = tuple(name for name in vars(ua_binary.Primitives1) if not name.startswith("_"))

    @functools.cache
    def make(kind: Any) -> Callable[[Any], Any]:
        decode = create(kind)
        if getattr(kind, "name", None) in numbers:  # one read, and as long as it says
            return decode

        def counted(data: Any) -> Any:
            at = data._cur_pos
            _spend(data, max(0, int.from_bytes(data._data[at : at + 4], "little", signed=True)))
            return decode(data)

        return counted

    return make


def _reshape(flat: list[Any], dims: list[int] | None) -> list[Any]:
    """Nested as its dimensions say, which have to be those of what is there."""
    if dims is None or not dims:
        return flat
    if len(dims) == 1 and dims[0] == len(flat):
        return flat
    if len(dims) > DIMENSIONS or min(dims) < 0 or math.prod(dims) != len(flat) or len(flat) > _allowed:
        raise UaError("the dimensions of an array are not those of its elements")
    return _nested(flat, dims)


def _nested(flat: list[Any], dims: list[int]) -> list[Any]:
    if len(dims) == 1 or not flat:
        return flat
    size = len(flat) // dims[0]
    return [_nested(flat[at : at + size], dims[1:]) for at in range(0, len(flat), size)]
