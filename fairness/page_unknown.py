"""What an audit cannot say yet: cohorts with too little data, and how many more studies until it can."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from core.pages import folded, paragraph, table
from fairness.audit import ALL, SUPPRESSED, Advice, Audit
from fairness.cohorts import conditions_of
from fairness.page_words import DASH, cohort_words, finding_words

_METRICS = ("sensitivity", "specificity")


def unknown(audit: Audit) -> list[Markup]:
    """By cohort: how many findings can be judged, and what is nearest to being known."""
    if not audit.advice:
        return []
    cohorts = [cohort for cohort in audit.cohorts if cohort != ALL]
    single = [cohort for cohort in cohorts if len(conditions_of(cohort)) == 1]
    crossed = [cohort for cohort in cohorts if len(conditions_of(cohort)) > 1]
    blocks = [
        paragraph(
            "A figure needs cases: diseased for a sensitivity, healthy for a specificity. Each line says for how many "
            "findings there are enough, and how many more would make the next one known."
        ),
        _by_cohort(audit, [ALL, *single], "How many more studies until we know"),
    ]
    if crossed:
        blocks.append(
            folded(
                f"{len(crossed)} cohorts of two attributes",
                [_by_cohort(audit, crossed, "How many more studies until we know, two attributes at once")],
            )
        )
    return blocks


def _by_cohort(audit: Audit, cohorts: Sequence[str], caption: str) -> Markup:
    by_cohort: dict[str, list[Advice]] = {cohort: [] for cohort in cohorts}
    for advice in audit.advice:
        by_cohort.get(advice.cohort, []).append(advice)
    withheld = {row.cohort for row in audit.rows if row.note.startswith(SUPPRESSED)}
    body = [
        [cohort_words(cohort), _next(found, cohort in withheld), *(_enough(found, metric) for metric in _METRICS)]
        for cohort, found in by_cohort.items()
    ]
    return table(
        ["cohort", "next to be known", "sensitivity known", "specificity known"], body, caption=caption, text_columns=2
    )


def _enough(found: Sequence[Advice], metric: str) -> str:
    mine = [advice for advice in found if advice.metric == metric]
    return f"{sum(advice.missing == 0 for advice in mine)} of {len(mine)}" if mine else DASH


def _next(found: Sequence[Advice], is_withheld: bool) -> str:
    missing = [advice for advice in found if advice.missing > 0]
    if not missing:
        return "withheld: the cohort is small" if is_withheld or not found else "enough for every finding"
    nearest = min(missing, key=lambda advice: advice.missing)
    return nearest.text or f"{finding_words(nearest.finding)}: {nearest.missing:,} more"
