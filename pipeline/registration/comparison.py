"""`candor models compare`: what a live and a shadow version said of the same studies of this site."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from core.domain.reading import ReadingRecord
from core.domain.report import ReportStatus
from core.errors import ConfigurationError
from core.statistics import Estimate
from core.store.models.shadows import ShadowReading
from core.store.store import Store
from fairness.service.truth import Settled, settled
from models.comparison import Agreement, Pair, Rates, compare


def comparison(store: Store, name: str, live: str, shadow: str) -> dict[str, Any]:
    """Agreement per finding, as JSON values; what cannot be said is null.

    Raises ConfigurationError when the shadow version has read nothing that the live one reported.
    """
    beside = {made.revision.report_id: made for made in store.shadows.all(name, shadow)}
    reported = [
        made
        for made in store.readings.newest()
        if (made.model_name, made.model_version) == (name, live) and f"{made.study_id}.{made.revision}" in beside
    ]
    if not reported:
        raise ConfigurationError(f"{name} {shadow} has read no study as a shadow that {name} {live} reported")
    truth = settled(store.truths.all())
    both = [(made, beside[f"{made.study_id}.{made.revision}"]) for made in reported]
    read = [(made, other) for made, other in both if other.status is ReportStatus.REPORTED]
    findings = list(dict.fromkeys(name for made, other in read for name in made.above if name in other.above))
    return {
        "name": name,
        "live": live,
        "shadow": shadow,
        "studies": len(both),
        "read_by_both": len(read),
        "not_read_by_shadow": _not_read(both),
        "findings": [_entry(compare(finding, _pairs(finding, read, truth))) for finding in findings],
    }


def _not_read(both: list[tuple[ReadingRecord, ShadowReading]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, other in both:
        if other.status is not ReportStatus.REPORTED:
            counts[other.status.value] = counts.get(other.status.value, 0) + 1
    return counts


def _pairs(finding: str, read: list[tuple[ReadingRecord, ShadowReading]], truth: Settled) -> list[Pair]:
    pairs = []
    for made, other in read:
        if finding in made.above and finding in other.above:
            answer = truth.get((made.study_id, finding))
            pairs.append(
                Pair(
                    patient=made.patient,
                    live=made.probabilities[finding],
                    shadow=other.probabilities[finding],
                    live_flag=made.above[finding],
                    shadow_flag=other.above[finding],
                    truth=None if answer is None else answer.value,
                )
            )
    return pairs


def _entry(agreement: Agreement) -> dict[str, Any]:
    entry: dict[str, Any] = {**asdict(agreement)}
    for key in ("kappa", "correlation"):
        entry[key] = _estimate(getattr(agreement, key))
    for key in ("flag_rate", "sensitivity", "specificity"):
        entry[key] = _rate(getattr(agreement, key))
    return entry


def _rate(rates: Rates) -> dict[str, Any]:
    return {
        "live": _estimate(rates.live),
        "shadow": _estimate(rates.shadow),
        "difference": _estimate(rates.difference),
        "n": rates.n,
    }


def _estimate(estimate: Estimate) -> list[float] | None:
    return None if math.isnan(estimate.value) else [estimate.value, estimate.low, estimate.high]
