"""Operating points per cohort: proposed from verified reads, with their effect on everybody shown beforehand.

One threshold for all can mean that a finding is missed more often in some patients than in others. A proposal gives
each cohort with enough data the highest threshold that reaches the sensitivity which the model has in all patients at
its own operating point (equal opportunity; Hardt et al., NeurIPS 2016), and says what that costs in specificity. The
effect is measured on patients that the threshold was not chosen on: chosen on one half, measured on the other, both
ways round. Nothing changes until a person signs (`core.store.fairness.operating_policies`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.pseudonym import fraction
from core.statistics.estimate import Estimate
from core.statistics.proportions import wilson
from fairness.audit.nouns import SUPPRESSED
from fairness.cohorts import ALL, cohort_name
from fairness.mitigation_policy import Effect, OperatingPolicy, Rates
from fairness.suppression.lattice import SMALLEST_CELL

FEW = f"{SUPPRESSED}: fewer than {SMALLEST_CELL} patients with or without the finding"
WORKED_OUT_FROM_ALL = f"{SUPPRESSED}: a cohort of fewer than {SMALLEST_CELL} patients could be worked out from it"
ENOUGH = 60  # of positives and of negatives: half of them to choose on, half to measure on
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Verified readings of one finding; arrays of equal length, one entry a study.

    `probabilities` 0..1, `truths`, `patients` (pseudonyms), `cohorts` (the attribute's value), and the threshold in
    force for all. `words`: what rates of them must say about themselves (`fairness.service.truth`).
    """

    finding: str
    threshold: float
    probabilities: Floats
    truths: Mask
    patients: Sequence[str]
    cohorts: Sequence[str]
    words: str = ""


def propose(findings: Sequence[Verified], by: str) -> OperatingPolicy:
    """A threshold for each cohort of the attribute `by`, for each finding."""
    return OperatingPolicy(by=by, effects=tuple(effect for one in findings for effect in _effects(one, by)))


def threshold_for(positives: Floats, sensitivity: float) -> float:
    """The highest threshold, to four digits, at which at least this share of `positives` (probabilities) is found."""
    needed = max(1, math.ceil(sensitivity * len(positives) - 1e-9))
    return math.floor(float(np.sort(positives)[-needed]) * 1e4) / 1e4


def _effects(given: Verified, by: str) -> Iterator[Effect]:
    target = float((given.probabilities[given.truths] >= given.threshold).mean()) if given.truths.any() else math.nan
    flags_before = given.probabilities >= given.threshold
    flags_after = flags_before.copy()
    cohorts = np.array(given.cohorts, dtype=np.str_)
    thresholds: dict[str, float | None] = {}
    for value in sorted(set(given.cohorts)):
        members = cohorts == value
        thresholds[value] = _threshold(given, members, target)
        if thresholds[value] is not None:
            flags_after[members] = _flag_by_the_other_half(given, members, target)
    everybody = np.ones(len(cohorts), bool)
    groups: list[tuple[str, Mask, float | None]] = [(ALL, everybody, None)]
    groups += [(cohort_name({by: value}), cohorts == value, threshold) for value, threshold in thresholds.items()]
    few = {cohort for cohort, members, _ in groups if _is_few(given, members)}
    for cohort, members, threshold in groups:
        effect = _effect(given, cohort, members, flags_before, flags_after, threshold)
        if cohort in few:
            yield _withheld(effect, FEW)
        else:
            yield _withheld(effect, WORKED_OUT_FROM_ALL) if few and cohort == ALL else effect


def _is_few(given: Verified, members: Mask) -> bool:
    """Whether under 11 patients, not studies, are positive or negative."""
    patients = np.array(given.patients, dtype=np.str_)
    people = [len(np.unique(patients[members & (given.truths == truth)])) for truth in (True, False)]
    return min(people) < SMALLEST_CELL


def _withheld(effect: Effect, why: str) -> Effect:
    nothing = Rates(sensitivity=None, specificity=None)
    return replace(effect, before=nothing, after=nothing, positives=None, negatives=None, note=why)


def _threshold(given: Verified, members: Mask, target: float) -> float | None:
    positives, negatives = members & given.truths, members & ~given.truths
    if min(positives.sum(), negatives.sum()) < ENOUGH or _is_few(given, members):
        return None
    return threshold_for(given.probabilities[positives], target)


def _flag_by_the_other_half(given: Verified, members: Mask, target: float) -> Mask:
    """Flags of the members, each by the threshold that was chosen on the other half of the patients."""
    first = np.array([fraction(b"", "half", patient) < 0.5 for patient in given.patients])
    flags = np.zeros(len(first), bool)
    for half in (first, ~first):
        chosen_on = given.probabilities[members & given.truths & ~half]
        flags |= half & (given.probabilities >= threshold_for(chosen_on, target)) if len(chosen_on) else False
    return flags[members]


def _effect(given: Verified, cohort: str, members: Mask, before: Mask, after: Mask, threshold: float | None) -> Effect:
    return Effect(
        finding=given.finding,
        cohort=cohort,
        threshold_before=given.threshold,
        threshold_after=given.threshold if threshold is None else threshold,
        before=_rates(before[members], given.truths[members]),
        after=_rates(after[members], given.truths[members]),
        positives=int(given.truths[members].sum()),
        negatives=int((~given.truths[members]).sum()),
        changes=threshold is not None,
        note=given.words,
    )


def _rates(flags: Mask, truths: Mask) -> Rates:
    return Rates(sensitivity=_share(flags[truths]), specificity=_share(~flags[~truths]))


def _share(right: Mask) -> tuple[float, float, float] | None:
    found: Estimate = wilson(int(right.sum()), len(right))
    return (found.value, found.low, found.high) if len(right) else None
