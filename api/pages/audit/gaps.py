"""The gaps of an audit: which cohort fares worst, by how much, and whether that is certain; the page's first screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from api.pages.kit import Row as Line
from api.pages.kit import callout, forest, paragraph
from api.pages.kit.markup import tag
from core.wording import cohort_as_heading, cohort_in_words, count, finding_in_words, p_value, per_cent, points
from fairness.audit.nouns import INSUFFICIENT, SUPPRESSED, Audit, Test

MISSED, FALSE_ALARM = "fnr_gap", "fpr_gap"
_RATES = {MISSED: "sensitivity", FALSE_ALARM: "specificity"}
_WORDS = {MISSED: "missed", FALSE_ALARM: "false alarms"}
_NOTHING = "The model's figures do not differ between cohorts by more than chance explains."


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One comparison of a cohort with everybody else: rates 0..1 of what goes wrong there and elsewhere.

    `gap` > 0: it fares worse. `low` and `high` are None where the audit gives no interval.
    """

    finding: str
    metric: str
    cohort: str
    gap: float
    low: float | None
    high: float | None
    here: float | None
    cases: int | None  # diseased (missed) or healthy (flagged though healthy) in the cohort
    test: Test

    @property
    def mark(self) -> str:
        """What is left of it among all tests: "Holm" (certain), "BH" (worth a look) or nothing."""
        return "Holm" if self.test.is_alarm else "BH" if self.test.is_worth_a_look else ""

    @property
    def at_least(self) -> float:
        return self.gap if self.low is None else self.low


def gaps_of(audit: Audit) -> list[Gap]:
    """Every tested gap, certain and worse first, then by how much worse it is at least."""
    gaps = [_gap(audit, test) for test in audit.tests if test.metric in _RATES]
    return sorted(gaps, key=lambda gap: (gap.gap <= 0, not gap.test.is_alarm, -gap.at_least))


def comparisons(audit: Audit) -> int:
    """How many hypotheses were tested: that AP differs from PA is one, though both are shown."""
    return audit.provenance.tests or len(audit.tests)


def _gap(audit: Audit, test: Test) -> Gap:
    row = audit.row(test.finding, test.metric, test.cohort)
    rate = audit.row(test.finding, _RATES[test.metric], test.cohort)
    cases = None if rate is None else rate.positives if test.metric == MISSED else rate.negatives
    return Gap(
        finding=test.finding,
        metric=test.metric,
        cohort=test.cohort,
        gap=test.gap,
        low=row.low if row else None,
        high=row.high if row else None,
        here=None if rate is None or rate.value is None else 1.0 - rate.value,
        cases=cases,
        test=test,
    )


def chart_of(gaps: Sequence[Gap], caption: str) -> Markup:
    """Gaps as a forest plot, in percentage points."""
    lines = [
        Line(
            label=cohort_as_heading(gap.cohort),
            detail=f"{finding_in_words(gap.finding)} {_WORDS[gap.metric]}",
            value=100 * gap.gap,
            low=None if gap.low is None else 100 * gap.low,
            high=None if gap.high is None else 100 * gap.high,
            counts=_rates(gap),
            mark=gap.mark,
        )
        for gap in gaps
    ]
    return forest(
        lines,
        caption=caption,
        value_label="points more, 95 %",
        counts_label="here / elsewhere",
        reference=0.0,
        digits=1,
    )


def _rates(gap: Gap) -> str:
    if gap.here is None:
        return ""
    return f"{per_cent(gap.here)} / {per_cent(gap.here - gap.gap)}"


def lead_of(audit: Audit, gaps: Sequence[Gap]) -> list[Markup]:
    """What everybody must have read: the worst certain gap of each kind, or that there is none, and what that means."""
    certain = [gap for gap in gaps if gap.test in audit.certain_gaps]
    first_of_kind = [next((gap for gap in certain if gap.metric == kind), None) for kind in _RATES]
    statements = [_alarm(gap, comparisons(audit)) for gap in first_of_kind if gap is not None]
    return [
        *_questions(audit),
        *(statements or [_without_alarm(audit, gaps)]),
        *_cautions(audit),
        _summary(audit, gaps),
    ]


def _questions(audit: Audit) -> list[Markup]:
    """Before any figure: what is odd about the table that they were made from."""
    if not audit.provenance.questions:
        return []
    asked = tag("ul", *(tag("li", question) for question in audit.provenance.questions))
    return [callout("warn", "Look at the table first.", "Before these figures are believed:"), asked]


