"""A photograph of a screen, for the test of the check: another way to make one than the check was trained with.

The picture is shown on a screen with red, green and blue stripes and black between its rows; a camera whose pixels do
not line up with the screen's sees it a little aslant and turns it to grey. The stripes of interference come out of
that by themselves.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

_CAMERA = 400  # px of the photograph
_FINER = 2  # points per camera pixel and axis
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def screen_photograph(image: Tensor, random: Generator, *, surround: bool) -> Tensor:
    """`image` (1, 1, H, W) 0..1 as photographed from a screen, (1, 1, 400, 400); `surround`: with frame and room."""
    side = _CAMERA * _FINER
    axis = torch.linspace(-1, 1, side)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    reach = random.uniform(1.1, 1.35) if surround else random.uniform(0.9, 0.98)
    angle = math.radians(random.uniform(-4, 4))
    away = 1 + random.uniform(-0.12, 0.12) * rows + random.uniform(-0.12, 0.12) * columns
    x = (columns * math.cos(angle) - rows * math.sin(angle)) * reach / away
    y = (columns * math.sin(angle) + rows * math.cos(angle)) * reach / away
    shown = grid_sample(image, torch.stack([x, y], -1)[None], padding_mode="border", align_corners=False)[0, 0]
    light = shown ** random.uniform(0.9, 1.2) * _grid(x, y, screen_px=random.uniform(400, 900))
    light = light * random.uniform(1.2, 1.7) + random.uniform(0.02, 0.1)  # the exposure makes up for the black between
    if random.random() < 0.5:  # a lamp, mirrored
        across, down = random.uniform(-0.8, 0.8, 2)
        wide = random.uniform(0.08, 0.3)
        light = light + random.uniform(0.2, 0.5) * torch.exp(-(((x - across) / wide) ** 2) - ((y - down) / wide) ** 2)
    if surround:
        outside = torch.maximum(x.abs(), y.abs())
        room = torch.where(outside < random.uniform(1.05, 1.2), random.uniform(0.02, 0.08), random.uniform(0.1, 0.6))
        light = torch.where(outside > 1, room, light)
    seen = avg_pool2d(light[None, None], _FINER)
    noise = torch.from_numpy(random.standard_normal(tuple(seen.shape), np.float32))
    return (seen + random.uniform(0.005, 0.02) * noise).clamp(0, 1)


def _grid(x: Tensor, y: Tensor, *, screen_px: float) -> Tensor:
    """Light of a white screen, 0..1: three stripes of colour per pixel across, black between the rows."""
    across, down = (x + 1) / 2 * screen_px % 1.0, (y + 1) / 2 * screen_px % 1.0
    total = torch.zeros_like(x)
    for stripe, weight in enumerate(_LUMINANCE):
        total = total + weight * ((across * 3 - stripe - 0.5).abs() < 0.42).float() * 3
    return total * (down < 0.85).float()
