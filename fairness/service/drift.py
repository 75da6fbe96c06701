"""Drift: has a cohort's month left what was usual for it?

Two questions. Without ground truth: do the probabilities still fall as they did (PSI, Kolmogorov-Smirnov)? A PSI over
0.2 warns, but only where it is more than what two samples of that size differ by chance: under no drift
PSI / (1/n + 1/m) follows a chi-squared distribution with bins - 1 degrees of freedom (Yurdakul and Naranjo, Journal of
Risk Model Validation 2020), so a hundred studies reach 0.2 by luck alone. With ground truth: is the lower bound of the
month's sensitivity still above the policy's floor? Below it is an alarm.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, ks_2samp

from core.clock import month_of
from core.domain.reading import ReadingRecord
from core.domain.report import ReportStatus
from core.statistics.calibration import BINS
from core.statistics.proportions import wilson
from core.statistics.stability import population_stability
from fairness.cohorts import ALL, cohort_name
from fairness.service.truth import Settled

PSI_WARNS = 0.2
CHANCE = 0.001  # how often no drift at all may look like it, per cohort and finding
FEWEST = 50  # probabilities, in the month and in the time before it
ENOUGH_POSITIVES = 30
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One cohort's month for one finding. `psi`, `ks` are None with too few studies, `sensitivity` without truth.

    `psi_by_chance`: what the PSI stays under with probability 0.999 when nothing drifts. `sensitivity`: value, lower,
    upper bound (Wilson).
    """

    month: str  # "2026-11"
    finding: str
    cohort: str
    studies: int
    studies_before: int
    psi: float | None = None
    psi_by_chance: float | None = None
    ks: float | None = None
    ks_p: float | None = None
    positives: int = 0
    sensitivity: tuple[float, float, float] | None = None

    @property
    def warns(self) -> bool:
        """Whether the probabilities have shifted, by more than chance."""
        return self.psi is not None and self.psi > max(PSI_WARNS, self.psi_by_chance or 0.0)

    def alarms(self, floor: float) -> bool:
        """Whether sensitivity can no longer be held to be above `floor`."""
        return self.sensitivity is not None and self.sensitivity[1] < floor


def psi_by_chance(before: int, now: int, bins: int = BINS) -> float:
    """What the PSI of two samples from one distribution stays under with probability 1 - CHANCE."""
    return float(chi2.ppf(1 - CHANCE, bins - 1)) * (1 / before + 1 / now)


def drift_of_month(
    readings: Iterable[ReadingRecord],
    truth: Settled,
    month: str,
    attributes: Mapping[str, Mapping[str, str]],
    by: Sequence[str],
) -> list[Drift]:
    """Every finding and cohort of a month against the months before it.

    `readings`: of one model version. `attributes`: those of each study, by study_id. `by`: the attributes whose values
    are looked at as cohorts; all patients together always are.
    """
    groups: defaultdict[tuple[str, str], tuple[list[ReadingRecord], list[ReadingRecord]]] = defaultdict(
        lambda: ([], [])
    )
    for made in readings:
        when = month_of(made.read_at)
        if made.status is ReportStatus.REPORTED and when <= month:
            for cohort in _cohorts(attributes[made.study_id], by):
                for finding in made.probabilities:
                    groups[finding, cohort][when == month].append(made)
    return [
        _drift(month, finding, cohort, before, now, truth)
        for (finding, cohort), (before, now) in sorted(groups.items())
        if now
    ]


def _drift(
    month: str, finding: str, cohort: str, before: Sequence[ReadingRecord], now: Sequence[ReadingRecord], truth: Settled
) -> Drift:
    flags = [made.above[finding] for made in now if _is_positive(truth, made, finding)]
    found = wilson(sum(flags), len(flags)) if len(flags) >= ENOUGH_POSITIVES else None
    facts = Drift(
        month=month,
        finding=finding,
        cohort=cohort,
        studies=len(now),
        studies_before=len(before),
        positives=len(flags),
        sensitivity=(found.value, found.low, found.high) if found else None,
    )
    if min(len(before), len(now)) < FEWEST:
        return facts
    earlier, later = (np.array([made.probabilities[finding] for made in group]) for group in (before, now))
    test = ks_2samp(earlier, later)
    return replace(
        facts,
        psi=population_stability(earlier, later),
        psi_by_chance=psi_by_chance(len(earlier), len(later)),
        ks=float(test.statistic),
        ks_p=float(test.pvalue),
    )


def _is_positive(truth: Settled, made: ReadingRecord, finding: str) -> bool:
    answer = truth.get((made.study_id, finding))
    return answer is not None and answer.value


def _cohorts(attributes: Mapping[str, str], by: Sequence[str]) -> Iterator[str]:
    yield ALL
    for name in by:
        yield cohort_name({name: attributes[name]})
