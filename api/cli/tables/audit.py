"""What `candor audit` prints: figures of all cohorts together, certain gaps, and what is odd about the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from api.cli.tables.fitting import print_line, print_table
from core.wording import DASH, cohort_in_words, count, p_value, points, with_interval

if TYPE_CHECKING:
    from fairness.audit.nouns import Audit, Test

_MOST_ALARMS = 10
_MOST_REMARKS = 20
_DIFFERENCES = ("auroc_difference", "sensitivity_difference", "specificity_difference")


def print_audit(audit: Audit, console: Console) -> None:
    """Print what is odd, the overall figures, the difference from another model, and what is certain."""
    from fairness.audit.completion import default_threshold

    _print_remarks(console, audit)
    _print_overall(console, audit)
    _print_differences(console, audit)
    if any(threshold.source == default_threshold("").source for threshold in audit.provenance.thresholds):
        print_line(
            console,
            "No threshold was chosen for some findings: 0.5 was taken. Say --threshold, --thresholds FILE, "
            "--threshold-at or --model.",
        )
    _print_certain(console, audit)
    _print_withheld(console, audit)


def _print_remarks(console: Console, audit: Audit) -> None:
    questions = audit.provenance.questions
    if questions:
        print_line(console, "Look at the table first:")
    for remark in questions[:_MOST_REMARKS]:
        print_line(console, f"  {remark}")
    if len(questions) > _MOST_REMARKS:
        print_line(console, f"  ... and {len(questions) - _MOST_REMARKS} more on the page")
    for remark in audit.provenance.remarks[:_MOST_REMARKS]:
        print_line(console, remark)


def _print_overall(console: Console, audit: Audit) -> None:
    origin = audit.provenance
    chosen = {threshold.finding: threshold for threshold in origin.thresholds}
    rows = []
    for finding in audit.findings:
        prevalence = audit.row(finding, "prevalence")
        positives = count(prevalence.positives if prevalence else None)
        threshold = f"{chosen[finding].value:.4g}"
        rows.append([finding, *_figures(audit, finding, ("auroc", "sensitivity", "specificity")), positives, threshold])
    studies, patients = _of(origin.rows, "study", "studies"), _of(origin.patients, "patient", "patients")
    title = f"{studies} of {patients}, all cohorts together"
    columns = ("finding", "AUROC", "sensitivity", "specificity", "positives", "threshold")
    print_table(console, columns, rows, title=title)


def _print_differences(console: Console, audit: Audit) -> None:
    compared = [finding for finding in audit.findings if audit.row(finding, _DIFFERENCES[0])]
    if compared:
        rows = [[finding, *_figures(audit, finding, _DIFFERENCES, sign="+")] for finding in compared]
        title = "This model less the other one, all cohorts together, paired"
        print_table(console, ("finding", "AUROC", "sensitivity", "specificity"), rows, title=title)
        print_line(console, "These intervals are not corrected for how many there are: one of 20 excludes 0 by chance")


def _figures(audit: Audit, finding: str, metrics: Sequence[str], sign: str = "") -> list[str]:
    rows = [audit.row(finding, metric) for metric in metrics]
    return [DASH if row is None else with_interval(row.value, row.low, row.high, sign=sign) for row in rows]


def _print_certain(console: Console, audit: Audit) -> None:
    certain = sorted(audit.certain_gaps, key=lambda test: test.p_holm)
    words = "1 is certain and survives" if len(certain) == 1 else f"{len(certain)} are certain and survive"
    print_line(console, f"{_of(audit.provenance.tests, 'gap', 'gaps')} tested; {words} Holm at 5 %")
    for test in certain[:_MOST_ALARMS]:
        print_line(console, f"  {alarm_in_words(test)}")
    if len(certain) > _MOST_ALARMS:
        print_line(console, f"  ... and {len(certain) - _MOST_ALARMS} more on the page")


def _print_withheld(console: Console, audit: Audit) -> None:
    withheld = sum(row.is_withheld for row in audit.rows)
    if withheld:
        print_line(
            console,
            f"{withheld:,} of {len(audit.rows):,} figures are withheld, because a cohort is small. If the rows are "
            "yours and the page stays with you: --small-cells show",
        )


def _of(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def alarm_in_words(test: Test) -> str:
    """A certain gap as a line."""
    what = "misses" if test.metric == "fnr_gap" else "false alarms"
    more = "more" if test.gap > 0 else "fewer"
    return (
        f"{test.finding}, {cohort_in_words(test.cohort)}: {points(abs(test.gap))} percentage points {more} {what} than "
        f"in the other patients ({p_value(test.p_holm)} after Holm)"
    )


def files_in_words(paths: Sequence[Path], signer: str) -> str:
    """Where the files of an audit are."""
    metrics, document, page = paths
    return f"{metrics}, {document} (signed, {signer} key), {page}"
