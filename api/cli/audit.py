"""`candor audit`: for whom does a model fail, by how much, and is that certain?"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from api.cli.options import DEFAULT_DATA, opened, settings_of
from api.cli.progress import shown_progress
from api.cli.tables.audit import alarm_in_words, files_in_words, print_audit
from api.cli.tables.fitting import print_line
from core.errors import ConfigurationError
from core.wording import cohort_in_words, number, on_a_terminal

if TYPE_CHECKING:
    from core.settings import Settings
    from core.store.store import Store
    from fairness.audit.signature import Signer
    from pipeline.registration.audit_of_file import Question

app = typer.Typer()
SHIPPED = "chest_radiograph"
SMALL_CELLS = ("withhold", "show")
_SITE_COMMAND = "candor audit --site"


# The options of the command, in its order.
Predictions = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        help="study_id, patient_id, prob_FINDING and truth_FINDING (0, 1, empty), and columns to divide by.",
        metavar="FILE.csv",
    ),
]
By = Annotated[str, typer.Option("--by", help="Attributes, with commas: sex,age_band,view.", metavar="LIST")]
Finding = Annotated[
    list[str] | None, typer.Option("--finding", help="Only this finding; may be repeated.", metavar="NAME")
]
Threshold = Annotated[
    list[str] | None,
    typer.Option("--threshold", help="FINDING=0.35; may be repeated. Without: --model's, else 0.5.", metavar="F=T"),
]
Thresholds = Annotated[
    Path | None,
    typer.Option("--thresholds", help="A CSV file with the columns finding and threshold.", metavar="FILE"),
]
ThresholdAt = Annotated[
    str | None,
    typer.Option(
        "--threshold-at",
        help="A rule for findings without one: specificity=0.9, sensitivity=0.9, flag_rate=0.1 or youden.",
        metavar="RULE",
    ),
]
AgeBands = Annotated[
    str, typer.Option("--age-bands", help="Where age bands begin; without: 18,40,60,80.", metavar="LIST")
]
Uncertain = Annotated[
    str,
    typer.Option("--uncertain", help="What a truth of -1 counts as: positive, negative, unknown.", metavar="WORD"),
]
SmallCells = Annotated[
    str,
    typer.Option(
        "--small-cells",
        help="withhold (the default) or show: figures of cohorts under 11 patients, for the owner of the rows.",
        metavar="WORD",
    ),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against", help="A second model's predictions for the same studies: paired differences.", metavar="FILE"
    ),
]
AgainstThreshold = Annotated[
    list[str] | None,
    typer.Option("--against-threshold", help="FINDING=0.35 of the second model; else as the first.", metavar="F=T"),
]
Missed = Annotated[
    Path | None,
    typer.Option("--missed", help="Write the study_id of what was missed and of false alarms.", metavar="FILE"),
]
Model = Annotated[
    Path | None,
    typer.Option("--model", help="The package whose predictions these are: its thresholds, name and hash."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Where metrics.csv, audit.json, audit.html go.")]
Verify = Annotated[Path | None, typer.Option("--verify", help="Check the signature of an audit.json.", metavar="FILE")]
PublicKey = Annotated[
    str, typer.Option("--public-key", help="The key that must have signed it, hexadecimal.", metavar="KEY")
]
Site = Annotated[bool, typer.Option("--site", help="What this node read and verified; --model is then a name.")]
Drift = Annotated[bool, typer.Option("--drift", help="Look now whether a cohort left its usual.")]
Data = Annotated[Path | None, typer.Option("--data", help="Sign with the key of this data folder.", metavar="DIR")]


@app.command(rich_help_panel="Audit")
def audit(  # noqa: PLR0913, PLR0917 - options of a command
    predictions: Predictions = None,
    by: By = "",
    finding: Finding = None,
    threshold: Threshold = None,
    thresholds: Thresholds = None,
    threshold_at: ThresholdAt = None,
    age_bands: AgeBands = "",
    uncertain: Uncertain = "",
    small_cells: SmallCells = "withhold",
    against: Against = None,
    against_threshold: AgainstThreshold = None,
    missed: Missed = None,
    model: Model = None,
    out: Out = None,
    verify: Verify = None,
    public_key: PublicKey = "",
    site: Site = False,
    drift: Drift = False,
    data: Data = None,
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

        if small_cells not in SMALL_CELLS:
            raise ConfigurationError(f"--small-cells takes {' or '.join(SMALL_CELLS)}")
        question = Question(
            by=_names(by),
            findings=tuple(dict.fromkeys(finding or ())),
            thresholds=tuple(threshold or ()),
            model=model,
            thresholds_file=thresholds,
            threshold_at=threshold_at,
            age_bands=age_bands,
            uncertain=uncertain,
            shows_small_cells=small_cells == SMALL_CELLS[1],
            against=against,
            against_thresholds=tuple(against_threshold or ()),
            missed=missed,
        )
        audit_predictions(predictions, question, out, data)


def audit_predictions(path: Path, question: Question, out: Path, data: Path | None) -> None:
    """Audit a CSV file of predictions, write metrics.csv, audit.json and audit.html into `out`, print what was found.

    They are signed with the key of the data folder `data`, else with a key made for this audit alone.
    """
    from api.pages.audit.files import DOCUMENT, METRICS, PAGE, write_audit
    from pipeline.registration.audit_of_file import audit_of

    signer = _signer(data)
    with shown_progress() as progress:
        audit = audit_of(path, question, progress)
    write_audit(audit, out, signer, command=_command(path, question))
    console = Console(highlight=False)
    print_audit(audit, console)
    print_line(console, files_in_words((out / METRICS, out / DOCUMENT, out / PAGE), signer.whose))
    if question.missed:
        print_line(console, f"{question.missed}: the studies that it gets wrong, by their ids")


def _command(path: Path, question: Question) -> str:
    """What makes this audit again, as a person types it."""
    options = {
        "--predictions": path.name,
        "--by": ",".join(question.by),
        "--thresholds": question.thresholds_file and question.thresholds_file.name,
        "--threshold-at": question.threshold_at,
        "--age-bands": question.age_bands,
        "--uncertain": question.uncertain,
        "--small-cells": SMALL_CELLS[1] if question.shows_small_cells else "",
        "--against": question.against and question.against.name,
    }
    many = {"--finding": question.findings, "--threshold": question.thresholds}
    many["--against-threshold"] = question.against_thresholds
    pairs = [(name, value) for name, value in options.items() if value]
    pairs += [(name, value) for name, values in many.items() for value in values]
    return " ".join(["candor audit", *(f"{name} {shlex.quote(value)}" for name, value in pairs), "--out DIR"])


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
    lines = [f"alarm: {alarm_in_words(test)}" for test in audit.certain_gaps]
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
        typer.echo(on_a_terminal(line))


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
