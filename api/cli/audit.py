"""`candor audit`: for whom does a model fail, by how much, and is that certain?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from api.cli.options import DEFAULT_DATA, opened, settings_of
from api.cli.progress import shown_progress
from core.errors import ConfigurationError
from core.wording import DASH, cohort_in_words, count, number, p_value, points, with_interval

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.store import Store
    from fairness.audit.nouns import Audit, Test
    from fairness.audit.signature import Signer
    from pipeline.registration.audit_of_file import Question

app = typer.Typer()
SHIPPED = "chest_radiograph"
_SITE_COMMAND = "candor audit --site"
_MOST_ALARMS = 10


@app.command(rich_help_panel="Audit")
def audit(  # noqa: PLR0913, PLR0917 - options of a command
    predictions: Annotated[
        Path | None,
        typer.Option(
            "--predictions",
            help="study_id, patient_id, prob_FINDING and truth_FINDING (0, 1, empty), and columns to divide by.",
            metavar="FILE.csv",
        ),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Attributes, with commas: sex,age_band,view.", metavar="LIST")] = "",
    finding: Annotated[
        list[str] | None, typer.Option("--finding", help="Only this finding; may be repeated.", metavar="NAME")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", help="FINDING=0.35; may be repeated. Without: --model's, else 0.5.", metavar="F=T"),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="The package whose predictions these are: its thresholds, name and hash."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where metrics.csv, audit.json, audit.html go.")] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", help="Check the signature of an audit.json.", metavar="FILE")
    ] = None,
    public_key: Annotated[
        str, typer.Option("--public-key", help="The key that must have signed it, hexadecimal.", metavar="KEY")
    ] = "",
    site: Annotated[
        bool, typer.Option("--site", help="What this node read and verified; --model is then a name.")
    ] = False,
    drift: Annotated[bool, typer.Option("--drift", help="Look now whether a cohort left its usual.")] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="Sign with the key of this data folder.", metavar="DIR")
    ] = None,
) -> None:
    """Audit any model's predictions, or what this node read, by cohort; or check the signature of an audit."""
    if site or drift:
        _audit_here(data or DEFAULT_DATA, out if site else None, drift, str(model or ""), _names(by), finding or [])
    elif verify is not None and predictions is None:
        _print_verified(verify, public_key)
    elif predictions is None or out is None or not by:
        raise ConfigurationError(
            "say what to audit: --predictions FILE.csv --by sex,age_band,view --out DIR, or --verify audit.json"
        )
    else:
        from pipeline.registration.audit_of_file import Question

        findings, thresholds = tuple(dict.fromkeys(finding or ())), tuple(threshold or ())
        question = Question(by=_names(by), findings=findings, thresholds=thresholds, model=model)
        audit_predictions(predictions, question, out, data)


def audit_predictions(path: Path, question: Question, out: Path, data: Path | None) -> None:
    """Audit a CSV file of predictions, write metrics.csv, audit.json and audit.html into `out`, print what was found.

    They are signed with the key of the data folder `data`, else with a key made for this audit alone.
    """
    from api.pages.audit.files import write_audit
    from pipeline.registration.audit_of_file import audit_of

    signer = _signer(data)
    with shown_progress() as progress:
        audit = audit_of(path, question, progress)
    command = f"candor audit --predictions {shlex.quote(path.name)} --by {','.join(question.by)} --out DIR"
    write_audit(audit, out, signer, command=command)
    _print_audit(audit, out, signer)


def audit_this_site(
    settings: Settings, store: Store, *, model: str, by: Sequence[str], findings: Sequence[str], out: Path
) -> list[str]:
    """Audit what this node read, write it signed into `out`, keep it under a number; returns the lines to print.

    Reports quote the newest audit that is kept, so one of a few findings or attributes is written, but not kept.
    """
    from api.pages.audit.files import PAGE, write_audit
    from fairness.audit.signature import Signer
    from pipeline.installed_models import site_registry
    from pipeline.watch.site_audit import audit_site, keep_audit

    version = site_registry(settings, store).find(model).model
    with shown_progress() as progress:
        now = store.now()
        audit = audit_site(store, settings, version, by=by, findings=findings, now=now, progress=progress)
    write_audit(audit, out, Signer.site(store.key.fairness_signing_seed), command=_SITE_COMMAND)
    lines = [f"alarm: {_alarm(test)}" for test in audit.alarms]
    lines += [*audit.provenance.remarks, f"{audit.provenance.rows:,} images: {out / PAGE}"]
    if by or findings:
        return [*lines, "Not kept, because it covers a part only: reports go on quoting the last whole one."]
    kept = keep_audit(store, version, audit)
    return [*lines, f"Kept as audit {kept.audit_id}: reports quote it from now on, where it has enough ground truth."]


