"""The command that looks closer at one finding."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
METHODS = "class_activation, grad_cam, hires_cam, integrated_gradients, occlusion, rise or shap"
DEFAULT_DATA = Path("var/data")


@app.command(rich_help_panel="Look after")
def explain(
    study: Annotated[str, typer.Argument(help="Pseudonym, StudyInstanceUID or accession number.", metavar="STUDY")],
    finding: Annotated[str, typer.Option("--finding", help="As the report calls it.", metavar="FINDING")],
    out: Annotated[Path, typer.Option("--out", help="Where picture and figures go.", metavar="DIR")],
    method: Annotated[str, typer.Option("--method", help=f"{METHODS}.", metavar="METHOD")] = "occlusion",
    send: Annotated[
        str, typer.Option("--send", help="Also send it to this destination, as DICOM.", metavar="DESTINATION")
    ] = "",
    data: Annotated[
        Path, typer.Option("--data", envvar="CANDOR_DATA", help="The data folder.", metavar="DIR")
    ] = DEFAULT_DATA,
) -> None:
    """Explain a finding of a reported study by another method, and say how far to trust either map."""
    from core.settings import load_settings

    settings = load_settings(data.absolute())
    from api.cli.explain_study import explain_study, in_words
    from core.store.store import open_store

    store = open_store(settings)
    typer.echo(in_words(explain_study(store, settings, study, finding=finding, method=method, out=out, send=send)))
