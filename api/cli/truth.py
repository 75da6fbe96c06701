"""The commands for ground truth: import what people found, and list what is to be read blind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, opened

app = typer.Typer()
truth_app = typer.Typer(no_args_is_help=True, help="Say what was really there.")
app.add_typer(truth_app, name="truth", rich_help_panel="Audit")


@truth_app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="Columns: accession_number or study_instance_uid, finding, truth, reader, ai_seen, at.",
            metavar="FILE.csv",
        ),
    ],
    data: Data = DEFAULT_DATA,
) -> None:
    """Import ground truth from a CSV file, as a whole or not at all."""
    from pipeline.watch.truth_import import import_truth

    _, store = opened(data)
    done = import_truth(file, store, now=store.now())
    typer.echo(f"{done.new} answers imported, {done.known} were known before, {done.open} lines were left open")
    if done.elsewhere:
        numbers = ", ".join(map(str, done.elsewhere[:10])) + (", ..." if len(done.elsewhere) > 10 else "")
        typer.echo(f"{len(done.elsewhere)} lines are about studies that were not read here: {numbers}")


@truth_app.command("blind-list")
def blind_list(
    out: Annotated[
        Path, typer.Option("--out", help="The file to fill in; it holds identity (mode 0600).", metavar="FILE.csv")
    ],
    data: Data = DEFAULT_DATA,
) -> None:
    """List the drawn studies without a flag that wait for a read by somebody who has not seen the AI."""
    settings, store = opened(data)
    from pipeline.watch.truth_import import write_blind_list

    count = write_blind_list(out, store, settings.blind_read_rate)
    typer.echo(f"{count} studies wait for a blind read, {settings.blind_read_rate:g} of those without a flag: {out}")
    typer.echo("Fill in truth (0 or 1), reader and at, then: candor truth import " + str(out))
