"""Writes the model package of a trained chest radiograph network: weights, description, how it was trained.

Calibration and operating points come from validation patients alone. How well it does is not said here: the finished
package is evaluated as it ships (`candor evaluate`), not the network it was made from.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.documents.reading import read_document, write_file
from core.errors import ConfigurationError
from models import evaluation
from models.documents.training import Discrimination, SplitCounts, TrainingRecord
from models.documents.training import Recipe as RecordedRecipe
from models.evaluation import Scored
from models.examples import Example, Pixels
from models.package.description import (
    CalibrationSection,
    Description,
    FindingSection,
    InputSection,
    OutputsSection,
    Prose,
    PublishedPoint,
)
from models.package.format import DESCRIPTION, sha256_of
from models.training.chest.bundle import bundle_metadata
from models.training.chest.export import OPSET, differences_on_images, export
from models.training.chest.findings import CODES
from models.training.chest.network import ChestNetwork
from models.training.chest.operating_points import Chosen, choose
from models.training.chest.train import Recipe, predict

NAME = "chest_radiograph"
FLOOR = 0.70  # lower bound of the 95 % interval of AUROC on test patients, below which a finding does not ship
_COMPARED = 200  # held-out radiographs on which the exported file is compared with torch
_PROSE = Path(__file__).with_name("package.json")  # intended use, what is accepted, attribution


def write_package(
    network: ChestNetwork, recipe: Recipe, examples: Sequence[Example], *, version: str, out: Path
) -> Path:
    """Calibrate `network`, choose what ships, export it; returns the folder `out`."""
    size = recipe.network_size
    held_out = score(network, recipe.findings, [e for e in examples if e.split != "train" and e.tier >= 128], size)
    validation, test = held_out.of_split("validation"), held_out.of_split("test")
    labelled = [name for name in recipe.findings if evaluation.is_labelled(validation, name)]
    chosen = {name: choose(validation, name) for name in labelled}
    areas = {name: evaluation.discrimination(test, name, test.primary) for name in labelled}
    shipped = [name for name in labelled if name in CODES and _clears_floor(areas[name])]
    if not shipped:
        raise ConfigurationError("no finding clears the floor on test patients: there is nothing to ship")
    columns, path = [recipe.findings.index(name) for name in shipped], out / "models" / "model.onnx"
    differences = export(network, size=size, chosen=columns, path=path)
    compared = [example.read() for example in held_out.examples[:_COMPARED]]
    training = TrainingRecord(
        recipe=RecordedRecipe(**dataclasses.asdict(recipe)),
        opset=OPSET,
        data=_data_counts(examples),
        largest_differences_from_torch=differences,
        differences_on_radiographs=differences_on_images(
            path, compared, held_out.logits[:_COMPARED, columns], held_out.maps[:_COMPARED, columns]
        ),
        floor=FLOOR,
        shipped=tuple(shipped),
        held_out=areas,
    )
    _write(out, training, chosen, version)
    return out


def score(
    network: ChestNetwork, findings: Sequence[str], examples: Sequence[Example], size: int, *, mirrored: bool = True
) -> Scored:
    """Scores and maps of `examples`, as `predict` makes them."""
    logits, maps = predict(network, Pixels(examples, budget_bytes=0), size, mirrored=mirrored)
    return Scored(examples, findings, logits, maps)


def _clears_floor(area: Discrimination) -> bool:
    _, lower, _ = area.auroc
    return lower is not None and lower > FLOOR


def _data_counts(examples: Sequence[Example]) -> dict[str, SplitCounts]:
    tiers = sorted({example.tier for example in examples}, reverse=True)
    counts = {}
    for split in ("train", "validation", "test"):
        part = [example for example in examples if example.split == split]
        counts[split] = SplitCounts(
            patients=len({example.patient for example in part}),
            images=len(part),
            images_by_tier={str(tier): sum(example.tier == tier for example in part) for tier in tiers},
        )
    return counts


def _write(out: Path, training: TrainingRecord, chosen: dict[str, Chosen], version: str) -> None:
    prose = read_document(Prose, _PROSE.read_text(encoding="utf-8"), _PROSE.name)
    (out / "docs").mkdir(parents=True, exist_ok=True)
    (out / "configs").mkdir(exist_ok=True)
    write_file(out / "docs" / "training.json", training)
    write_file(out / "docs" / "prose.json", prose)  # the card's words
    (out / "docs" / "data_license.txt").write_text("\n".join(prose.attribution) + "\n", encoding="utf-8")
    write_file(out / "configs" / "metadata.json", bundle_metadata(training, prose, version))
    write_file(out / DESCRIPTION, _description(training, prose, chosen, version, out))
    licence = Path(__file__).parents[3] / "LICENSE"
    if licence.exists():
        shutil.copyfile(licence, out / "LICENSE")


def _description(
    training: TrainingRecord, prose: Prose, chosen: dict[str, Chosen], version: str, out: Path
) -> Description:
    assert prose.accepts is not None, "the prose of this recipe says what its models accept"
    assert training.recipe is not None, "the recipe is in the record"
    return Description(
        name=NAME,
        version=version,
        sha256=sha256_of(out / "models" / "model.onnx"),
        manufacturer="Candor project",
        intended_use=prose.intended_use,
        not_for=prose.not_for,
        accepts=prose.accepts,
        input=InputSection(
            name="image",
            dtype="float32",
            shape=("N", 1, "H", "W"),
            range=(0.0, 1.0),
            meaning="0 black, 1 white, padded to a square by the caller; the graph resizes and normalises",
            network_size=training.recipe.network_size,
        ),
        outputs=OutputsSection(logits="logits", class_activation="class_activation"),
        completeness="mean(class_activation) == logits; the bias is folded into the map",
        findings=tuple(_finding(name, chosen[name]) for name in training.shipped),
    )


def _finding(name: str, chosen: Chosen) -> FindingSection:
    return FindingSection(
        name=name,
        code=CODES[name],
        calibration=CalibrationSection(scale=round(chosen.scale, 5), shift=round(chosen.shift, 5)),
        operating_point=PublishedPoint.of(chosen.point),
    )
