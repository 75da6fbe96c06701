"""How figures are said to a person: "women 60-79, view AP: sensitivity 0.87 [0.82, 0.91], 204 positives".

One wording for the terminal, the Secondary Capture, the report, the pages and the documents, so that two sentences
about the same figure look the same. Brackets are 95 % intervals. A figure that is not known is a dash.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:  # the command line says figures before it has loaded anything slow
    from core.domain.model import OperatingPoint
    from core.domain.report import CohortMetric, Finding

DASH = "-"
TOO_LITTLE = "insufficient data"
NOT_MEASURED = "not measured"
Limits = tuple[float, float] | None
_SEXES = {"F": "women", "M": "men", "O": "sex other", "UNKNOWN": "sex not given"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # OWASP, CSV injection
_FEW = 0.095  # shares below it need a decimal, or 0.4 % would be said as 0 %


def number(value: float | None, digits: int = 2, *, sign: str = "") -> str:
    """A figure without an interval: "0.87"; `sign` "+" marks a gain as such."""
    return f"{value:{sign}z.{digits}f}" if _is_known(value) else DASH


def with_interval(
    value: float | None, low: float | None = None, high: float | None = None, *, digits: int = 2, sign: str = ""
) -> str:
    """A figure with its interval where that is known: "0.87 [0.82, 0.91]"."""
    said = number(value, digits, sign=sign)
    if not (_is_known(value) and _is_known(low) and _is_known(high)):
        return said
    return f"{said} [{number(low, digits, sign=sign)}, {number(high, digits, sign=sign)}]"


def rate_in_words(value: float | None, limits: Limits) -> str:
    """A sensitivity or specificity in a sentence: as `with_interval`, but a missing one says why."""
    return with_interval(value, *(limits or ())) if _is_known(value) else TOO_LITTLE


def probability(value: float) -> str:
    """A probability 0..1: "0.48"; never "0.00" or "1.00", because no model is certain."""
    if 0.0 < value < 0.005:
        return "<0.01"
    return ">0.99" if 0.995 <= value < 1.0 else f"{value:.2f}"


def per_cent(share: float | None, low: float | None = None, high: float | None = None) -> str:
    """A share 0..1 in percent: "7.0 %", "50 %", "97.3 % [95.0, 99.1]"; never "0 %" for what is more than nothing."""
    if not _is_known(share):
        return DASH
    if _is_known(low) and _is_known(high):
        return f"{100 * share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * share:.1f} %" if 0 < abs(share) < _FEW else f"{100 * share:.0f} %"


def points(difference: float | None, low: float | None = None, high: float | None = None) -> str:
    """A difference of shares in percentage points: "22", "1.4", "-0.3", "22 [3.0, 40]"."""
    if not _is_known(difference):
        return DASH
    if not _is_known(low) or not _is_known(high):
        return _points(difference)
    return f"{_points(difference)} [{_points(low)}, {_points(high)}]"


def count(number: int | None) -> str:
    """A count: "1,012", or a dash where it is withheld."""
    return DASH if number is None else f"{number:,}"


def p_value(p: float | None, name: str = "p") -> str:
    """A p value, or by `name` a q value: "p = 0.013", "p < 0.001"."""
    if not _is_known(p):
        return f"{name} unknown"
    return f"{name} < 0.001" if p < 0.001 else f"{name} = {p:.3f}"


def finding_in_words(finding: str) -> str:
    """The name of a finding for a person: "lung_opacity" is "lung opacity"."""
    return finding.replace("_", " ")


def cohort_in_words(cohort: str) -> str:
    """The name of a cohort for a person: "sex=F & age_band=60-79 & view=AP" is "women 60-79, view AP"."""
    if cohort == "all":
        return "all patients"
    conditions = dict(condition.partition("=")[::2] for condition in cohort.split(" & "))
    sex, age = conditions.pop("sex", ""), conditions.pop("age_band", "")
    person = " ".join(word for word in (_SEXES.get(sex, sex), _age(age, bool(sex))) if word)
    return ", ".join(word for word in (person, *(_condition(*item) for item in conditions.items())) if word)


def cohort_as_heading(cohort: str) -> str:
    """The same, able to head a line: "Women 60-79, view AP". Values of headers are left as they are."""
    words = cohort_in_words(cohort)
    return words[:1].upper() + words[1:] if words.startswith(("women", "men", "aged", "age ", "all")) else words


def point_in_words(point: OperatingPoint) -> str:
    """Where an operating point comes from; "" for the model's own."""
    if not point.policy:
        return ""
    return f"of the cohort {cohort_in_words(point.cohort)} ({point.policy}), not that of all patients"


