"""What `candor models` shows, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.cli.tables.fitting import print_table
from core.wording import with_interval

if TYPE_CHECKING:
    from core.domain.model import OperatingPoint
    from core.domain.registration import CheckResult, Registration
    from core.statistics.estimate import Rounded
    from models.package.format import ModelPackage
    from models.registry import Entry
    from pipeline.registration.comparison import ComparedFinding, ComparedRates, VersionComparison
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
    _print_findings(package, console)
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
        console.print(f"  {check}: {found.level}: {escape(check_in_words(found))}", soft_wrap=True)
    console.print("A running worker takes it up when it is started again.")


def check_in_words(found: CheckResult) -> str:
    """Why a registration check ended as it did; each reason names its level where that is not the one of the check."""
    if found.reasons:
        return "; ".join(reason.removeprefix(f"{found.level}: ") for reason in found.reasons)
    if found.document is None:
        return "nothing that the policy of this site warns of"
    from explain.gate.document import Explanation

    tests = Explanation.model_validate_json(found.document.model_dump_json(by_alias=True)).tests
    made = [test for test in tests if test.passed is not None]
    left = ", ".join(test.name for test in tests if test.passed is None)
    passed = f"passed {sum(bool(test.passed) for test in made)} of {len(made)} tests made"
    return f"{passed} (not made: {left})" if left else passed


def print_comparison(found: VersionComparison) -> None:
    """Print `comparison` as a table."""
    console = Console(highlight=False)
    console.print(
        f"{found.name}: {found.live} (live) and {found.shadow} (shadow) on {found.studies} studies, "
        f"{found.read_by_both} read by both; 95 % intervals, over patients where the two are paired"
    )
    for status, count in found.not_read_by_shadow.items():
        console.print(f"  the shadow version did not read {count}: {status.replace('_', ' ')}")
    columns = ("finding", "studies", "flagged live", "flagged shadow", "difference", "kappa", "correlation")
    rows = [
        [entry.finding, str(entry.studies), *_rate(entry.flag_rate), _words(entry.kappa), _words(entry.correlation)]
        for entry in found.findings
    ]
    print_table(console, columns, rows)
    _print_truth(found.findings, console)


def _print_findings(package: ModelPackage, console: Console) -> None:
    """The operating points, and what became of them on test patients where the package says so."""
    from core.documents.reading import read_document
    from models.documents.evaluation import Evaluation

    evaluated = EVALUATION in package.files
    tested = read_document(Evaluation, package.read(EVALUATION), EVALUATION).findings if evaluated else {}
    columns = ("finding", "threshold", "sensitivity", "specificity", "AUROC, test patients")
    rows = []
    for finding in package.model.findings:
        point = finding.operating_point
        area = tested[finding.name].test_512["all"].auroc if finding.name in tested else None
        rows.append([finding.name, f"{point.threshold:.3f}", *_rates(point), _words(area)])
    print_table(console, columns, rows)


def _rates(point: OperatingPoint) -> tuple[str, str]:
    """Sensitivity and specificity; without counts they are a claim, and not shown."""
    if not point.is_measured:
        return "not measured", "not measured"
    sensitivity = with_interval(point.sensitivity, *(point.sensitivity_interval or ()))
    return sensitivity, with_interval(point.specificity, *(point.specificity_interval or ()))


def _print_truth(entries: Sequence[ComparedFinding], console: Console) -> None:
    known = [entry for entry in entries if entry.sensitivity.n or entry.specificity.n]
    if not known:
        console.print("No ground truth for these studies yet: which of the two is right is not known.")
        return
    columns = ("finding", "figure", "studies", "live", "shadow", "difference")
    rows = [
        [entry.finding, figure, str(rates.n), *_rate(rates)]
        for entry in known
        for figure, rates in (("sensitivity", entry.sensitivity), ("specificity", entry.specificity))
    ]
    print_table(console, columns, rows, title="Where truth is known", keys=2)


def _rate(rates: ComparedRates) -> tuple[str, str, str]:
    return _words(rates.live), _words(rates.shadow), _words(rates.difference)


def _words(estimate: Rounded | None) -> str:
    return with_interval(*(estimate or (None,)))
