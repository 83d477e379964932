"""Trains the segmentation of pitting, writes model.onnx."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from simulators.training.export import write
from simulators.training.pitting.data import INPUT, Crops, load
from simulators.training.pitting.net import Deployed, Segmenter

BATCH = 8
PEAK_RATE = 3e-3

_log = logging.getLogger(__name__)


def train(pictures: Path, out: Path, seed: int, steps: int) -> Path:
    """Train on the training part of the folder `pictures`; returns the path of the ONNX file in `out`."""
    began = time.monotonic()
    torch.manual_seed(seed)
    samples = load(pictures, "train")
    _log.info("%d pictures, %d of them pitted", len(samples), sum(bool(sample.mask.any()) for sample in samples))
    segmenter = fit(Segmenter(), Crops(samples, seed), steps)
    out.mkdir(parents=True, exist_ok=True)
    torch.save(segmenter.state_dict(), out / "weights.pt")
    path = out / "model.onnx"
    notes = {"training_seed": str(seed), "training_steps": str(steps), "training_pictures": str(len(samples))}
    export(segmenter, path, notes)
    _log.info("wrote %s after %.0f s", path.name, time.monotonic() - began)
    return path


def fit(segmenter: Segmenter, crops: Crops, steps: int) -> Segmenter:
    """Train in place: AdamW, one cycle of the rate."""
    segmenter.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(segmenter.parameters(), PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    segmenter.train()
    mean = 0.0
    for step in range(1, steps + 1):
        picture, mask = (torch.from_numpy(part) for part in crops.batch(BATCH))
        loss = loss_of(segmenter(picture.permute(0, 3, 1, 2).float() / 255)[:, 0], mask.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        mean = 0.98 * mean + 0.02 * loss.item() if step > 1 else loss.item()
        if step % 100 == 0:
            _log.info("step %d/%d loss %.3f", step, steps, mean)
    segmenter.eval()
    return segmenter


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Cross entropy of the pixels plus the soft Dice loss of the batch."""
    p = torch.sigmoid(logits)
    dice = 1 - (2 * (p * mask).sum() + 1) / (p.sum() + mask.sum() + 1)
    return nn.functional.binary_cross_entropy_with_logits(logits, mask, pos_weight=torch.tensor(4.0)) + dice


def export(segmenter: Segmenter, path: Path, notes: dict[str, str]) -> None:
    """Write the network as `path`; `notes` join the file's metadata."""
    metadata = {
        "task": "semantic",
        "names": json.dumps({"0": "pitting"}),
        "author": "the gateway project",
        "license": "CC BY-SA 4.0",
        "description": "Finds pitting on ball screw drives; trained on BSData (arXiv 2103.13003, CC BY-SA 4.0).",
    }
    write(Deployed(segmenter), path, INPUT, "probability", metadata | notes)
