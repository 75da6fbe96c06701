"""What an audit cannot say yet: cohorts with too little data, and how many more studies until it can."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from markupsafe import Markup

from api.pages.kit import folded, paragraph, table
from core.wording import DASH, cohort_as_heading, finding_in_words
from fairness.audit.nouns import ALL, SUPPRESSED, Advice, Audit, Row
from fairness.cohorts import conditions_of

_METRICS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "fnr_gap": "gap in misses",
    "fpr_gap": "gap in false alarms",
}


def unknown(audit: Audit) -> list[Markup]:
    """By cohort: for how many findings each figure is settled, and what is nearest to being known."""
    asked = [row for row in audit.rows if row.metric in _METRICS]
    if not asked:
        return []
    cohorts = [cohort for cohort in audit.cohorts if cohort != ALL]
    single = [cohort for cohort in cohorts if len(conditions_of(cohort)) == 1]
    crossed = [cohort for cohort in cohorts if len(conditions_of(cohort)) > 1]
    intro = paragraph(
        "A figure needs cases: diseased for a sensitivity, healthy for a specificity. Each line says for how many "
        "findings there are enough of them, and what is nearest to being known. No gap found where a gap could "
        "not have been found means nothing."
    )
    blocks = [intro, _by_cohort(audit, asked, [ALL, *single], "How many more studies until we know")]
    if crossed:
        caption = "How many more studies until we know, two attributes at once"
        blocks.append(folded(f"{len(crossed)} cohorts of two attributes", [_by_cohort(audit, asked, crossed, caption)]))
    return blocks


def _by_cohort(audit: Audit, asked: Sequence[Row], cohorts: Sequence[str], caption: str) -> Markup:
    missing = {(advice.cohort, advice.finding, advice.metric): advice for advice in audit.advice if advice.missing}
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in asked:
        rows[row.cohort].append(row)
    body = [
        [
            cohort_as_heading(cohort),
            _next(rows[cohort], [advice for (where, _, _), advice in missing.items() if where == cohort]),
            *(_settled(rows[cohort], metric, missing) for metric in _METRICS),
        ]
        for cohort in cohorts
    ]
    return table(["cohort", "next to be known", *_METRICS.values()], body, caption=caption, text_columns=2)


def _settled(rows: Sequence[Row], metric: str, missing: dict[tuple[str, str, str], Advice]) -> str:
    mine = [row for row in rows if row.metric == metric]
    known = [row for row in mine if row.value is not None and (row.cohort, row.finding, metric) not in missing]
    return f"{len(known)} of {len(mine)}" if mine else DASH


def _next(rows: Sequence[Row], missing: Sequence[Advice]) -> str:
    if rows and all(row.note.startswith(SUPPRESSED) for row in rows):
        return "withheld: the cohort is small, or hides one that is"
    if not missing:
        return "all is known"
    nearest = min(missing, key=lambda advice: advice.missing)
    return f"{finding_in_words(nearest.finding)}, {_METRICS.get(nearest.metric, nearest.metric)}: {nearest.text}"
