"""`candor models explain-report`: whether the maps of a model can be trusted, for those who make or register it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.progress import shown_progress

FAILED_GATE = 1
PAGE = "report.html"


def explain_report(
    model: Annotated[str, typer.Argument(help="A package's folder, or NAME or NAME@VERSION.", metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", help="Where the report goes.", metavar="DIR")],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Labelled radiographs; without: the demo studies, a weaker test.", metavar="DIR"),
    ] = None,
    images: Annotated[int, typer.Option(min=10, help="Held-out images for the map gate.", metavar="N")] = 60,
    compare: Annotated[
        int, typer.Option(min=0, help="Boxed images on which methods are compared; 0: not at all.", metavar="N")
    ] = 46,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the model runtime.", metavar="N")] = 2,
    store: Annotated[
        bool,
        typer.Option("--store", help="For model developers: keep the figures in the package (docs/explanation.json)."),
    ] = False,
) -> None:
    """Test a model's maps and write a page with its curves, a comparison of methods, and pictures."""
    from api.pages.explanations import report_page
    from models.registry import load_registry
    from pipeline.registration.evaluate import find_package
    from pipeline.registration.explain_report import Scope, make_reports

    package, scope = find_package(model, load_registry()), Scope(images=images, compared=compare)
    with shown_progress() as progress:
        for report in make_reports(package, data, out, scope, threads=threads, store=store, progress=progress):
            (out / PAGE).write_text(report_page(report.result, report.pictures), encoding="utf-8")
    result = report.result
    for test in result.tests:
        word = {True: "passed", False: "FAILED", None: "not made"}[test.passed]
        typer.echo(f"{word:9} {test.name}: {test.words}")
    typer.echo(f"{'FAILED' if result.failed else result.verdict}: {out / PAGE}")
    raise typer.Exit(0 if result.passed else FAILED_GATE)
