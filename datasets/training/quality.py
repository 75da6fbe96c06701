"""Train the quality check: the one place where its recipe meets the importers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import ConfigurationError
from core.progress import Progress, silent
from datasets import unrelated
from datasets.chest import any_set, children

if TYPE_CHECKING:
    from models.documents.quality import QualityFigures

_ADULTS = "Radiographs of adults: NIH Clinical Center, ChestX-ray14 (Wang et al., CVPR 2017)."


def train_quality_check(
    data: Path,
    package: Path,
    *,
    seed: int = 1,
    steps: int = 0,
    progress: Progress = silent,
) -> QualityFigures:
    """Train the quality check on `data` and put it into the model package `package`; returns its figures.

    `data` holds `nih_chest/`, `children/` and, for the test alone, `dicom/` with WG04 images. `steps` 0: the recipe's
    own. `progress` counts steps; its note is the loss. Raises ConfigurationError where data are missing.
    """
    from models.package.format import load_package
    from models.training.quality.package import Material, write_quality_check
    from models.training.quality.train import Recipe, train

    load_package(package)  # what is no package is found before the training, not after it
    recipe = Recipe(seed=seed)
    if steps:
        recipe = dataclasses.replace(recipe, steps=steps)
    examples, young = any_set.load(data / "nih_chest"), children.load(data / "children")
    material = Material(
        examples=examples,
        children=young,
        unrelated=unrelated.unrelated(data / "dicom"),
        attribution=(_ADULTS, children.ATTRIBUTION),
    )
    if not any(example.split == "train" for example in examples):
        raise ConfigurationError(f"{data} holds no image on the training side of the split")
    network, familiar = train(examples, young, recipe, progress)
    return write_quality_check(network, familiar, recipe, material, package)
