"""Brings chest radiographs of different people into register, so that their mean is a chest and not fog.

Each image is moved by an affine map plus a smooth field of 7 x 7 points towards the mean of all, by Gauss-Newton
steps on thumbnails (Lucas and Kanade 1981, with a penalty on the field's roughness); the mean is taken again after
each round, and the moves are at last applied to the full images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

SIZE = 512
_COARSE = 96
_KNOTS = 7
_ROUNDS = 4
_STEPS = 6

Picture = NDArray[np.float64]


def trimmed_mean_in_register(pixels: Sequence[NDArray[np.uint8]]) -> Picture:
    """Mean of the registered images (each square, uint8), 0..1, shape (512, 512).

    At each pixel the brightest fifth and the darkest tenth of the images are left out: text, marks and image borders
    are always among them.
    """
    images = [_levelled(array) for array in pixels]
    moves = _moves([smoothed(_resized(image, _COARSE), 3) for image in images])
    basis = _basis(SIZE)
    moved = [_sampled(image, basis @ move * (SIZE / _COARSE)) for image, move in zip(images, moves, strict=True)]
    ordered = np.sort(np.stack(moved).astype(np.float32), axis=0)
    kept = ordered[len(images) // 10 : len(images) - len(images) // 5]
    mean: Picture = kept.mean(0, dtype=np.float64)
    return mean


def smoothed(picture: Picture, width: int) -> Picture:
    """`picture` after two running means over `width` (odd) rows and columns, edges repeated."""
    for axis in (0, 1, 0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = (width // 2 + 1, width // 2)
        sums = np.cumsum(np.pad(picture, pads, mode="edge"), axis=axis)
        ahead, behind = [slice(None)] * 2, [slice(None)] * 2
        ahead[axis], behind[axis] = slice(width, None), slice(None, -width)
        picture = (sums[tuple(ahead)] - sums[tuple(behind)]) / width
    return picture


def _moves(thumbnails: Sequence[Picture]) -> list[Picture]:
    """Coefficients (basis functions, 2) of the displacement of each thumbnail, in thumbnail pixels (row, column)."""
    basis, roughness = _basis(_COARSE), _roughness()
    flat = [_flat(thumbnail) for thumbnail in thumbnails]
    moves = [np.zeros((basis.shape[1], 2)) for _ in thumbnails]
    for round_ in range(_ROUNDS):
        template = np.mean([_sampled(image, basis @ move) for image, move in zip(flat, moves, strict=True)], axis=0)
        free = basis.shape[1] if round_ else 3  # at first only the affine map
        for image, move in zip(flat, moves, strict=True):
            for _ in range(_STEPS):
                move[:free] += _step(image, template, basis, roughness, move, free)
    return moves


def _step(image: Picture, template: Picture, basis: Picture, roughness: Picture, move: Picture, free: int) -> Picture:
    """The Gauss-Newton change of the first `free` coefficients that brings `image` nearer to `template`."""
    moved = _sampled(image, basis @ move)
    slopes = np.gradient(moved)
    jacobian = np.concatenate([slope.reshape(-1, 1) * basis[:, :free] for slope in slopes], axis=1)
    penalty = np.kron(np.eye(2), roughness[:free, :free])
    pull = jacobian.T @ (template - moved).ravel() - penalty @ move[:free].T.ravel()
    change = np.linalg.solve(jacobian.T @ jacobian + penalty + 0.05 * np.eye(2 * free), pull)
    return np.clip(change, -2, 2).reshape(2, free).T


def _basis(size: int) -> Picture:
    """Functions that displacements are made of, (size * size, 3 + 49): 1, row, column, and a tent per knot."""
    axis = (np.arange(size) + 0.5) / size
    tents = np.maximum(0, 1 - np.abs(axis[:, None] * (_KNOTS - 1) - np.arange(_KNOTS)[None, :]))
    field = np.einsum("ra,cb->rcab", tents, tents).reshape(size * size, _KNOTS**2)
    rows, columns = np.repeat(axis - 0.5, size), np.tile(axis - 0.5, size)
    return np.column_stack([np.ones(size * size), rows, columns, field])


def _roughness() -> Picture:
    """Penalty on differences between neighbouring knots, and a little on the knots themselves."""
    index = np.arange(_KNOTS**2).reshape(_KNOTS, _KNOTS)
    below = np.column_stack([index[1:].ravel(), index[:-1].ravel()])
    across = np.column_stack([index[:, 1:].ravel(), index[:, :-1].ravel()])
    pairs = np.concatenate([below, across])
    difference = np.zeros((len(pairs), 3 + _KNOTS**2))
    for row, (one, other) in enumerate(pairs):
        difference[row, 3 + one], difference[row, 3 + other] = 1, -1
    penalty: Picture = 0.6 * difference.T @ difference
    penalty[3:, 3:] += 0.02 * np.eye(_KNOTS**2)
    return penalty


def _sampled(image: Picture, displacement: Picture) -> Picture:
    """`image` read at each pixel's place plus `displacement` (size * size, 2), bilinear, edges repeated."""
    size = image.shape[0]
    grid = np.indices(image.shape).reshape(2, -1).T + displacement
    grid = np.clip(grid, 0, size - 1.001)
    corner = grid.astype(np.intp)
    (down, right), (row, column) = (grid - corner).T, corner.T
    above = image[row, column] * (1 - right) + image[row, column + 1] * right
    below = image[row + 1, column] * (1 - right) + image[row + 1, column + 1] * right
    read: Picture = (above * (1 - down) + below * down).reshape(image.shape)
    return read


def _levelled(array: NDArray[np.uint8]) -> Picture:
    """One image (512, 512) stretched so that its 2nd and 98th percentile lie at 0.05 and 0.9."""
    low, high = np.percentile(array, [2, 98])
    stretched = 0.05 + 0.85 * (array.astype(np.float64) - low) / max(1.0, high - low)
    return _resized(np.clip(stretched, 0, 1), SIZE)


def _resized(picture: Picture, size: int) -> Picture:
    image = PillowImage.fromarray(picture.astype(np.float32))
    return np.asarray(image.resize((size, size), PillowImage.Resampling.BOX), np.float64)


def _flat(picture: Picture) -> Picture:
    """`picture` without its slow changes of brightness, so that exposure does not steer the registration."""
    return picture - 0.7 * smoothed(picture, 31)
