"""The cells of a set of images: all of them, each value of an attribute, each two values of two attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fairness.cohorts import cohort_name
from fairness.grouping import Grouping
from fairness.suppression.room import Counts, Mask

SMALLEST_CELL = 11


@dataclass(frozen=True, slots=True)
class Layer:
    """The cells of one attribute or of two: their places among all cells, and the code of each image."""

    attributes: tuple[str, ...]
    start: int
    shape: tuple[int, ...]
    groupings: tuple[Grouping, ...] = field(repr=False)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def cells(self) -> slice:
        return slice(self.start, self.start + self.size)

    def codes(self, rows: NDArray[np.intp] | slice = slice(None)) -> NDArray[np.int64]:
        """Which cell of this layer each image is in, 0..size-1."""
        codes = self.groupings[0].codes[rows].astype(np.int64)
        for grouping in self.groupings[1:]:
            codes = codes * len(grouping.values) + grouping.codes[rows]
        return codes

    def names(self, order: Sequence[str]) -> list[str]:
        """The cohorts' names, in the order of the codes, their attributes in the order given."""
        named = []
        for places in np.ndindex(self.shape):
            values = dict(zip(self.attributes, places, strict=True))
            groupings = dict(zip(self.attributes, self.groupings, strict=True))
            named.append(cohort_name({name: groupings[name].values[values[name]] for name in order if name in values}))
        return named


@dataclass(frozen=True, slots=True)
class Lattice:
    """All cells of a set of images: number 0 is all of them, then one layer after the other."""

    layers: tuple[Layer, ...]
    images: int

    @classmethod
    def of(cls, attributes: Mapping[str, Grouping], images: int) -> Lattice:
        """Every attribute and every two of them."""
        names = list(attributes)
        start, layers = 1, []
        for chosen in (*((name,) for name in names), *combinations(names, 2)):
            groupings = tuple(attributes[name] for name in chosen)
            layer = Layer(chosen, start, tuple(len(grouping.values) for grouping in groupings), groupings)
            layers.append(layer)
            start += layer.size
        return cls(tuple(layers), images)

    @property
    def size(self) -> int:
        return 1 + sum(layer.size for layer in self.layers)

    def counts(self, rows: NDArray[np.intp] | slice = slice(None)) -> Counts:
        """Images per cell, of those in `rows`."""
        everybody = self.images if isinstance(rows, slice) else len(rows)
        found = [np.bincount(layer.codes(rows), minlength=layer.size) for layer in self.layers]
        return np.concatenate([[everybody], *found]).astype(np.int64)

    def few_people(self, patients: NDArray[np.int32], rows: NDArray[np.intp] | slice = slice(None)) -> Mask:
        """The cells with 1 to 10 patients among the images in `rows`; empty ones hide no patient."""
        whose = patients[rows]
        most = int(np.bincount(whose).max(initial=0))  # images of one patient
        parts = [self._few(np.zeros(len(whose), np.int64), 1, whose, most)]
        parts += [self._few(layer.codes(rows), layer.size, whose, most) for layer in self.layers]
        return np.concatenate(parts)

    def _few(self, codes: NDArray[np.int64], size: int, whose: NDArray[np.int32], most: int) -> Mask:
        images = np.bincount(codes, minlength=size)
        few = (images > 0) & (images < SMALLEST_CELL)
        unsure = (images >= SMALLEST_CELL) & (images < SMALLEST_CELL * most)
        if most > 1 and unsure.any():
            asked = np.flatnonzero(unsure[codes])
            pairs = np.unique(codes[asked] * (int(whose.max()) + 1) + whose[asked])
            people = np.bincount(pairs // (int(whose.max()) + 1), minlength=size)
            few |= unsure & (people < SMALLEST_CELL)
        return few

    def layer(self, *attributes: str) -> Layer:
        """The layer of these attributes; KeyError when there is none."""
        return next(layer for layer in self.layers if layer.attributes == attributes)
