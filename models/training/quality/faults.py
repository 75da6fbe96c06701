"""What can be wrong with a radiograph, made from sound ones: the bad examples that the quality check learns from.

Each fault is a change of a sound image, so that image and counter-image come from the same hospital, resolution and
person, and nothing but the fault can give the answer away. A band between sound and faulty is left out
(a tilt of 15 to 30 degrees, 55 to 75 % of the field), because no answer would be right there.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

Matrix = NDArray[np.float32]
SOUND_TILT_DEGREES = 15.0
_PADDINGS = ("zeros", "border", "border", "reflection")


def sound_view(random: Generator) -> Matrix:
    """A (2, 3) matrix, output to input, of how differently sound images are framed."""
    return placed(
        degrees=random.uniform(-SOUND_TILT_DEGREES, SOUND_TILT_DEGREES) * random.random(),
        zoom=(random.uniform(0.85, 1.2), random.uniform(0.85, 1.2)),
        shift=(random.uniform(-0.12, 0.12), random.uniform(-0.12, 0.12)),
        mirrored=random.random() < 0.1,
    )


def placed(
    *, degrees: float, zoom: tuple[float, float], shift: tuple[float, float] = (0.0, 0.0), mirrored: bool = False
) -> Matrix:
    """Matrix of a turn, the share of the field that is seen (x, y; below 1 is cropped), and a shift in half widths."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    side = -1.0 if mirrored else 1.0
    turn = np.array([[cosine * side, -sine], [sine * side, cosine]], np.float32)
    return np.column_stack([turn * np.array(zoom, np.float32)[:, None], np.array(shift, np.float32)])


def rotated(random: Generator) -> Matrix:
    """A quarter or half turn, upside down in the mirror, or a tilt past 30 degrees."""
    kind = random.random()
    degrees = random.uniform(30, 150) * random.choice((-1, 1))
    if kind < 0.6:
        degrees = random.choice((90, 180, 270)) + random.uniform(-12, 12)
    zoom = (random.uniform(0.85, 1.2), random.uniform(0.85, 1.2))
    if kind > 0.9:
        return placed(degrees=180 + random.uniform(-12, 12), zoom=zoom, mirrored=True)
    return placed(degrees=degrees, zoom=zoom, mirrored=random.random() < 0.1)


def cropped(random: Generator) -> Matrix:
    """A part of the chest: both sides of the field short, or one of them very short and cut off at an end."""
    if random.random() < 0.5:
        zoom = (random.uniform(0.3, 0.55), random.uniform(0.3, 0.55))
        shift = tuple(random.uniform(-1, 1) * (1 - side) * 0.9 for side in zoom)
    else:
        zoom = (random.uniform(0.3, 0.52), random.uniform(0.75, 1.05))
        shift = (random.choice((-1, 1)) * (1 - zoom[0]) * random.uniform(0.6, 1.0), random.uniform(-0.1, 0.1))
        if random.random() < 0.5:
            zoom, shift = zoom[::-1], shift[::-1]
    turn = placed(degrees=random.uniform(-8, 8), zoom=(1.0, 1.0))[:, :2]
    return np.column_stack([np.array(zoom, np.float32)[:, None] * turn, np.array(shift, np.float32)])


