"""What `candor models list`, `show` and `verify` tell, as JSON values and as tables."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from core.documents.reading import read_document
from core.domain.registration import Registration
from core.errors import CandorError, ConfigurationError
from core.statistics.estimate import Rounded
from core.store.store import Store
from models.documents.evaluation import Evaluation
from models.package.format import CARD, ModelPackage
from models.registry import Entry, Refused, Registry
from pipeline.registration.comparison import ComparedFinding, ComparedRates, VersionComparison

Row = dict[str, Any]
EVALUATION = "docs/evaluation.json"


def listing(registry: Registry) -> list[Row]:
    """One row for each version, verified now; `error` says why one is refused."""
    return [_row(entry) for entry in registry.entries] + [_refused(refused) for refused in registry.refused]


def verified(registry: Registry, name: str | None) -> list[Row]:
    """The rows of `name`, or of all, after each version that verifies was also run once.

    Raises ConfigurationError when there is nothing of that name.
    """
    rows = [_run(entry) for entry in registry.entries] + [_refused(refused) for refused in registry.refused]
    mine = [row for row in rows if name in (None, row["name"])]
    if not mine:
        raise ConfigurationError(f"no model {name} is installed; candor models list says which are")
    return mine


def details(entry: Entry, store: Store | None) -> dict[str, Any]:
    """Everything about one version: what it is, and the site's signed record with the key that it is checked with."""
    title = f"{entry.package.model.name} {entry.package.model.version}"
    record = next((kept for kept in store.models.records() if kept.title == title), None) if store else None
    accepts = {key: sorted(v) if isinstance(v, frozenset) else v for key, v in asdict(entry.package.accepts).items()}
    return {
        **_row(entry),
        "manufacturer": entry.package.model.manufacturer,
        "device_uid": entry.package.model.device_uid,
        "intended_use": entry.package.model.intended_use,
        "not_for": list(entry.package.not_for),
        "accepts": accepts,
        "findings": [asdict(finding) for finding in entry.package.model.findings],
        "files": entry.package.files,
        "card": _card(entry.package),
        "record": json.loads(record.text) if record else None,
        "record_signature": record.signature if record else None,
        "site_public_key": base64.b64encode(store.models.public_key).decode("ascii") if store else None,
    }


def print_listing(rows: list[Row]) -> None:
    """Print `listing` or `verified` as a table."""
    console = Console(highlight=False)
    table = Table("name", "version", "state", "sha256", "verified")
    for row in rows:
        state = f"[red]{row['state']}[/]" if row["error"] else row["state"]
        said = f"[red]{escape(row['error'])}[/]" if row["error"] else row["proof"]
        table.add_row(row["name"], row["version"], state, row["sha256"][:12], said)
    console.print(table)


def print_details(entry: Entry) -> None:
    """Print a summary of one version."""
    console, package = Console(highlight=False), entry.package
    console.print(f"[bold]{package.model.name} {package.model.version}[/], {entry.state}; {escape(_proof(entry))}")
    console.print(escape(package.model.intended_use))
    for words in package.not_for:
        console.print(f"  not for: {escape(words)}")
    console.print(_findings_table(package))
    if entry.registration is not None:
        print_registration(entry.registration)
    console.print(f"Model card: {_card(package) or 'the package has none'}", soft_wrap=True)


def print_registration(registration: Registration) -> None:
    """Print what is on record of a version."""
    console = Console(highlight=False)
    console.print(
        f"{registration.title} is registered: {registration.state} since {registration.state_changed_at}, "
        f"{len(registration.files)} files, gates: {registration.verdict}",
        soft_wrap=True,
    )
    for gate, found in registration.gates.items():
        reasons = "; ".join(found.reasons) or "nothing to say against it"
        console.print(f"  {gate}: {found.level}: {escape(reasons)}", soft_wrap=True)
    console.print("A running worker takes it up when it is started again.")


