"""What is inspected: recipes and folders of frames, so that drawing simulated parts is no part of a measurement."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from simulators.parts import PartSource
from tests import models

DEMO = Path(__file__).parent.parent / "configs" / "recipes" / "bracket"
"""The demonstration's recipe: its own detector, 320 x 256."""
FRAME = (1280, 1024)
SMALL = (64, 64)


def null_recipe(place: Path) -> Path:
    """A network that computes next to nothing: 64 x 64 in, one constant finding out."""
    model = models.detector([(10, 10, 50, 50, 0.9, 0)], shape=(1, SMALL[1], SMALL[0], 3))
    return models.recipe(place / "constant", model)


def frames(place: Path, size: tuple[int, int], count: int = 8) -> dict[str, str]:
    """A folder camera that shows these simulated parts, uncompressed; a third of them with defects."""
    pictures = place / f"frames-{size[0]}"
    pictures.mkdir()
    source = PartSource()
    for number in range(1, count + 1):
        picture = cv2.resize(source.render(number), size, interpolation=cv2.INTER_AREA)
        if not cv2.imwrite(str(pictures / f"{number:03}.bmp"), np.ascontiguousarray(picture)):
            raise RuntimeError("a frame could not be written")
    return {"kind": "folder", "path": str(pictures)}
