"""Evaluates scores against what is known of held-out patients, overall and within cohorts.

Primary figures are those on adult patients' images of at least 512 px: smaller ones are easier or harder for reasons
that have nothing to do with a hospital's images. For any abnormality and lung opacity only radiologists' words count.
Nothing here knows where scores and maps came from: the shipped ONNX file, a network in training, a control.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.documents.model import Nothing
from core.statistics.calibration import (
    BINS,
    bins_sorted,
    calibration_error,
    calibration_error_if_perfect,
    debiased_calibration_error,
)
from core.statistics.estimate import Estimate, Rounded
from core.statistics.proportions import wilson
from core.statistics.ranking import auroc, average_precision
from core.statistics.resampling import bootstrap
from models.documents.evaluation import AtThreshold, FindingCurves, FindingFigures, Points, ReliabilityBin
from models.documents.training import Discrimination
from models.examples import Example

ADULT_YEARS = 18
PRIMARY_ROWS = 512
AGE_NOT_GIVEN = 999  # an adult's of no age band: images of one's own may come without an age
ANY_SIZE = 0  # the tier of images that are of no fixed size; primary figures are about them too
AGE_BANDS = ((18, 39), (40, 59), (60, 79), (80, 200))
RADIOLOGISTS_ONLY = frozenset({"any_abnormality", "lung_opacity"})
_POINTS = 60  # of a curve: more than a page can show

Mask = NDArray[np.bool_]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Held-out examples with their logits (N, K), maps (N, K, h, w) and the names of the K findings."""

    examples: Sequence[Example]
    findings: Sequence[str]
    logits: NDArray[np.float32]
    maps: NDArray[np.float32]

    def column(self, finding: str) -> NDArray[np.float32]:
        """The logits of one finding."""
        return self.logits[:, self.findings.index(finding)]

    def only(self, rows: Mask) -> Scored:
        """The examples where `rows` is true."""
        kept = [example for example, keep in zip(self.examples, rows, strict=True) if keep]
        return Scored(kept, self.findings, self.logits[rows], self.maps[rows])

    def of_split(self, split: str) -> Scored:
        """The examples of one side of the split."""
        return self.only(np.array([example.split == split for example in self.examples]))

    def at(self, *tiers: int) -> Mask:
        """Which examples are stored with one of these numbers of rows."""
        return np.array([example.tier in tiers for example in self.examples])

    @property
    def primary(self) -> Mask:
        """Which examples the primary figures are about."""
        return np.array([example.tier >= PRIMARY_ROWS or example.tier == ANY_SIZE for example in self.examples])


def truths_of(examples: Sequence[Example], finding: str, *, text_too: bool = False) -> tuple[NDArray[np.bool_], Mask]:
    """Truth per example, and for which adults it is known.

    Where radiologists spoke of the finding only their words count, unless `text_too` lets text-mined labels in.
    """
    targets = [example.targets.get(finding) for example in examples]
    allowed = {"radiologists"} if finding in RADIOLOGISTS_ONLY and not text_too else {"radiologists", "text-mined"}
    pairs = zip(examples, targets, strict=True)
    known = [
        example.age_years >= ADULT_YEARS and target is not None and target.source in allowed
        for example, target in pairs
    ]
    return np.array([target is not None and target.value > 0.5 for target in targets]), np.array(known)


def is_labelled(scored: Scored, finding: str) -> bool:
    """Whether there are images with and images without the finding among those that the primary figures are about."""
    truths, known = truths_of(scored.examples, finding)
    labels = truths[known & scored.primary]
    return bool(labels.any() and not labels.all())


def cohorts(examples: Sequence[Example]) -> Iterator[tuple[str, Mask]]:
    """Name and members of each cohort: all, view, sex, age band."""
    yield "all", np.ones(len(examples), bool)
    for field, values in (("view", ("PA", "AP")), ("sex", ("F", "M"))):
        for value in values:
            yield f"{field}={value}", np.array([getattr(example, field) == value for example in examples])
    for low, high in AGE_BANDS:
        label = f"age_band={low}-{high}" if high < 200 else f"age_band={low}+"
        yield label, np.array([low <= example.age_years <= high for example in examples])


def sources(examples: Sequence[Example]) -> Iterator[tuple[str, Mask]]:
    """Name and members of each source: a data set at one resolution."""
    sizes = [f", {example.tier} px" if example.tier != ANY_SIZE else "" for example in examples]
    names = np.array([f"{example.source}{size}" for example, size in zip(examples, sizes, strict=True)])
    for name in sorted(set(names.tolist())):
        yield name, names == name


