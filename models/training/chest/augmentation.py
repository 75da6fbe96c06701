"""Augmentation against the shortcuts that chest radiographs offer.

Resolution: images of small tiers have another mix of labels, so every image is now and then reduced to 64..256 px
before it is brought to network size. Laterality markers and borders: corners are overpainted, edges cropped.
Exposure and windowing differ between sites: gamma, contrast and brightness vary. Mirroring is rare (a mirrored
heart is a real, if rare, finding) but there, so that the side of a marker carries nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

_REDUCED = (64, 80, 96, 128, 128, 192, 256)


def degraded(image: Tensor, random: torch.Generator, probability: float = 0.4) -> Tensor:
    """`image` (1, 1, H, W) 0..1, sometimes reduced to fewer rows than it was stored with."""
    smaller = [size for size in _REDUCED if size < image.shape[-1]]
    if not smaller or _uniform(random) > probability:
        return image
    size = smaller[int(_uniform(random, 0, len(smaller)))]
    return interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)


def random_affine(random: torch.Generator) -> Tensor:
    """A (1, 2, 3) matrix: turn by up to 12 degrees, scale 0.8..1.2, shift by up to 8 %, mirror once in five."""
    angle = math.radians(_uniform(random, -12, 12))
    scale = _uniform(random, 0.78, 1.15)  # below 1: zoomed in
    stretch = _uniform(random, 0.92, 1.08)
    mirror = -1.0 if _uniform(random) < 0.2 else 1.0
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    shift = [_uniform(random, -0.16, 0.16), _uniform(random, -0.16, 0.16)]
    return torch.tensor([[[cosine * mirror, -sine * stretch, shift[0]], [sine * mirror, cosine * stretch, shift[1]]]])


def warped(image: Tensor, matrix: Tensor, size: int) -> Tensor:
    """`image` (1, C, H, W) through `matrix` onto `size` x `size`; averaged down first where it is much larger."""
    if image.shape[-1] > 1.4 * size:
        image = interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)
    grid = affine_grid(matrix, [1, image.shape[1], size, size], align_corners=False)
    return grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def exposed(image: Tensor, random: torch.Generator) -> Tensor:
    """Another exposure and window of `image`: gamma 0.65..1.5, contrast 0.7..1.3, brightness, a little noise."""
    gamma = math.exp(_uniform(random, -0.43, 0.4))
    contrast, brightness = _uniform(random, 0.7, 1.3), _uniform(random, -0.12, 0.12)
    mean = image.mean()
    out = (image.clamp(0, 1) ** gamma - mean) * contrast + mean + brightness
    if _uniform(random) < 0.3:
        out = out + torch.randn(out.shape, generator=random) * _uniform(random, 0, 0.04)
    return out.clamp(0, 1)


def overpainted(image: Tensor, random: torch.Generator) -> Tensor:
    """`image` with corners, now and then an edge or a patch, set to one grey: markers and borders carry nothing."""
    size = image.shape[-1]
    for vertical in (0, 1):
        for horizontal in (0, 1):
            if _uniform(random) < 0.25:
                rows, columns = (int(_uniform(random, 0.04, 0.2) * size) for _ in range(2))
                top, left = vertical * (size - rows), horizontal * (size - columns)
                image[..., top : top + rows, left : left + columns] = _uniform(random)
    if _uniform(random) < 0.2:
        edge, turns = int(_uniform(random, 0.01, 0.07) * size) + 1, int(_uniform(random, 0, 4))
        image = torch.rot90(image, turns, (-2, -1)).clone()
        image[..., :edge, :] = _uniform(random)
        image = torch.rot90(image, -turns, (-2, -1))
    return image


def _uniform(random: torch.Generator, low: float = 0.0, high: float = 1.0) -> float:
    return low + (high - low) * float(torch.rand((), generator=random))
