"""How a cohort and its figures are said to a person: "women 60-79, AP: sensitivity 0.87 [0.82-0.91], 204 positives".

One wording for the Secondary Capture, the demo, results.json and the pages, so that nobody wonders whether two
sentences speak of the same thing.
"""

from __future__ import annotations

from core.domain.model import OperatingPoint
from core.domain.report import CohortMetric

Limits = tuple[float, float] | None
_SEXES = {"F": "women", "M": "men", "O": "sex other", "UNKNOWN": "sex not given"}
_PLAIN = frozenset({"view"})  # their values speak for themselves


def cohort_in_words(cohort: str) -> str:
    """The name of a cohort for a person: "sex=F & age_band=60-79 & view=AP" is "women 60-79, AP"."""
    if cohort == "all":
        return "all patients"
    conditions = dict(condition.partition("=")[::2] for condition in cohort.split(" & "))
    sex, age = conditions.pop("sex", ""), conditions.pop("age_band", "")
    who = " ".join(word for word in (_SEXES.get(sex, sex), _age(age, bool(sex))) if word)
    return ", ".join(word for word in (who, *(_condition(*item) for item in conditions.items())) if word)


def rate_in_words(value: float | None, limits: Limits) -> str:
    """A sensitivity or specificity and its 95 % interval: "0.87 [0.82-0.91]"."""
    if value is None:
        return "insufficient data"
    return f"{value:.2f}" + (f" [{limits[0]:.2f}-{limits[1]:.2f}]" if limits else "")


def point_in_words(point: OperatingPoint) -> str:
    """Where an operating point comes from; "" for the model's own."""
    if not point.policy:
        return ""
    return f"of the cohort {cohort_in_words(point.cohort)} ({point.policy}), not that of all patients"


def statement_of(metric: CohortMetric) -> str:
    """The cohort statement in one sentence, with its source and what it fell back from."""
    sensitivity = rate_in_words(metric.sensitivity, metric.sensitivity_interval)
    specificity = rate_in_words(metric.specificity, metric.specificity_interval)
    return (
        f"{cohort_in_words(metric.cohort)}: sensitivity {sensitivity}, {metric.positives:,} positives; "
        f"specificity {specificity}, {metric.negatives:,} negatives; source: {metric.source}"
        + (f"; too little data on {cohort_in_words(metric.fallback)}" if metric.fallback else "")
    )


def _age(band: str, after_sex: bool) -> str:
    if band in ("", "UNKNOWN"):
        return "age not given" if band else ""
    return band if after_sex else f"aged {band}"


def _condition(name: str, value: str) -> str:
    if value == "UNKNOWN":
        return f"{name.replace('_', ' ')} not given"
    return value if name in _PLAIN else f"{name.replace('_', ' ')} {value}"