def warped(image: Tensor, matrix: Matrix, size: int, padding: str) -> Tensor:
    """`image` (1, 1, H, W) through `matrix` onto `size` x `size`, averaged down first where it is much larger."""
    shrink = image.shape[-1] * float(np.linalg.norm(matrix[:, :2], axis=1).max()) / size
    if shrink > 1.5:
        rows = max(size, round(image.shape[-2] / shrink * 1.2)), max(size, round(image.shape[-1] / shrink * 1.2))
        image = interpolate(image, rows, mode="bilinear", antialias=True, align_corners=False)
    theta = torch.from_numpy(np.ascontiguousarray(matrix))[None]
    grid = torch.nn.functional.affine_grid(theta, [1, 1, size, size], align_corners=False)
    return grid_sample(image, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def any_padding(random: Generator) -> str:
    """What is beyond the edge of an image that was moved: black, its border, its mirror image."""
    return str(random.choice(_PADDINGS))


def exposed(image: Tensor, random: Generator) -> Tensor:
    """Another sound exposure: gamma 0.65 to 1.6, contrast 0.6 to 1.3, brightness, blur and noise as they come."""
    mean = image.mean()
    image = (image.clamp(0, 1) ** math.exp(random.uniform(-0.43, 0.47)) - mean) * random.uniform(0.6, 1.3) + mean
    image = (image + random.uniform(-0.12, 0.12)).clamp(0, 1)
    size = image.shape[-1]
    if random.random() < 0.5:
        small = int(random.uniform(0.35, 1.0) * size)
        image = interpolate(image, (small, small), mode="bilinear", antialias=True, align_corners=False)
        image = interpolate(image, (size, size), mode="bilinear", align_corners=False)
    return image + _noise(image, random, random.uniform(0, 0.03) if random.random() < 0.5 else 0.0)


def badly_exposed(image: Tensor, random: Generator) -> Tensor:
    """Beyond use: burnt out, drowned in black or noise, flat, or blank."""
    kind = random.random()
    level = float(torch.quantile(image.flatten(), random.uniform(0.08, 0.3)))
    if kind < 0.25:  # all but the darkest part is white
        return (image / max(level, 0.02)).clamp(0, 1)
    if kind < 0.5:  # all but the brightest part is black
        level = float(torch.quantile(image.flatten(), random.uniform(0.75, 0.95)))
        return ((image - level) / max(1 - level, 0.05) * random.uniform(0.3, 1)).clamp(0, 1)
    if kind < 0.7:  # flat
        return image * random.uniform(0.0, 0.10) + random.uniform(0, 0.9)
    if kind < 0.8:  # blank
        return torch.full_like(image, random.random()) + _noise(image, random, random.uniform(0, 0.02))
    return image * random.uniform(0, 0.35) + random.uniform(0, 0.6) + _noise(image, random, random.uniform(0.15, 0.4))


def photographed(image: Tensor, random: Generator) -> Tensor:
    """A photograph of a screen or light box: seen aslant, with its surround, stripes, glare and lifted blacks."""
    size = image.shape[-1]
    image = image ** random.uniform(0.6, 1.4) * random.uniform(0.5, 0.85) + random.uniform(0.03, 0.22)
    if random.random() < 0.75:
        image = _aslant(image, random)
    if random.random() < 0.75:
        image = image * (1 + random.uniform(0.03, 0.16) * _stripes(size, random))
    if random.random() < 0.7:
        image = image + random.uniform(0.15, 0.6) * _glare(size, random)
    if random.random() < 0.6:
        image = image * (1 - random.uniform(0.2, 0.6) * _corners(size))
    return (image + _noise(image, random, random.uniform(0, 0.03))).clamp(0, 1)


def overpainted(image: Tensor, random: Generator) -> Tensor:
    """Corners, a mark or an edge set to one grey: laterality marks and borders must carry nothing."""
    image, size = image.clone(), image.shape[-1]
    for vertical in (0, 1):
        for horizontal in (0, 1):
            if random.random() < 0.2:
                rows, columns = (int(random.uniform(0.04, 0.2) * size) for _ in range(2))
                top, left = vertical * (size - rows), horizontal * (size - columns)
                image[..., top : top + rows, left : left + columns] = random.random()
    if random.random() < 0.3:  # a mark
        rows, columns = random.integers(2, 7, 2)
        top, left = random.integers(0, size - 8, 2)
        image[..., top : top + rows, left : left + columns] = random.choice((0.0, 1.0, 1.0))
    if random.random() < 0.25:  # a collimator's edge
        edge, turns = int(random.uniform(0.01, 0.09) * size) + 1, int(random.integers(0, 4))
        image = torch.rot90(image, turns, (-2, -1)).clone()
        image[..., :edge, :] = random.choice((0.0, 0.0, 1.0, random.random()))
        image = torch.rot90(image, -turns, (-2, -1))
    return image


def with_greys_of(image: Tensor, reference: Tensor) -> Tensor:
    """`image` with the histogram of `reference`: each grey becomes the one of the same rank."""
    order = image.flatten().argsort().argsort()
    greys = reference.flatten().sort().values
    positions = order.float() / max(1, order.numel() - 1) * (greys.numel() - 1)
    return greys[positions.round().long()].reshape(image.shape)


def _noise(image: Tensor, random: Generator, spread: float) -> Tensor:
    return torch.from_numpy(random.standard_normal(tuple(image.shape), np.float32)) * spread


def _axes(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.linspace(-1, 1, size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def _stripes(size: int, random: Generator) -> Tensor:
    """Interference of two grids, -1..1: bent, at any angle."""
    rows, columns = _axes(size)
    total = torch.zeros(size, size)
    for _ in range(random.integers(1, 3)):
        angle, cycles = random.uniform(0, math.pi), random.uniform(5, 0.45 * size)
        bend = random.uniform(-0.15, 0.15)
        along = columns * math.cos(angle) + rows * math.sin(angle) + bend * (columns**2 - rows**2)
        total = total + torch.sin(math.pi * cycles * along + random.uniform(0, 6.3))
    return total / 2


def _glare(size: int, random: Generator) -> Tensor:
    rows, columns = _axes(size)
    down, across = (
        (columns - random.uniform(-1, 1)) / random.uniform(0.1, 0.6),
        (rows - random.uniform(-1, 1)) / random.uniform(0.1, 0.6),
    )
    return torch.exp(-(down**2) - across**2)


def _corners(size: int) -> Tensor:
    rows, columns = _axes(size)
    return (rows**2 + columns**2) / 2


def _aslant(image: Tensor, random: Generator) -> Tensor:
    """Seen in perspective, smaller than the photograph, with a bezel and a background."""
    size = image.shape[-1]
    rows, columns = _axes(size)
    away = 1 + random.uniform(-0.25, 0.25) * rows + random.uniform(-0.25, 0.25) * columns
    scale, angle = random.uniform(1.05, 1.4), math.radians(random.uniform(-8, 8))
    x = (columns * math.cos(angle) - rows * math.sin(angle)) * scale / away + random.uniform(-0.2, 0.2)
    y = (columns * math.sin(angle) + rows * math.cos(angle)) * scale / away + random.uniform(-0.2, 0.2)
    seen = grid_sample(image, torch.stack([x, y], -1)[None], padding_mode="border", align_corners=False)
    outside = torch.maximum(x.abs(), y.abs())
    behind = random.random() * (0.5 + 0.5 * torch.sin(random.uniform(0, 6) * rows + random.uniform(0, 6) * columns))
    bezel = outside < 1 + random.uniform(0.02, 0.2)
    surround = torch.where(bezel, torch.full_like(behind, random.choice((0.02, 0.05, 0.1, 0.7))), behind)
    return torch.where(outside <= 1, seen, surround)
