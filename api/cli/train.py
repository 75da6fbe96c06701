"""The commands of who makes models: train one, and evaluate one on held-out patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer()
Told = Callable[..., None]  # what is done, how much of it, of how much in all, a note
train_app = typer.Typer(no_args_is_help=True, help="Train a model that ships with Candor.")
app.add_typer(train_app, name="train", rich_help_panel="Make models")

Radiographs = Annotated[
    Path, typer.Option("--data", help="Folder of the NIH subset, NIH ChestX-ray14 or RSNA 2018.", metavar="DIR")
]


@train_app.command("chest_radiograph")
def chest_radiograph(
    data: Radiographs,
    out: Annotated[Path, typer.Option("--out", help="For checkpoints and the finished package.", metavar="DIR")],
    predictions: Annotated[
        Path | None,
        typer.Option(help="Another model's probabilities, to soften text-mined labels.", metavar="FILE"),
    ] = None,
    version: Annotated[str, typer.Option(help="Version of the package.", metavar="VERSION")] = "0.0.0",
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.", metavar="N")] = 1,
    steps: Annotated[
        int, typer.Option(min=0, metavar="N", help="One cycle of so many steps; 0: the recipe's own.")
    ] = 0,
    network_size: Annotated[
        int,
        typer.Option(min=0, metavar="PX", help="Pixels the graph resizes to, a multiple of 32; 0: the recipe's own."),
    ] = 0,
) -> None:
    """Train the chest radiograph model anew; interrupt it at will, the same command goes on."""
    from api.cli.evaluation_tables import print_evaluation
    from api.cli.package_update import audit_held_out, put_into_package
    from datasets.training.chest import retrain
    from models.package.format import load_package
    from pipeline.registration.evaluate import evaluate

    with _progress() as told:
        folder = retrain(
            data,
            out,
            predictions=predictions,
            version=version,
            seed=seed,
            steps=steps,
            network_size=network_size,
            progress=_with_loss(told),
        )
        package, found = load_package(folder), out / "evaluation"
        figures = evaluate(package, data, found, threads=2, told=told)
    print_evaluation(figures)
    audit_held_out(package, found)
    put_into_package(folder, found)
    typer.echo(f"package {folder}, held-out predictions and their audit {found}")


@train_app.command("quality")
def quality(
    out: Annotated[
        Path, typer.Option("--out", help="Model package that the quality check is put into.", metavar="DIR")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with nih_chest, children and, to test with, dicom.", metavar="DIR"),
    ] = None,
    adopt: Annotated[
        Path | None, typer.Option(help="Take the quality check of this package instead of training one.", metavar="DIR")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.", metavar="N")] = 1,
    steps: Annotated[int, typer.Option(min=0, metavar="N", help="So many steps; 0: the recipe's own.")] = 0,
) -> None:
    """Train the quality check of a package, or take that of another; prints what it refuses wrongly and catches."""
    from api.cli.quality_tables import print_quality_check
    from core.errors import ConfigurationError
    from datasets.training.quality import train_quality_check
    from models.training.quality.package import adopt_quality_check

    if (data is None) == (adopt is None):
        raise ConfigurationError(
            "give either --data, to train a quality check, or --adopt, to take that of another package"
        )
    with _progress() as told:
        if adopt:
            figures = adopt_quality_check(adopt, out)
        elif data:
            figures = train_quality_check(data, out, seed=seed, steps=steps, progress=_with_loss(told))
    print_quality_check(figures)
    typer.echo(f"written to {out}: models/quality.onnx, docs/quality.json and the section of candor.json")


@app.command(rich_help_panel="Make models")
def evaluate(
    model: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or the folder of a package.", metavar="MODEL")],
    data: Radiographs,
    out: Annotated[Path, typer.Option("--out", help="For evaluation.json and predictions.csv.", metavar="DIR")],
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads of the model runtime.")] = 2,
    update: Annotated[
        bool, typer.Option("--update", help="Put the figures into the package too, and make its card anew.")
    ] = False,
) -> None:
    """Evaluate a model on held-out patients: figures with intervals, overall and within cohorts."""
    from api.cli.evaluation_tables import print_evaluation
    from api.cli.package_update import audit_held_out, put_into_package
    from models.registry import load_registry
    from pipeline.registration.evaluate import evaluate as run
    from pipeline.registration.evaluate import find_package

    package = find_package(model, load_registry())
    with _progress() as told:
        figures = run(package, data, out, threads=threads, told=told)
    print_evaluation(figures)
    audit_held_out(package, out)
    if update:
        put_into_package(package.folder, out)
    typer.echo(f"written to {out}: evaluation.json, predictions.csv and its audit")


@contextmanager
def _progress() -> Iterator[Told]:
    """A bar per kind of work on a terminal; elsewhere, as in a log file, a line per twentieth of it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield _bars(bar)


def _with_loss(told: Told) -> Callable[[int, int, float], None]:
    return lambda done, total, loss: told("training", done, total, f", loss {loss:.2f}")


def _bars(bar: Progress) -> Told:
    tasks: dict[str, TaskID] = {}

    def told(what: str, done: int, total: int, note: str = "") -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what)
        bar.update(tasks[what], completed=done, total=total, description=f"{what}{note}")

    return told


def _lines() -> Told:
    said: dict[str, int] = {}

    def told(what: str, done: int, total: int, note: str = "") -> None:
        twentieth = 20 * done // max(total, 1)
        if said.get(what) != twentieth:
            said[what] = twentieth
            typer.echo(f"{what}: {done:,} of {total:,}{note}", err=True)

    return told
