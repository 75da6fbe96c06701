"""Outlines of a map: closed polygons that a presentation state can draw."""

from __future__ import annotations

import numpy as np
from contourpy import contour_generator
from numpy.typing import NDArray

from core.domain.explanation import Region
from core.geometry import FloatMap

FINEST_GRID = 256
"""Maps are smooth: a grid of so many samples along the shorter side finds their outline to a fraction of a pixel."""
MAXIMUM_POINTS = 200
"""More points than a screen can show only slow viewers down."""


def outline(values: FloatMap, level: float) -> tuple[Region, ...]:
    """Closed outlines of `values` (shape (rows, columns)) at `level`, largest first, in DICOM pixel coordinates.

    (0.0, 0.0) is the top left corner of the top left pixel (PS3.3 C.10.5.1.2), so a pixel's centre is at .5.
    Points are clipped to the image. Holes are outlines too, only smaller; viewers draw both.
    """
    rows, columns = values.shape
    step = max(1, min(rows, columns) // FINEST_GRID)
    padded = np.pad(values[::step, ::step], 1)  # a region that touches the border gets a closed outline
    lines = contour_generator(z=padded).lines(level)
    regions = [_region(np.asarray(line, np.float32), step, rows, columns) for line in lines]
    found = [region for region in regions if region.area_pixels >= 1.0]
    return tuple(sorted(found, key=lambda region: -region.area_pixels))


def _region(line: NDArray[np.float32], step: int, rows: int, columns: int) -> Region:
    points = (line - 1.0) * step + 0.5  # undo the pad, then from pixel centres to DICOM's corners
    points = _thin(np.clip(points, 0.0, (columns, rows)).astype(np.float32))
    points[-1] = points[0]
    return Region(points=points, area_pixels=_area(points))


def _thin(points: NDArray[np.float32]) -> NDArray[np.float32]:
    step = max(1, -(-len(points) // MAXIMUM_POINTS))
    return np.concatenate([points[:-1:step], points[-1:]])


def _area(points: NDArray[np.float32]) -> float:
    """Shoelace formula, pixels squared."""
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2.0)
