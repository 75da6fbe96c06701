"""Whether probabilities are distributed as before, or as in other patients: the population stability index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.statistics.calibration import BINS
from core.statistics.estimate import Floats


def population_stability(reference: Floats, sample: Floats, bins: int = BINS) -> float:
    """Population stability index of two samples of probabilities, 0 when they are distributed alike.

    The sum of (q - p) ln(q / p) over bins of equal mass of the reference (Siddiqi, Credit Risk Scorecards, 2006). Half
    an image is added to each bin, so that an empty one does not make it infinite.
    """
    return population_stability_sorted(np.sort(reference), np.sort(sample), bins)


def population_stability_sorted(reference: Floats, sample: Floats, bins: int = BINS) -> float:
    """`population_stability` of probabilities that rise already."""
    edges = np.unique(_quantiles_sorted(reference, np.arange(1, bins) / bins))
    before, now = (_shares_sorted(part, edges) for part in (reference, sample))
    return float(np.sum((now - before) * np.log(now / before)))


def _quantiles_sorted(rising: Floats, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles as numpy makes them, without a pass over all values."""
    places = shares * (len(rising) - 1)
    below = places.astype(np.intp)
    low, high = rising[below], rising[np.minimum(below + 1, len(rising) - 1)]
    quantiles: NDArray[np.float64] = low + (high - low) * (places - below)
    return quantiles


def _shares_sorted(rising: Floats, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of values in each bin; a value at an edge belongs to the upper bin."""
    bounds = np.concatenate(([0], np.searchsorted(rising, edges), [len(rising)]))
    counts = np.diff(bounds) + 0.5
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares
