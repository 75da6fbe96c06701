"""`candor audit` at work: read the file, make the audit, sign and write it, and say in a few lines what it found."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from core.errors import ConfigurationError
from core.store.keys import SiteKey
from fairness.audit.completion import default_threshold
from fairness.audit.csv import open_predictions
from fairness.audit.nouns import ALL, Audit, Provenance, Threshold
from fairness.audit.run import Progress as Told
from fairness.audit.run import Request, run_audit
from fairness.audit.signature import Signer
from fairness.audit_files import DOCUMENT, METRICS, PAGE, read_audit, write_audit
from models.package.format import ModelPackage, load_package

_MOST_ALARMS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for; `thresholds` as FINDING=0.35."""

    by: tuple[str, ...]
    findings: tuple[str, ...]
    thresholds: tuple[str, ...]
    model: Path | None


def audit_predictions(path: Path, asked: Asked, out: Path, data: Path | None) -> Audit:
    """Audit a CSV file of predictions and write metrics.csv, audit.json and audit.html into `out`."""
    signer = _signer(data)
    with _progress(Console(stderr=True)) as progress:
        task = progress.add_task("checking the file", total=1.0)
        audit = audit_of(path, asked, lambda share, text: progress.update(task, completed=share, description=text))
    command = f"candor audit --predictions {shlex.quote(path.name)} --by {','.join(asked.by)} --out DIR"
    write_audit(audit, out, signer, command=command)
    print_audit(audit, out, signer)
    return audit


def audit_of(path: Path, asked: Asked, told: Told | None = None) -> Audit:
    """The audit of a CSV file of predictions; ConfigurationError says what is wrong with the file or the question."""
    chosen = thresholds_of(asked.thresholds)
    package = load_package(asked.model) if asked.model else None
    with open_predictions(path, asked.by) as file:
        findings = file.table.source.findings
        if unknown := [name for name in chosen if name not in findings]:
            raise ConfigurationError(f"--threshold: there is no finding {unknown[0]}; there are {', '.join(findings)}")
        request = Request(by=asked.by, findings=asked.findings, thresholds=_thresholds(findings, chosen, package))
        return run_audit(file.table, request, _provenance(path, package, file.sha256, file.window), told)


def thresholds_of(given: Sequence[str]) -> dict[str, Threshold]:
    """The thresholds written as FINDING=0.35; ConfigurationError for what is none."""
    found = {}
    for text in given:
        finding, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not finding or not 0.0 <= value <= 1.0:
            raise ConfigurationError(f"--threshold {text}: write FINDING=0.35, a probability from 0 to 1")
        found[finding] = Threshold(finding=finding, value=value, source="chosen by --threshold")
    return found


def print_audit(audit: Audit, out: Path, signer: Signer) -> None:
    """A few lines for the terminal: overall figures, what survives Holm, and where the files are."""
    console, origin = Console(), audit.provenance
    table = Table(
        Column("finding", no_wrap=True),
        title=f"{origin.rows:,} studies of {origin.patients:,} patients, all cohorts together",
    )
    for name in ("positives", "AUROC", "sensitivity", "specificity", "threshold"):
        table.add_column(name, justify="right")
    chosen = {threshold.finding: threshold for threshold in origin.thresholds}
    for finding in audit.findings:
        cells = [_figure(audit, finding, metric) for metric in ("auroc", "sensitivity", "specificity")]
        row = audit.row(finding, "prevalence")
        positives = "-" if row is None or row.positives is None else f"{row.positives:,}"
        table.add_row(finding, positives, *cells, f"{chosen[finding].value:.4g}")
    console.print(table)
    if any(threshold.source == default_threshold("").source for threshold in origin.thresholds):
        console.print("Nobody chose a threshold for some findings: 0.5 was taken. Say --threshold or --model.")
    _print_alarms(console, audit)
    console.print(f"{out / METRICS}, {out / DOCUMENT} (signed, {signer.whose} key), {out / PAGE}", soft_wrap=True)


def print_verified(path: Path, public_key: str) -> None:
    """Say that the signature of an audit.json holds, and whose it is; raises IntegrityError when it does not."""
    verified = read_audit(path, public_key=public_key)
    whose = "a site's key" if verified.whose == "site" else "a key made for this audit alone"
    Console().print(
        f"unchanged since it was signed at {verified.audit.provenance.made_at} with {whose}: {verified.public_key}",
        soft_wrap=True,
        highlight=False,
    )


def _print_alarms(console: Console, audit: Audit) -> None:
    tests, alarms = audit.provenance.tests, sorted(audit.alarms, key=lambda test: test.p_holm)
    console.print(f"{tests:,} gaps tested; {len(alarms)} survive Holm at 5 %", highlight=False)
    for test in alarms[:_MOST_ALARMS]:
        what = "misses" if test.metric == "fnr_gap" else "false alarms"
        more = "more" if test.gap > 0 else "fewer"
        console.print(
            f"  {test.finding}, {test.cohort}: {abs(test.gap):.3f} {more} {what} than the rest "
            f"(p {test.p_holm:.2g} after Holm)",
            highlight=False,
            soft_wrap=True,
        )
    if len(alarms) > _MOST_ALARMS:
        console.print(f"  ... and {len(alarms) - _MOST_ALARMS} more on the page")


def _figure(audit: Audit, finding: str, metric: str) -> str:
    row = audit.row(finding, metric, ALL)
    if row is None or row.value is None:
        return "-"
    return f"{row.value:.2f} ({row.low:.2f}-{row.high:.2f})"


def _signer(data: Path | None) -> Signer:
    if data is None:
        return Signer.fresh()
    from core.settings import load_settings

    return Signer.site(SiteKey.load(load_settings(data.absolute()).site_key_file).fairness_signing_seed)


def _thresholds(
    findings: Sequence[str], chosen: dict[str, Threshold], package: ModelPackage | None
) -> dict[str, Threshold]:
    points = {} if package is None else {one.name: one.operating_point for one in package.model.findings}
    source = "" if package is None else f"operating point of {package.model.name} {package.model.version}"
    found = {
        name: Threshold(finding=name, value=points[name].threshold, source=source)
        for name in findings
        if name in points
    }
    return found | chosen


def _provenance(path: Path, package: ModelPackage | None, sha256: str, window: tuple[str, str] | None) -> Provenance:
    model = None if package is None else package.model
    return Provenance(
        code_version=version("candor"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=path.name,
        input_sha256=sha256,
        model_name=model.name if model else "",
        model_version=model.version if model else "",
        model_sha256=model.sha256 if model else "",
        window=window,
        truth_source="truth columns of the file",
    )


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
