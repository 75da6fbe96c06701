"""Writes the model package of a trained chest radiograph network: weights, description, how it was trained.

Calibration and operating points come from validation patients alone. How well it does is not said here: the finished
package is evaluated as it ships (`candor evaluate`), not the network it was made from.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from core.errors import ConfigurationError
from models import evaluation
from models.evaluation import Scored
from models.examples import Example, Pixels
from models.package.format import point_as_json, sha256_of
from models.training.chest.export import OPSET, differences_on_images, export
from models.training.chest.findings import CODES
from models.training.chest.network import ChestNetwork
from models.training.chest.operating_points import Chosen, choose
from models.training.chest.train import Recipe, predict

NAME = "chest_radiograph"
FLOOR = 0.70  # lower bound of the 95 % interval of AUROC on test patients, below which a finding does not ship
_COMPARED = 200  # held-out radiographs on which the exported file is compared with torch
_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
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
    training = {
        "recipe": dataclasses.asdict(recipe),
        "opset": OPSET,
        "data": _data_counts(examples),
        "largest_differences_from_torch": differences,
        "differences_on_radiographs": differences_on_images(
            path, compared, held_out.logits[:_COMPARED, columns], held_out.maps[:_COMPARED, columns]
        ),
        "floor": FLOOR,
        "shipped": shipped,
        "held_out": areas,
    }
    _write(out, training, chosen, version)
    return out


def score(
    network: ChestNetwork, findings: Sequence[str], examples: Sequence[Example], size: int, *, mirrored: bool = True
) -> Scored:
    """Scores and maps of `examples`, as `predict` makes them."""
    logits, maps = predict(network, Pixels(examples, budget_bytes=0), size, mirrored=mirrored)
    return Scored(examples, findings, logits, maps)


def _clears_floor(area: dict[str, Any]) -> bool:
    lower = area["auroc"][1]
    return lower is not None and bool(lower > FLOOR)


def _data_counts(examples: Sequence[Example]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        part = [example for example in examples if example.split == split]
        tiers = {str(tier): sum(e.tier == tier for e in part) for tier in sorted({e.tier for e in examples})[::-1]}
        counts[split] = {"patients": len({e.patient for e in part}), "images": len(part), "images_by_tier": tiers}
    return counts


def _write(out: Path, training: dict[str, Any], chosen: dict[str, Chosen], version: str) -> None:
    prose = json.loads(_PROSE.read_text(encoding="utf-8"))
    (out / "docs").mkdir(parents=True, exist_ok=True)
    (out / "configs").mkdir(exist_ok=True)
    write_json(out / "docs" / "training.json", training)
    write_json(out / "docs" / "prose.json", prose)  # the card's words
    (out / "docs" / "data_license.txt").write_text("\n".join(prose["attribution"]) + "\n", encoding="utf-8")
    write_json(out / "configs" / "metadata.json", _metadata(training, prose, version))
    write_json(out / "candor.json", _description(training, prose, chosen, version, out))
    licence = Path(__file__).parents[3] / "LICENSE"
    if licence.exists():
        shutil.copyfile(licence, out / "LICENSE")


def _description(
    training: dict[str, Any], prose: dict[str, Any], chosen: dict[str, Chosen], version: str, out: Path
) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version,
        "sha256": sha256_of(out / "models" / "model.onnx"),
        "manufacturer": "Candor project",
        "intended_use": prose["intended_use"],
        "not_for": prose["not_for"],
        "accepts": prose["accepts"],
        "input": {
            "name": "image",
            "dtype": "float32",
            "shape": ["N", 1, "H", "W"],
            "range": [0.0, 1.0],
            "meaning": "0 black, 1 white, padded to a square by the caller; the graph resizes and normalises",
            "network_size": training["recipe"]["network_size"],
        },
        "outputs": {"logits": "logits", "class_activation": "class_activation"},
        "completeness": "mean(class_activation) == logits; the bias is folded into the map",
        "findings": [_finding(name, chosen[name]) for name in training["shipped"]],
    }


def _finding(name: str, chosen: Chosen) -> dict[str, Any]:
    return {
        "name": name,
        "code": dataclasses.asdict(CODES[name]),
        "calibration": {"scale": round(chosen.scale, 5), "shift": round(chosen.shift, 5)},
        "operating_point": point_as_json(chosen.point),
    }


def _metadata(training: dict[str, Any], prose: dict[str, Any], version: str) -> dict[str, Any]:
    classes = {str(index): name for index, name in enumerate(training["shipped"])}
    return {
        "schema": _SCHEMA,
        "version": version,
        "changelog": prose["changelog"],
        "monai_version": installed_version("monai"),
        "pytorch_version": installed_version("torch").split("+")[0],
        "numpy_version": installed_version("numpy"),
        "required_packages_version": {"onnxruntime": installed_version("onnxruntime")},
        "name": "Chest radiograph findings",
        "task": "Findings on frontal chest radiographs of adults, each with an exact class activation map",
        "description": prose["intended_use"],
        "authors": "Candor project",
        "copyright": "Candor project, Apache-2.0; data attribution in docs/data_license.txt",
        "data_source": prose["data_source"],
        "data_type": "dicom",
        "image_classes": "one channel, 0 black .. 1 white, square",
        "pred_classes": "one logit per finding",
        "eval_metrics": {name: training["held_out"][name]["auroc"][0] for name in training["shipped"]},
        "intended_use": prose["intended_use"],
        "references": prose["references"],
        "network_data_format": {
            "inputs": {"image": _tensor("image", "magnitude", 1, [0, 1], {"0": "radiograph"})},
            "outputs": {"pred": _tensor("probabilities", "classes", len(classes), [-30, 30], classes)},
        },
    }


def _tensor(kind: str, format_: str, channels: int, values: list[int], definition: dict[str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "format": format_,
        "modality": "CR",
        "num_channels": channels,
        "spatial_shape": ["*", "*"] if kind == "image" else [],
        "dtype": "float32",
        "value_range": values,
        "is_patch_data": False,
        "channel_def": definition,
    }


def write_json(path: Path, document: dict[str, Any]) -> None:
    """A document of the package, for people and programs."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
