"""Which counts of an audit are withheld, so that no patient can be found in it.

A cell is a cohort: all, one value of an attribute, or two values of two attributes. One with under 11 patients is
withheld, and so is one with under 11 positives or negatives (patients, not images) for a finding. Others are withheld
along with them, until for each withheld count two tables are known that agree with everything shown and differ by ten
in that count (`room`): subtraction, however clever, cannot tell which of them is true.

What is withheld depends on the images and on all of their attributes, never on what was asked for: the audit by sex,
the audit by sex and view and any other are parts of one whole, and nothing follows from holding them side by side
(docs/decisions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fairness.suppression.lattice import SMALLEST_CELL, Lattice, Layer
from fairness.suppression.room import Counts, Mask, Table

WIDTH = SMALLEST_CELL - 1  # a withheld count must leave room for 1 .. 11
_UNBOUNDED = 10**12
_SPARSE = 0.5  # intersections of two attributes are withheld altogether when more of them are small


@dataclass(frozen=True, slots=True)
class Secret:
    """One kind of count per cell: `few` must not be shown, and a withheld one is known to be in `low` .. `high`."""

    counts: Counts = field(repr=False)
    few: Mask = field(repr=False)
    low: Counts = field(repr=False)
    high: Counts = field(repr=False)

    @classmethod
    def of_images(cls, counts: Counts, few: Mask) -> Secret:
        """Images per cell: that of a cohort which is named is at least 1, and that of one which is not is 0."""
        filled = counts > 0
        return cls(counts, few, filled.astype(np.int64), np.where(filled, _UNBOUNDED, 0))

    @classmethod
    def of_finding(cls, counts: Counts, few: Mask, images: Counts, withheld: Withheld) -> Secret:
        """Positives (or negatives) per cell: at most as many as images, where that number is shown."""
        high = np.where(withheld.cells & (images > 0), _UNBOUNDED, images)
        return cls(counts, few, np.zeros_like(counts), high)


@dataclass(frozen=True, slots=True)
class Withheld:
    """Which cells are not shown. Of `layers` (their attributes) no cell is even mentioned."""

    cells: Mask = field(repr=False)
    layers: frozenset[tuple[str, ...]] = frozenset()


def withhold(lattice: Lattice, secrets: Sequence[Secret], already: Withheld | None = None) -> Withheld:
    """Which cells to withhold, all kinds of count in `secrets` together; `already`: those that are in any case.

    Single attributes first, then the intersections. The intersections of a withheld value are withheld. Attributes
    whose cells cannot be hidden otherwise are not shown at all. The number of all images goes only when it is small.
    """
    hidden = already.cells.copy() if already else np.zeros(lattice.size, bool)
    gone = set(already.layers) if already else set()
    for secret in secrets:
        hidden |= secret.few
    if hidden[0]:
        return Withheld(np.ones(lattice.size, bool), frozenset(layer.attributes for layer in lattice.layers))
    images_hidden = already.cells if already else hidden
    for layer in lattice.layers:
        _spread(lattice, layer, hidden, gone)
        if already is None and _is_sparse(lattice, layer, secrets[0]):
            gone.add(layer.attributes)
        for secret in secrets:
            if layer.attributes not in gone and not _protect(lattice, layer, secret, hidden, images_hidden):
                gone.add(layer.attributes)
        if layer.attributes in gone:
            hidden[layer.cells] = True
    return Withheld(hidden, frozenset(gone))


def _is_sparse(lattice: Lattice, layer: Layer, secret: Secret) -> bool:
    """Intersections of which most are small: nothing of use would be left of them."""
    if len(layer.attributes) < 2:
        return False
    rows, columns = (secret.few[lattice.layer(name).cells] for name in layer.attributes)
    counted = secret.counts[layer.cells][(~(rows[:, None] | columns)).ravel()] > 0
    few = secret.few[layer.cells][(~(rows[:, None] | columns)).ravel()]
    return bool(few.sum() > _SPARSE * counted.sum())


def _spread(lattice: Lattice, layer: Layer, hidden: Mask, gone: set[tuple[str, ...]]) -> None:
    """Intersections of values that are not shown are not shown."""
    if len(layer.attributes) < 2:
        return
    if any((name,) in gone for name in layer.attributes):
        gone.add(layer.attributes)
    rows, columns = (hidden[lattice.layer(name).cells] for name in layer.attributes)
    hidden[layer.cells] |= (rows[:, None] | columns).ravel()


def _protect(lattice: Lattice, layer: Layer, secret: Secret, hidden: Mask, images_hidden: Mask) -> bool:
    """Withhold the smallest cells of a layer that help, until each withheld count has room; False: impossible."""
    shape = layer.shape if len(layer.shape) == 2 else (1, *layer.shape)
    free = [np.zeros(1, bool), np.ones(layer.size, bool)]
    unnamed = np.zeros(shape, bool)  # intersections of values that are not shown: their names are not shown either
    if len(layer.attributes) == 2:
        free = [hidden[lattice.layer(name).cells] for name in layer.attributes]
        rows, columns = (images_hidden[lattice.layer(name).cells] for name in layer.attributes)
        unnamed = rows[:, None] | columns
    low, high, counts = (part[layer.cells].reshape(shape) for part in (secret.low, secret.high, secret.counts))
    low, high = np.where(unnamed, 0, low), np.where(unnamed, _UNBOUNDED, high)
    table = Table(counts=counts, low=low, high=high, free_rows=free[0], free_columns=free[1])
    mask = hidden[layer.cells].reshape(shape)  # a view: what is set here is set in `hidden`
    waiting = [(int(row), int(column)) for row, column in np.argwhere(mask & ~unnamed & (high > low))]
    while waiting:
        cell = waiting.pop()
        if table.has_room(mask, cell, WIDTH):
            continue
        helpers = table.helpers(mask, cell, WIDTH)
        if helpers is None:
            return False
        for helper in helpers:
            if not mask[helper]:
                mask[helper] = True
                waiting.append(helper)
    return True
