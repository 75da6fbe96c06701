"""Retrain the shipped chest radiograph model: `python -m models.training --data DIR --out DIR`.

The one place where a recipe meets an importer. Interrupt it at will: the same command goes on from the last
checkpoint in `--out`, and writes the package to `--out`/package when it is done.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from datasets import nih_chest
from models.training.chest_radiograph import Recipe, train
from models.training.packaging import write_package


def run(
    data: Annotated[Path, typer.Option(help="folder with labels.csv, boxes.csv and the images")],
    out: Annotated[Path, typer.Option(help="folder for checkpoints and the finished package")],
    predictions: Annotated[Path | None, typer.Option(help="table of another model's probabilities, to soften")] = None,
    version: Annotated[str, typer.Option(help="version of the package")] = "0.1.0",
    seed: Annotated[int, typer.Option(help="the same seed gives the same run")] = 1,
    steps: Annotated[int, typer.Option(help="a single cycle of so many steps; 0: the recipe's own cycles")] = 0,
    network_size: Annotated[int, typer.Option(help="px the shipped graph resizes to")] = 256,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 2,
) -> None:
    """Train `chest_radiograph`, evaluate it on held-out patients, and write its package."""
    torch.set_num_threads(threads)
    examples = nih_chest.load(data, predictions)
    recipe = Recipe(findings=nih_chest.FINDINGS, seed=seed)
    if steps:
        recipe = dataclasses.replace(recipe, cycles=(steps,))
    network = train([example for example in examples if example.split == "train"], recipe, out)
    figures = write_package(network, recipe, examples, size=network_size, version=version, out=out / "package")
    Console().print(f"{len(figures['shipped'])} findings shipped; the card is {out / 'package' / 'docs' / 'README.md'}")


if __name__ == "__main__":
    typer.run(run)
