"""The pictures of BSData (ball screw drives, pitting as polygons), and crops of them to train on.

Schlagenhauf, Landwehr, Fleischer: Industrial Machine Tool Element Surface Defect Dataset, arXiv 2103.13003, licence
CC BY-SA 4.0. Expected is a folder with manifest.json (rows of folder, filename, train_test_split, labels) and labelme
files beside the pictures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

INPUT = (768, 320)
"""Width and height of the network's picture; the originals are about 2.4 times as wide as high."""
CROP = 224
UNLABELLED, WEAR = "unlabelled_as_pitting", "wear_sequence_560000_000"

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture at the network's size, its mask 0 or 1, and where it came from."""

    name: str
    picture: Pixels
    mask: Pixels
    area: float
    """Share of the picture that is pitted, from the polygons themselves."""


def load(folder: Path, part: str) -> list[Sample]:
    """All samples of `part`: train or test, the paper's own split for the labelled pictures.

    Pictures without a polygon have no split in the paper. Here every second of `unlabelled_as_pitting` trains, and all
    of the wear sequence's, taken before the spot broke out, only test.
    """
    rows = json.loads((folder / "manifest.json").read_text())
    clean = sorted(row["filename"] for row in rows if row["folder"] == UNLABELLED)
    training = set(clean[::2])
    samples = []
    for row in sorted(rows, key=lambda row: (row["folder"], row["filename"])):
        split = row["train_test_split"]
        if split is None:
            split = "train" if row["filename"] in training and row["folder"] == UNLABELLED else "test"
        if split == part and not _broken_out(row):
            samples.append(_sample(folder / row["folder"] / row["filename"]))
    return samples


def _broken_out(row: dict[str, object]) -> bool:
    """The last picture of the wear sequence is pitted and has no polygon: it teaches and measures nothing."""
    return row["folder"] == WEAR and not row["labels"] and str(row["filename"])[3:] >= "200905081805"


def _sample(path: Path) -> Sample:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"{path} is no picture")
    height, width = picture.shape[:2]
    mask = np.zeros((INPUT[1], INPUT[0]), np.uint8)
    area, notes = 0.0, path.with_suffix(".json")
    if notes.exists():
        scale = np.array((INPUT[0] / width, INPUT[1] / height))
        for shape in json.loads(notes.read_text())["shapes"]:
            corners = np.array(shape["points"], np.float64)
            area += cv2.contourArea(corners.astype(np.float32)) / (height * width)
            cv2.fillPoly(mask, [np.rint(corners * scale * 16).astype(np.int32)], 1, shift=4)
    small = cv2.resize(picture, INPUT, interpolation=cv2.INTER_AREA)
    return Sample(f"{path.parent.name}/{path.name}", small.astype(np.uint8), mask, area)


class Crops:
    """Random squares of the samples; every second one shows pitting, its own or another picture's laid over it."""

    def __init__(self, samples: list[Sample], seed: int) -> None:
        self._samples = samples
        self._pitted = [sample for sample in samples if sample.mask.any()]
        self._random = np.random.default_rng(seed)

    def batch(self, size: int) -> tuple[Pixels, Pixels]:
        """Pictures [size, CROP, CROP, 3] and masks [size, CROP, CROP]."""
        pairs = [self._crop(index % 2 == 0) for index in range(size)]
        return np.stack([picture for picture, _ in pairs]), np.stack([mask for _, mask in pairs])

    def _crop(self, pitted: bool) -> tuple[Pixels, Pixels]:
        random = self._random
        pool = self._pitted if pitted and random.random() < 0.7 else self._samples
        sample = pool[random.integers(len(pool))]
        x, y = self._corner(sample.mask) if pitted and sample.mask.any() else self._anywhere()
        here = slice(y, y + CROP), slice(x, x + CROP)
        picture, mask = sample.picture[here].copy(), sample.mask[here].copy()
        if pitted and not mask.any():
            self._paste(picture, mask)
        if random.random() < 0.5:
            picture, mask = picture[:, ::-1], mask[:, ::-1]
        gain, shift = random.uniform(0.75, 1.25, 3) * random.uniform(0.85, 1.15), random.uniform(-12, 12)
        return np.clip(picture * gain + shift, 0, 255).astype(np.uint8), np.ascontiguousarray(mask)

    def _anywhere(self) -> tuple[int, int]:
        return int(self._random.integers(INPUT[0] - CROP + 1)), int(self._random.integers(INPUT[1] - CROP + 1))

    def _corner(self, mask: Pixels) -> tuple[int, int]:
        """A square with a pitted pixel in it, wherever in it."""
        rows, columns = np.nonzero(mask)
        pick = self._random.integers(len(rows))
        x, y = columns[pick] - self._random.integers(CROP), rows[pick] - self._random.integers(CROP)
        return int(np.clip(x, 0, INPUT[0] - CROP)), int(np.clip(y, 0, INPUT[1] - CROP))

    def _paste(self, picture: Pixels, mask: Pixels) -> None:
        """Lay the pitting of another picture over this one, soft at its edge."""
        random = self._random
        other = self._pitted[random.integers(len(self._pitted))]
        rows, columns = np.nonzero(other.mask)
        top, left = max(0, rows.min() - 3), max(0, columns.min() - 3)
        patch = other.picture[top : rows.max() + 4, left : columns.max() + 4]
        shape = other.mask[top : rows.max() + 4, left : columns.max() + 4]
        scale = random.uniform(0.5, 1.2)
        high, wide = (max(4, round(side * scale)) for side in shape.shape)
        if high >= CROP or wide >= CROP:
            return
        patch = cv2.resize(patch, (wide, high), interpolation=cv2.INTER_AREA).astype(np.uint8)
        shape = cv2.resize(shape, (wide, high), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
        y, x = random.integers(CROP - high), random.integers(CROP - wide)
        soft = cv2.GaussianBlur(shape.astype(np.float32), (3, 3), 0.8)[..., np.newaxis]
        under = picture[y : y + high, x : x + wide]
        under[:] = (under * (1 - soft) + patch * soft).astype(np.uint8)
        mask[y : y + high, x : x + wide] = np.maximum(mask[y : y + high, x : x + wide], shape)
