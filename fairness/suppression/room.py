"""How far a withheld count could be from the true one without anything that is shown changing.

Counts of two attributes form a table whose row and column sums are shown. Raise one count, lower another in its row and
a third in its column by as much, raise the fourth corner: every sum is as before. If all four corners are withheld, the
tables cannot be distinguished. `Table.room` is by how much that can be done, up and down together, for each choice of
the opposite corner. Where the sums of two rows (or columns) are withheld too, two corners are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Cell = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Counts, shape (rows, columns), and between what each is known to be in any case.

    `free_rows`, `free_columns`: whose sums are not known. One attribute alone is a table of one row and free columns.
    """

    counts: Counts = field(repr=False)
    low: Counts = field(repr=False)
    high: Counts = field(repr=False)
    free_rows: Mask = field(repr=False)
    free_columns: Mask = field(repr=False)

    def has_room(self, withheld: Mask, cell: Cell, width: int) -> bool:
        """Whether the count of a withheld cell can be off by `width`, given which others are withheld."""
        row, column = cell
        if (self._room(cell)[self._closed(withheld, cell)] >= width).any():
            return True
        if self.free_rows[row] and (self._exchange(cell, axis=0)[self.free_rows & withheld[:, column]] >= width).any():
            return True
        exchanged = self._exchange(cell, axis=1)[self.free_columns & withheld[row]]
        return bool(self.free_columns[column] and (exchanged >= width).any())

    def helpers(self, withheld: Mask, cell: Cell, width: int) -> list[Cell] | None:
        """The smallest cells that have to be withheld as well to give `cell` room; None when none do."""
        row, column = cell
        shown = np.where(withheld, 0, self.counts)
        if self.counts.shape[0] == 1:
            cost = np.where(self._exchange(cell, axis=1) >= width, shown[0], -1)
            fitting = np.flatnonzero(cost >= 0)
            return [(0, int(fitting[np.argmin(cost[fitting])]))] if len(fitting) else None
        cost = shown + shown[row][None, :] + shown[:, column][:, None]
        corners = np.argwhere(self._room(cell) >= width)
        if not len(corners):
            return None
        other_row, other_column = (int(place) for place in corners[np.argmin(cost[corners[:, 0], corners[:, 1]])])
        return [(other_row, other_column), (row, other_column), (other_row, column)]

    def _room(self, cell: Cell) -> Counts:
        """Up and down together, for each opposite corner, shape (rows, columns)."""
        row, column = cell
        up, down = self.high - self.counts, self.counts - self.low
        rise = np.minimum(np.minimum(up[row, column], up), np.minimum(down[row][None, :], down[:, column][:, None]))
        fall = np.minimum(np.minimum(down[row, column], down), np.minimum(up[row][None, :], up[:, column][:, None]))
        result: Counts = rise + fall
        result[row, :] = result[:, column] = -1
        return result

    def _exchange(self, cell: Cell, *, axis: int) -> Counts:
        """Up and down together by exchange with another cell of the same column (axis 0) or row (axis 1)."""
        up, down = self.high - self.counts, self.counts - self.low
        ups, downs = (np.take(part, cell[1 - axis], axis=1 - axis) for part in (up, down))
        result: Counts = np.minimum(up[cell], downs) + np.minimum(down[cell], ups)
        result[cell[axis]] = -1
        return result

    @staticmethod
    def _closed(withheld: Mask, cell: Cell) -> Mask:
        """The opposite corners for which all corners are withheld."""
        closed: Mask = withheld & withheld[cell[0]][None, :] & withheld[:, cell[1]][:, None]
        return closed
