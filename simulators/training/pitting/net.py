# mypy: allow-subclassing-any
"""A small U-Net: for every pixel, how likely it belongs to the damage."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (16, 32, 48, 64)


class Segmenter(nn.Module):
    """[n, 3, h, w] in 0..1 to logits [n, 1, h, w]; h and w multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = WIDTHS
        self.stem = nn.Sequential(_conv(3, a, 2), _conv(a, a))
        self.down1 = nn.Sequential(_conv(a, b, 2), _conv(b, b))
        self.down2 = nn.Sequential(_conv(b, c, 2), _conv(c, c))
        self.down3 = nn.Sequential(_conv(c, d, 2), _conv(d, d), _conv(d, d))
        self.up3, self.up2, self.up1 = _conv(d + c, c), _conv(c + b, b), _conv(b + a, a)
        self.head = nn.Conv2d(a, 1, 1)
        with torch.no_grad():
            self.head.bias.fill_(-4.0)  # few pixels are damaged

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the size of the picture."""
        one = self.stem(image)
        two = self.down1(one)
        three = self.down2(two)
        deep = self.up3(torch.cat([_twice(self.down3(three)), three], dim=1))
        deep = self.up2(torch.cat([_twice(deep), two], dim=1))
        deep = self.up1(torch.cat([_twice(deep), one], dim=1))
        out: Tensor = nn.functional.interpolate(self.head(deep), scale_factor=2.0, mode="bilinear", align_corners=False)
        return out


class Deployed(nn.Module):
    """The network as shipped: a camera picture in, the probability of damage at each pixel out."""

    def __init__(self, segmenter: Segmenter) -> None:
        """Takes a trained network."""
        super().__init__()
        self.segmenter = segmenter

    def forward(self, image: Tensor) -> Tensor:
        """uint8 [1, h, w, 3] BGR to float32 [1, 1, h, w] in 0..1."""
        return torch.sigmoid(self.segmenter(image.permute(0, 3, 1, 2).float() / 255))


def _twice(x: Tensor) -> Tensor:
    out: Tensor = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
    return out


def _conv(wide_in: int, wide_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False), nn.BatchNorm2d(wide_out), nn.ReLU(inplace=True)
    )
