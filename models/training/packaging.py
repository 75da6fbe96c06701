"""Writes the model package of a trained chest radiograph network: weights, manifest, evaluation, card.

Every figure in the package comes from `evaluation.json`, which is made here; the card is rendered from it.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np

from models.packages import sha256_of
from models.training import evaluation
from models.training.card import render
from models.training.chest_radiograph import Recipe, predict
from models.training.control import frozen_control
from models.training.evaluation import Scored
from models.training.examples import Example, read_pixels
from models.training.export import OPSET, export
from models.training.findings import CODES, WORDS
from models.training.network import ChestNetwork
from models.training.operating_points import Chosen, choose

NAME = "chest_radiograph"
OPACITY = "lung_opacity"  # the finding with boxes
FLOOR = 0.70  # lower bound of the 95 % interval of AUROC on held-out patients, below which a finding does not ship
_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_PROSE = Path(__file__).with_name("chest_radiograph.json")  # intended use, what is accepted, attribution


def write_package(
    network: ChestNetwork, recipe: Recipe, examples: Sequence[Example], *, size: int, version: str, out: Path
) -> dict[str, Any]:
    """Calibrate, evaluate and export `network` at network size `size` into the folder `out`; returns the evaluation."""
    seen_well = [example for example in examples if example.split != "train" and example.tier >= 128]
    held_out = score(network, recipe.findings, seen_well, size)
    validation, test = _part(held_out, "validation"), _part(held_out, "test")
    chosen = {name: choose(validation, name) for name in recipe.findings}
    shipped = [name for name in recipe.findings if name in CODES and clears_floor(held_out, name)]
    model_path = out / "models" / "model.onnx"
    differences = export(network, size=size, chosen=[recipe.findings.index(n) for n in shipped], path=model_path)
    figures = {
        "model": {"name": NAME, "version": version, "sha256": sha256_of(model_path), "opset": OPSET},
        "recipe": {**dataclasses.asdict(recipe), "network_size": size},
        "data": _data_counts(examples),
        "largest_differences_from_torch": differences,
        "floor": FLOOR,
        "shipped": shipped,
        "findings": {name: _evaluate(test, name, chosen[name]) for name in recipe.findings},
        "held_out": {name: evaluation.discrimination(held_out, name, _at(held_out, 512)) for name in recipe.findings},
        "localisation": _localisation(held_out, test, _control(examples, test, size)),
    }
    _write(out, figures, chosen, shipped, version)
    return figures


def score(network: ChestNetwork, findings: Sequence[str], examples: Sequence[Example], size: int) -> Scored:
    """Scores and maps of `examples` at network size `size`."""
    logits, maps = predict(network, [read_pixels(example.path) for example in examples], size)
    return Scored(examples, findings, logits, maps)


def clears_floor(held_out: Scored, finding: str) -> bool:
    """Whether the lower bound of AUROC on all held-out patients at 512 px is above the floor."""
    lower = evaluation.discrimination(held_out, finding, _at(held_out, 512))["auroc"][1]
    return lower is not None and bool(lower > FLOOR)


def _part(scored: Scored, split: str) -> Scored:
    rows = [index for index, example in enumerate(scored.examples) if example.split == split]
    return Scored([scored.examples[i] for i in rows], scored.findings, scored.logits[rows], scored.maps[rows])


def _at(scored: Scored, *tiers: int) -> evaluation.Mask:
    return np.array([example.tier in tiers for example in scored.examples])


def _evaluate(test: Scored, finding: str, chosen: Chosen) -> dict[str, Any]:
    probabilities = chosen.probabilities(test.column(finding))
    primary = _at(test, 512)
    cohorts = {
        name: {
            **evaluation.discrimination(test, finding, primary & members),
            **evaluation.at_threshold(test, finding, primary & members, probabilities, chosen.point.threshold),
        }
        for name, members in evaluation.cohorts(test.examples)
    }
    return {
        "words": WORDS[finding],
        "calibration": {"scale": round(chosen.scale, 5), "shift": round(chosen.shift, 5)},
        "operating_point": dataclasses.asdict(chosen.point),
        "expected_calibration_error": evaluation.calibration(test, finding, primary, probabilities),
        "test_512": cohorts,
        "test_128": evaluation.discrimination(test, finding, _at(test, 128)),
        "text_mined_too": evaluation.discrimination(test, finding, primary, text_too=True),
    }


def _localisation(held_out: Scored, test: Scored, control: Scored) -> dict[str, Any]:
    figures = {}
    for words, scored in (
        ("lung opacity, test", test),
        ("lung opacity, validation and test", held_out),
        ("control: frozen ImageNet features, test", control),
    ):
        figures[f"{words}, 512 px"] = evaluation.localisation(scored, OPACITY, _at(scored, 512))
        figures[f"{words}, 512 and 128 px"] = evaluation.localisation(scored, OPACITY, _at(scored, 512, 128))
    return figures


def _control(examples: Sequence[Example], test: Scored, size: int) -> Scored:
    network = frozen_control([example for example in examples if example.split == "train"], OPACITY, size)
    return score(network, [OPACITY], [example for example in test.examples if example.boxes], size)


def _data_counts(examples: Sequence[Example]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        part = [example for example in examples if example.split == split]
        tiers = {str(tier): sum(e.tier == tier for e in part) for tier in (512, 128, 64)}
        counts[split] = {"patients": len({e.patient for e in part}), "images": len(part), "images_by_tier": tiers}
    return counts


def _write(out: Path, figures: dict[str, Any], chosen: dict[str, Chosen], shipped: list[str], version: str) -> None:
    prose = json.loads(_PROSE.read_text(encoding="utf-8"))
    (out / "docs").mkdir(parents=True, exist_ok=True)
    (out / "configs").mkdir(exist_ok=True)
    _dump(out / "docs" / "evaluation.json", figures)
    (out / "docs" / "README.md").write_text(render(figures, prose), encoding="utf-8")
    (out / "docs" / "data_license.txt").write_text("\n".join(prose["attribution"]) + "\n", encoding="utf-8")
    _dump(out / "configs" / "metadata.json", _metadata(figures, prose, version))
    _dump(out / "candor.json", _manifest(figures, prose, chosen, shipped, version))
    licence = Path(__file__).parents[2] / "LICENSE"
    if licence.exists():
        shutil.copyfile(licence, out / "LICENSE")


def _manifest(
    figures: dict[str, Any], prose: dict[str, Any], chosen: dict[str, Chosen], shipped: list[str], version: str
) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": version,
        "sha256": figures["model"]["sha256"],
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
            "network_size": figures["recipe"]["network_size"],
        },
        "outputs": {"logits": "logits", "class_activation": "class_activation"},
        "completeness": "mean(class_activation) == logits; the bias is folded into the map",
        "findings": [_finding(name, chosen[name]) for name in shipped],
    }


def _finding(name: str, chosen: Chosen) -> dict[str, Any]:
    return {
        "name": name,
        "code": dataclasses.asdict(CODES[name]),
        "calibration": {"scale": round(chosen.scale, 5), "shift": round(chosen.shift, 5)},
        "operating_point": dataclasses.asdict(chosen.point),
    }


def _metadata(figures: dict[str, Any], prose: dict[str, Any], version: str) -> dict[str, Any]:
    classes = {str(index): name for index, name in enumerate(figures["shipped"])}
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
        "eval_metrics": {n: figures["findings"][n]["test_512"]["all"]["auroc"][0] for n in figures["shipped"]},
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


def _dump(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
