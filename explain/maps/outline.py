"""Outlines of a map: closed polygons that enclose what counted and nothing else."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import NDArray

from core.domain.explanation import Region
from core.geometry import FloatMap

FINEST_GRID = 256
"""Maps are smooth: a grid of so many samples along the shorter side finds their outline to a fraction of a pixel."""
MAXIMUM_POINTS = 200
"""More points than a screen can show only slow viewers down."""
_OUTSIDE = -1e6  # around the map, so that an outline that reaches the border follows it
_TOP = 1e6
_SMALLEST_HOLE = 0.001  # of the image: a smaller one cannot be seen
_MOST_HOLES = 16
_FEWEST_POINTS = 6  # of a ring
_FINEST_STEP = 0.2  # pixels of the grid that a simplified line may be off

Points = NDArray[np.float32]


def outline(values: FloatMap, level: float) -> tuple[Region, ...]:
    """Closed outlines of where `values` (shape (rows, columns)) is above `level`, largest first, in DICOM coordinates.

    (0.0, 0.0) is the top left corner of the top left pixel (PS3.3 C.10.5.1.2), so a pixel's centre is at .5. A hole is
    cut out of its outline: the line goes in and comes back by the same way. Points are within the image.
    """
    rows, columns = values.shape
    step = max(1, min(rows, columns) // FINEST_GRID)
    padded = np.pad(values[::step, ::step].astype(np.float64), 1, constant_values=_OUTSIDE)
    filled = contour_generator(z=padded, fill_type=FillType.OuterOffset).filled(level, _TOP)
    regions = [
        _region([_placed(ring, step, rows, columns) for ring in _rings(points, offsets)], step, rows * columns)
        for points, offsets in zip(*filled, strict=True)
    ]
    return tuple(sorted((r for r in regions if r.area_pixels >= 1.0), key=lambda region: -region.area_pixels))


def _rings(points: NDArray[np.float64], offsets: NDArray[np.uint32]) -> list[NDArray[np.float64]]:
    """The outer line of a polygon, then its holes, each without the repeated last point."""
    return [points[start : end - 1] for start, end in pairwise(offsets)]


def _placed(ring: NDArray[np.float64], step: int, rows: int, columns: int) -> Points:
    """From the padded grid to the image; what follows the last samples is on the border."""
    points = (ring - 1.0) * step + 0.5  # undo the pad, then from pixel centres to DICOM's corners
    for axis, length in ((0, columns), (1, rows)):
        last = (length - 1) // step * step + 0.5
        points[:, axis] = np.where(points[:, axis] <= 0.5 + 1e-3, 0.0, points[:, axis])
        points[:, axis] = np.where(points[:, axis] >= last - 1e-3, length, points[:, axis])
    return points.astype(np.float32)


def _region(rings: list[Points], step: int, pixels: int) -> Region:
    outer, *holes = rings
    holes = sorted((hole for hole in holes if _area(hole) >= _SMALLEST_HOLE * pixels), key=_area)[-_MOST_HOLES:]
    lengths = [_length(ring) for ring in (outer, *holes)]
    room = MAXIMUM_POINTS - (_FEWEST_POINTS + 2) * len(lengths)
    outer, *holes = [
        _simplified(ring, _FEWEST_POINTS + int(room * length / sum(lengths)), _FINEST_STEP * step)
        for ring, length in zip((outer, *holes), lengths, strict=True)
    ]
    line = outer
    for hole in sorted(holes, key=lambda hole: _nearest(line, hole)[2]):
        line = _cut_out(line, hole)
    points = np.concatenate([line, line[:1]])
    return Region(points=points, area_pixels=_area(line))


def _cut_out(line: Points, hole: Points) -> Points:
    """The line with a way into the hole, round it and back, at the place where the two are nearest."""
    at, start, _ = _nearest(line, hole)
    return np.concatenate([line[: at + 1], hole[start:], hole[: start + 1], line[at:]])


def _nearest(line: Points, hole: Points) -> tuple[int, int, float]:
    distances = np.hypot(*(line[:, np.newaxis] - hole[np.newaxis]).transpose(2, 0, 1))
    at, start = np.unravel_index(int(distances.argmin()), distances.shape)
    return int(at), int(start), float(distances[at, start])


def _simplified(ring: Points, most: int, tolerance: float) -> Points:
    """The ring with at most so many points, off by as little as that allows (Douglas and Peucker, 1973)."""
    far = int(np.hypot(*(ring - ring[0]).T).argmax())
    halves = (ring[: far + 1], np.concatenate([ring[far:], ring[:1]]))
    while True:
        first, second = (half[_kept(half, tolerance)] for half in halves)
        if len(first) + len(second) - 2 <= most:
            return np.concatenate([first[:-1], second[:-1]])
        tolerance *= 1.5


def _kept(line: Points, tolerance: float) -> NDArray[np.bool_]:
    """Which points of an open line are further than `tolerance` from the lines between the others."""
    keep = np.zeros(len(line), np.bool_)
    keep[[0, -1]] = True
    spans = [(0, len(line) - 1)]
    while spans:
        start, end = spans.pop()
        if end - start < 2:
            continue
        distances = _distances(line[start + 1 : end], line[start], line[end])
        worst = int(distances.argmax())
        if distances[worst] > tolerance:
            middle = start + 1 + worst
            keep[middle] = True
            spans += [(start, middle), (middle, end)]
    return keep


def _distances(points: Points, start: Points, end: Points) -> NDArray[np.float32]:
    along = end - start
    length = float(np.hypot(*along))
    if length == 0.0:
        return np.asarray(np.hypot(*(points - start).T), np.float32)
    off = points - start
    return np.asarray(np.abs(off[:, 0] * along[1] - off[:, 1] * along[0]) / length, np.float32)


def _length(ring: Points) -> float:
    return float(np.hypot(*np.diff(ring, axis=0, append=ring[:1]).T).sum())


def _area(ring: Points) -> float:
    """Shoelace formula, pixels squared; of a line with holes cut out what is left."""
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(np.roll(x, -1), y)) / 2.0)
