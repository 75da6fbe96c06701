"""From the source's pixels to the square that models see, and back.

Models take a square of isotropic pixels. `SquareFrame` says how a source image is placed in that square (scaled to
isotropic pixels, centred, padded with black), so that a map in model space comes back to exactly the source's
rows and columns, whatever the pixel spacing or the shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

FloatMap = NDArray[np.float32]
"""A float32 array of shape (rows, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareFrame:
    """Where a source image of (rows, columns) is in its square of `side` isotropic pixels."""

    rows: int
    columns: int
    height: int  # rows of the content in the square
    width: int
    side: int

    @staticmethod
    def of(rows: int, columns: int, row_spacing_mm: float = 1.0, column_spacing_mm: float = 1.0) -> SquareFrame:
        """The frame of an image; only the ratio of the spacings counts. The finer axis keeps its resolution."""
        finest = min(row_spacing_mm, column_spacing_mm)
        height = max(1, round(rows * row_spacing_mm / finest))
        width = max(1, round(columns * column_spacing_mm / finest))
        return SquareFrame(rows=rows, columns=columns, height=height, width=width, side=max(height, width))

    @property
    def top(self) -> int:
        return (self.side - self.height) // 2

    @property
    def left(self) -> int:
        return (self.side - self.width) // 2

    def to_square(self, pixels: FloatMap) -> FloatMap:
        """Lay `pixels`, shape (rows, columns), into the black square, shape (side, side)."""
        if pixels.shape != (self.height, self.width):
            pixels = resized(pixels, self.height, self.width)
        if (self.height, self.width) == (self.side, self.side):
            return pixels
        square = np.zeros((self.side, self.side), np.float32)
        square[self.top : self.top + self.height, self.left : self.left + self.width] = pixels
        return square

    def to_source(self, values: NDArray[np.float32]) -> FloatMap:
        """Bring a map over the whole square, any shape (h, w), back to (rows, columns) by linear interpolation."""
        down, across = values.shape[0] / self.side, values.shape[1] / self.side
        box = (
            self.left * across,
            self.top * down,
            (self.left + self.width) * across,
            (self.top + self.height) * down,
        )
        return resized(values, self.rows, self.columns, box)


def resized(
    values: NDArray[np.float32], rows: int, columns: int, box: tuple[float, float, float, float] | None = None
) -> FloatMap:
    """`values` (or `box` of them: left, top, right, bottom) brought to (rows, columns), linearly, without aliases."""
    if box is None and values.shape == (rows, columns):
        return values
    found = Pillow.fromarray(values).resize((columns, rows), Pillow.Resampling.BILINEAR, box=box)
    return np.asarray(found, np.float32)
