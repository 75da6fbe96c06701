"""What `candor evaluate` prints: figures by finding, by cohort and by source, and how well maps find boxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from api.cli.tables.fitting import print_line, print_table
from core.wording import count, number, with_interval

if TYPE_CHECKING:
    from core.statistics.estimate import Rounded
    from models.documents.evaluation import AtThreshold, Evaluation

_LOCALISATION = ("pointing", "chance", "times_chance", "average_precision", "iou")


def print_evaluation(figures: Evaluation, whom: str) -> None:
    """Print what `evaluation.json` holds; `whom` says which images the primary figures are about."""
    console, model = Console(highlight=False), figures.model
    print_line(console, f"{model.name} {model.version}, {model.sha256[:12]}, held-out patients; [95 % interval]")
    _print_findings(console, figures, whom)
    by_cohort = {name: one.test_512 for name, one in figures.findings.items()}
    _print_cohorts(console, f"By view, sex and age band. {whom}", by_cohort)
    _print_cohorts(console, "By source", {name: one.by_source or {} for name, one in figures.findings.items()})
    if figures.not_labelled:
        print_line(console, f"not labelled in this data, so not evaluated: {', '.join(figures.not_labelled)}")
    if figures.localisation:
        _print_localisation(console, figures)


def _print_findings(console: Console, figures: Evaluation, whom: str) -> None:
    columns = ("finding", "AUROC", "sensitivity", "specificity", "+ / -", "average precision", "ECE")
    rows = []
    for name, entry in figures.findings.items():
        everyone = entry.test_512["all"]
        last = (number(everyone.average_precision), _interval(entry.expected_calibration_error))
        rows.append([name, *map(_interval, _rates(everyone)), _positives_and_negatives(everyone), *last])
    print_table(console, columns, rows, title=whom)


def _print_cohorts(console: Console, title: str, findings: Mapping[str, Mapping[str, AtThreshold]]) -> None:
    columns = ("finding", "cohort", "+ / -", "AUROC", "sensitivity", "specificity")
    rows = [
        [finding, name, _positives_and_negatives(cohort), *map(_interval, _rates(cohort))]
        for finding, cohorts in findings.items()
        for name, cohort in cohorts.items()
        if cohort.positives or cohort.negatives
    ]
    print_table(console, columns, rows, title=title, keys=2)


def _rates(cohort: AtThreshold) -> tuple[Rounded | None, ...]:
    return cohort.auroc, cohort.sensitivity, cohort.specificity


def _print_localisation(console: Console, figures: Evaluation) -> None:
    found = [*(figures.localisation or {}).items()]
    if figures.localisation_gain:
        found.append(("gain over the control, 512 px, paired", figures.localisation_gain))
    rows = [
        [name, str(entry.images), *(_interval(one) if (one := getattr(entry, key)) else "" for key in _LOCALISATION)]
        for name, entry in found
    ]
    columns = ("maps against readers' boxes", "images", *(key.replace("_", " ") for key in _LOCALISATION))
    print_table(console, columns, rows)


def _positives_and_negatives(cohort: AtThreshold) -> str:
    return f"{count(cohort.positives)} / {count(cohort.negatives)}"


def _interval(estimate: Rounded | None) -> str:
    return with_interval(*(estimate or (None,)))
