"""Renders pictures, trains the detector on them, writes model.onnx."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simulators.parts import LABELS, Defect, PartSource
from simulators.training.export import export
from simulators.training.net import STRIDE, Detector, boxes

INPUT = (320, 256)  # width, height: a quarter of the camera's
TEXTURES = 8  # seeds in a training set: each has its own metal, belt and noise
BAD = 0.85
BATCH = 16
PEAK_RATE = 2e-3

_log = logging.getLogger(__name__)

Targets = tuple[Tensor, Tensor, Tensor]  # heat [classes, h, w], boxes [4, h, w] in pixels, weight of the box [h, w]


def train(out: Path, seed: int = 1, pictures: int = 6000, epochs: int = 5) -> Path:
    """Train on `pictures` parts of the seeds 100*seed+1 .. +8; returns the path of the ONNX file in `out`."""
    began = time.monotonic()
    torch.manual_seed(seed)
    images, targets = dataset(seed, pictures)
    _log.info("rendered %d pictures in %.0f s", pictures, time.monotonic() - began)
    detector = fit(Detector(len(LABELS)), images, targets, epochs, seed)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "model.onnx"
    seeds = f"{100 * seed + 1}..{100 * seed + TEXTURES}"
    notes = {
        "training_seed": str(seed),
        "training_picture_seeds": seeds,
        "training_pictures": str(pictures),
        "training_epochs": str(epochs),
    }
    export(detector, path, INPUT, notes)
    _log.info("wrote %s after %.0f s", path.name, time.monotonic() - began)
    return path


def dataset(seed: int, pictures: int) -> tuple[Tensor, Targets]:
    """Pictures uint8 [n, h, w, 3] BGR at the network's size, and their targets stacked likewise."""
    images = np.empty((pictures, INPUT[1], INPUT[0], 3), np.uint8)
    rows: list[Targets] = []
    frame: NDArray[np.uint8] | None = None
    sources = [PartSource(100 * seed + 1 + index, BAD) for index in range(TEXTURES)]
    for index in range(pictures):
        source, number = sources[index % TEXTURES], index // TEXTURES
        frame = source.render(number, frame)
        cv2.resize(frame, INPUT, images[index], interpolation=cv2.INTER_AREA)
        rows.append(target(source.truth(number).defects, source.size))
    heat, box, weight = (torch.stack(column) for column in zip(*rows, strict=True))
    return torch.from_numpy(images), (heat, box, weight)


def target(defects: tuple[Defect, ...], size: tuple[int, int]) -> Targets:
    """What the network should say of one picture of (width, height): a bump at each centre, boxes round it."""
    width, height = INPUT[0] // STRIDE, INPUT[1] // STRIDE
    heat, box = torch.zeros(len(LABELS), height, width), torch.zeros(4, height, width)
    nearest = torch.zeros(height, width)
    x, y = torch.arange(width).view(1, -1), torch.arange(height).view(-1, 1)
    for defect in defects:
        corners = torch.tensor(defect.box) * (INPUT[0] / size[0])
        middle, sides = (corners[:2] + corners[2:]) / 2 / STRIDE, (corners[2:] - corners[:2]) / STRIDE
        sigma = (sides / 6).clamp(0.55, 2.0)
        column, row = int(middle[0]), int(middle[1])
        bump = torch.exp(-(((x - column) / sigma[0]) ** 2 + ((y - row) / sigma[1]) ** 2) / 2)
        kind = LABELS.index(defect.label)
        heat[kind] = torch.maximum(heat[kind], bump)
        mine = (bump >= 0.4) & (bump > nearest)
        box[:, mine] = corners[:, None]
        nearest = torch.maximum(nearest, bump)
    return heat, box, torch.where(nearest >= 0.4, nearest, 0.0)


def fit(detector: Detector, images: Tensor, targets: Targets, epochs: int, seed: int) -> Detector:
    """Train in place: AdamW, one cycle of the rate."""
    detector.to(memory_format=torch.channels_last)
    steps = epochs * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(detector.parameters(), PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    shuffle = torch.Generator().manual_seed(seed)
    detector.train()
    for epoch in range(epochs):
        losses = []
        for pick in _batches(len(images), shuffle):
            gain = 0.85 + 0.3 * torch.rand(len(pick), 1, 1, 1, generator=shuffle)
            batch = (images[pick].permute(0, 3, 1, 2).float() * (gain / 255)).clamp_(max=1.0)
            loss = loss_of(*detector(batch), *(part[pick] for part in targets))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(detector.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        _log.info("epoch %d/%d loss %.3f", epoch + 1, epochs, np.mean(losses))
    detector.eval()
    return detector


def loss_of(heat: Tensor, sides: Tensor, wanted: Tensor, box: Tensor, weight: Tensor) -> Tensor:
    """Focal loss of the centres plus twice the weighted GIoU loss of the boxes."""
    p = torch.sigmoid(heat).clamp(1e-4, 1 - 1e-4)
    centre = wanted == 1
    hit = -((1 - p) ** 2) * torch.log(p) * centre
    miss = -((1 - wanted) ** 4) * p**2 * torch.log(1 - p) * ~centre
    focal = (hit + miss).sum() / centre.sum().clamp(min=1)
    regress = ((1 - giou(boxes(sides), box)) * weight).sum() / weight.sum().clamp(min=1)
    return focal + 2 * regress


def giou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU of boxes x1, y1, x2, y2 in dimension 1: [n, 4, ...] twice to [n, ...]."""
    inner = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - inner
    return inner / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


def _batches(count: int, shuffle: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(count, generator=shuffle)
    for start in range(0, count - BATCH + 1, BATCH):
        yield order[start : start + BATCH]
