"""Brings chest radiographs of different people into register, so that their mean is a chest and not fog.

Each image is moved by an affine matrix and then by a smooth field of 7 x 7 points towards the mean of all, round by
round, by gradient descent on thumbnails; the moves are then applied to the full images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample, interpolate

SIZE = 512
_COARSE = 96


def trimmed_mean_in_register(pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
    """Mean of the registered images (each square, uint8), 0..1, shape (512, 512).

    At each pixel the brightest fifth and the darkest tenth of the images are left out: text, marks and image borders
    are always among them.
    """
    moved = _registered(torch.stack([_levelled(array) for array in pixels]))
    ordered = moved[:, 0].sort(dim=0).values
    kept = ordered[len(pixels) // 10 : len(pixels) - len(pixels) // 5]
    mean: NDArray[np.float64] = kept.mean(0).numpy().astype(np.float64)
    return mean


def _levelled(array: NDArray[np.uint8]) -> Tensor:
    """One image (1, 512, 512) stretched so that its 2nd and 98th percentile lie at 0.05 and 0.9."""
    low, high = np.percentile(array, [2, 98])
    stretched = np.clip(0.05 + 0.85 * (array.astype(np.float32) - low) / max(1.0, high - low), 0, 1)
    image = torch.from_numpy(stretched.astype(np.float32))[None, None]
    return interpolate(image, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)[0]


def _registered(images: Tensor, rounds: int = 4, steps: int = 60) -> Tensor:
    """`images` (N, 1, 512, 512), each moved (affine, then a smooth field) towards the mean of all, round by round."""
    coarse = interpolate(images, (_COARSE, _COARSE), mode="bilinear", antialias=True, align_corners=False)
    count = len(images)
    matrix = torch.eye(2, 3).repeat(count, 1, 1).requires_grad_()
    field = torch.zeros(count, 2, 7, 7, requires_grad=True)
    template = coarse.mean(0, keepdim=True)
    for round_ in range(rounds):
        moving = [matrix] if round_ == 0 else [matrix, field]
        optimiser = torch.optim.Adam(moving, lr=0.01)
        for _ in range(steps):
            moved = _moved(coarse, matrix, field)
            roughness = (field[..., 1:] - field[..., :-1]).square().mean()
            roughness = roughness + (field[..., 1:, :] - field[..., :-1, :]).square().mean()
            loss = (_flat(moved) - _flat(template)).square().mean() + 4.0 * roughness
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        template = _moved(coarse, matrix, field).mean(0, keepdim=True).detach()
    with torch.no_grad():
        return _moved(images, matrix, field)


def _moved(images: Tensor, matrix: Tensor, field: Tensor) -> Tensor:
    size = list(images.shape)
    smooth = interpolate(field, size[2:], mode="bicubic", align_corners=False).permute(0, 2, 3, 1)
    grid = affine_grid(matrix, size, align_corners=False) + smooth
    return grid_sample(images, grid, padding_mode="border", align_corners=False)


def _flat(images: Tensor) -> Tensor:
    """`images` without their slow changes of brightness, so that exposure does not steer the registration."""
    slow = avg_pool2d(images, 31, stride=1, padding=15, count_include_pad=False)
    return images - 0.7 * slow
