"""How an evaluation looks on a terminal: one table of findings, one of cohorts, one of localisation."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Column, Table


def print_evaluation(figures: dict[str, Any], console: Console | None = None) -> None:
    """Print what `evaluation.json` holds; brackets are 95 % intervals."""
    console = console or Console()
    model = figures["model"]
    console.print(f"{model['name']} {model['version']}, {model['sha256'][:12]}, held-out patients; [95 % interval]")
    console.print(_findings(figures))
    console.print(_cohorts(figures, "test_512", "By view, sex and age band, at least 512 px"))
    console.print(_cohorts(figures, "by_source", "By source"))
    if figures["not_labelled"]:
        console.print(f"not labelled in this data, so not evaluated: {', '.join(figures['not_labelled'])}")
    if figures["localisation"]:
        console.print(_localisation(figures))


def _findings(figures: dict[str, Any]) -> Table:
    columns = ("+ / -", "AUROC", "AP", "sensitivity", "specificity", "ECE")
    table = Table(Column("finding", no_wrap=True), *columns, title="Adults, at least 512 px")
    for name, entry in figures["findings"].items():
        everyone = entry["test_512"]["all"]
        precision = everyone["average_precision"]
        table.add_row(
            name,
            f"{everyone['positives']} / {everyone['negatives']}",
            _interval(everyone["auroc"]),
            "-" if precision is None else f"{precision:.2f}",
            _interval(everyone["sensitivity"]),
            _interval(everyone["specificity"]),
            _interval(entry["expected_calibration_error"]),
        )
    return table


def _cohorts(figures: dict[str, Any], key: str, title: str) -> Table:
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
    for finding, entry in figures["findings"].items():
        for name, cohort in entry[key].items():
            counts = f"{cohort['positives']} / {cohort['negatives']}"
            rates = (_interval(cohort[rate]) for rate in ("auroc", "sensitivity", "specificity"))
            table.add_row(finding, name, counts, *rates)
        table.add_section()
    return table


def _localisation(figures: dict[str, Any]) -> Table:
    keys = ("pointing", "chance", "times_chance", "average_precision", "iou")
    table = Table("maps against readers' boxes", "images", *(key.replace("_", " ") for key in keys))
    rows = [*figures["localisation"].items()]
    if "localisation_gain" in figures:
        rows.append(("gain over the control, 512 px, paired", figures["localisation_gain"]))
    for name, entry in rows:
        table.add_row(name, str(entry["images"]), *(_interval(entry[key]) if key in entry else "" for key in keys))
    return table


def _interval(values: list[float | None]) -> str:
    value, low, high = values
    return "-" if value is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
