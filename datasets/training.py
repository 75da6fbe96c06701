"""Retrain the shipped chest radiograph model: `python -m datasets.training --data DIR --out DIR`.

The one place where a recipe of `models.training` meets an importer. Interrupt it at will: the same command goes on
from the last checkpoint in `--out`, and writes the package to `--out`/package when it is done.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datasets import nih_chest


def retrain(
    data: Path,
    out: Path,
    *,
    predictions: Path | None = None,
    version: str = "0.0.0",
    seed: int = 1,
    steps: int = 0,
    network_size: int = 224,
    progress: Callable[[int, int, float], None] | None = None,
) -> dict[str, Any]:
    """Train `chest_radiograph`, evaluate it on held-out patients, write its package; returns the evaluation.

    `predictions`: another model's table that softens text-mined labels (see `nih_chest.load`). `steps` 0: the
    recipe's own cycles, else one cycle of so many. `progress` is told steps done, steps in all, and the loss.
    """
    from models.training.chest_radiograph import Recipe, train
    from models.training.packaging import write_package

    examples = nih_chest.load(data, predictions)
    recipe = Recipe(findings=nih_chest.FINDINGS, seed=seed)
    if steps:
        recipe = dataclasses.replace(recipe, cycles=(steps,))
    told = (lambda done, loss: progress(done, recipe.steps, loss)) if progress else None
    network = train([example for example in examples if example.split == "train"], recipe, out, told)
    return write_package(network, recipe, examples, size=network_size, version=version, out=out / "package")


def _say(done: int, total: int, loss: float) -> None:
    sys.stderr.write(f"\rstep {done} of {total}, loss {loss:.3f} ")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Retrain the shipped chest radiograph model.")
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv, boxes.csv and the images")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the finished package")
    parser.add_argument("--predictions", type=Path, help="table of another model's probabilities, to soften labels")
    parser.add_argument("--version", default="0.0.0", help="version of the package")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same run")
    parser.add_argument("--steps", type=int, default=0, help="one cycle of so many steps; 0: the recipe's own")
    parser.add_argument("--network-size", type=int, default=224, help="px the shipped graph resizes to")
    return parser.parse_args()


if __name__ == "__main__":
    figures = retrain(**vars(_arguments()), progress=_say)
    sys.stderr.write(f"\n{len(figures['shipped'])} findings shipped\n")
