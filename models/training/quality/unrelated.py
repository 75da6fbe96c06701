"""Pictures that are no chest radiograph, drawn from nothing or cut from radiographs until nothing is where it belongs.

They teach the check what "something else" may look like (outlier exposure: Hendrycks, Mazeika, Dietterich, ICLR 2019).
No hand, hip, CT or photograph is among them: those are kept to find out whether it learnt.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn.functional import interpolate

from models.training.quality.faults import placed, warped


def unrelated(image: Tensor, random: Generator, size: int) -> Tensor:
    """Something else, (1, 1, size, size) 0..1; `image` is a radiograph that some kinds are cut from."""
    kinds = (_clouds, _bodies, _bodies, _bodies, _page, _polygons)
    pick = int(random.integers(0, len(kinds) + 3))
    if pick < len(kinds):
        return kinds[pick](random, size)
    if pick == len(kinds):
        return _shuffled(image, random, size)
    if pick == len(kinds) + 1:
        return _enlarged(image, random, size)
    return _bent(image, random, size)


def _axes(size: int) -> tuple[Tensor, Tensor]:
    axis = torch.linspace(-1, 1, size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def _clouds(random: Generator, size: int) -> Tensor:
    """Noise with structure at one to four scales, or at one pixel."""
    total = torch.zeros(1, 1, size, size)
    for cells in random.choice((2, 3, 5, 8, 16, 32, 64, size), random.integers(1, 5)):
        field = torch.from_numpy(random.standard_normal((1, 1, int(cells), int(cells)), np.float32))
        total = total + interpolate(field, (size, size), mode="bicubic") * random.uniform(0.3, 1)
    return (0.5 + 0.25 * total * random.uniform(0.4, 1.5) + random.uniform(-0.2, 0.2)).clamp(0, 1)


def _bodies(random: Generator, size: int) -> Tensor:
    """Soft ellipses and tubes, brighter ones inside, on dark or bright ground, with cast shadows of a frame."""
    rows, columns = _axes(size)
    picture = torch.full((size, size), random.choice((0.0, 0.05, 0.2, 0.9)))
    for _ in range(random.integers(1, 7)):
        angle, bend = random.uniform(0, math.pi), random.uniform(-0.5, 0.5)
        x, y = columns - random.uniform(-0.8, 0.8), rows - random.uniform(-0.8, 0.8)
        along = x * math.cos(angle) + y * math.sin(angle)
        across = y * math.cos(angle) - x * math.sin(angle) + bend * along**2
        long, wide = random.uniform(0.2, 2.5), random.uniform(0.04, 0.7)
        distance = torch.sqrt((along / long) ** 2 + (across / wide) ** 2)
        depth = (1 - distance**2).clamp(min=0) ** random.uniform(0.15, 0.8)
        shade = random.uniform(-0.5, 0.9)
        picture = picture + shade * depth
        if random.random() < 0.7:  # something denser inside, or along its wall
            inner = torch.exp(-(((distance - random.choice((0.0, 0.5, 0.8))) / random.uniform(0.08, 0.3)) ** 2))
            picture = picture + random.uniform(-0.3, 0.6) * inner * (distance < 1)
    if random.random() < 0.3:
        edge = random.uniform(0.4, 0.9)
        picture = torch.where((columns.abs() if random.random() < 0.5 else rows.abs()) > edge, random.random(), picture)
    grain = torch.from_numpy(random.standard_normal((size, size), np.float32)) * random.uniform(0, 0.05)
    return (picture + grain).clamp(0, 1)[None, None]


def _page(random: Generator, size: int) -> Tensor:
    """Lines of something like writing, dark on bright or bright on dark."""
    page = torch.ones(size, size)
    pitch = int(random.integers(3, 10))
    for top in range(int(random.integers(1, 10)), size - pitch, pitch):
        left = int(random.integers(2, 15))
        while left < size - 8 and random.random() < 0.95:
            width = int(random.integers(2, 10))
            page[top : top + max(1, pitch // 2), left : left + width] = random.uniform(0, 0.6)
            left += width + int(random.integers(1, 4))
    page = page if random.random() < 0.7 else 1 - page
    return (page * random.uniform(0.6, 1))[None, None]


def _polygons(random: Generator, size: int) -> Tensor:
    """Flat areas with straight edges, as in graphics and photographs of rooms."""
    rows, columns = _axes(size)
    picture = torch.full((size, size), random.random()) + random.uniform(-0.3, 0.3) * rows
    for _ in range(random.integers(2, 9)):
        area = torch.ones(size, size, dtype=torch.bool)
        x, y = random.uniform(-1, 1, 2)
        for _ in range(random.integers(2, 5)):
            angle = random.uniform(0, 2 * math.pi)
            reach = random.uniform(0.05, 0.8)
            area &= (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle) < reach
        picture = torch.where(area, random.random() + random.uniform(-0.3, 0.3) * columns, picture)
    return picture.clamp(0, 1)[None, None]


def _shuffled(image: Tensor, random: Generator, size: int) -> Tensor:
    """Tiles of a radiograph in another order."""
    parts = int(random.integers(2, 5))
    tile = size // parts
    small = interpolate(image, (tile * parts, tile * parts), mode="bilinear", antialias=True, align_corners=False)
    tiles = [
        small[..., r * tile : (r + 1) * tile, c * tile : (c + 1) * tile] for r in range(parts) for c in range(parts)
    ]
    order = random.permutation(parts * parts)
    while (order == np.arange(parts * parts)).all():
        order = random.permutation(parts * parts)
    turned = [torch.rot90(tiles[i], int(random.integers(0, 4)), (-2, -1)) for i in order]
    rows = [torch.cat(turned[r * parts : (r + 1) * parts], -1) for r in range(parts)]
    return interpolate(torch.cat(rows, -2), (size, size), mode="bilinear", align_corners=False)


def _enlarged(image: Tensor, random: Generator, size: int) -> Tensor:
    """A piece of a radiograph as large as a hand's breadth, turned at will."""
    zoom = random.uniform(0.1, 0.28)
    shift = tuple(random.uniform(-0.7, 0.7, 2))
    matrix = placed(degrees=random.uniform(0, 360), zoom=(zoom, zoom), shift=shift)
    return warped(image, matrix, size, "border")


def _bent(image: Tensor, random: Generator, size: int) -> Tensor:
    """A radiograph seen through bad glass."""
    field = torch.from_numpy(random.standard_normal((1, 2, 5, 5), np.float32))
    offset = interpolate(field, (size, size), mode="bicubic")[0].permute(1, 2, 0) * random.uniform(0.25, 0.5)
    rows, columns = _axes(size)
    grid = torch.stack([columns, rows], -1) + offset
    return torch.nn.functional.grid_sample(image, grid[None], padding_mode="reflection", align_corners=False)
