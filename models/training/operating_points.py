"""Calibration and operating points of each finding, from validation patients alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.domain import OperatingPoint
from models.training.evaluation import Scored, truths_of
from models.training.statistics import fit_platt, wilson

_LOWEST_SPECIFICITY = 0.80


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

    The threshold is the one with the highest sensitivity + specificity on the 512 px tier among those whose
    specificity is at least 80 %.
    """
    truths, known = truths_of(validation.examples, finding)
    logits = validation.column(finding)
    tiers = np.array([example.tier for example in validation.examples])
    group = np.searchsorted(-np.array([512, 128]), -tiers)
    scale, shifts = fit_platt(truths[known], logits[known], group[known])
    calibrated = Chosen(scale, float(shifts[0]), OperatingPoint(threshold=0.5, sensitivity=0, specificity=0))
    rows = known & (tiers == 512)
    point = _operating_point(truths[rows], calibrated.probabilities(logits[rows]))
    return Chosen(scale, float(shifts[0]), point)


def _operating_point(truths: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> OperatingPoint:
    positive, negative = np.sort(probabilities[truths]), np.sort(probabilities[~truths])
    edges = np.unique(probabilities)
    candidates = np.concatenate([(edges[1:] + edges[:-1]) / 2, edges[-1:]])
    sensitivity = 1 - np.searchsorted(positive, candidates) / len(positive)
    specificity = np.searchsorted(negative, candidates) / len(negative)
    allowed = specificity >= _LOWEST_SPECIFICITY
    best = int(np.argmax(np.where(allowed, sensitivity + specificity, -1)))
    threshold = round(float(candidates[best]), 4)
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
