"""What each part of the recipe bought, and what more data would: `python -m datasets.ablation --data DIR --out FILE`.

Short runs at low resolution, each with one thing changed, judged by AUROC on validation patients; test patients are
not looked at. Differences of a hundredth are within the luck of one seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import chest, nih_chest
from datasets.nih_chest import LabelledRadiograph

if TYPE_CHECKING:
    from models.training.chest_radiograph import Recipe

JUDGED = ("any_abnormality", "lung_opacity", "effusion", "cardiomegaly", "edema", "pneumothorax")
SHARES = (0.125, 0.25, 0.5, 1.0)  # of the training patients; the last is the recipe itself
_SIZE = 128


def compare(data: Path, predictions: Path | None, cycles: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """The figures so far, after each run: AUROC of the judged findings per share of the patients and per variant."""
    from models.training.chest_radiograph import Recipe

    examples = chest.load(data, predictions)
    recipe = Recipe(findings=nih_chest.FINDINGS, cycles=cycles, sizes=(_SIZE,))
    schedule = f"{' + '.join(map(str, cycles))} steps of {recipe.batch} images at {_SIZE} px, seed {recipe.seed}"
    figures: dict[str, Any] = {"schedule": schedule, "learning_curve": {}, "variants": {}}
    for share in SHARES:
        figures["learning_curve"][f"{share:.1%}"] = _judged(f"{share:.1%}", recipe, _share(examples, share))
        yield figures
    changes: dict[str, dict[str, Any]] = {
        "without the boxes": {"box_weight": 0.0},
        "without teaching itself": {"cycles": (sum(cycles),)},
        "without frozen first blocks": {"frozen_blocks": 0},
    }
    for name, change in changes.items():
        figures["variants"][name] = _judged(name, dataclasses.replace(recipe, **change), examples)
        yield figures
    name = "without another model's predictions"
    figures["variants"][name] = _judged(name, recipe, chest.load(data))
    yield figures


def _share(examples: Sequence[LabelledRadiograph], share: float) -> tuple[LabelledRadiograph, ...]:
    """All held-out images, and those of a share of the training patients."""
    return tuple(example for example in examples if example.split != "train" or _position(example.patient) < share)


def _position(patient: str) -> float:
    return int(hashlib.sha256(f"candor learning curve:{patient}".encode()).hexdigest()[:8], 16) / 2**32


def _judged(name: str, recipe: Recipe, examples: Sequence[LabelledRadiograph]) -> dict[str, Any]:
    from models import evaluation
    from models.training.chest_radiograph import train
    from models.training.packaging import score

    training = [example for example in examples if example.split == "train"]
    with tempfile.TemporaryDirectory() as folder:
        network = train(training, recipe, Path(folder), lambda done, _loss: _say(name, done, recipe.steps))
    validation = [example for example in examples if example.split == "validation" and example.tier >= 128]
    scored = score(network, recipe.findings, validation, _SIZE)
    areas = {f: evaluation.discrimination(scored, f, scored.at(512, 128))["auroc"] for f in JUDGED}
    return {
        "images": len(training),
        "auroc": areas,
        "times_chance": evaluation.localisation(scored, "lung_opacity", scored.at(512, 128)).get("times_chance"),
    }


def _say(name: str, done: int, steps: int) -> None:
    sys.stderr.write(f"\r{name}: step {done} of {steps} ")
    sys.stderr.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Short runs that tell what each part of the recipe bought.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the NIH subset")
    parser.add_argument("--predictions", type=Path, help="table of another model's probabilities")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    parser.add_argument("--cycles", type=int, nargs="+", default=[200, 300], help="steps of each cycle")
    arguments = parser.parse_args()
    for figures in compare(arguments.data, arguments.predictions, tuple(arguments.cycles)):
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
