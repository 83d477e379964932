# mypy: allow-subclassing-any
"""A tiny detector: for each cell of 8x8 pixels, is it a defect's centre, and how far are the box's four sides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRIDE = 8
ROWS = 50  # detections a picture


class Detector(nn.Module):
    """Anchor-free centre-point detector with ReLU only; one level, fed from above by a coarser one."""

    def __init__(self, classes: int) -> None:
        """`classes` heat maps and four distances come out."""
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 16, 2), _conv(16, 24, 2), _Residual(24, 1))
        self.fine = nn.Sequential(_conv(24, 64, 2), _Residual(64, 1))
        self.coarse = nn.Sequential(_conv(64, 96, 2), _Residual(96, 2))
        self.down = nn.Conv2d(96, 64, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = _conv(64, 64)
        self.heat = nn.Conv2d(64, classes, 1)
        self.sides = nn.Conv2d(64, 4, 1)
        with torch.no_grad():
            self.heat.bias.fill_(-4.0)  # few cells are centres
            self.sides.bias.fill_(1.0)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 3, h, w] in 0..1 to heat logits [n, classes, h/8, w/8] and log distances in cells [n, 4, h/8, w/8]."""
        fine = self.fine(self.stem(image))
        joined = self.join(fine + self.up(self.down(self.coarse(fine))))
        return self.heat(joined), self.sides(joined)


class _Residual(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(_conv(width, width) for _ in range(layers)))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


def _conv(wide_in: int, wide_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False), nn.BatchNorm2d(wide_out), nn.ReLU(inplace=True)
    )


def boxes(sides: Tensor) -> Tensor:
    """Log distances [n, 4, h, w] (left, top, right, bottom, in cells) to boxes x1, y1, x2, y2 in pixels, same shape."""
    height, width = sides.shape[2:]
    x = (torch.arange(width, device=sides.device) + 0.5).view(1, 1, width).expand(1, height, width)
    y = (torch.arange(height, device=sides.device) + 0.5).view(1, height, 1).expand(1, height, width)
    reach = torch.exp(sides.clamp(max=4.0))
    low = torch.stack([x, y], dim=1) - reach[:, :2]
    high = torch.stack([x, y], dim=1) + reach[:, 2:]
    return torch.cat([low, high], dim=1) * STRIDE


class EndToEnd(nn.Module):
    """The detector as shipped: a camera picture in, rows of finished detections out."""

    def __init__(self, detector: Detector) -> None:
        """Takes a trained detector whose first layer already divides by 255."""
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> Tensor:
        """uint8 [1, h, w, 3] BGR to float32 [1, 50, 6]: x1, y1, x2, y2 in pixels, score, class; best first."""
        heat, sides = self.detector(image.permute(0, 3, 1, 2).float())
        score = torch.sigmoid(heat)
        peak = nn.functional.max_pool2d(score, 3, 1, 1)
        score = (score * (score == peak)).flatten(1)
        score, place = torch.topk(score, ROWS, dim=1)
        cells = sides.shape[2] * sides.shape[3]
        box = boxes(sides).flatten(2).transpose(1, 2)
        picked = torch.gather(box, 1, (place % cells).unsqueeze(2).expand(-1, -1, 4))
        label = torch.div(place, cells, rounding_mode="floor").float()
        return torch.cat([picked, score.unsqueeze(2), label.unsqueeze(2)], dim=2)
