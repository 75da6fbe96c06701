"""`candor models explain-report`: whether the maps of a model can be trusted, for those who make or register it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FAILED_GATE = 1


def explain_report(
    model: Annotated[str, typer.Argument(help="A package's folder, or NAME or NAME@VERSION.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", help="Where the report goes.", metavar="DIR")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labelled radiographs; without: the demo studies, a weaker gate.", metavar="DIR"),
    ] = None,
    images: Annotated[int, typer.Option(min=10, help="Held-out images for the gate.", metavar="N")] = 60,
    compare: Annotated[
        int, typer.Option(min=0, help="Boxed images on which methods are compared; 0: not at all.", metavar="N")
    ] = 46,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the model runtime.", metavar="N")] = 2,
    store: Annotated[
        bool, typer.Option("--store", help="For makers: keep the figures in the package (docs/explanation.json).")
    ] = False,
) -> None:
    """Put a model's maps through the gate and write a page with its curves, a comparison of methods, and pictures."""
    from rich.progress import Progress

    from api.cli.explain_report_run import PAGE, Scope, report
    from explain.watching import Watch
    from models.registry import load_registry
    from pipeline.registration.evaluate import find_package

    package = find_package(model, load_registry())
    with Progress(transient=True) as bar:
        task = bar.add_task("explaining", total=None)
        watch = Watch(progress=lambda done, total: bar.update(task, completed=done, total=total))
        scope = Scope(images=images, compared=compare)
        result = report(package, data, out, scope, threads=threads, store=store, watch=watch)
    for test in result.tests:
        word = {True: "passed", False: "FAILED", None: "not made"}[test.passed]
        typer.echo(f"{word:9} {test.name}: {test.words}")
    typer.echo(f"{'passed' if result.passed else 'FAILED'}: {out / PAGE}")
    raise typer.Exit(0 if result.passed else FAILED_GATE)
