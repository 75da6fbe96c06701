"""Two models on the same images: by how much one is better than the other, with intervals of paired differences.

AUROC after DeLong for correlated curves, sensitivity and specificity after Newcombe's method 10 for paired proportions;
where patients have more than one image, all three by redrawing patients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.statistics.estimate import Z95, Estimate
from core.statistics.proportions import newcombe_paired
from core.statistics.ranking import auroc_difference, placements_sorted
from fairness.audit.metrics import ENOUGH, Figure, Members
from fairness.audit.nouns import INSUFFICIENT, Threshold
from fairness.audit.resampling import Resampling
from fairness.audit.table import ScoreSource

DIFFERENCES = ("auroc_difference", "sensitivity_difference", "specificity_difference")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherModel:
    """A second model: its scores of the same images in the same order, and a threshold for each finding compared."""

    source: ScoreSource
    thresholds: Mapping[str, Threshold]


def differences(
    members: Members, other: OtherModel, threshold: Threshold, resampling: Resampling, *, repeat: bool
) -> Iterator[Figure]:
    """The audited model's figure minus the other's, for each of `DIFFERENCES`; `members`: those with known truth."""
    theirs = other.source.scores(threshold.finding).probabilities[members.rows]
    flags = members.probabilities >= threshold.value, theirs >= other.thresholds[threshold.finding].value
    few = min(members.counts.positives, members.counts.negatives)
    if few < ENOUGH:
        yield Figure(DIFFERENCES[0], note=f"{INSUFFICIENT}: under {ENOUGH} positives or negatives")
    else:
        yield _area(members, theirs, resampling, repeat=repeat)
    for metric, truth in zip(DIFFERENCES[1:], (True, False), strict=True):
        trial = members.truths == truth
        right = tuple(flagged[trial] == truth for flagged in flags)
        if trial.sum() < ENOUGH:
            words = "positives" if truth else "negatives"
            yield Figure(metric, note=f"{INSUFFICIENT}: {f'under {ENOUGH}' if trial.any() else 'no'} {words}")
        elif repeat:
            yield _redrawn(metric, right[0], right[1], members.rows[trial], resampling)
        else:
            yield Figure(metric, newcombe_paired(_table(*right)), _both(right[0].mean(), right[1].mean()))


def _both(mine: float, theirs: float) -> str:
    return f"{mine:.4f} against {theirs:.4f}"


def _table(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """How often both are right, only the first, only the second, none."""
    return (
        int((first & second).sum()),
        int((first & ~second).sum()),
        int((~first & second).sum()),
        int((~first & ~second).sum()),
    )


def _area(members: Members, theirs: NDArray[np.float64], resampling: Resampling, *, repeat: bool) -> Figure:
    mine, second = _placed(members.truths, members.probabilities), _placed(members.truths, theirs)
    note = _both(mine[0], second[0])
    if not repeat:
        return Figure(DIFFERENCES[0], auroc_difference(members.truths, members.probabilities, theirs), note)
    pulled = resampling.draws([resampling.per_group(members.rows, mine[1] - second[1])])[0]
    value, half = mine[0] - second[0], Z95 * float(pulled.std())
    return Figure(DIFFERENCES[0], Estimate(value, value - half, value + half), f"{note}; by redrawing patients")


def _placed(truths: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The AUROC and how far each image pulls it, in the order of `truths`."""
    order = np.argsort(scores, kind="stable")
    placed = placements_sorted(truths[order], scores[order])
    pull = np.empty(len(scores))
    pull[order] = placed.pull(truths[order])
    return placed.area, pull


def _redrawn(
    metric: str, mine: NDArray[np.bool_], theirs: NDArray[np.bool_], rows: NDArray[np.intp], resampling: Resampling
) -> Figure:
    ahead = mine.astype(np.float64) - theirs
    sums, trials = resampling.draws([resampling.per_group(rows, ahead), resampling.per_group(rows, np.ones(len(rows)))])
    drawn = sums / np.where(trials > 0, trials, np.nan)
    low, high = (float(end) for end in np.nanpercentile(drawn, [2.5, 97.5]))
    value = float(ahead.mean())
    if math.isclose(low, high):
        return Figure(metric, newcombe_paired(_table(mine, theirs)), _both(mine.mean(), theirs.mean()))
    return Figure(metric, Estimate(value, low, high), f"{_both(mine.mean(), theirs.mean())}; by redrawing patients")