def _row(entry: Entry) -> Row:
    model = entry.package.model
    return {
        "name": model.name,
        "version": model.version,
        "state": entry.state.value,
        "sha256": model.sha256,
        "origin": entry.registration.origin if entry.registration else "shipped",
        "registered_at": entry.registration.registered_at if entry.registration else "",
        "verdict": entry.registration.verdict if entry.registration else "",
        "signed_by": entry.package.signed_by,
        "proof": _proof(entry),
        "error": "",
    }


def _refused(refused: Refused) -> Row:
    blank = dict.fromkeys(("sha256", "origin", "registered_at", "verdict", "signed_by", "proof"), "")
    name = refused.name or refused.folder.name
    return {"name": name, "version": refused.version, "state": "refused", **blank, "error": str(refused.reason)}


def _run(entry: Entry) -> Row:
    from models.runtimes.onnx import OnnxModel

    row = _row(entry)
    try:
        row["proof"] += f"; runs on {OnnxModel.load(entry.package, threads=1).provider}"
    except CandorError as error:
        row |= {"state": "refused", "error": str(error)}
    return row


def _proof(entry: Entry) -> str:
    """What the version was held against."""
    if entry.registration is None:
        return f"{len(entry.package.files)} files as Candor ships them"
    maker = ", signed by its maker" if entry.package.signed_by else ""
    return f"{len(entry.package.files)} files as registered{maker}"


def _card(package: ModelPackage) -> str:
    """Where the card lies: as a page, else as text, "" when there is none."""
    places = [package.folder / CARD, package.card]
    return next((str(path) for path in places if path.relative_to(package.folder).as_posix() in package.files), "")


def _findings_table(package: ModelPackage) -> Table:
    """The operating points, and what became of them on test patients where the package says so."""
    evaluated = EVALUATION in package.files
    tested = read_document(Evaluation, package.read(EVALUATION), EVALUATION).findings if evaluated else {}
    table = Table(Column("finding", no_wrap=True), "threshold", "sensitivity", "specificity", "AUROC, test patients")
    for finding in package.model.findings:
        point = finding.operating_point
        area = tested[finding.name].test_512["all"].auroc if finding.name in tested else None
        table.add_row(
            finding.name,
            f"{point.threshold:.3f}",
            _interval(point.sensitivity, point.sensitivity_interval),
            _interval(point.specificity, point.specificity_interval),
            _words(area),
        )
    return table


def _interval(value: float, limits: tuple[float, float] | None) -> str:
    return f"{value:.2f}" if limits is None else f"{value:.2f} [{limits[0]:.2f}, {limits[1]:.2f}]"


def print_comparison(found: VersionComparison) -> None:
    """Print `comparison` as a table."""
    console = Console(highlight=False)
    console.print(
        f"{found.name}: {found.live} (live) and {found.shadow} (shadow) on {found.studies} studies, "
        f"{found.read_by_both} read by both; 95 % intervals, over patients where the two are paired"
    )
    for status, count in found.not_read_by_shadow.items():
        console.print(f"  the shadow version did not read {count}: {status.replace('_', ' ')}")
    columns = ("studies", "flagged live", "flagged shadow", "difference", "kappa", "correlation")
    table = Table(Column("finding", no_wrap=True), *columns)
    for entry in found.findings:
        cells = (*_rate(entry.flag_rate), _words(entry.kappa), _words(entry.correlation))
        table.add_row(entry.finding, str(entry.studies), *cells)
    console.print(table)
    _print_truth(found.findings, console)


def _print_truth(entries: Sequence[ComparedFinding], console: Console) -> None:
    known = [entry for entry in entries if entry.sensitivity.n or entry.specificity.n]
    if not known:
        console.print("No ground truth for these studies yet: which of the two is right is not known.")
        return
    table = Table("finding", "figure", "studies", "live", "shadow", "difference", title="Where truth is known")
    for entry in known:
        for figure, rates in (("sensitivity", entry.sensitivity), ("specificity", entry.specificity)):
            table.add_row(entry.finding, figure, str(rates.n), *_rate(rates))
    console.print(table)


def _rate(rates: ComparedRates) -> tuple[str, str, str]:
    return _words(rates.live), _words(rates.shadow), _words(rates.difference)


def _words(estimate: Rounded | None) -> str:
    value, low, high = estimate or (None, None, None)
    return "-" if value is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
