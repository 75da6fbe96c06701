"""How many more studies until we know.

The interval of a sensitivity belongs to the number of positives, not to the number of studies; what a rare finding
needs is therefore said in positives, and in studies only by way of the prevalence.
"""

from __future__ import annotations

import math
from itertools import count

from scipy.stats import norm

from core.statistics.estimate import Z95

HALF_WIDTH = 0.05  # of an interval that settles a rate
GAP = 0.10  # that ought not to be missed
POWER = 0.80
_UNKNOWN_RATE = 0.5  # nothing is wider


def for_half_width(rate: float, half_width: float = HALF_WIDTH) -> int:
    """Positives (or negatives) until Wilson's 95 % interval of a `rate` is at most `half_width` either way.

    175 for a sensitivity of 0.87 and 0.05.
    """
    variance, z2 = rate * (1 - rate), Z95**2

    def half(trials: int) -> float:
        return Z95 / (1 + z2 / trials) * math.sqrt(variance / trials + z2 / (4 * trials**2))

    start = max(1, math.floor(z2 * variance / half_width**2 - z2))  # Wald's number less what Wilson may save
    return next(trials for trials in count(start) if half(trials) <= half_width)


def for_gap(rate: float, gap: float = GAP, *, cohorts: int = 1, power: float = POWER) -> int:
    """Positives in each of two groups to find that one has `rate` and the other `gap` less, two-sided at 5 %.

    Bonferroni over `cohorts` comparisons. 228 for 0.87 against 0.77 at 80 % power, 434 over 20 cohorts. Fleiss,
    Statistical Methods for Rates and Proportions, 3.2, without continuity correction.
    """
    other = rate - gap if rate >= gap else rate + gap
    variance = rate * (1 - rate) + other * (1 - other)
    z = float(norm.isf(0.025 / cohorts)) + float(norm.isf(1 - power))
    return math.ceil(z**2 * variance / gap**2)


def rate_or_widest(rate: float | None) -> float:
    """A rate to plan with: the one known, kept off 0 and 1 where a plan would be too good to be true, else 0.5."""
    return _UNKNOWN_RATE if rate is None else min(0.95, max(0.05, rate))