def statement_of(metric: CohortMetric) -> str:
    """The cohort statement in one sentence, with its source and what it fell back from."""
    sensitivity = _rate_of(metric.sensitivity, metric.sensitivity_interval, metric.positives, "positives")
    specificity = _rate_of(metric.specificity, metric.specificity_interval, metric.negatives, "negatives")
    return (
        f"{cohort_in_words(metric.cohort)}: sensitivity {sensitivity}; specificity {specificity}; "
        f"source: {metric.source}" + _fallback(metric)
    )


def in_a_cell(text: str) -> str:
    """A text as a spreadsheet shows it and does not run it: what would begin a formula gets an apostrophe in front."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def on_a_terminal(text: str) -> str:
    """A text with its control characters and changes of direction shown, so that a terminal does not obey them."""
    return "".join(f"\\x{ord(sign):02x}" if _is_control(sign) else sign for sign in text)


def _is_control(sign: str) -> bool:
    return unicodedata.category(sign) in {"Cc", "Cf", "Zl", "Zp", "Cs"}


def performance_in_words(metric: CohortMetric | None) -> str:
    """The one line on how well the model does for a finding; "not measured" where patients were not counted."""
    if metric is None or not (metric.positives or metric.negatives):
        return f"Sensitivity and specificity: {NOT_MEASURED}."
    sensitivity = _rate_of(metric.sensitivity, metric.sensitivity_interval, metric.positives, "patients with it")
    specificity = _rate_of(metric.specificity, metric.specificity_interval, metric.negatives, "without it")
    return (
        f"Sensitivity {sensitivity}; specificity {specificity}; measured in {_measured_in(metric)}{_fallback(metric)}."
    )


def verdict_in_words(finding: Finding, metric: CohortMetric | None) -> str:
    """What is said of a finding and what that means in 100 patients, as far as it was measured."""
    if finding.implied_by:
        because = ", ".join(finding.implied_by)
        return f"Flagged because of: {because}. By itself it is below its operating point."
    if not finding.is_flagged:
        missed = None if metric is None or metric.sensitivity is None else 1.0 - metric.sensitivity
        return "Not flagged." + (
            "" if missed is None else f" Of 100 patients with it {_of_100(missed)} are not flagged."
        )
    return f"Flagged.{_predictive_value(metric)}"


def _predictive_value(metric: CohortMetric | None) -> str:
    """The predictive value with the prevalence that it is true at; "" where one of them is not known."""
    if metric is None or metric.predictive_value is None or metric.prevalence is None:
        return ""
    patients = metric.positives + metric.negatives
    return (
        f" Of 100 flagged like this {_of_100(metric.predictive_value)} have it if {per_cent(metric.prevalence)} of "
        f"patients have it, as in {_measured_in(metric)} ({count(metric.positives)} of {count(patients)}); "
        "fewer where it is rarer."
    )


def _of_100(share: float) -> str:
    return f"about {100 * share:.0f}" if share >= 0.005 else "fewer than 1"


def _measured_in(metric: CohortMetric) -> str:
    whom = "" if metric.cohort == "all" else f" ({cohort_in_words(metric.cohort)})"
    return f"{metric.source}{whom}"


def _fallback(metric: CohortMetric) -> str:
    return f"; too little data on {cohort_in_words(metric.fallback)}" if metric.fallback else ""


def _rate_of(value: float | None, limits: Limits, patients: int, of: str) -> str:
    if not _is_known(value):
        return f"not known, {count(patients)} {of} are too few"
    return f"{with_interval(value, *(limits or ()))}, {count(patients)} {of}"


def _is_known(value: float | None) -> TypeGuard[float]:
    return value is not None and not math.isnan(value)


def _points(difference: float) -> str:
    return f"{100 * difference:z.1f}" if abs(difference) < _FEW else f"{100 * difference:.0f}"


def _age(band: str, after_sex: bool) -> str:
    if band in ("", "UNKNOWN"):
        return "age not given" if band else ""
    return band if after_sex else f"aged {band}"


def _condition(name: str, value: str) -> str:
    if value == "UNKNOWN":
        return f"{name.replace('_', ' ')} not given"
    return f"{name.replace('_', ' ')} {value}"
