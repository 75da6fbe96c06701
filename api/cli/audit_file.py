"""`candor audit` at work: read the file, make the audit, sign and write it, and say in a few lines what it found."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from api.pages.audit.files import DOCUMENT, METRICS, PAGE, read_audit, write_audit
from core.store.keys import SiteKey
from fairness.audit.completion import default_threshold
from fairness.audit.nouns import ALL, Audit
from fairness.audit.signature import Signer
from pipeline.registration.audit_of_file import Asked, audit_of

_MOST_ALARMS = 10


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


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
