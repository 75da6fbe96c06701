"""What takes a region out of an image, and the small changes that must not change an explanation.

Everything works over images of two or three dimensions alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]

BLUR = 0.06
"""Width (sigma) of the blur that hides a region, as a share of the image's shorter side."""


def blurred(image: Floats) -> Floats:
    """The image without its detail: what replaces a removed region.

    Black would be a thing to see in a radiograph (air), and its edge another; blur takes the structure away and
    leaves the brightness.
    """
    hidden: Floats = ndimage.gaussian_filter(image, BLUR * min(image.shape), mode="nearest")
    return hidden


def noisy(image: Floats, *, seed: int, amount: float = 0.01) -> Floats:
    """The image with normal noise of `amount` of the full range."""
    noise = np.random.default_rng(seed).normal(0.0, amount, image.shape)
    return np.clip(image + noise, 0.0, 1.0).astype(np.float32)


def shifted(image: Floats, pixels: int = 1) -> Floats:
    """The image moved by so many pixels along its last axis; the border is repeated."""
    return moved(image, (0,) * (image.ndim - 1) + (pixels,))


def moved(image: Floats, steps: tuple[int, ...]) -> Floats:
    """The image moved by so many pixels along each axis; the border is repeated."""
    found: Floats = ndimage.shift(image, steps, order=0, mode="nearest")
    return found


def sized(values: Floats, shape: tuple[int, ...]) -> Floats:
    """A map over the whole image brought to another grid, linearly; cell centres keep their places."""
    if values.shape == shape:
        return values
    found: Floats = ndimage.zoom(
        values,
        [new / old for new, old in zip(shape, values.shape, strict=True)],
        order=1,
        mode="nearest",
        grid_mode=True,
    )
    return found
