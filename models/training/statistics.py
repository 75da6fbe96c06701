"""The figures an evaluation prints, each with the interval it deserves; numpy only.

AUROC after DeLong (1988), proportions after Wilson (1927), everything else by bootstrap over patients, because two
images of one patient are not two independent observations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959963984540054

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def as_list(self, digits: int = 4) -> list[float | None]:
        """[value, low, high], rounded, for JSON; None where there was too little to say anything."""
        figures = (self.value, self.low, self.high)
        return [None if math.isnan(figure) else round(float(figure), digits) for figure in figures]


def auroc(truths: Truths, scores: Floats) -> Estimate:
    """Area under the ROC curve with DeLong's interval; needs at least two positives and two negatives."""
    positive, negative = scores[truths], scores[~truths]
    if min(len(positive), len(negative)) < 2:
        return Estimate(math.nan, math.nan, math.nan)
    above = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    per_positive, per_negative = above.mean(1), above.mean(0)
    area = float(above.mean())
    variance = per_positive.var(ddof=1) / len(positive) + per_negative.var(ddof=1) / len(negative)
    half = _Z95 * math.sqrt(variance)
    return Estimate(area, max(0.0, area - half), min(1.0, area + half))


def average_precision(truths: Truths, scores: Floats) -> float:
    """Mean of the precision at each positive, in order of falling score."""
    hits = truths[np.argsort(-scores, kind="stable")]
    if not hits.any():
        return math.nan
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def wilson(successes: int, trials: int) -> Estimate:
    """A proportion with Wilson's score interval."""
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0)
    share, z2 = successes / trials, _Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half))


def calibration_error(truths: Truths, probabilities: Floats, bins: int = 10) -> float:
    """Expected calibration error over bins with equal numbers of images (0 is perfect)."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(float(truths[part].mean()) - float(probabilities[part].mean())) for part in parts]
    return sum(gaps) / len(truths)


def bootstrap(
    patients: NDArray[np.str_], figure: Callable[[NDArray[np.intp]], float], *, rounds: int = 300, seed: int = 1
) -> Estimate:
    """`figure` of all rows, with the percentile interval of redrawing patients; `figure` takes row indices."""
    random = np.random.default_rng(seed)
    names, inverse = np.unique(patients, return_inverse=True)
    rows_of = [np.flatnonzero(inverse == index) for index in range(len(names))]
    draws = (random.integers(0, len(names), len(names)) for _ in range(rounds))
    values = [figure(np.concatenate([rows_of[index] for index in draw])) for draw in draws]
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Estimate(figure(np.arange(len(patients))), float(low), float(high))


def fit_platt(truths: Truths, logits: Floats, groups: NDArray[np.intp]) -> tuple[float, NDArray[np.float64]]:
    """Slope and one intercept per group of `probability = sigmoid(slope * logit + intercept)`.

    Newton's method on the log likelihood, with a weak pull of the slope towards 1 for findings with few positives.
    """
    count = int(groups.max()) + 1
    design = np.column_stack([logits, *(groups == index for index in range(count))]).astype(np.float64)
    prior_mean = np.array([1.0, *([0.0] * count)])
    prior = np.array([4.0, *([1e-3] * count)])
    weights = prior_mean.copy()
    for _ in range(50):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (probability - truths) + prior * (weights - prior_mean)
        hessian = (design * (probability * (1 - probability))[:, None]).T @ design + np.diag(prior)
        change = np.linalg.solve(hessian, gradient)
        weights -= np.clip(change, -2, 2)
        if float(np.abs(change).max()) < 1e-8:
            break
    return float(weights[0]), weights[1:]
