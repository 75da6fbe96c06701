"""Two versions of a model on the same studies: do they agree, and where truth is known, which one is right more often?

All intervals are 95 %, and over patients wherever a figure pairs the two (bootstrap), because images of one patient
are not independent. Agreement is Cohen's kappa (1960); the correlation is that of log odds, which is that of scores,
because calibration only shifts and stretches them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.statistics.estimate import UNDEFINED, Estimate
from core.statistics.proportions import wilson
from core.statistics.resampling import bootstrap

_CLOSEST = 1e-6
FEWEST = 2  # studies, below which nothing has an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One study as both versions read one finding; probabilities 0..1. `truth` is None where it is not known."""

    patient: str
    live: float
    shadow: float
    live_flag: bool
    shadow_flag: bool
    truth: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """One rate of both versions, and what the shadow's is more."""

    live: Estimate
    shadow: Estimate
    difference: Estimate
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How two versions compare on one finding. `sensitivity` and `specificity` only where truth is known."""

    finding: str
    studies: int
    patients: int
    flag_rate: Rates
    kappa: Estimate
    correlation: Estimate
    sensitivity: Rates
    specificity: Rates


def compare(finding: str, pairs: Sequence[Pair]) -> Agreement:
    """Every figure of one finding; those that need more than there is are NaN."""
    patients = np.array([pair.patient for pair in pairs], np.str_)
    flags = np.array([[pair.live_flag, pair.shadow_flag] for pair in pairs], bool).reshape(-1, 2)
    odds = np.array([[_log_odds(pair.live), _log_odds(pair.shadow)] for pair in pairs], np.float64).reshape(-1, 2)
    positive = np.array([pair.truth is True for pair in pairs], bool)
    negative = np.array([pair.truth is False for pair in pairs], bool)
    return Agreement(
        finding=finding,
        studies=len(pairs),
        patients=len(set(patients.tolist())),
        flag_rate=_rates(patients, flags),
        kappa=_over_patients(patients, lambda rows: kappa(flags[rows])),
        correlation=_over_patients(patients, lambda rows: _correlation(odds[rows])),
        sensitivity=_rates(patients[positive], flags[positive]),
        specificity=_rates(patients[negative], ~flags[negative]),
    )


def kappa(flags: NDArray[np.bool_]) -> float:
    """Cohen's kappa of two columns of flags, shape (n, 2); NaN where both always say the same one thing."""
    if not len(flags):
        return math.nan
    first, second = flags[:, 0].mean(), flags[:, 1].mean()
    expected = first * second + (1 - first) * (1 - second)
    if expected == 1:
        return math.nan
    return float(((flags[:, 0] == flags[:, 1]).mean() - expected) / (1 - expected))


def _rates(patients: NDArray[np.str_], said: NDArray[np.bool_]) -> Rates:
    """Share of yes in each column of `said`, shape (n, 2), and the paired difference, second minus first."""
    count = len(said)
    if not count:
        return Rates(live=UNDEFINED, shadow=UNDEFINED, difference=UNDEFINED, n=0)
    more = said[:, 1].astype(np.float64) - said[:, 0]
    return Rates(
        live=wilson(int(said[:, 0].sum()), count),
        shadow=wilson(int(said[:, 1].sum()), count),
        difference=_over_patients(patients, lambda rows: float(more[rows].mean())),
        n=count,
    )


def _over_patients(patients: NDArray[np.str_], figure: Callable[[NDArray[np.intp]], float]) -> Estimate:
    if len(set(patients.tolist())) < FEWEST:
        return UNDEFINED
    with np.errstate(invalid="ignore"):
        value = figure(np.arange(len(patients)))
        return UNDEFINED if math.isnan(value) else bootstrap(patients, figure, rounds=1000)


def _correlation(odds: NDArray[np.float64]) -> float:
    spread = odds.std(0)
    if len(odds) < FEWEST or not spread.all():
        return math.nan
    return float(((odds[:, 0] - odds[:, 0].mean()) * (odds[:, 1] - odds[:, 1].mean())).mean() / spread.prod())


def _log_odds(probability: float) -> float:
    clipped = min(max(probability, _CLOSEST), 1 - _CLOSEST)
    return math.log(clipped / (1 - clipped))
