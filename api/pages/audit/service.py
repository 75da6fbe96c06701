"""How the service runs, cohort by cohort: what an audit of a site knows from its first day, without any truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.pages.kit import Row as Line
from api.pages.kit import bars, folded, forest, paragraph
from core.wording import cohort_as_heading, count, finding_in_words
from fairness.audit.nouns import ALL, Audit, Row
from fairness.service.drift import PSI_WARNS
from fairness.service.figures import ANY_FINDING


@dataclass(frozen=True, slots=True)
class _Figure:
    """How a metric is said; `scale` brings its value to the unit of `unit`."""

    caption: str
    unit: str
    counts: str
    scale: float
    digits: int


_OF_THE_SERVICE = {
    "failure_rate": _Figure("Studies that failed, by our fault", "%, 95 %", "studies", 100.0, 1),
    "not_analysed_rate": _Figure("Studies that could not be analysed", "%, 95 %", "studies", 100.0, 1),
    "turnaround_seconds": _Figure("From the last image to the report, median", "seconds, 95 %", "", 1.0, 0),
}
_OF_A_FINDING = {
    "override_rate": _Figure("Readers who saw the AI and disagreed with it", "%, 95 %", "reads", 100.0, 1),
    "psi_recent": _Figure("Scores of the last 30 days against the time before (PSI)", "PSI", "recent studies", 1.0, 2),
}


def service(audit: Audit) -> list[Markup]:
    """Failures, refusals, delays, overrides and drift; nothing where the audit is not of a site."""
    blocks = [
        block for name, said in _OF_THE_SERVICE.items() for block in _chart(_rows(audit, ANY_FINDING, name), said)
    ]
    for finding in audit.findings:
        charts = [block for name, said in _OF_A_FINDING.items() for block in _chart(_rows(audit, finding, name), said)]
        if charts:
            blocks.append(folded(f"{finding_in_words(finding)}: overrides and drift", charts))
    if not blocks:
        return []
    return [paragraph("No truth is needed for these figures: they are known from the first day."), *blocks]


def _is_a_point(line: Line) -> bool:
    """Whether whole numbers would say "3, 3 to 3"."""
    return line.low is not None and line.high is not None and round(line.low) == round(line.high)


def _unsaid(rows: Sequence[Row]) -> list[str]:
    """Why there is no figure, once for each reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row.note or "no data", []).append(cohort_as_heading(row.cohort))
    return [f"{reason} ({'; '.join(cohorts)}). " for reason, cohorts in reasons.items()]


def _rows(audit: Audit, finding: str, metric: str) -> list[Row]:
    return [row for row in audit.rows if row.finding == finding and row.metric == metric]


def _chart(rows: Sequence[Row], said: _Figure) -> list[Markup]:
    """Worst first, all patients above; cohorts that are withheld stand below and say so."""
    if not rows:
        return []
    if all(row.value is None for row in rows):  # an axis of nothing would look like figures
        return [paragraph(f"{said.caption}: ", *_unsaid(rows))]
    ordered = sorted(rows, key=lambda row: (row.cohort != ALL, row.value is None, -(row.value or 0.0)))
    drawn = [
        Line(
            label=cohort_as_heading(row.cohort),
            detail=row.note if row.value is not None else "",
            value=None if row.value is None else row.value * said.scale,
            low=None if row.low is None else row.low * said.scale,
            high=None if row.high is None else row.high * said.scale,
            counts=count(row.n) if said.counts else "",
            note=row.note if row.value is None else "",
            mark="shifted" if row.metric == "psi_recent" and (row.value or 0.0) > PSI_WARNS else "",
            is_reference=row.cohort == ALL,
        )
        for row in ordered
    ]
    caption, unit, counts = said.caption, said.unit, said.counts
    digits = said.digits or (1 if any(map(_is_a_point, drawn)) else 0)
    if all(row.low is None for row in rows):
        return [bars(drawn, caption=caption, value_label=unit, counts_label=counts, digits=digits)]
    everybody = next((line.value for line in drawn if line.is_reference), None)
    chart = forest(drawn, caption=caption, value_label=unit, counts_label=counts, reference=everybody, digits=digits)
    return [chart]
