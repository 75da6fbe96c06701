"""One finding of an audit: figures by cohort as forest plots, calibration, everything else as tables; folded."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from api.pages.audit.gaps import FALSE_ALARM, MISSED, Gap
from api.pages.kit import Row as Line
from api.pages.kit import Series, bars, folded, forest, grid, lines, paragraph, table
from api.pages.kit.markup import tag
from core.wording import DASH, cohort_as_heading, count, finding_in_words, with_interval
from fairness.audit.nouns import ALL, INSUFFICIENT, SUPPRESSED, Audit, Curve, Row
from fairness.cohorts import conditions_of

_FORESTS = {
    "auroc": "AUROC: how well it ranks diseased above healthy",
    "sensitivity": "Sensitivity: share of the diseased that it flags",
    "specificity": "Specificity: share of the healthy that it leaves alone",
}
_MARKED_BY = {"sensitivity": MISSED, "specificity": FALSE_ALARM}
_TABLES = {
    "Predictive values and calibration": {
        "prevalence": "prevalence",
        "ppv": "PPV",
        "npv": "NPV",
        "brier": "Brier",
        "ece": "ECE",
        "ece_debiased": "ECE, debiased",
        "ece_if_calibrated": "ECE if calibrated",
    },
    "How often it flags": {"flag_rate": "flag rate", "psi": "PSI", "ks": "KS"},
    "In this service": {
        "failure_rate": "failed",
        "not_analysed_rate": "not analysed",
        "turnaround_seconds": "seconds to report",
        "override_rate": "overridden",
        "sensitivity_weighted": "sensitivity, weighted",
        "specificity_weighted": "specificity, weighted",
        "psi_recent": "PSI, last 30 days",
        "ks_recent": "KS, last 30 days",
    },
}
_EXPLAINED = {
    "Predictive values and calibration": "PPV and NPV hold at this prevalence only.",
    "How often it flags": "No truth is needed for it. PSI and KS compare the scores with those of all other patients.",
    "In this service": "Overridden: readers who saw the AI said otherwise. PSI and KS compare with the time before. "
    "Weighted: over all studies, not only those that were verified.",
}
_SHIFTED = 0.2  # a population stability index beyond which scores are said to be distributed otherwise
_MOST_CURVES = 6


def finding_fold(audit: Audit, finding: str, gaps: Sequence[Gap], *, is_open: bool) -> Markup:
    """Everything about one finding behind a line that says the most important of it."""
    rows = [row for row in audit.rows if row.finding == finding]
    marks = {(gap.metric, gap.cohort): gap.mark for gap in gaps if gap.finding == finding and gap.gap > 0}
    blocks = [block for metric in _FORESTS for block in _forests(rows, metric, marks)]
    blocks += [*_reliability(audit, finding), *_shift(rows), *_others(rows)]
    return folded(_summary(finding, rows, marks), blocks, is_open=is_open)


def _summary(finding: str, rows: Sequence[Row], marks: dict[tuple[str, str], str]) -> Markup:
    areas = {row.cohort: row.value for row in rows if row.metric == "auroc" and row.value is not None}
    parts = []
    if ALL in areas:
        parts.append(f"AUROC {areas[ALL]:.2f}")
    if others := {cohort: area for cohort, area in areas.items() if cohort != ALL and not _is_crossed(cohort)}:
        worst = min(others, key=lambda cohort: others[cohort])
        parts.append(f"lowest {others[worst]:.2f}: {cohort_as_heading(worst)}")
    certain = sum(mark == "Holm" for mark in marks.values())
    if certain:
        parts.append(f"{certain} certain {'gap' if certain == 1 else 'gaps'}")
    return tag("span", finding_in_words(finding), " ", tag("span", " · ".join(parts), class_="quiet"))


def _is_crossed(cohort: str) -> bool:
    return len(conditions_of(cohort)) > 1


def _forests(rows: Sequence[Row], metric: str, marks: dict[tuple[str, str], str]) -> list[Markup]:
    """The cohorts of one attribute, worst first, and below, folded, those of two."""
    mine = [row for row in rows if row.metric == metric]
    drawn = sorted((row for row in mine if row.value is not None), key=lambda row: (row.cohort != ALL, row.value))
    if not drawn:
        return [paragraph(f"{_FORESTS[metric].split(':')[0]}: no figures.", *_left_out(mine))] if mine else []
    reference = next((row.value for row in drawn if row.cohort == ALL), None)
    marked = {cohort: mark for (kind, cohort), mark in marks.items() if kind == _MARKED_BY.get(metric)}
    single = [row for row in drawn if not _is_crossed(row.cohort)]
    crossed = [row for row in drawn if _is_crossed(row.cohort)]
    blocks = [_forest(single, metric, reference, marked, f"{_FORESTS[metric]}. The upright line: all patients.")]
    if left_out := _left_out([row for row in mine if not _is_crossed(row.cohort)]):
        blocks.append(paragraph(*left_out))
    if crossed:
        overall = [row for row in drawn if row.cohort == ALL]
        chart = _forest([*overall, *crossed], metric, reference, marked, f"{_FORESTS[metric]}, two attributes at once.")
        unsaid = _left_out([row for row in mine if _is_crossed(row.cohort)])
        inner = [chart, *([paragraph(*unsaid)] if unsaid else [])]
        blocks.append(folded(f"{len(crossed)} cohorts of two attributes", inner))
    return blocks


def _forest(rows: Sequence[Row], metric: str, reference: float | None, marks: dict[str, str], caption: str) -> Markup:
    drawn = [
        Line(
            label=cohort_as_heading(row.cohort),
            value=row.value,
            low=row.low,
            high=row.high,
            counts=_counts(row, metric),
            mark=marks.get(row.cohort, ""),
            is_reference=row.cohort == ALL,
        )
        for row in rows
    ]
    label = {"sensitivity": "diseased", "specificity": "healthy"}.get(metric, "diseased / healthy")
    value_label = "AUROC, 95 %" if metric == "auroc" else f"{metric}, 95 %"
    return forest(drawn, caption=caption, value_label=value_label, counts_label=label, reference=reference)


def _counts(row: Row, metric: str) -> str:
    """What the interval belongs to: positives for a sensitivity, negatives for a specificity, both for an AUROC."""
    if metric == "sensitivity":
        return count(row.positives)
    return count(row.negatives) if metric == "specificity" else f"{count(row.positives)} / {count(row.negatives)}"


def _left_out(rows: Sequence[Row]) -> list[Markup]:
    """The cohorts that have no figure, by the reason, in words."""
    without = [row for row in rows if row.value is None]
    parts = []
    for reason, words in ((SUPPRESSED, "Withheld, because the cohort is small"), (INSUFFICIENT, "Not enough data")):
        if named := [cohort_as_heading(row.cohort) for row in without if row.note.startswith(reason)]:
            parts.append(tag("span", tag("b", f"{words}: "), "; ".join(named), ". ", class_="quiet"))
    known = (SUPPRESSED, INSUFFICIENT)
    others = [row for row in without if not row.note.startswith(known)]
    if named := [f"{cohort_as_heading(row.cohort)} ({row.note or 'no data'})" for row in others]:
        parts.append(tag("span", tag("b", "No figure: "), "; ".join(named), ".", class_="quiet"))
    return parts


def _reliability(audit: Audit, finding: str) -> list[Markup]:
    curves = [curve for curve in audit.curves if curve.finding == finding and curve.points]
    if not curves:
        return []
    together: dict[str, list[Curve]] = {}
    for curve in curves:
        if not _is_crossed(curve.cohort):
            together.setdefault(next(iter(conditions_of(curve.cohort)), ALL), []).append(curve)
    charts = [_curves(name, group) for name, group in together.items()]
    intro = paragraph(
        "Reliability: of the images given a probability, how many had the finding. On the dashed line it keeps its "
        "word; below it, it promises more than there is."
    )
    return [intro, grid(charts)]


def _curves(attribute: str, curves: Sequence[Curve]) -> Markup:
    largest = sorted(curves, key=lambda curve: -sum(point.n for point in curve.points))[:_MOST_CURVES]
    shown = [curve for curve in curves if curve in largest]
    title = "All patients" if attribute == ALL else f"By {attribute.replace('_', ' ')}"
    beyond = f"the {len(shown)} largest of {len(curves)} cohorts" if len(shown) < len(curves) else ""
    return lines(
        [_series(curve) for curve in shown],
        title=title,
        x_label="probability given",
        y_label="share with the finding",
        diagonal="perfect calibration",
        caption=beyond,
    )


def _series(curve: Curve) -> Series:
    return Series(
        label=cohort_as_heading(curve.cohort),
        points=[(point.probability, point.observed) for point in curve.points],
        low=[point.low for point in curve.points],
        high=[point.high for point in curve.points],
        counts=[point.n for point in curve.points],
        has_markers=True,
    )


def _shift(rows: Sequence[Row]) -> list[Markup]:
    """Where scores are distributed otherwise than in everybody else: it needs no truth, so it is known from day one."""
    shifts = [row for row in rows if row.metric == "psi" and row.value is not None and not _is_crossed(row.cohort)]
    if not shifts:
        return []
    ordered = sorted(shifts, key=lambda row: -(row.value or 0.0))
    drawn = [
        Line(
            label=cohort_as_heading(row.cohort),
            value=row.value,
            low=row.low,
            high=row.high,
            counts=count(row.n),
            note="distributed otherwise" if (row.value or 0.0) > _SHIFTED else "",
        )
        for row in ordered
    ]
    caption = (
        f"How far the scores are distributed otherwise than in all other patients (PSI; beyond {_SHIFTED} it counts)."
    )
    return [bars(drawn, caption=caption, value_label="PSI", counts_label="images")]


def _others(rows: Sequence[Row]) -> list[Markup]:
    return [block for title in _TABLES for block in _table(title, rows)]


def _table(title: str, rows: Sequence[Row]) -> list[Markup]:
    """Cohorts that have any of the figures, and the figures that any cohort has."""
    words = _TABLES[title]
    cells = {(row.cohort, row.metric): row for row in rows if row.metric in words and row.value is not None}
    metrics = [metric for metric in words if any(metric == known for _, known in cells)]
    body = [
        [cohort_as_heading(cohort), *(_figure(cells.get((cohort, metric))) for metric in metrics)]
        for cohort in dict.fromkeys(cohort for cohort, _ in cells)
    ]
    if not body:
        return []
    caption = f"{_EXPLAINED[title]} Brackets hold 95 % intervals."
    return [folded(title, [table(["cohort", *(words[metric] for metric in metrics)], body, caption=caption)])]


def _figure(row: Row | None) -> str:
    return DASH if row is None else with_interval(row.value, row.low, row.high)
