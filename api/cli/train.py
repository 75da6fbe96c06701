"""The commands that make models: train one, and evaluate one on held-out patients."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.audit import audit_predictions
from api.cli.progress import shown_progress
from api.cli.tables.evaluation import print_evaluation
from core.wording import per_cent

if TYPE_CHECKING:
    from models.documents.quality import QualityFigures
    from models.package.format import ModelPackage

app = typer.Typer()
train_app = typer.Typer(no_args_is_help=True, help="Train a model that ships with Candor.")
app.add_typer(train_app, name="train", rich_help_panel="Make models")

Radiographs = Annotated[
    Path, typer.Option("--data", help="Folder of the NIH subset, NIH ChestX-ray14 or RSNA 2018.", metavar="DIR")
]
Labelled = Annotated[
    Path,
    typer.Option("--data", help="Labelled images: a CSV with file and truth_FINDING, or a folder.", metavar="PATH"),
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
    """Train the chest radiograph model; it can be interrupted, the same command goes on."""
    from datasets.training.chest import retrain
    from models.package.format import load_package
    from pipeline.registration.evaluate import evaluate

    with shown_progress() as progress:
        folder = retrain(
            data,
            out,
            predictions=predictions,
            version=version,
            seed=seed,
            steps=steps,
            network_size=network_size,
            progress=progress,
        )
        package, found = load_package(folder), out / "evaluation"
        figures = evaluate(package, data, found, threads=2, progress=progress)
    print_evaluation(figures, "Adults, at least 512 px")
    _audit_held_out(package, found)
    _put_into_package(folder, found)
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
    from core.errors import ConfigurationError
    from datasets.training.quality import train_quality_check
    from models.training.quality.package import adopt_quality_check

    if (data is None) == (adopt is None):
        raise ConfigurationError(
            "give either --data, to train a quality check, or --adopt, to take that of another package"
        )
    with shown_progress() as progress:
        if adopt:
            figures = adopt_quality_check(adopt, out)
        elif data:
            figures = train_quality_check(data, out, seed=seed, steps=steps, progress=progress)
    _print_quality_check(figures)
    typer.echo(f"written to {out}: models/quality.onnx, docs/quality.json and the section of candor.json")


@app.command(rich_help_panel="Make models")
def evaluate(
    model: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or the folder of a package.", metavar="MODEL")],
    data: Labelled,
    out: Annotated[Path, typer.Option("--out", help="For evaluation.json and predictions.csv.", metavar="DIR")],
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads of the model runtime.")] = 2,
    update: Annotated[
        bool, typer.Option("--update", help="Put the figures into the package too, and render its card again.")
    ] = False,
    no_control: Annotated[
        bool, typer.Option("--no-control", help="Leave out the control of the maps, which takes minutes.")
    ] = False,
) -> None:
    """Evaluate a model on held-out patients: figures with intervals, overall and within cohorts."""
    from core.errors import ConfigurationError
    from models.registry import load_registry
    from pipeline.registration.evaluate import evaluate as run
    from pipeline.registration.evaluate import find_package, is_own

    if update and is_own(data):
        raise ConfigurationError(
            "on images of your own, leave out --update: the card of a package has figures of the known sets only (NIH "
            "subset, NIH ChestX-ray14, RSNA 2018); yours are in --out"
        )
    if update and no_control:
        raise ConfigurationError("--update puts the whole evaluation into the package; leave out --no-control")
    package = find_package(model, load_registry())
    with shown_progress() as progress:
        figures = run(package, data, out, threads=threads, progress=progress, with_control=not no_control)
    print_evaluation(figures, "Adults, images of any size" if is_own(data) else "Adults, at least 512 px")
    _audit_held_out(package, out, shows_small_cells=is_own(data))
    if update:
        _put_into_package(package.folder, out)
    typer.echo(f"written to {out}: evaluation.json, predictions.csv and its audit")


def _audit_held_out(package: ModelPackage, out: Path, *, shows_small_cells: bool = False) -> None:
    """For whom does it fail? The audit of the predictions that `evaluate` left in `out` goes there too."""
    from pipeline.registration.evaluate import PREDICTIONS, question

    audit_predictions(out / PREDICTIONS, question(package, shows_small_cells=shows_small_cells), out, None)


def _put_into_package(folder: Path, out: Path) -> None:
    """Make what is in `out` the package's own figures, without the table that names patients by number."""
    from api.pages.audit.files import DOCUMENT, METRICS
    from api.pages.card.card import write_card
    from pipeline.registration.evaluate import EVALUATION

    for name, inside in ((EVALUATION, EVALUATION), (DOCUMENT, DOCUMENT), (METRICS, "audit.csv")):
        shutil.copyfile(out / name, folder / "docs" / inside)
    write_card(folder)


def _print_quality_check(figures: QualityFigures) -> None:
    """False refusals per tier and cohort, and the catch rate per fault, each with its interval."""
    console = Console(highlight=False)
    refused = Table("tier", "adults on the test side", "images", "refused wrongly", title="False refusals")
    for tier, cohorts in figures.false_refusals.items():
        for cohort, row in cohorts.items():
            refused.add_row(f"{tier} px" if cohort == "all" else "", cohort, str(row.images), per_cent(*row.share))
    caught = Table("fault", "how", "images", "caught", "by its name", title="Caught")
    for fault in figures.caught:
        shares = (per_cent(*share) for share in (fault.caught, fault.named))
        caught.add_row(fault.fault, fault.how, str(fault.images), *shares)
    console.print(refused)
    console.print(caught)
    for control in figures.controls:
        console.print(
            f"Control, {control.control}: called a child {per_cent(*control.called_child)}, "
            f"as sent {per_cent(*control.called_child_as_sent)}"
        )
