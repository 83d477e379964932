"""From a picture of bytes to the tensor a network wants: layout, colours, scale, in buffers made once."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from gateway.recipe_task import Input
from gateway.vision.engines import EngineError, Tensor
from gateway.vision.frames import Pixels
from protocols.faults import Code

DTYPES: dict[str, type[np.generic]] = {
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
MAX_SIDE = 8192
COLOURS, GREY = 3, 1


class Feed:
    """One input: `pictures` (each height x width x 3, BGR) are filled by others, `fill` brings them into `tensor`."""

    def __init__(self, name: str, kind: str, shape: Sequence[object], settings: Input, count: int = 1) -> None:
        self.name = name
        found = f"{name}: {kind} {list(shape)}"
        if (dtype := DTYPES.get(kind)) is None:
            raise _unfit(found)
        self._planar, self._channels, height, width = _layout(list(shape), settings, found)
        planes = (self._channels, height, width) if self._planar else (height, width, self._channels)
        self.tensor: Tensor = np.zeros(planes if len(shape) == COLOURS else (count, *planes), dtype)
        inners = self.tensor.reshape(-1, *planes)
        direct = dtype is np.uint8 and not self._planar and self._channels == COLOURS
        self._tables = _tables(dtype, settings)
        rgb = (settings.colour or ("bgr" if dtype is np.uint8 else "rgb")) == "rgb"
        self._direct = direct and not rgb and self._tables is None
        self.pictures: list[Pixels] = [
            inner if self._direct else np.zeros((height, width, 3), np.uint8) for inner in inners
        ]
        self._planes = [
            [inner[c] if self._planar else inner[:, :, c] for c in range(self._channels)] for inner in inners
        ]
        self._order = (2, 1, 0) if rgb else (0, 1, 2)
        self._plane = np.empty((height, width), np.uint8)

    @property
    def picture(self) -> Pixels:
        """The first one."""
        return self.pictures[0]

    def fill(self, count: int = 1) -> None:
        """Bring the first pictures into the tensor; nothing to do where both are one."""
        if self._direct:
            return
        for picture, planes in zip(self.pictures[:count], self._planes, strict=False):
            if self._channels == GREY:
                cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY, dst=self._plane)
                self._put(planes[0], 0)
                continue
            for at, channel in enumerate(self._order):
                cv2.extractChannel(picture, channel, dst=self._plane)
                self._put(planes[at], at)

    def _put(self, into: Tensor, at: int) -> None:
        if self._tables is None:
            into[:] = self._plane
        elif into.dtype == np.float32 and self._planar:
            cv2.LUT(self._plane, self._tables[at], dst=into)
        else:
            into[:] = self._tables[at][self._plane]


def _tables(dtype: type[np.generic], settings: Input) -> list[Tensor] | None:
    """What each of the 256 values of a byte becomes, for each colour; None: it stays."""
    scale = settings.scale if settings.scale is not None else 1.0 if dtype is np.uint8 else 1 / 255
    if dtype is np.uint8:
        if scale != 1 or any(settings.mean) or any(value != 1 for value in settings.std):
            raise EngineError(
                Code.MODEL_MISMATCH,
                "the model takes bytes, so model.input.scale, mean and std have no place; remove them",
            )
        return None
    values = np.arange(256, dtype=np.float64) * scale
    return [((values - mean) / std).astype(dtype) for mean, std in zip(settings.mean, settings.std, strict=True)]


def _layout(shape: list[object], settings: Input, found: str) -> tuple[bool, int, int, int]:
    """Whether the planes come one by one, their number, height and width."""
    if len(shape) == COLOURS + 1:
        if isinstance(shape[0], int) and shape[0] > 1:
            raise _unfit(found)
        shape = shape[1:]
    if len(shape) != COLOURS:
        raise _unfit(found)
    planar = shape[0] in (COLOURS, GREY)
    if not planar and shape[2] not in (COLOURS, GREY):
        raise _unfit(found)
    channels = int(str(shape[0] if planar else shape[2]))
    sides = shape[1:] if planar else shape[:2]
    open_ = [not isinstance(side, int) or side <= 0 for side in sides]
    if any(open_):
        if settings.size is None:
            text = f"the model's input is of open size ({found}); give model.input.size in recipe.yaml"
            raise EngineError(Code.MODEL_MISMATCH, text)
        width, height = settings.size
    else:
        height, width = (int(str(side)) for side in sides)
        if settings.size is not None and settings.size != (width, height):
            text = f"the model's input is {width} x {height}, the recipe says model.input.size {list(settings.size)}"
            raise EngineError(Code.MODEL_MISMATCH, f"{text}; remove it")
    if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
        raise _unfit(found)
    return planar, channels, height, width


def _unfit(found: str) -> EngineError:
    text = "the model's input must be one picture, [1, height, width, 3] or [1, 3, height, width] (or 1 for grey), "
    return EngineError(Code.MODEL_MISMATCH, f"{text}of uint8, float or float16; it has {found}")
