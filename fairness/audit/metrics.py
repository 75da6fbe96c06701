"""The figures of one finding in one cohort, each with its interval.

Everything works on images in the order of rising probability, so that AUROC, bins and thresholds need no further sort.
AUROC after DeLong, rates after Wilson, gaps against the rest of the patients after Newcombe; calibration, and gaps
where patients have more than one image, by redrawing patients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.statistics.calibration import (
    BINS,
    bin_edges,
    bins_sorted,
    calibration_error_if_perfect,
    debiased_calibration_error,
    debiasing_slopes,
    shared_truths,
)
from core.statistics.estimate import UNDEFINED, Z95, Estimate
from core.statistics.proportions import newcombe, two_proportions_p, wilson
from core.statistics.ranking import auroc_sorted, placements_sorted
from core.statistics.stability import population_stability_sorted
from fairness.audit.nouns import INSUFFICIENT, Curve, CurvePoint
from fairness.audit.resampling import Resampling

ENOUGH = 30  # positives for what is about positives, negatives for what is about negatives
_FEWEST_PER_BIN = 11


@dataclass(frozen=True, slots=True)
class Ranked:
    """One finding of all images that were scored, in the order of rising probability.

    `rows`: which images; `truths`: 1, 0, -1 (not known); `below`, `upto`: images with a lower / no higher probability.
    """

    rows: NDArray[np.intp] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    truths: NDArray[np.int8] = field(repr=False)
    below: NDArray[np.intp] = field(repr=False)
    upto: NDArray[np.intp] = field(repr=False)

    @classmethod
    def of(cls, rows: NDArray[np.intp], probabilities: NDArray[np.float64], truths: NDArray[np.int8]) -> Ranked:
        """From the images that were scored (`rows`) and one value per image."""
        order = rows[np.argsort(probabilities[rows], kind="stable")]
        rising = probabilities[order]
        starts = np.flatnonzero(np.concatenate(([True], rising[1:] != rising[:-1])))
        ends = np.append(starts[1:], len(rising))
        return cls(order, rising, truths[order], np.repeat(starts, ends - starts), np.repeat(ends, ends - starts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a threshold makes of images: all scored, flagged, and where truth is known TP, FN, FP, TN."""

    scored: int
    flagged: int
    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def positives(self) -> int:
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        return self.fp + self.tn

    def rest_of(self, everybody: Counts) -> Counts:
        """Everybody else."""
        return Counts(
            scored=everybody.scored - self.scored,
            flagged=everybody.flagged - self.flagged,
            tp=everybody.tp - self.tp,
            fn=everybody.fn - self.fn,
            fp=everybody.fp - self.fp,
            tn=everybody.tn - self.tn,
        )


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure before it is known whether it may be shown; without a value where there was too little."""

    metric: str
    estimate: Estimate = UNDEFINED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Members:
    """A cohort's images among the ranked ones (`places`, rising) and, of those with known truth, rows and values."""

    places: NDArray[np.intp] = field(repr=False)
    rows: NDArray[np.intp] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    truths: NDArray[np.bool_] = field(repr=False)
    counts: Counts

    @classmethod
    def of(cls, ranked: Ranked, places: NDArray[np.intp], threshold: float) -> Members:
        """The images at `places` of the ranking; a probability at the threshold is flagged."""
        truths = ranked.truths[places]
        known = places[truths >= 0] if (truths < 0).any() else places
        probabilities, positive = ranked.probabilities[known], ranked.truths[known] == 1
        cut = int(np.searchsorted(probabilities, threshold))
        tp, positives = int(np.count_nonzero(positive[cut:])), int(np.count_nonzero(positive))
        fp = len(known) - cut - tp
        flagged = len(places) - int(np.searchsorted(ranked.probabilities[places], threshold))
        counts = Counts(
            scored=len(places),
            flagged=flagged,
            tp=tp,
            fn=positives - tp,
            fp=fp,
            tn=len(known) - positives - fp,
        )
        return cls(places, ranked.rows[known], probabilities, positive, counts)

    @property
    def bins(self) -> int:
        """Bins of the reliability curve: ten, fewer where a bin would hold under 11 images."""
        return max(1, min(BINS, len(self.rows) // _FEWEST_PER_BIN))

    def sums(self, resampling: Resampling, *, patients_repeat: bool) -> NDArray[np.float32]:
        """What has to be known of every bootstrap sample, per group of patients; `Drawn` gives the columns names."""
        off = self.truths - self.probabilities
        shared = shared_truths(self.truths, self.probabilities) - self.probabilities
        edges = bin_edges(len(self.rows), self.bins)
        columns = [
            resampling.per_group(self.rows, np.ones(len(self.rows))),
            resampling.per_group(self.rows, np.square(off)),
            resampling.per_group(self.rows, shared, edges),
        ]
        if patients_repeat:
            flagged = np.arange(len(self.rows)) >= len(self.rows) - self.counts.tp - self.counts.fp
            for wanted in (True, False):
                trial = self.truths == wanted
                wrong = (flagged[trial] != wanted).astype(np.float64)
                columns.append(resampling.per_group(self.rows[trial], wrong))
                columns.append(resampling.per_group(self.rows[trial], np.ones(len(wrong))))
            columns.append(resampling.per_group(self.rows, self._pull()))
        return np.concatenate(columns, axis=1)

    def _pull(self) -> NDArray[np.float64]:
        """How far each image pulls the AUROC; 0 where there are too few for one."""
        if min(self.counts.positives, self.counts.negatives) < ENOUGH:
            return np.zeros(len(self.rows))
        return placements_sorted(self.truths, self.probabilities).pull(self.truths)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A cohort in every bootstrap sample: images, squared errors, residuals per bin, errors and trials per rate, and
    by how much the AUROC differs (to first order).
    """

    images: NDArray[np.float64] = field(repr=False)
    squares: NDArray[np.float64] = field(repr=False)
    residuals: NDArray[np.float64] = field(repr=False)
    rates: NDArray[np.float64] = field(repr=False)  # FN, positives, FP, negatives, AUROC; none unless patients repeat

    @classmethod
    def of(cls, draws: NDArray[np.float64], bins: int) -> Drawn:
        """From the draws of `Members.sums`."""
        images = np.where(draws[:, 0] > 0, draws[:, 0], np.nan)
        return cls(images, draws[:, 1], draws[:, 2 : 2 + bins], draws[:, 2 + bins :])

    def errors(self, *, of_positives: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Errors and trials: false negatives among positives, or false positives among negatives."""
        first = 0 if of_positives else 2
        return self.rates[:, first], self.rates[:, first + 1]

    def shares(self, metric: str) -> NDArray[np.float64]:
        """A rate in every sample; NaN where a sample holds no image that it is about."""
        (fn, positives), (fp, negatives) = (self.errors(of_positives=which) for which in (True, False))
        tp, tn = positives - fn, negatives - fp
        part, whole = {
            "prevalence": (positives, positives + negatives),
            "sensitivity": (tp, positives),
            "specificity": (tn, negatives),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
        }[metric]
        return part / np.where(whole > 0, whole, np.nan)


def figures_without_truth(members: Members, ranked: Ranked, *, is_all: bool) -> Iterator[Figure]:
    """How often it is flagged, and how far the cohort's probabilities lie from those of the rest."""
    counts = members.counts
    yield _rate("flag_rate", counts.flagged, counts.scored, "images")
    if is_all:
        return
    rest = len(ranked.rows) - counts.scored
    enough = min(counts.scored, rest) >= ENOUGH
    for metric, figure in (("psi", _psi), ("ks", _ks)):
        if enough:
            value = figure(members.places, ranked)
            yield Figure(metric, Estimate(value, math.nan, math.nan), "against the rest")
        else:
            yield Figure(metric, note=_too_few(min(counts.scored, rest), "images"))


def figures_with_truth(members: Members, drawn: Drawn) -> Iterator[Figure]:
    """Prevalence, discrimination, rates at the threshold, calibration."""
    counts = members.counts
    truth_known = counts.positives + counts.negatives
    yield _with_redrawn(_rate("prevalence", counts.positives, truth_known, "images with truth"), drawn)
    if min(counts.positives, counts.negatives) < ENOUGH:
        fewer = "positives" if counts.positives <= counts.negatives else "negatives"
        yield Figure("auroc", note=_too_few(min(counts.positives, counts.negatives), fewer))
    else:
        yield _clustered_area(auroc_sorted(members.truths, members.probabilities), drawn)
    yield _with_redrawn(_rate("sensitivity", counts.tp, counts.positives, "positives"), drawn)
    yield _with_redrawn(_rate("specificity", counts.tn, counts.negatives, "negatives"), drawn)
    prevalence = f"prevalence {counts.positives / max(truth_known, 1):.4f}"
    yield _with_redrawn(_rate("ppv", counts.tp, counts.tp + counts.fp, "flagged", prevalence), drawn)
    yield _with_redrawn(_rate("npv", counts.tn, counts.tn + counts.fn, "not flagged", prevalence), drawn)
    yield from _calibration(members, drawn)


@dataclass(frozen=True, slots=True)
class Gap:
    """A cohort's rate of errors minus that of the rest, and the p value of there being none."""

    figure: Figure
    p: float = math.nan


def gaps(members: Members, everybody: Members, drawn: Drawn, all_drawn: Drawn) -> Iterator[Gap]:
    """FNR and FPR of the cohort against the rest of the patients."""
    mine, rest = members.counts, members.counts.rest_of(everybody.counts)
    for metric, word, own, other in (
        ("fnr_gap", "positives", (mine.fn, mine.positives), (rest.fn, rest.positives)),
        ("fpr_gap", "negatives", (mine.fp, mine.negatives), (rest.fp, rest.negatives)),
    ):
        if min(own[1], other[1]) < ENOUGH:
            whose = " of the rest" if own[1] >= ENOUGH else ""
            yield Gap(Figure(metric, note=_too_few(min(own[1], other[1]), word + whose)))
        elif drawn.rates.size:
            yield _clustered_gap(metric, own, other, drawn, all_drawn)
        else:
            yield Gap(Figure(metric, newcombe(own, other), "Newcombe"), two_proportions_p(own, other))


def reliability(finding: str, cohort: str, members: Members) -> Curve:
    """The reliability curve over equal-mass bins."""
    found = bins_sorted(members.truths, members.probabilities, members.bins)
    points = []
    for probability, positives, size in zip(found.probabilities, found.positives, found.sizes, strict=True):
        share = wilson(round(positives), int(size))
        points.append(
            CurvePoint(
                probability=float(probability), observed=share.value, low=share.low, high=share.high, n=int(size)
            )
        )
    return Curve(finding=finding, cohort=cohort, points=tuple(points))


def _rate(metric: str, successes: int, trials: int, of_what: str, note: str = "") -> Figure:
    if trials < ENOUGH:
        return Figure(metric, note=_too_few(trials, of_what))
    return Figure(metric, wilson(successes, trials), note)


def _too_few(count: int, of_what: str) -> str:
    return f"{INSUFFICIENT}: {f'under {ENOUGH}' if count else 'no'} {of_what}"


def _with_redrawn(figure: Figure, drawn: Drawn) -> Figure:
    """Where patients repeat, the interval that redrawing them gives; Wilson's, that of images, goes into the note."""
    if not drawn.rates.size or math.isnan(figure.estimate.value):
        return figure
    shares = drawn.shares(figure.metric)
    return _by_redrawing(figure.metric, figure.estimate, *_middle_95(shares), "Wilson", figure.note)


def _clustered_area(area: Estimate, drawn: Drawn) -> Figure:
    if not drawn.rates.size or math.isnan(area.value):
        return Figure("auroc", area)
    half = Z95 * float(drawn.rates[:, -1].std())
    return _by_redrawing("auroc", area, max(0.0, area.value - half), min(1.0, area.value + half), "DeLong")


def _by_redrawing(metric: str, of_images: Estimate, low: float, high: float, method: str, note: str = "") -> Figure:
    """The interval of patients; where redrawing them never moves the figure (all right, none right) that of images."""
    if low == high:
        return Figure(metric, of_images, _joined(note, f"patients repeat, and redrawing them moves nothing: {method}"))
    words = (
        f"interval by redrawing patients, who repeat; {method} of images {of_images.low:.4f} to {of_images.high:.4f}"
    )
    return Figure(metric, Estimate(of_images.value, low, high), _joined(note, words))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _clustered_gap(metric: str, own: tuple[int, int], other: tuple[int, int], drawn: Drawn, all_drawn: Drawn) -> Gap:
    own_errors, own_trials = drawn.errors(of_positives=metric == "fnr_gap")
    all_errors, all_trials = all_drawn.errors(of_positives=metric == "fnr_gap")
    with np.errstate(invalid="ignore", divide="ignore"):
        rates, all_rates = own_errors / own_trials, all_errors / all_trials
        rest_rates = (all_errors - own_errors) / (all_trials - own_trials)
        draws = rates - rest_rates
    everybody = (own[0] + other[0], own[1] + other[1])
    # the largest of the three: it may be only the rest whose patients repeat
    effect = max(
        1.0, _design_effect(all_rates, everybody), _design_effect(rates, own), _design_effect(rest_rates, other)
    )
    p = two_proportions_p(_shrunk(own, effect), _shrunk(other, effect))
    value = own[0] / own[1] - other[0] / other[1]
    return Gap(Figure(metric, Estimate(value, *_middle_95(draws)), "by redrawing patients, who repeat"), p)


def _design_effect(rates: NDArray[np.float64], counts: tuple[int, int]) -> float:
    """How many images of patients who repeat are worth one of a patient who does not (Rao & Scott, Biometrics 1992)."""
    share = counts[0] / counts[1]
    by_chance = share * (1 - share) / counts[1]
    return float(np.nanvar(rates)) / by_chance if by_chance > 0 else 1.0


def _shrunk(counts: tuple[int, int], effect: float) -> tuple[int, int]:
    return round(counts[0] / effect), max(1, round(counts[1] / effect))


def _calibration(members: Members, drawn: Drawn) -> Iterator[Figure]:
    if len(members.rows) < ENOUGH:
        for metric in ("brier", "ece", "ece_debiased", "ece_if_calibrated"):
            yield Figure(metric, note=_too_few(len(members.rows), "images with truth"))
        return
    off = members.truths - members.probabilities
    yield Figure("brier", Estimate(float(np.square(off).mean()), *_middle_95(drawn.squares / drawn.images)))
    found = bins_sorted(members.truths, members.probabilities, members.bins)
    errors = (debiasing_slopes(found) * np.abs(drawn.residuals)).sum(1) / drawn.images
    debiased, half = debiased_calibration_error(found), Z95 * float(np.nanstd(errors))
    low, high = max(0.0, debiased - half), debiased + half
    bins = f"{members.bins} equal-mass bins"
    yield Figure("ece", Estimate(found.error, min(low, found.error), max(high, found.error)), bins)
    yield Figure("ece_debiased", Estimate(debiased, low, high), f"{bins}, less what chance adds")
    chance = calibration_error_if_perfect(members.probabilities, members.bins)
    yield Figure(
        "ece_if_calibrated",
        Estimate(float(chance.mean()), *_middle_95(chance)),
        "what a perfectly calibrated model would show on these images",
    )


def _middle_95(draws: NDArray[np.floating]) -> tuple[float, float]:
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _psi(places: NDArray[np.intp], ranked: Ranked) -> float:
    """Population stability index of the cohort against the rest."""
    rest = np.ones(len(ranked.rows), bool)
    rest[places] = False
    return population_stability_sorted(ranked.probabilities[rest], ranked.probabilities[places])


def _ks(places: NDArray[np.intp], ranked: Ranked) -> float:
    """Kolmogorov-Smirnov distance; F(cohort) - F(rest) is F(cohort) - F(all), stretched by the share of the rest."""
    below, upto = ranked.below[places], ranked.upto[places]
    starts = np.flatnonzero(np.concatenate(([True], below[1:] != below[:-1])))
    before, through, below, upto = starts, np.append(starts[1:], len(below)), below[starts], upto[starts]
    count, everybody = len(places), len(ranked.rows)
    distance = max(
        float(np.abs(through / count - upto / everybody).max()), float(np.abs(before / count - below / everybody).max())
    )
    return distance * everybody / (everybody - count)
