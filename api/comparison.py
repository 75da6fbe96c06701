"""`candor models compare`: what a live and a shadow version said of the same studies of this site."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from core.domain.reading import Reading
from core.domain.report import ReportStatus
from core.errors import ConfigurationError
from core.statistics import Estimate
from core.store.models.shadows import ShadowReading
from core.store.store import Store
from fairness.service.truth import Settled, settled
from models.comparison import Agreement, Pair, Rates, compare


def comparison(store: Store, name: str, live: str, shadow: str) -> dict[str, Any]:
    """Agreement per finding, as JSON values; what cannot be said is null.

    Raises ConfigurationError when the shadow version has read nothing that the live one reported.
    """
    beside = {made.revision.report_id: made for made in store.shadows.all(name, shadow)}
    reported = [
        made
        for made in store.readings.newest()
        if (made.model_name, made.model_version) == (name, live) and f"{made.study_id}.{made.revision}" in beside
    ]
    if not reported:
        raise ConfigurationError(f"{name} {shadow} has read no study as a shadow that {name} {live} reported")
    truth = settled(store.truths.all())
    both = [(made, beside[f"{made.study_id}.{made.revision}"]) for made in reported]
    read = [(made, other) for made, other in both if other.status is ReportStatus.REPORTED]
    findings = list(dict.fromkeys(name for made, other in read for name in made.flags if name in other.flags))
    return {
        "name": name,
        "live": live,
        "shadow": shadow,
        "studies": len(both),
        "read_by_both": len(read),
        "not_read_by_shadow": _not_read(both),
        "findings": [_entry(compare(finding, _pairs(finding, read, truth))) for finding in findings],
    }


def print_comparison(found: dict[str, Any]) -> None:
    """Print `comparison` as a table."""
    console = Console(highlight=False)
    console.print(
        f"{found['name']}: {found['live']} (live) and {found['shadow']} (shadow) on {found['studies']} studies, "
        f"{found['read_by_both']} read by both; 95 % intervals, over patients where the two are paired"
    )
    for status, count in found["not_read_by_shadow"].items():
        console.print(f"  the shadow version did not read {count}: {status.replace('_', ' ')}")
    columns = ("studies", "flagged live", "flagged shadow", "difference", "kappa", "correlation")
    table = Table(Column("finding", no_wrap=True), *columns)
    for entry in found["findings"]:
        rate = entry["flag_rate"]
        table.add_row(
            entry["finding"],
            str(entry["studies"]),
            *(_words(rate[key]) for key in ("live", "shadow", "difference")),
            _words(entry["kappa"]),
            _words(entry["correlation"]),
        )
    console.print(table)
    _print_truth(found["findings"], console)


def _print_truth(entries: list[dict[str, Any]], console: Console) -> None:
    known = [entry for entry in entries if entry["sensitivity"]["n"] or entry["specificity"]["n"]]
    if not known:
        console.print("No ground truth for these studies yet: which of the two is right is not known.")
        return
    table = Table("finding", "figure", "studies", "live", "shadow", "difference", title="Where truth is known")
    for entry in known:
        for figure in ("sensitivity", "specificity"):
            rate = entry[figure]
            said = (_words(rate[key]) for key in ("live", "shadow", "difference"))
            table.add_row(entry["finding"], figure, str(rate["n"]), *said)
    console.print(table)


def _not_read(both: list[tuple[Reading, ShadowReading]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, other in both:
        if other.status is not ReportStatus.REPORTED:
            counts[other.status.value] = counts.get(other.status.value, 0) + 1
    return counts


def _pairs(finding: str, read: list[tuple[Reading, ShadowReading]], truth: Settled) -> list[Pair]:
    pairs = []
    for made, other in read:
        if finding in made.flags and finding in other.flags:
            answer = truth.get((made.study_id, finding))
            pairs.append(
                Pair(
                    patient=made.patient,
                    live=made.probabilities[finding],
                    shadow=other.probabilities[finding],
                    live_flag=made.flags[finding],
                    shadow_flag=other.flags[finding],
                    truth=None if answer is None else answer.value,
                )
            )
    return pairs


def _entry(agreement: Agreement) -> dict[str, Any]:
    entry: dict[str, Any] = {**asdict(agreement)}
    for key in ("kappa", "correlation"):
        entry[key] = _estimate(getattr(agreement, key))
    for key in ("flag_rate", "sensitivity", "specificity"):
        entry[key] = _rate(getattr(agreement, key))
    return entry


def _rate(rates: Rates) -> dict[str, Any]:
    return {
        "live": _estimate(rates.live),
        "shadow": _estimate(rates.shadow),
        "difference": _estimate(rates.difference),
        "n": rates.n,
    }


def _estimate(estimate: Estimate) -> list[float] | None:
    return None if math.isnan(estimate.value) else [estimate.value, estimate.low, estimate.high]


def _words(estimate: list[float] | None) -> str:
    return "-" if estimate is None else f"{estimate[0]:.2f} [{estimate[1]:.2f}, {estimate[2]:.2f}]"
