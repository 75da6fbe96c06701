"""How alike two maps are: the structural similarity (SSIM) of Wang et al., IEEE TIP 2004, on one common grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, stats

from explain.batches import Floats
from explain.maps.scale import over_range
from explain.perturbation import sized

GRID = 64
"""Maps are compared on a grid of so many cells along each axis, whatever their own resolution."""
_SIGMA, _C1, _C2 = 1.5, 0.01**2, 0.03**2


def similarity(first: Floats, second: Floats) -> float:
    """Mean SSIM, -1..1, of two maps, each over its own range; a flat map is alike to a flat one only."""
    shape = (GRID,) * first.ndim
    a, b = (over_range(sized(values, shape)).astype(np.float64) for values in (first, second))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(ndimage.gaussian_filter(values, _SIGMA), np.float64)

    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    above = (2 * mean_a * mean_b + _C1) * (2 * both + _C2)
    return float((above / ((mean_a**2 + mean_b**2 + _C1) * (var_a + var_b + _C2))).mean())


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation, -1..1, of two maps on the common grid; 0 when one of them is flat."""
    shape = (GRID,) * first.ndim
    a, b = (stats.rankdata(sized(values, shape).reshape(-1)) for values in (first, second))
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0
