"""Two models on the same images: by how much the audited one is better than the other, cohort by cohort."""

from __future__ import annotations

from markupsafe import Markup

from api.pages.kit import folded, paragraph, table
from core.wording import DASH, cohort_as_heading, finding_in_words, with_interval
from fairness.audit.nouns import ALL, Audit, Row
from fairness.audit.paired import DIFFERENCES

_WORDS = ("AUROC", "sensitivity", "specificity")


def other_model(audit: Audit) -> list[Markup]:
    """The differences of all patients, and below, folded, those of each cohort; nothing where one model was audited."""
    compared = [finding for finding in audit.findings if audit.row(finding, DIFFERENCES[0])]
    if not compared:
        return []
    intro = paragraph(
        "The figure of this model less that of the other one on the same images; above 0 this one is better. Brackets "
        "hold 95 % intervals of the paired difference; they are not corrected for how many there are."
    )
    body = [[finding_in_words(finding), *_cells(audit, finding, ALL)] for finding in compared]
    blocks = [intro, table(["finding", *_WORDS], body, caption="All patients")]
    for finding in compared:
        cohorts = [cohort for cohort in audit.cohorts if cohort != ALL and audit.row(finding, DIFFERENCES[0], cohort)]
        rows = [[cohort_as_heading(cohort), *_cells(audit, finding, cohort)] for cohort in cohorts]
        if rows:
            name = finding_in_words(finding)
            blocks.append(folded(f"{name}: by cohort", [table(["cohort", *_WORDS], rows, caption=name)]))
    return blocks


def _cells(audit: Audit, finding: str, cohort: str) -> list[str]:
    return [_cell(audit.row(finding, metric, cohort)) for metric in DIFFERENCES]


def _cell(row: Row | None) -> str:
    if row is None or row.value is None:
        return "withheld" if row and row.is_withheld else DASH
    return with_interval(row.value, row.low, row.high, digits=3, sign="+")
