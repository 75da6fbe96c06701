"""Which of an audit's figures are about this patient: the lines that stand in a report.

The most specific cohort of the patient that has enough data, falling back up the tree and saying so, and the figure of
all patients with it. The interval belongs to the number of positives and negatives, never to the size of the cohort, so
enough data is 30 of each. Local ground truth counts as soon as there is enough of it for all patients together; before
that, what the model's maker measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.domain.report import CohortMetric
from fairness.audit.nouns import Row
from fairness.cohorts import ALL, cohort_name, conditions_of
from fairness.service.truth import AMONG_VERIFIED

ENOUGH = 30  # positives for a sensitivity, negatives for a specificity
LADDER = ("view", "age_band", "sex")
"""What a report's cohort may be made of, the weightiest first: it is the one kept while falling back."""

METRICS = ("sensitivity", "specificity")
WEIGHTED = {f"{metric}_weighted": metric for metric in METRICS}
WEIGHTED_WORDS = "weighted for who was verified"
Conditions = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a report needs of one row of an audit; None where the audit gives no number."""

    finding: str
    metric: str
    cohort: str
    value: float | None
    low: float | None
    high: float | None
    positives: int | None
    negatives: int | None
    note: str = ""


def figures_of(rows: Iterable[Row]) -> list[Figure]:
    """The sensitivities and specificities among the rows of an audit.

    Of all patients the weighted ones, where there are both: a sentence must not mix two ways of counting.
    """
    wanted = [row for row in rows if row.metric in (*METRICS, *WEIGHTED)]
    counts = Counter(row.finding for row in wanted if row.metric in WEIGHTED)
    found = {}
    for row in sorted(wanted, key=lambda row: row.metric in WEIGHTED):  # the later one counts
        if row.metric in METRICS:
            found[row.finding, row.metric, row.cohort] = _figure(row, row.metric, row.note)
        elif counts[row.finding] == len(WEIGHTED):
            metric = WEIGHTED[row.metric]
            found[row.finding, metric, row.cohort] = _figure(row, metric, WEIGHTED_WORDS)
    return list(found.values())


def _figure(row: Row, metric: str, note: str) -> Figure:
    return Figure(
        finding=row.finding,
        metric=metric,
        cohort=row.cohort,
        value=row.value,
        low=row.low,
        high=row.high,
        positives=row.positives,
        negatives=row.negatives,
        note=note,
    )


@dataclass(frozen=True, slots=True)
class _Rate:
    value: float | None
    interval: tuple[float, float] | None
    count: int
    words: str = ""  # what the figure must say about itself


class Evidence:
    """The sensitivities and specificities of one audit, found by finding and cohort; `source` is what reports say."""

    def __init__(self, figures: Iterable[Figure], source: str) -> None:
        self.source = source
        self._rates: dict[tuple[str, str], dict[Conditions, _Rate]] = {}
        self._names: dict[Conditions, str] = {}
        for figure in figures:
            if figure.metric in METRICS:
                conditions = frozenset(conditions_of(figure.cohort).items())
                self._names.setdefault(conditions, figure.cohort)
                self._rates.setdefault((figure.finding, figure.metric), {})[conditions] = _rate(figure)

    def knows(self, finding: str) -> bool:
        """Whether there is enough data on all patients together."""
        return self._has_enough(finding, frozenset())

    def speaks_of(self, finding: str) -> bool:
        """Whether there is any figure of all patients, however few they are."""
        return self._rate(finding, "sensitivity", frozenset()).count > 0

    def lines(self, finding: str, attributes: Mapping[str, str]) -> list[CohortMetric]:
        """The line of the most specific cohort with enough data, then that of all patients; one when they are one."""
        tree = self._tree(finding, attributes)
        chosen = next((conditions for conditions in tree if self._has_enough(finding, conditions)), frozenset())
        wanted = self._wanted(finding, attributes)
        lines = [self._line(finding, chosen, "" if chosen == frozenset(wanted.items()) else cohort_name(wanted))]
        return lines if not chosen else [*lines, self._line(finding, frozenset())]

    def _tree(self, finding: str, attributes: Mapping[str, str]) -> list[Conditions]:
        """The cohorts of this patient in this audit, the most specific first; all patients are not among them."""
        mine = {(name, attributes[name]) for name in LADDER if name in attributes}
        known = self._rates.get((finding, "sensitivity"), {})
        return sorted((c for c in known if c and c <= mine), key=_rank)

    def _wanted(self, finding: str, attributes: Mapping[str, str]) -> dict[str, str]:
        """The most specific cohort of this patient that the audit could have spoken of, had it had the data."""
        divided = [{name for name, _ in conditions} for conditions in self._rates.get((finding, "sensitivity"), {})]
        ours = [names for names in divided if names <= set(LADDER)]
        names = [name for name in LADDER if name in attributes and any(name in group for group in ours)]
        return {name: attributes[name] for name in names[: max(map(len, ours), default=0)]}

    def _has_enough(self, finding: str, conditions: Conditions) -> bool:
        rates = [self._rate(finding, metric, conditions) for metric in METRICS]
        return all(rate.value is not None and rate.count >= ENOUGH for rate in rates)

    def _line(self, finding: str, conditions: Conditions, fallback: str = "") -> CohortMetric:
        sensitivity = _shown(self._rate(finding, "sensitivity", conditions))
        specificity = _shown(self._rate(finding, "specificity", conditions))
        return CohortMetric(
            finding_name=finding,
            cohort=self._names.get(conditions, ALL),
            sensitivity=sensitivity.value,
            sensitivity_interval=sensitivity.interval,
            specificity=specificity.value,
            specificity_interval=specificity.interval,
            positives=sensitivity.count,
            negatives=specificity.count,
            source=self.source + (f", {sensitivity.words}" if sensitivity.words else ""),
            fallback=fallback,
            share_is_known=not sensitivity.words,
        )

    def _rate(self, finding: str, metric: str, conditions: Conditions) -> _Rate:
        return self._rates.get((finding, metric), {}).get(conditions, _Rate(None, None, 0))


def cohort_lines(
    findings: Sequence[str], attributes: Mapping[str, str], evidence: Sequence[Evidence]
) -> tuple[CohortMetric, ...]:
    """The lines of each finding, out of the first evidence that has enough data on it.

    Where none has, the first that speaks of it at all says how much is missing; where none does, there is no line.
    """
    lines: list[CohortMetric] = []
    for finding in findings:
        ranked = [one for one in evidence if one.knows(finding)] + [one for one in evidence if one.speaks_of(finding)]
        known = next(iter(ranked), None)
        lines += known.lines(finding, attributes) if known else []
    return tuple(lines)


def _rank(conditions: Conditions) -> tuple[int, list[int]]:
    return -len(conditions), sorted(LADDER.index(name) for name, _ in conditions)


def _rate(figure: Figure) -> _Rate:
    count = figure.positives if figure.metric == "sensitivity" else figure.negatives
    value, low, high = (_number(number) for number in (figure.value, figure.low, figure.high))
    words = next((words for words in (AMONG_VERIFIED, WEIGHTED_WORDS) if words in figure.note), "")
    return _Rate(value, None if low is None or high is None else (low, high), count or 0, words)


def _shown(rate: _Rate) -> _Rate:
    """A figure of too few is none, whatever the audit says of it."""
    return rate if rate.count >= ENOUGH else _Rate(None, None, rate.count, rate.words)


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
