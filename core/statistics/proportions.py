"""Proportions after Wilson (1927), their differences after Newcombe (1998), and p values of many tests together.

Holm (1979) says which of many gaps may raise an alarm, Benjamini-Hochberg (1995) which are worth a look.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import fisher_exact

from core.statistics.estimate import Z95, Estimate


def wilson(successes: int, trials: int) -> Estimate:
    """A proportion with Wilson's score interval."""
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0)
    share, z2 = successes / trials, Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def newcombe(first: tuple[int, int], second: tuple[int, int]) -> Estimate:
    """Difference of two independent proportions, each (successes, trials): method 10 of Newcombe, Stat Med 1998."""
    if not (first[1] and second[1]):
        return Estimate(math.nan, -1.0, 1.0)
    one, other = wilson(*first), wilson(*second)
    gap = one.value - other.value
    low = gap - math.hypot(one.value - one.low, other.high - other.value)
    high = gap + math.hypot(one.high - one.value, other.value - other.low)
    return Estimate(gap, low, high)


def newcombe_paired(counts: tuple[int, int, int, int]) -> Estimate:
    """Difference of two proportions of the same cases: method 10 of Newcombe, Stat Med 1998, 17, 2635-2650.

    `counts`: cases where both succeed, only the first, only the second, none.
    """
    both, first, second, _ = counts
    trials = sum(counts)
    if not trials:
        return Estimate(math.nan, -1.0, 1.0)
    one, other = wilson(both + first, trials), wilson(both + second, trials)
    gap, alike = one.value - other.value, _paired_correlation(counts)

    def half(toward: float, away: float) -> float:
        return math.sqrt(max(0.0, toward**2 - 2 * alike * toward * away + away**2))

    low = gap - half(one.value - one.low, other.high - other.value)
    return Estimate(gap, low, gap + half(one.high - one.value, other.value - other.low))


def _paired_correlation(counts: tuple[int, int, int, int]) -> float:
    """The correlation of the two, its numerator drawn towards 0 by half of the cases where it is positive."""
    both, first, second, none = counts
    margins = (both + first) * (second + none) * (both + second) * (first + none)
    if not margins:
        return 0.0
    product = both * none - first * second
    drawn = max(0.0, product - sum(counts) / 2) if product > 0 else product
    return drawn / math.sqrt(margins)


def two_proportions_p(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Two-sided p that two independent proportions, each (successes, trials), are equal: Fisher's exact test.

    Not the z test: far out, where Holm looks, the normal is too thin for small groups, and alarms were too many.
    """
    if not (first[1] and second[1]):
        return math.nan
    table = np.array([[first[0], first[1] - first[0]], [second[0], second[1] - second[0]]])
    return float(fisher_exact(table).pvalue)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down p values: at most 5 % of audits without any gap have one under 0.05. NaN: not a test."""
    return _adjusted(p_values, lambda p: np.maximum.accumulate(p * np.arange(len(p), 0, -1)))


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Benjamini-Hochberg's q values: of those under 0.05, at most 5 % are expected to be false. NaN: not a test."""

    def stepped_up(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]

    return _adjusted(p_values, stepped_up)


def _adjusted(p_values: ArrayLike, rule: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
    given = np.asarray(p_values, np.float64)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    result = np.full(given.shape, np.nan)
    result[order] = np.minimum(1.0, rule(given[order]))
    return result
