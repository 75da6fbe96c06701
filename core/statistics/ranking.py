"""How well scores tell positives from negatives: AUROC after DeLong (1988), average precision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.statistics.estimate import UNDEFINED, Z95, Estimate, Floats, Truths
from core.statistics.proportions import wilson


@dataclass(frozen=True, slots=True)
class Placements:
    """For each positive the share of negatives below it, for each negative that of positives above it (ties: half).

    Both in the order of rising score. Their means are the AUROC, their variances are DeLong's (Sun & Xu, IEEE Signal
    Processing Letters 2014: by midranks, one sort instead of a comparison of each with each).
    """

    of_positives: NDArray[np.float64]
    of_negatives: NDArray[np.float64]

    @property
    def area(self) -> float:
        return float(self.of_positives.mean())

    @property
    def variance(self) -> float:
        """DeLong's variance of the area."""
        return sum(float(part.var(ddof=1)) / len(part) for part in (self.of_positives, self.of_negatives))

    def pull(self, truths: Truths) -> NDArray[np.float64]:
        """How far each image pulls the area: summed over redrawn images it is by how much their area differs.

        In the order of `truths`. Where patients have several images, the sums of a patient's make the variance
        (Obuchowski, Biometrics 1997).
        """
        pull = np.empty(len(truths))
        for members, part in ((truths, self.of_positives), (~truths, self.of_negatives)):
            pull[members] = (part - self.area) / len(part)
        return pull


def auroc(truths: Truths, scores: Floats) -> Estimate:
    """Area under the ROC curve with DeLong's interval; needs at least two positives and two negatives."""
    order = np.argsort(scores, kind="stable")
    return auroc_sorted(truths[order], scores[order])


def auroc_sorted(truths: Truths, scores: Floats) -> Estimate:
    """`auroc` of scores that rise already: one pass, no sort.

    Where positives and negatives are apart without overlap DeLong's variance is 0; the interval is then Wilson's for
    as many successes as the smaller class has members, because 3 of 3 is no proof of perfection.
    """
    positives = int(np.count_nonzero(truths))
    fewer = min(positives, len(truths) - positives)
    if fewer < 2:
        return UNDEFINED
    placed = placements_sorted(truths, scores)
    area, half = placed.area, Z95 * math.sqrt(placed.variance)
    if half == 0.0 and area in (0.0, 1.0):
        return wilson(round(area * fewer), fewer)
    return Estimate(area, max(0.0, area - half), min(1.0, area + half))


def placements_sorted(truths: Truths, scores: Floats) -> Placements:
    """Placements of scores that rise, at least one positive and one negative among them."""
    starts = np.flatnonzero(np.concatenate(([True], scores[1:] != scores[:-1])))
    ends = np.append(starts[1:], len(scores))
    risen = np.concatenate(([0], np.cumsum(truths)))  # positives before each place
    positives, negatives = int(risen[-1]), len(truths) - int(risen[-1])
    before, through = risen[starts], risen[ends]
    below = (starts - before + (ends - through)) / (2.0 * negatives)  # of the negatives, ties counted half
    above = 1.0 - (before + through) / (2.0 * positives)  # of the positives
    return Placements(np.repeat(below, through - before), np.repeat(above, ends - starts - (through - before)))


def auroc_difference(truths: Truths, first: Floats, second: Floats) -> Estimate:
    """AUROC of `first` minus that of `second` on the same images, with DeLong's interval for correlated curves."""
    ahead = _placement_of_each(truths, first) - _placement_of_each(truths, second)
    positive, negative = ahead[truths], ahead[~truths]
    if min(len(positive), len(negative)) < 2:
        return UNDEFINED
    difference = float(positive.mean())
    half = Z95 * math.sqrt(positive.var(ddof=1) / len(positive) + negative.var(ddof=1) / len(negative))
    return Estimate(difference, difference - half, difference + half)


def _placement_of_each(truths: Truths, scores: Floats) -> NDArray[np.float64]:
    order = np.argsort(scores, kind="stable")
    placed = placements_sorted(truths[order], scores[order])
    result = np.empty(len(scores))
    result[order[truths[order]]] = placed.of_positives
    result[order[~truths[order]]] = placed.of_negatives
    return result


def average_precision(truths: Truths, scores: Floats) -> float:
    """Mean of the precision at each positive, in order of falling score; equal scores count as one step."""
    positives = int(np.count_nonzero(truths))
    if not positives:
        return math.nan
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)
    hits = np.cumsum(truths[order])[ends]
    return float((np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / positives)
