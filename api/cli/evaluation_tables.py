"""How an evaluation looks on a terminal: one table of findings, one of cohorts, one of localisation."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column, Table

from core.statistics.estimate import Rounded
from models.documents.evaluation import AtThreshold, Evaluation


def print_evaluation(figures: Evaluation, console: Console | None = None) -> None:
    """Print what `evaluation.json` holds; brackets are 95 % intervals."""
    console = console or Console()
    model = figures.model
    console.print(f"{model.name} {model.version}, {model.sha256[:12]}, held-out patients; [95 % interval]")
    console.print(_findings(figures))
    console.print(
        _cohorts(
            "By view, sex and age band, at least 512 px", {name: one.test_512 for name, one in figures.findings.items()}
        )
    )
    console.print(_cohorts("By source", {name: one.by_source or {} for name, one in figures.findings.items()}))
    if figures.not_labelled:
        console.print(f"not labelled in this data, so not evaluated: {', '.join(figures.not_labelled)}")
    if figures.localisation:
        console.print(_localisation(figures))


def _findings(figures: Evaluation) -> Table:
    columns = ("+ / -", "AUROC", "AP", "sensitivity", "specificity", "ECE")
    table = Table(Column("finding", no_wrap=True), *columns, title="Adults, at least 512 px")
    for name, entry in figures.findings.items():
        everyone = entry.test_512["all"]
        precision = everyone.average_precision
        table.add_row(
            name,
            f"{everyone.positives} / {everyone.negatives}",
            _interval(everyone.auroc),
            "-" if precision is None else f"{precision:.2f}",
            _interval(everyone.sensitivity),
            _interval(everyone.specificity),
            _interval(entry.expected_calibration_error),
        )
    return table


def _cohorts(title: str, findings: dict[str, dict[str, AtThreshold]]) -> Table:
    """A row per finding and cohort: narrow enough for any terminal."""
    columns = (
        Column("finding", no_wrap=True),
        Column("cohort", overflow="fold"),
        "+ / -",
        "AUROC",
        "sensitivity",
        "specificity",
    )
    table = Table(*columns, title=title)
    for finding, cohorts in findings.items():
        for name, cohort in cohorts.items():
            counts = f"{cohort.positives} / {cohort.negatives}"
            rates = (_interval(rate) for rate in (cohort.auroc, cohort.sensitivity, cohort.specificity))
            table.add_row(finding, name, counts, *rates)
        table.add_section()
    return table


def _localisation(figures: Evaluation) -> Table:
    keys = ("pointing", "chance", "times_chance", "average_precision", "iou")
    table = Table("maps against readers' boxes", "images", *(key.replace("_", " ") for key in keys))
    rows = [*(figures.localisation or {}).items()]
    if figures.localisation_gain:
        rows.append(("gain over the control, 512 px, paired", figures.localisation_gain))
    for name, entry in rows:
        table.add_row(name, str(entry.images), *(_interval(getattr(entry, key), absent="") for key in keys))
    return table


def _interval(estimate: Rounded | None, absent: str = "-") -> str:
    if estimate is None:
        return absent
    value, low, high = estimate
    return "-" if value is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
