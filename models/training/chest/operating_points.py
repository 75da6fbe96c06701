"""Calibration and operating points of each finding, from validation patients alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain.model import OperatingPoint
from core.statistics.calibration import fit_platt
from core.statistics.proportions import wilson
from models.evaluation import Scored, truths_of

_LOWEST_SPECIFICITY = 0.80
_DRAWS = 200


@dataclass(frozen=True, slots=True)
class Chosen:
    """Platt scaling of one finding and the operating point on the probability it gives."""

    scale: float
    shift: float
    point: OperatingPoint

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated probabilities, 0..1, of logits."""
        result: NDArray[np.float64] = 1 / (1 + np.exp(-(self.scale * logits.astype(np.float64) + self.shift)))
        return result


def choose(validation: Scored, finding: str) -> Chosen:
    """Fit on validation patients: one slope over all tiers, the intercept of the 512 px tier; then the threshold.

    The threshold is the one with the highest sensitivity + specificity on the largest images among those whose
    specificity is at least 80 %; the median of that over redrawn patients, since the best of one draw is luck.
    """
    truths, known = truths_of(validation.examples, finding)
    logits = validation.column(finding)
    group = np.where(validation.primary, 0, 1)
    scale, shifts = fit_platt(truths[known], logits[known], group[known])
    calibrated = Chosen(scale, float(shifts[0]), OperatingPoint(threshold=0.5, sensitivity=0, specificity=0))
    rows = known & validation.primary
    patients = np.array([example.patient for example in validation.examples])
    point = _operating_point(truths[rows], calibrated.probabilities(logits[rows]), patients[rows])
    return Chosen(scale, float(shifts[0]), point)


def _operating_point(
    truths: NDArray[np.bool_], probabilities: NDArray[np.float64], patients: NDArray[np.str_]
) -> OperatingPoint:
    def best(drawn: NDArray[np.intp]) -> float:
        return _best_threshold(truths[drawn], probabilities[drawn])

    threshold = round(_median_of_redrawn(patients, best), 4)
    positive, negative = probabilities[truths], probabilities[~truths]
    hits = wilson(int((positive >= threshold).sum()), len(positive))
    passes = wilson(int((negative < threshold).sum()), len(negative))
    return OperatingPoint(
        threshold=threshold,
        sensitivity=round(hits.value, 4),
        specificity=round(passes.value, 4),
        sensitivity_interval=(round(hits.low, 4), round(hits.high, 4)),
        specificity_interval=(round(passes.low, 4), round(passes.high, 4)),
        positives=len(positive),
        negatives=len(negative),
    )


def _median_of_redrawn(patients: NDArray[np.str_], figure: Callable[[NDArray[np.intp]], float]) -> float:
    random = np.random.default_rng(1)
    names, inverse = np.unique(patients, return_inverse=True)
    rows_of = [np.flatnonzero(inverse == index) for index in range(len(names))]
    draws = (random.integers(0, len(names), len(names)) for _ in range(_DRAWS))
    return float(np.nanmedian([figure(np.concatenate([rows_of[index] for index in draw])) for draw in draws]))


def _best_threshold(truths: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> float:
    """NaN when there are no positives or no negatives."""
    positive, negative = np.sort(probabilities[truths]), np.sort(probabilities[~truths])
    if not (len(positive) and len(negative)):
        return math.nan
    edges = np.unique(probabilities)
    candidates = np.concatenate([(edges[1:] + edges[:-1]) / 2, edges[-1:]])
    sensitivity = 1 - np.searchsorted(positive, candidates) / len(positive)
    specificity = np.searchsorted(negative, candidates) / len(negative)
    allowed = specificity >= _LOWEST_SPECIFICITY
    return float(candidates[int(np.argmax(np.where(allowed, sensitivity + specificity, -1)))])
