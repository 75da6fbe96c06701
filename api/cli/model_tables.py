"""What `candor models` shows, as tables on a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from core.wording import with_interval

if TYPE_CHECKING:
    from core.domain.registration import Registration
    from models.package.format import ModelPackage
    from models.registry import Entry
    from pipeline.registration.listing import VersionRow

EVALUATION = "docs/evaluation.json"


def print_listing(rows: list[VersionRow]) -> None:
    """Print what `list_versions` or `verify_versions` found."""
    console = Console(highlight=False)
    table = Table("name", "version", "state", "sha256", "verified")
    for row in rows:
        state = f"[red]{row.state}[/]" if row.error else row.state
        said = f"[red]{escape(row.error)}[/]" if row.error else row.proof
        table.add_row(row.name, row.version, state, row.sha256[:12], said)
    console.print(table)


def print_details(entry: Entry) -> None:
    """Print a summary of one version."""
    from pipeline.registration.listing import card_of, proof_of

    console, package = Console(highlight=False), entry.package
    console.print(f"[bold]{package.model.name} {package.model.version}[/], {entry.state}; {escape(proof_of(entry))}")
    console.print(escape(package.model.intended_use))
    for words in package.not_for:
        console.print(f"  not for: {escape(words)}")
    console.print(_findings_table(package))
    if entry.registration is not None:
        print_registration(entry.registration)
    console.print(f"Model card: {card_of(package) or 'the package has none'}", soft_wrap=True)


def print_registration(registration: Registration) -> None:
    """Print what is on record of a version."""
    console = Console(highlight=False)
    console.print(
        f"{registration.title} is registered: {registration.state} since {registration.state_changed_at}, "
        f"{len(registration.files)} files, registration checks: {registration.verdict}",
        soft_wrap=True,
    )
    for check, found in registration.gates.items():
        reasons = "; ".join(found.get("reasons", ())) or "nothing to say against it"
        console.print(f"  {check}: {found.get('level', '')}: {escape(reasons)}", soft_wrap=True)
    console.print("A running worker takes it up when it is started again.")


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


def _findings_table(package: ModelPackage) -> Table:
    """The operating points, and what became of them on test patients where the package says so."""
    tested = json.loads(package.read(EVALUATION))["findings"] if EVALUATION in package.files else {}
    table = Table(Column("finding", no_wrap=True), "threshold", "sensitivity", "specificity", "AUROC, test patients")
    for finding in package.model.findings:
        point = finding.operating_point
        area = tested.get(finding.name, {}).get("test_512", {}).get("all", {}).get("auroc")
        table.add_row(
            finding.name,
            f"{point.threshold:.3f}",
            with_interval(point.sensitivity, *(point.sensitivity_interval or ())),
            with_interval(point.specificity, *(point.specificity_interval or ())),
            with_interval(*(area or (None,))),
        )
    return table


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


def _words(estimate: list[float] | None) -> str:
    return with_interval(*(estimate or (None,)))
