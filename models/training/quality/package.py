"""Puts a trained quality check into a model package: graph, thresholds, description, and how well it does.

Thresholds are chosen on adults of the validation side alone: one budget of false refusals for all faults together,
spent so that each fault sits at the same quantile of sound images (or at a probability of one in four, where that is
stricter).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from core.documents.reading import read_file, write_file
from core.errors import ConfigurationError, IntegrityError
from core.geometry import FloatMap
from models.documents.quality import CheckFacts, FaultThreshold, QualityFigures, QualityRecipe
from models.examples import Example
from models.package.format import DESCRIPTION, read_description, sha256_of
from models.quality import QUALITY_WEIGHTS, Fault, QualityCheck, QualityInput, QualityModel, QualitySection
from models.training.chest.export import OPSET, strip
from models.training.quality.evaluation import evaluate, scores_of, sound_pixels
from models.training.quality.network import SIZE, Familiar, QualityGraph, QualityNetwork
from models.training.quality.train import FAULTS, ChildLike, Recipe

BUDGET = 0.02  # share of sound validation images that all faults together may refuse, in each tier: 3 % are promised
FIGURES = Path("docs/quality.json")
_INPUT, _OUTPUT = "image", "scores"
_LEAST_PROBABILITY = 0.25  # the budget is there to be spent, but not on what is hardly suspected
_PRECEDENCE = {"exposure": 1, "unlike_features": -1, "unlike_thumbnail": -1}
_TOLERANCE = 1e-4
_REASONS = {
    "rotated": "the image seems to be rotated, upside down or strongly tilted",
    "inverted": "the grey values seem to be inverted",
    "cropped": "the image seems to show only a part of the chest",
    "screen": "the image seems to be a photograph of a screen or film",
    "exposure": "the image cannot be read as a radiograph: blank, too bright, dark, flat or noisy, or something else",
    "child": "the image looks like a child's, which is outside the model's intended use",
    "stranger": "the image does not look like a frontal chest radiograph",
    "unlike_features": "the image is unlike the radiographs that the model was made for",
    "unlike_thumbnail": "the image is laid out unlike the radiographs that the model was made for",
}
_DISTANCES = ("unlike_features", "unlike_thumbnail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a check is judged with: radiographs of adults and children, and pictures of other things by their kind."""

    examples: Sequence[Example]
    children: Sequence[ChildLike]
    unrelated: Mapping[str, Sequence[FloatMap]]
    attribution: Sequence[str] = ()


def write_quality_check(
    network: QualityNetwork, familiar: Familiar, recipe: Recipe, material: Material, package: Path
) -> QualityFigures:
    """Export the check into `package`, choose thresholds, describe it in candor.json, evaluate; returns the figures."""
    weights = package / QUALITY_WEIGHTS
    difference = export_quality_check(network, familiar, weights)
    names = (*FAULTS, *_DISTANCES)
    model = QualityModel.load(_check(weights, dict.fromkeys(names, float("inf"))))
    validation = {tier: scores_of(model, sound_pixels(material.examples, "validation", tier)) for tier in (512, 128)}
    check = _check(weights, choose_thresholds(validation, names))
    describe(package, check)
    evaluated = evaluate(QualityModel(check, model.session), material.examples, material.children, material.unrelated)
    figures = QualityFigures(
        check=CheckFacts(
            sha256=check.sha256,
            bytes=weights.stat().st_size,
            opset=OPSET,
            network_size=SIZE,
            largest_difference_from_torch=difference,
            recipe=QualityRecipe(**dataclasses.asdict(recipe)),
            budget=BUDGET,
            faults=tuple(FaultThreshold(name=f.name, kind=f.kind, threshold=f.threshold) for f in check.faults),
        ),
        **dict(evaluated),
        attribution=tuple(material.attribution),
    )
    (package / FIGURES).parent.mkdir(exist_ok=True)
    write_file(package / FIGURES, figures)
    return figures


def choose_thresholds(validation: Mapping[int, NDArray[np.float32]], names: Sequence[str]) -> dict[str, float]:
    """Threshold per score, from the scores (N, F) of sound validation images of each tier.

    Every score gets the same quantile, the lowest at which no tier has more than BUDGET of its images above any
    threshold; a probability is never refused below one in four.
    """
    together = np.concatenate(list(validation.values()))
    floor = np.array([_LEAST_PROBABILITY if kind_of(name) == "probability" else 0.0 for name in names])
    for quantile in np.linspace(0.98, 1.0, 201):
        limits = np.maximum(np.quantile(together, quantile, axis=0), floor)
        if max(float((scores > limits).any(1).mean()) for scores in validation.values()) <= BUDGET:
            break
    return {name: _rounded_up(limit) for name, limit in zip(names, limits.tolist(), strict=True)}


