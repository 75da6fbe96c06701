"""Redraws patients, once for a whole audit: the same 2,000 samples serve every finding, cohort and figure.

Every figure that needs it is a function of sums over images, so a sample is a vector of weights and all samples
together are one matrix product. With more than 4,096 patients they are first put into 4,096 groups of equal size at
random, and groups are redrawn: a sum over many independent groups varies as one over their patients does, and the
standard error that comes out is itself uncertain by 1 %, less than 2,000 draws leave anyway (random groups: Wolter,
Introduction to Variance Estimation, chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.statistics.resampling import patient_weights

MOST_GROUPS = 4096


@dataclass(frozen=True, slots=True)
class Resampling:
    """`groups[i]`: whom image i is redrawn with. `weights`, shape (draws, groups)."""

    groups: NDArray[np.int32] = field(repr=False)
    weights: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, patients: NDArray[np.int32], draws: int, seed: int) -> Resampling:
        """Patients are codes from 0 on, one per image."""
        count = int(patients.max()) + 1
        shuffled = np.random.default_rng(seed).permutation(count)
        group_of = (shuffled % min(count, MOST_GROUPS)).astype(np.int32)
        return cls(group_of[patients], patient_weights(min(count, MOST_GROUPS), draws, seed))

    @property
    def size(self) -> int:
        return int(self.weights.shape[1])

    def per_group(
        self, rows: NDArray[np.intp], values: NDArray[np.floating], edges: NDArray[np.intp] | None = None
    ) -> NDArray[np.float32]:
        """The sum of `values` (one per row) in each group, shape (groups, bins); bins of rows begin at `edges`."""
        groups = self.groups[rows]
        if edges is None:
            return np.bincount(groups, values, minlength=self.size).astype(np.float32)[:, None]
        bins = len(edges)
        which = np.repeat(np.arange(bins, dtype=np.int32), np.diff(np.append(edges, len(rows))))
        found = np.bincount(groups * np.int32(bins) + which, values, minlength=self.size * bins)
        return found.reshape(self.size, bins).astype(np.float32)

    def draws(self, blocks: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
        """For each block of sums per group, shape (groups, k), its sums in each sample, shape (draws, k)."""
        ends = np.cumsum([block.shape[1] for block in blocks])
        drawn = self.weights @ np.concatenate(blocks, axis=1)
        return [part.astype(np.float64) for part in np.split(drawn, ends[:-1], axis=1)]
