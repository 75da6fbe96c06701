"""Which parts of a closed outline are drawn: not what follows the frame of the image, and no way into a hole twice."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"""(column, row) pairs, shape (n, 2)."""
_AT_THE_FRAME = 0.01  # of the shorter side


def lines_of(outline: Outline, rows: int, columns: int) -> list[Outline]:
    """The lines to draw of a closed outline: itself where it neither follows the frame nor has a hole.

    A region that reaches the edge of the image gets an open line: where it ends at the edge is the edge.
    """
    drawn = _is_drawn(outline, rows, columns)
    if drawn.all():
        return [outline]
    if not drawn.any():
        return []
    first = int(np.flatnonzero(~drawn)[0])  # begin after a gap, so that no line is cut at the outline's own start
    points = np.concatenate([outline[first:-1], outline[: first + 1]])
    return list(_runs(points, np.roll(drawn, -first)))


def _is_drawn(outline: Outline, rows: int, columns: int) -> NDArray[np.bool_]:
    """For each segment of the outline whether it is drawn."""
    start, end = outline[:-1], outline[1:]
    near = max(1.0, _AT_THE_FRAME * min(rows, columns))
    hidden = np.zeros(len(start), np.bool_)
    for axis, length in ((0, columns), (1, rows)):
        for edge in (0.0, float(length)):
            hidden |= (np.abs(start[:, axis] - edge) < near) & (np.abs(end[:, axis] - edge) < near)
    back = {(*b, *a): number for number, (a, b) in enumerate(zip(start.tolist(), end.tolist(), strict=True))}
    ways = [(*a, *b) in back for a, b in zip(start.tolist(), end.tolist(), strict=True)]
    return ~(hidden | np.asarray(ways, np.bool_))


def _runs(points: Outline, drawn: NDArray[np.bool_]) -> Iterator[Outline]:
    start = None
    for number, is_drawn in enumerate([*drawn.tolist(), False]):
        if is_drawn and start is None:
            start = number
        elif not is_drawn and start is not None:
            yield points[start : number + 1]
            start = None
