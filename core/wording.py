"""How figures are said to a person: "women 60-79, AP: sensitivity 0.87 [0.82, 0.91], 204 positives".

One wording for the terminal, the Secondary Capture, the report, the pages and the documents, so that two sentences
about the same figure look the same. Brackets are 95 % intervals. A figure that is not known is a dash.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:  # the command line says figures before it has loaded anything slow
    from core.domain.model import OperatingPoint
    from core.domain.report import CohortMetric

DASH = "-"
TOO_LITTLE = "insufficient data"
NOT_MEASURED = "not measured (the model's package gives no counts)"
Limits = tuple[float, float] | None
_SEXES = {"F": "women", "M": "men", "O": "sex other", "UNKNOWN": "sex not given"}
_PLAIN = frozenset({"view"})  # their values speak for themselves
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
    """The name of a cohort for a person: "sex=F & age_band=60-79 & view=AP" is "women 60-79, AP"."""
    if cohort == "all":
        return "all patients"
    conditions = dict(condition.partition("=")[::2] for condition in cohort.split(" & "))
    sex, age = conditions.pop("sex", ""), conditions.pop("age_band", "")
    person = " ".join(word for word in (_SEXES.get(sex, sex), _age(age, bool(sex))) if word)
    return ", ".join(word for word in (person, *(_condition(*item) for item in conditions.items())) if word)


def cohort_as_heading(cohort: str) -> str:
    """The same, able to head a line: "Women 60-79, AP". Values of headers are left as they are."""
    words = cohort_in_words(cohort)
    return words[:1].upper() + words[1:] if words.startswith(("women", "men", "aged", "age ", "all")) else words


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
        f"{cohort_in_words(metric.cohort)}: sensitivity {sensitivity}, {count(metric.positives)} positives; "
        f"specificity {specificity}, {count(metric.negatives)} negatives; source: {metric.source}"
        + (f"; too little data on {cohort_in_words(metric.fallback)}" if metric.fallback else "")
    )


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
    return value if name in _PLAIN else f"{name.replace('_', ' ')} {value}"


def printable(text: str) -> str:
    r"""A text for a terminal: control characters, which could move the cursor or change colours, as \\x1b."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