def kind_of(name: str) -> Literal["probability", "distance"]:
    """How a score is to be read."""
    return "distance" if name in _DISTANCES else "probability"


def export_quality_check(network: QualityNetwork, familiar: Familiar, path: Path) -> float:
    """Write the graph to `path`; returns the largest difference from torch, which may not exceed 1e-4."""
    check = QualityGraph(network.eval(), familiar.eval()).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, columns = (torch.export.Dim(name, min=8, max=16384) for name in ("rows", "columns"))
    program = torch.onnx.export(
        check,
        (torch.rand(1, 1, 300, 310),),
        dynamo=True,
        opset_version=OPSET,
        input_names=[_INPUT],
        output_names=[_OUTPUT],
        dynamic_shapes=({2: rows, 3: columns},),
        verbose=False,
    )
    assert program is not None
    program.save(str(path), external_data=False)
    strip(path)
    return _difference(check, path)


def describe(package: Path, check: QualityCheck) -> None:
    """Write the section "quality" into the package's candor.json."""
    section = QualitySection(
        sha256=check.sha256,
        input=QualityInput(name=check.input_name, range=(0.0, 1.0), network_size=SIZE),
        output=check.output_name,
        faults=check.faults,
    )
    write_file(package / DESCRIPTION, read_description(package).model_copy(update={"quality": section}))


def adopt_quality_check(source: Path, package: Path) -> QualityFigures:
    """Give `package` the check of the package `source`, as its figures describe it; returns them.

    A check depends on the images, not on the model behind it, so a retrained model goes on with the old check. `source`
    may be `package` itself, when its candor.json was written again. Raises ConfigurationError when `source` has no
    check with figures, IntegrityError when they are of another one.
    """
    figures = read_file(QualityFigures, source / FIGURES)
    if figures is None or figures.check is None or not (source / QUALITY_WEIGHTS).exists():
        raise ConfigurationError(f"{source} has no quality check with figures that could be adopted")
    if sha256_of(source / QUALITY_WEIGHTS) != figures.check.sha256:
        raise IntegrityError(f"the quality check of {source.name} is not the one that its figures are of")
    if source.resolve() != package.resolve():
        for name in (QUALITY_WEIGHTS, FIGURES):
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, package / name)
    describe(
        package, _check(package / QUALITY_WEIGHTS, {fault.name: fault.threshold for fault in figures.check.faults})
    )
    return figures


def _check(weights: Path, thresholds: Mapping[str, float]) -> QualityCheck:
    faults = (
        Fault(
            name=name,
            kind=kind_of(name),
            threshold=threshold,
            reason=_REASONS[name],
            precedence=_PRECEDENCE.get(name, 0),
        )
        for name, threshold in thresholds.items()
    )
    return QualityCheck(
        weights=weights, sha256=sha256_of(weights), input_name=_INPUT, output_name=_OUTPUT, faults=tuple(faults)
    )


def _difference(check: QualityGraph, path: Path) -> float:
    model = QualityModel.load(_check(path, dict.fromkeys((*FAULTS, *_DISTANCES), float("inf"))))
    worst = 0.0
    for seed, (rows, columns) in enumerate(((512, 512), (900, 1200), (128, 128), (96, 300))):
        image = torch.rand(1, 1, rows, columns, generator=torch.Generator().manual_seed(seed))
        with torch.inference_mode():
            expected = check(image)[0].numpy()
        given = np.array(list(model.scores(image[0, 0].numpy()).values()))
        worst = max(worst, float(np.abs(expected - given).max()))
    if worst > _TOLERANCE:
        raise IntegrityError(f"The exported quality check differs from torch by {worst:.1e}; it was not packaged.")
    return worst


def _rounded_up(limit: float) -> float:
    """Four digits, never below what was chosen; probabilities keep their distance from 1."""
    return float(np.ceil(limit * 1e4 - 1e-9) / 1e4) if limit < 0.9999 or limit > 1 else float(limit)
