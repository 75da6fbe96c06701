"""`candor audit`: for whom does a model fail, by how much, and is that certain?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import DEFAULT_DATA, opened
from core.errors import ConfigurationError

app = typer.Typer()


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
        _audit_here(data or DEFAULT_DATA, out if site else None, drift, str(model or ""), by, finding or [])
        return
    from api.cli.audit_file import audit_predictions, print_verified
    from pipeline.registration.audit_of_file import Asked

    if verify is not None and predictions is None:
        print_verified(verify, public_key)
        return
    if predictions is None or out is None or not by:
        raise ConfigurationError(
            "say what to audit: --predictions FILE.csv --by sex,age_band,view --out DIR, or --verify audit.json"
        )
    asked = Asked(
        by=tuple(dict.fromkeys(name.strip() for name in by.split(",") if name.strip())),
        findings=tuple(dict.fromkeys(finding or ())),
        thresholds=tuple(threshold or ()),
        model=model,
    )
    audit_predictions(predictions, asked, out, data)


def _audit_here(data: Path, out: Path | None, drift: bool, model: str, by: str, findings: list[str]) -> None:
    """Audit what this node read into `out`, or look for drift, or both."""
    if out is None and not drift:
        raise ConfigurationError("say where the audit goes: candor audit --site --out DIR")
    settings, store = opened(data)
    from api.cli.site_audit import SHIPPED, audit_this_site, look_for_drift

    lines = look_for_drift(settings, store) if drift else []
    if out is not None:
        attributes = [name.strip() for name in by.split(",") if name.strip()]
        name = model or SHIPPED
        lines += audit_this_site(settings, store, model=name, by=attributes, findings=findings, out=out)
    for line in lines:
        typer.echo(line)
