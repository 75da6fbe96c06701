"""The figures that audits, evaluations and gates print, each with the interval it deserves; numpy and scipy only.

AUROC after DeLong (1988), proportions after Wilson (1927), differences of proportions after Newcombe (1998), everything
else by bootstrap over patients, because two images of one patient are not two independent observations. When many are
looked at, Holm (1979) says which of them may raise an alarm and Benjamini-Hochberg (1995) which are worth a look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import fisher_exact, norm

_Z95 = 1.959963984540054
BINS = 10  # of reliability curves and calibration errors

Floats = NDArray[np.floating]
Truths = NDArray[np.bool_]


Rounded = tuple[float | None, float | None, float | None]
"""An estimate as a document holds it: value and 95 % interval, None where there was too little to say anything."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def rounded(self, digits: int = 4) -> Rounded:
        """(value, low, high), rounded, for JSON; None where there was too little to say anything."""
        value, low, high = (
            None if math.isnan(figure) else round(float(figure), digits) for figure in (self.value, self.low, self.high)
        )
        return value, low, high


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


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
    area, half = placed.area, _Z95 * math.sqrt(placed.variance)
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
    half = _Z95 * math.sqrt(positive.var(ddof=1) / len(positive) + negative.var(ddof=1) / len(negative))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Localisation:
    """How well one map finds the boxes; `covered` and `marked` are the shares of the image in boxes and in the region.

    `pointing`: 1.0 where the map's highest cell is in a box (Zhang et al., IJCV 2018), else 0.0. `auprc`: average
    precision of the cells. `iou`: intersection over union of boxes and region (Everingham et al., IJCV 2010).
    """

    pointing: float
    auprc: float
    iou: float
    covered: float
    marked: float

    @property
    def iou_by_chance(self) -> float:
        """The IoU of a random region of the same size; a random point or order is right in `covered` of the image."""
        both = self.covered * self.marked
        return both / max(1e-9, self.covered + self.marked - both)


def localisation(values: Floats, boxes: Truths) -> Localisation:
    """Compare a map with the union of readers' boxes, both on one grid (rows, columns).

    The region is where the map is at or above half its range, as reports draw it. A flat map has no region.
    """
    low, high = values.min(), values.max()
    region = (values >= (low + high) / 2) & (high > low)
    return Localisation(
        pointing=float(boxes.flat[int(values.argmax())]),
        auprc=average_precision(boxes.ravel(), values.ravel()),
        iou=float((region & boxes).sum() / max(1, (region | boxes).sum())),
        covered=float(boxes.mean()),
        marked=float(region.mean()),
    )


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


def wilson(successes: int, trials: int) -> Estimate:
    """A proportion with Wilson's score interval."""
    if trials == 0:
        return Estimate(math.nan, 0.0, 1.0)
    share, z2 = successes / trials, _Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
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
    """Equal-mass bins of probabilities that rise; fewer bins when there are fewer images."""
    edges = bin_edges(len(truths), bins)
    sizes = np.diff(np.append(edges, len(truths))).astype(np.float64)
    positives = np.add.reduceat(truths.astype(np.float64), edges)
    return Bins(sizes, positives, np.add.reduceat(probabilities.astype(np.float64), edges) / sizes)


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


def bootstrap(
    patients: NDArray[np.str_], figure: Callable[[NDArray[np.intp]], float], *, rounds: int = 300, seed: int = 1
) -> Estimate:
    """`figure` of all rows, with the percentile interval of redrawing patients; `figure` takes row indices."""
    random = np.random.default_rng(seed)
    _, inverse, counts = np.unique(patients, return_inverse=True, return_counts=True)
    rows, starts = np.argsort(inverse, kind="stable"), np.cumsum(counts) - counts
    values = []
    for _ in range(rounds):
        drawn = random.integers(0, len(counts), len(counts))
        sizes = counts[drawn]
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        values.append(figure(rows[np.repeat(starts[drawn], sizes) + within]))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Estimate(figure(np.arange(len(patients))), float(low), float(high))


def patient_weights(patients: int, draws: int, seed: int) -> NDArray[np.float32]:
    """How often each patient is drawn in each of `draws` bootstrap samples, shape (draws, patients)."""
    random = np.random.default_rng(seed)
    result = np.empty((draws, patients), np.float32)
    for row in result:
        row[:] = np.bincount(random.integers(0, patients, patients), minlength=patients)
    return result


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
