"""The numbers of the model card from the ONNX file: `python -m simulators.training.pitting.evaluate PICTURES MODEL`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from simulators.training.pitting.data import Sample, load

LIMITS = (9, 20, 40)
LEVEL = 0.5
"""Pixels from this probability on belong to a region."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A sample and the network's answer to it."""

    sample: Sample
    heat: NDArray[np.float32]
    regions: tuple[tuple[int, float], ...]
    """Area in pixels of the network's picture and mean probability of each region, largest first."""

    @property
    def pitted(self) -> bool:
        """Whether it has a polygon."""
        return bool(self.sample.mask.any())

    @property
    def largest(self) -> int:
        """Area of the largest region, 0 without one."""
        return self.regions[0][0] if self.regions else 0


def look(samples: Sequence[Sample], model: Path) -> list[Looked]:
    """Run the network on all samples."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime as ort

    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    looked = []
    for sample in samples:
        heat = session.run(None, {"image": sample.picture[np.newaxis]})[0][0, 0]
        looked.append(Looked(sample, heat, _regions(heat)))
    return looked


def _regions(heat: NDArray[np.float32]) -> tuple[tuple[int, float], ...]:
    count, marks, stats, _ = cv2.connectedComponentsWithStats((heat >= LEVEL).astype(np.uint8))
    found = [(int(stats[n, cv2.CC_STAT_AREA]), float(heat[marks == n].mean())) for n in range(1, count)]
    return tuple(sorted(found, reverse=True))


def pixel_iou(looked: Sequence[Looked]) -> float:
    """Intersection over union of all pitted pixels of all these pictures together."""
    inner = sum(int(((one.heat >= LEVEL) & (one.sample.mask > 0)).sum()) for one in looked)
    union = sum(int(((one.heat >= LEVEL) | (one.sample.mask > 0)).sum()) for one in looked)
    return inner / union if union else float("nan")


def pits(looked: Sequence[Looked]) -> tuple[int, int]:
    """How many true pits are touched by a region, and how many there are."""
    hit = total = 0
    for one in looked:
        count, marks = cv2.connectedComponents(one.sample.mask)
        total += count - 1
        hit += sum(bool((one.heat[marks == number] >= LEVEL).any()) for number in range(1, count))
    return hit, total


def table(looked: Sequence[Looked], limits: Sequence[int]) -> list[str]:
    """For each least area: pitted pictures missed, clean pictures rejected."""
    bad, clean = [one for one in looked if one.pitted], [one for one in looked if not one.pitted]
    rows = []
    for limit in limits:
        missed = [one.sample.name for one in bad if one.largest < limit]
        false = [one.sample.name for one in clean if one.largest >= limit]
        rows.append(f"area {limit:4d}: escapes {len(missed)} of {len(bad)}, false rejects {len(false)} of {len(clean)}")
        rows += [f"    missed {name}" for name in missed[:4]] + [f"    rejected {name}" for name in false[:4]]
    return rows


def main() -> None:
    """Print the figures of both parts of the pictures."""
    parser = argparse.ArgumentParser(prog="python -m simulators.training.pitting.evaluate", description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("model", type=Path)
    wanted = parser.parse_args()
    for part in ("train", "test"):
        looked = look(load(wanted.pictures, part), wanted.model)
        bad = [one for one in looked if one.pitted]
        hit, total = pits(bad)
        shares = f"pixel IoU {pixel_iou(bad):.3f}, pits {hit} of {total}"
        lines = [f"{part}: {len(bad)} pitted, {len(looked) - len(bad)} clean; {shares}", *table(looked, LIMITS)]
        sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