def look_for_drift(settings: Settings, store: Store) -> list[str]:
    """Look at this month's cohorts now; returns the lines to print."""
    from pipeline.watch.drift import watch_cohorts

    lines = [
        f"{alarm.level}: {alarm.finding}, {cohort_in_words(alarm.cohort)}, {alarm.month}: "
        f"{alarm.figure} {number(alarm.value)}, bound {number(alarm.bound)}"
        for alarm in watch_cohorts(store, settings, now=store.now())
    ]
    return lines or ["No cohort has newly left its bounds; earlier alarms are shown by: candor status"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _audit_here(data: Path, out: Path | None, drift: bool, model: str, by: Sequence[str], findings: list[str]) -> None:
    """Audit what this node read into `out`, or look for drift, or both."""
    if out is None and not drift:
        raise ConfigurationError(f"say where the audit goes: {_SITE_COMMAND} --out DIR")
    settings, store = opened(data)
    lines = look_for_drift(settings, store) if drift else []
    if out is not None:
        lines += audit_this_site(settings, store, model=model or SHIPPED, by=by, findings=findings, out=out)
    for line in lines:
        typer.echo(line)


def _signer(data: Path | None) -> Signer:
    from fairness.audit.signature import Signer

    if data is None:
        return Signer.fresh()
    from core.store.keys import SiteKey

    return Signer.site(SiteKey.load(settings_of(data).site_key_file).fairness_signing_seed)


def _print_verified(path: Path, public_key: str) -> None:
    """Say that the signature of an audit.json holds, and whose it is; raises IntegrityError when it does not."""
    from api.pages.audit.files import read_audit

    verified = read_audit(path, public_key=public_key)
    whose = "a site's key" if verified.whose == "site" else "a key made for this audit alone"
    Console().print(
        f"unchanged since it was signed at {verified.audit.provenance.made_at} with {whose}: {verified.public_key}",
        soft_wrap=True,
        highlight=False,
    )


def _print_audit(audit: Audit, out: Path, signer: Signer) -> None:
    """A few lines for the terminal: overall figures, what survives Holm, and where the files are."""
    from api.pages.audit.files import DOCUMENT, METRICS, PAGE
    from fairness.audit.completion import default_threshold

    console = Console()
    console.print(_overall(audit))
    if any(threshold.source == default_threshold("").source for threshold in audit.provenance.thresholds):
        console.print("No threshold was chosen for some findings: 0.5 was taken. Say --threshold or --model.")
    _print_alarms(console, audit)
    console.print(f"{out / METRICS}, {out / DOCUMENT} (signed, {signer.whose} key), {out / PAGE}", soft_wrap=True)


def _overall(audit: Audit) -> Table:
    origin = audit.provenance
    table = Table(
        Column("finding", no_wrap=True),
        *(Column(name, justify="right") for name in ("positives", "AUROC", "sensitivity", "specificity", "threshold")),
        title=f"{origin.rows:,} studies of {origin.patients:,} patients, all cohorts together",
    )
    chosen = {threshold.finding: threshold for threshold in origin.thresholds}
    for finding in audit.findings:
        prevalence = audit.row(finding, "prevalence")
        rows = [audit.row(finding, metric) for metric in ("auroc", "sensitivity", "specificity")]
        figures = [DASH if row is None else with_interval(row.value, row.low, row.high) for row in rows]
        positives = count(prevalence.positives if prevalence else None)
        table.add_row(finding, positives, *figures, f"{chosen[finding].value:.4g}")
    return table


def _print_alarms(console: Console, audit: Audit) -> None:
    tests, alarms = audit.provenance.tests, sorted(audit.alarms, key=lambda test: test.p_holm)
    console.print(f"{tests:,} gaps tested; {len(alarms)} survive Holm at 5 %", highlight=False)
    for test in alarms[:_MOST_ALARMS]:
        console.print(f"  {_alarm(test)}", highlight=False, soft_wrap=True)
    if len(alarms) > _MOST_ALARMS:
        console.print(f"  ... and {len(alarms) - _MOST_ALARMS} more on the page")


def _alarm(test: Test) -> str:
    what = "misses" if test.metric == "fnr_gap" else "false alarms"
    more = "more" if test.gap > 0 else "fewer"
    return (
        f"{test.finding}, {cohort_in_words(test.cohort)}: {points(abs(test.gap))} percentage points {more} {what} than "
        f"in the other patients ({p_value(test.p_holm)} after Holm)"
    )