def _alarm(gap: Gap, tests: int) -> Markup:
    is_missed = gap.metric == MISSED
    title = "It misses most, compared with everybody else, in" if is_missed else "It raises most false alarms in"
    group = f"those {'with' if is_missed else 'without'} {finding_in_words(gap.finding)}"
    said = _said(gap, f"There it {'misses' if is_missed else 'flags'}", group)
    return callout(
        "warn",
        f"{title}: {cohort_in_words(gap.cohort)}.",
        f"{said}, measured on {count(gap.cases)} of {group}. That is certain: it survives Holm's correction for "
        f"{tests:,} comparisons ({p_value(gap.test.p_holm)}).",
    )


def _said(gap: Gap, verb: str, group: str) -> str:
    """The gap as a sentence: "There it misses 50 % of those with edema, elsewhere 29 %: 22 percentage points more"."""
    certainty = "" if gap.low is None or gap.high is None else " (95 % interval)"
    more = f"{points(gap.gap, gap.low, gap.high)} percentage points more{certainty}"
    if gap.here is None:
        return f"{verb} {more} of {group} than elsewhere"
    return f"{verb} {per_cent(gap.here)} of {group}, elsewhere {per_cent(gap.here - gap.gap)}: {more}"


def _without_alarm(audit: Audit, gaps: Sequence[Gap]) -> Markup:
    if not audit.tests:
        return callout(
            "insufficient",
            "It is not known yet for whom it fails.",
            "No cohort has enough cases with known truth to be compared with the others.",
        )
    known = f"{comparisons(audit):,} comparisons were made and none survives Holm's correction. "
    if better := next((gap for gap in gaps if gap.test.is_alarm), None):
        return callout(
            "warn",
            f"It does better in one cohort than in everybody else: {cohort_in_words(better.cohort)}.",
            f"{finding_in_words(better.finding).capitalize()} {_WORDS[better.metric]}: {points(-better.gap)} "
            f"percentage points less. That is certain, so somebody else fares worse ({p_value(better.test.p_holm)}).",
        )
    suspect = next((gap for gap in gaps if gap.gap > 0 and gap.test.is_worth_a_look), None)
    if suspect is None and _is_mostly_unknown(audit):
        return callout(
            "insufficient",
            "For most cohorts it is not known yet whether it fails.",
            known + "Most cohorts have too few cases to be compared with the others: see what is not known yet.",
            word="Mostly not known",
        )
    if suspect is None:
        return callout("ok", _NOTHING, known + "That is no proof that there is no gap: see what is not known yet.")
    return callout(
        "insufficient",
        f"Worth a look, not certain: {cohort_in_words(suspect.cohort)}, {finding_in_words(suspect.finding)} "
        f"{_WORDS[suspect.metric]}.",
        known + f"The largest that Benjamini-Hochberg leaves is {points(suspect.gap)} percentage points "
        f"({p_value(suspect.test.q, 'q')}).",
        word="Not certain",
    )


def _is_mostly_unknown(audit: Audit) -> bool:
    """More than half of the sensitivities and specificities are withheld or rest on too few cases."""
    cells = [row for row in audit.rows if row.metric in _RATES.values()]
    return sum(row.note.startswith((SUPPRESSED, INSUFFICIENT)) for row in cells) > len(cells) / 2


def _cautions(audit: Audit) -> list[Markup]:
    unchosen = [one for one in audit.provenance.thresholds if one.source.startswith("default")]
    if not unchosen:
        return []
    return [
        callout(
            "warn",
            "No thresholds were chosen.",
            f"For {len(unchosen)} of {len(audit.provenance.thresholds)} findings the audit judged by a default; what "
            "is missed and flagged there says little. AUROC does not depend on it.",
        )
    ]


def _summary(audit: Audit, gaps: Sequence[Gap]) -> Markup:
    worse = [gap for gap in gaps if gap.gap > 0]
    certain = len(audit.certain_gaps)
    look = sum(gap.test.is_worth_a_look and not gap.test.is_alarm for gap in worse)
    cells = [row for row in audit.rows if row.metric in _RATES.values()]
    withheld = sum(row.is_withheld for row in cells)
    little = sum(row.note.startswith(INSUFFICIENT) for row in cells)
    return paragraph(
        f"{comparisons(audit):,} comparisons: {_are(certain, 'gap')} certain (Holm), {_are(look, 'more')} worth a look "
        f"(Benjamini-Hochberg). Of {len(cells):,} sensitivities and specificities, {little:,} rest on too few cases "
        f"and {withheld:,} are withheld because the cohort is small."
    )


def _are(number: int, thing: str) -> str:
    if thing == "gap" and number != 1:
        thing = "gaps"
    return f"{number:,} {thing} {'is' if number == 1 else 'are'}"
