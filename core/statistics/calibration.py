"""How far probabilities are from what happened, and Platt scaling, which brings them closer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from core.statistics.estimate import Floats, Truths

BINS = 10  # of reliability curves and calibration errors


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal-mass bins of a reliability curve: images, positives and mean probability (0..1) of each."""

    sizes: NDArray[np.float64]
    positives: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    @property
    def gaps(self) -> NDArray[np.float64]:
        """Observed share of positives minus mean probability, per bin."""
        return self.positives / self.sizes - self.probabilities

    @property
    def error(self) -> float:
        """Expected calibration error: the mean size of the gaps, each weighted with its images."""
        return float((self.sizes * np.abs(self.gaps)).sum() / self.sizes.sum())


def bins_sorted(truths: Truths, probabilities: Floats, bins: int = BINS) -> Bins:
    """Equal-mass bins of probabilities that rise; fewer bins when there are fewer images.

    Images of one probability share their truths (`shared_truths`), so that no figure depends on their order.
    """
    edges = bin_edges(len(truths), bins)
    sizes = np.diff(np.append(edges, len(truths))).astype(np.float64)
    positives = np.add.reduceat(shared_truths(truths, probabilities), edges)
    return Bins(sizes, positives, np.add.reduceat(probabilities.astype(np.float64), edges) / sizes)


def shared_truths(truths: Truths, probabilities: Floats) -> NDArray[np.float64]:
    """The truths 0 or 1 of images whose probabilities rise; images of one probability share the mean of theirs."""
    starts = np.flatnonzero(np.concatenate(([True], probabilities[1:] != probabilities[:-1])))
    found = truths.astype(np.float64)
    if len(starts) == len(truths):
        return found
    sizes = np.diff(np.append(starts, len(truths)))
    return np.repeat(np.add.reduceat(found, starts) / sizes, sizes)


def bin_edges(count: int, bins: int = BINS) -> NDArray[np.intp]:
    """Where each bin begins; the first `count % bins` of them hold one image more (as numpy.array_split does)."""
    bins = min(bins, count)
    number = np.arange(bins)
    return number * (count // bins) + np.minimum(number, count % bins)


def calibration_error(truths: Truths, probabilities: Floats, bins: int = BINS) -> float:
    """Expected calibration error over bins with equal numbers of images (0 is perfect)."""
    order = np.argsort(probabilities, kind="stable")
    return bins_sorted(truths[order], probabilities[order], bins).error


def calibration_error_if_perfect(probabilities: Floats, bins: int = BINS, *, draws: int = 200, seed: int = 1) -> Floats:
    """What a perfectly calibrated model would show on images with these probabilities: one error per draw.

    An error of 0.06 on 112 images is what chance alone gives; only against this can a plain figure be judged
    (Broecker & Smith, Weather and Forecasting 2007). The number of positives per bin is drawn as a normal of the
    variance that the probabilities give: exact enough from 11 images a bin.
    """
    rising = np.asarray(probabilities, np.float64)
    if (rising[1:] < rising[:-1]).any():
        rising = np.sort(rising)
    edges = bin_edges(len(rising), bins)
    spread = np.sqrt(np.add.reduceat(rising * (1 - rising), edges))
    noise = np.random.default_rng(seed).standard_normal((draws, len(edges)))
    result: NDArray[np.float64] = np.abs(noise * spread).sum(1) / len(rising)
    return result


def debiased_calibration_error(found: Bins) -> float:
    """The calibration error less what sampling noise adds to it (0 when it is no more than noise).

    Each gap is normal around the true one; the mean of its size is corrected for the part that the noise of its
    bin would add to a gap of the size found (Brocker, Climate Dynamics 2012, for absolute instead of squared gaps).
    """
    noise, size = _noise(found), np.abs(found.gaps)
    ratio = size / noise
    folded = noise * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) + size * (1 - 2 * norm.cdf(-ratio))
    corrected = size - (folded - size)
    return max(0.0, float((found.sizes * corrected).sum() / found.sizes.sum()))


def debiasing_slopes(found: Bins) -> NDArray[np.float64]:
    """By how much the debiased error moves when the size of each bin's gap does: 2 where it is noise, 1 far from it."""
    slopes: NDArray[np.float64] = 1 + 2 * norm.cdf(-np.abs(found.gaps) / _noise(found))
    return slopes


def _noise(found: Bins) -> NDArray[np.float64]:
    shares = found.positives / found.sizes
    noise: NDArray[np.float64] = np.sqrt(
        np.maximum(shares * (1 - shares), 0.25 / found.sizes) / np.maximum(found.sizes - 1, 1)
    )
    return noise


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
