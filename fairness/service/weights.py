"""Sensitivity and specificity of all studies from those that were verified, by inverse probability weights.

Which weights, and what they assume: see `fairness.service.truth`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.reading import ReadingRecord
from core.statistics.estimate import Estimate
from core.statistics.resampling import bootstrap
from fairness.audit.nouns import ALL, Row
from fairness.service.truth import Settled, is_without_flag, verification

FEWEST = 30  # answered positives (sensitivity) or negatives (specificity)
NOTE = "all studies, verified ones weighted by the inverse of their chance to be verified"


def weighted_rows(
    readings: Sequence[ReadingRecord], truth: Settled, finding: str, *, threshold: float
) -> Iterator[Row]:
    """One row each, of all patients, with the interval of redrawing patients; none before there are blind reads.

    `threshold` 0..1: what is judged. The strata are those of the flags that readers saw, whatever threshold was in
    force then, because by these studies were chosen to be verified.
    """
    found = verification(readings, truth, finding)
    if not found.is_blind_read:
        return
    answered = [made for made in readings if _counts(made, truth, finding)]
    positive = np.array([truth[made.study_id, finding].value for made in answered])
    right = np.array([made.probabilities[finding] >= threshold for made in answered]) == positive
    weights = np.array([found.weight(made) for made in answered])
    patients = np.array([made.patient for made in answered])
    for metric, members in (("sensitivity_weighted", positive), ("specificity_weighted", ~positive)):
        if members.sum() >= FEWEST:
            estimate = _share(right[members], weights[members], patients[members])
            yield Row(
                finding=finding,
                metric=metric,
                cohort=ALL,
                value=estimate.value,
                low=estimate.low,
                high=estimate.high,
                positives=int(positive.sum()) if metric == "sensitivity_weighted" else None,
                negatives=int((~positive).sum()) if metric == "specificity_weighted" else None,
                note=NOTE,
            )


def _counts(made: ReadingRecord, truth: Settled, finding: str) -> bool:
    """Whether an answer belongs to the design: any of a flagged study, of the others only a blind one."""
    answer = truth.get((made.study_id, finding))
    if answer is None or finding not in made.above:
        return False
    return not (is_without_flag(made) and answer.ai_seen)


def _share(right: NDArray[np.bool_], weights: NDArray[np.float64], patients: NDArray[np.str_]) -> Estimate:
    def figure(drawn: NDArray[np.intp]) -> float:
        total = float(weights[drawn].sum())
        return float((weights[drawn] * right[drawn]).sum()) / total if total else float("nan")

    return bootstrap(patients, figure)