def evaluate(scored: Scored, finding: str, probabilities: Probabilities, threshold: float) -> FindingFigures:
    """Every figure of one finding on (test) patients, as it goes into `evaluation.json`.

    `probabilities`: calibrated, shape (examples,), 0..1; `threshold`: the operating point's.
    """

    def both(members: Mask) -> AtThreshold:
        sensitivity, specificity = rates_at_threshold(scored, finding, members, probabilities, threshold)
        found = discrimination(scored, finding, members)
        return AtThreshold(**dict(found), sensitivity=sensitivity, specificity=specificity)

    primary = scored.primary
    return FindingFigures(
        expected_calibration_error=calibration(scored, finding, primary, probabilities),
        calibration_error_debiased=debiased_calibration(scored, finding, primary, probabilities),
        calibration_error_if_perfect=perfect_calibration(scored, finding, primary, probabilities),
        test_512={name: both(primary & members) for name, members in cohorts(scored.examples)},
        by_source={name: both(members) for name, members in sources(scored.examples)},
        text_mined_too=discrimination(scored, finding, primary, text_too=True),
        curves=curves(scored, finding, primary, probabilities),
    )


def curves(scored: Scored, finding: str, members: Mask, probabilities: Probabilities) -> FindingCurves | Nothing:
    """ROC, precision-recall and reliability of one finding, each at most 60 points, all axes 0..1."""
    truths, known = truths_of(scored.examples, finding)
    rows = known & members
    truth, said = truths[rows], probabilities[rows]
    if not truth.any() or truth.all():
        return Nothing()
    hits = truth[np.argsort(-said, kind="stable")]
    true, false = np.cumsum(hits), np.cumsum(~hits)
    ends = np.unique(np.linspace(0, len(hits) - 1, _POINTS - 1).round().astype(int))
    recall, fallout = true[ends] / true[-1], false[ends] / false[-1]
    return FindingCurves(
        roc=((0.0, 0.0), *_pairs(fallout, recall)),
        precision_recall=_pairs(recall, true[ends] / (ends + 1)),
        reliability=tuple(_reliability(truth, said)),
    )


def _pairs(first: NDArray[np.float64], second: NDArray[np.float64]) -> Points:
    return tuple((float(x), float(y)) for x, y in np.column_stack([first, second]).round(4))


def _reliability(truths: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Iterator[ReliabilityBin]:
    """Bins of equal numbers of images: what was predicted, what was seen."""
    order = np.argsort(probabilities, kind="stable")
    for part in np.array_split(order, BINS):
        if len(part):
            seen = wilson(int(truths[part].sum()), len(part))
            yield ReliabilityBin(
                predicted=round(float(probabilities[part].mean()), 4),
                observed=round(seen.value, 4),
                low=round(seen.low, 4),
                high=round(seen.high, 4),
                n=len(part),
            )


def discrimination(scored: Scored, finding: str, members: Mask, *, text_too: bool = False) -> Discrimination:
    """AUROC and average precision of one finding among `members`."""
    truths, known = truths_of(scored.examples, finding, text_too=text_too)
    rows = known & members
    truth, scores = truths[rows], scored.column(finding)[rows]
    return Discrimination(
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
        auroc=auroc(truth, scores).rounded(),
        average_precision=round(average_precision(truth, scores), 4) if truth.any() else None,
    )


def rates_at_threshold(
    scored: Scored, finding: str, members: Mask, probabilities: Probabilities, threshold: float
) -> tuple[Rounded, Rounded]:
    """Sensitivity and specificity at the operating point among `members`, with Wilson intervals."""
    truths, known = truths_of(scored.examples, finding)
    positive, negative = known & members & truths, known & members & ~truths
    called = probabilities >= threshold
    hits = wilson(int(called[positive].sum()), int(positive.sum()))
    passes = wilson(int((~called)[negative].sum()), int(negative.sum()))
    return hits.rounded(), passes.rounded()


def calibration(scored: Scored, finding: str, members: Mask, probabilities: Probabilities) -> Rounded:
    """Expected calibration error among `members`, with an interval by bootstrap over patients.

    Redrawing adds noise, which an error of sizes never loses: the middle of the draws is far above the error, and often
    all of it is. So their width is put around the error less what chance adds, as in an audit, and holds the error.
    """
    truths, known = truths_of(scored.examples, finding)
    rows = np.flatnonzero(known & members)
    patients = np.array([scored.examples[row].patient for row in rows.tolist()])

    def error(drawn: NDArray[np.intp]) -> float:
        return calibration_error(truths[rows[drawn]], probabilities[rows[drawn]])

    found = bootstrap(patients, error)
    middle, half = debiased_calibration(scored, finding, members, probabilities), (found.high - found.low) / 2
    low, high = min(found.value, max(0.0, middle - half)), max(found.value, middle + half)
    return Estimate(found.value, low, high).rounded()


def debiased_calibration(scored: Scored, finding: str, members: Mask, probabilities: Probabilities) -> float:
    """The calibration error among `members` less what so few images add to it by chance."""
    truths, known = truths_of(scored.examples, finding)
    rows = known & members
    order = np.argsort(probabilities[rows], kind="stable")
    return round(debiased_calibration_error(bins_sorted(truths[rows][order], probabilities[rows][order])), 4)


def perfect_calibration(scored: Scored, finding: str, members: Mask, probabilities: Probabilities) -> Rounded:
    """What a perfectly calibrated model would show on as many images: mean and the middle 95 % of the draws."""
    _, known = truths_of(scored.examples, finding)
    errors = calibration_error_if_perfect(probabilities[known & members])
    return Estimate(float(errors.mean()), *np.percentile(errors, [2.5, 97.5])).rounded()
