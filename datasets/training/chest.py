"""The one place where a recipe of `models.training` meets an importer: retrain the shipped chest radiograph model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import ConfigurationError
from datasets.chest import any_set, nih_chest
from datasets.chest.nih_chest import LabelledRadiograph
from models.registry import ZOO


def retrain(
    data: Path,
    out: Path,
    *,
    predictions: Path | None = None,
    version: str = "0.0.0",
    seed: int = 1,
    steps: int = 0,
    network_size: int = 0,
    progress: Callable[[int, int, float], None] | None = None,
) -> Path:
    """Train `chest_radiograph` on the radiographs under `data` and write its package; returns `out`/package.

    Goes on from the last checkpoint in `out`. `predictions`: another model's table that softens text-mined labels (see
    `nih_chest.load`). `steps` 0: the recipe's own cycles, else one cycle of so many; `network_size` 0: the recipe's
    own. `progress` receives steps done, steps in all, and the loss. Raises ConfigurationError where the data or the
    packages for training are missing, or the size is no multiple of 32.
    """
    try:
        from models.training.chest.packaging import NAME, write_package
        from models.training.chest.train import Recipe, train
        from models.training.quality.package import FIGURES, adopt_quality_check
    except ImportError as error:
        raise ConfigurationError(
            f"training needs {error.name}: install Candor with its extra, pip install 'candor[train]'"
        ) from error
    examples = any_set.load(data, predictions)
    recipe = Recipe(findings=nih_chest.FINDINGS, seed=seed)
    if steps:
        recipe = dataclasses.replace(recipe, cycles=(steps,))
    if network_size % 32:
        raise ConfigurationError(
            f"--network-size {network_size} is no multiple of 32; the recipe's own is {recipe.network_size}"
        )
    if network_size:
        recipe = dataclasses.replace(recipe, network_size=network_size)
    report = (lambda done, loss: progress(done, recipe.steps, loss)) if progress else None
    network = train(_of_split(examples, "train"), recipe, out, report)
    package = write_package(network, recipe, examples, version=version, out=out / "package")
    if (ZOO / NAME / FIGURES).exists():
        adopt_quality_check(ZOO / NAME, package)  # the images that the model is made for are the same
    return package


def _of_split(examples: Sequence[LabelledRadiograph], split: str) -> list[LabelledRadiograph]:
    found = [example for example in examples if example.split == split]
    if not found:
        raise ConfigurationError(f"the data holds no image on the {split} side of the split")
    return found
