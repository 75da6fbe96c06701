"""Intervals by redrawing patients, because two images of one patient are not two independent observations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from core.statistics.estimate import Estimate


def bootstrap(
    patients: NDArray[np.str_], figure: Callable[[NDArray[np.intp]], float], *, rounds: int = 300, seed: int = 1
) -> Estimate:
    """`figure` of all rows, with the percentile interval of redrawing patients; `figure` takes row indices."""
    random = np.random.default_rng(seed)
    _, inverse, counts = np.unique(patients, return_inverse=True, return_counts=True)
    rows, starts = np.argsort(inverse, kind="stable"), np.cumsum(counts) - counts
    values = []
    for _ in range(rounds):
        drawn = random.integers(0, len(counts), len(counts))
        sizes = counts[drawn]
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        values.append(figure(rows[np.repeat(starts[drawn], sizes) + within]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Estimate(figure(np.arange(len(patients))), float(low), float(high))


def patient_weights(patients: int, draws: int, seed: int) -> NDArray[np.float32]:
    """How often each patient is drawn in each of `draws` bootstrap samples, shape (draws, patients)."""
    random = np.random.default_rng(seed)
    result = np.empty((draws, patients), np.float32)
    for row in result:
        row[:] = np.bincount(random.integers(0, patients, patients), minlength=patients)
    return result
