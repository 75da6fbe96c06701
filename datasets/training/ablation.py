"""What each part of the recipe bought, and what more data would.

`python -m datasets.training.ablation --data DIR --out FILE`: short runs at low resolution, each with one thing changed,
judged by AUROC on validation patients; test patients are
not looked at. The same run with another seed tells how much of a difference is luck.
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

import numpy as np

from core.progress import Progress
from core.statistics.ranking import auroc_difference
from datasets.chest import any_set, nih_chest
from datasets.chest.nih_chest import LabelledRadiograph

if TYPE_CHECKING:
    from models.evaluation import Scored
    from models.training.chest.network import ChestNetwork
    from models.training.chest.train import Recipe

JUDGED = ("any_abnormality", "lung_opacity", "effusion", "cardiomegaly", "edema", "pneumothorax")
SHARES = (0.125, 0.25, 0.5)  # of the training patients; all of them are the baseline
CHANGES: dict[str, dict[str, Any]] = {
    "another seed": {"seed": 2},
    "without the boxes": {"box_weight": 0.0},
    "without teaching itself": {"self_teaching": 0.0, "self_teaching_weight": 0.0},
    "without frozen first blocks": {"frozen_blocks": 0},
    "without the average of weights": {"ema_decay": 0.0},
    "with mixup": {"mixup": 0.2},
}
_SIZE = 128


class Ablation:
    """Trains the variants and judges each; `figures` grows run by run."""

    def __init__(self, data: Path, predictions: Path | None, cycles: tuple[int, ...]) -> None:
        from models.training.chest.train import Recipe

        self.data = data
        self.examples = any_set.load(data, predictions)
        self.recipe = Recipe(findings=nih_chest.FINDINGS, cycles=cycles, sizes=(_SIZE,))
        schedule = f"{' + '.join(map(str, cycles))} steps of {self.recipe.batch} images at {_SIZE} px"
        self.figures: dict[str, Any] = {"schedule": schedule, "learning_curve": {}, "variants": {}}

    def run(self) -> Iterator[dict[str, Any]]:
        """The figures so far, after each run: the recipe itself, less data, one change at a time."""
        whole = self.of_share(1.0)
        yield self.figures
        for share in SHARES:
            self.of_share(share)
            yield self.figures
        for name, change in CHANGES.items():
            scored = self._scored(self._train(name, dataclasses.replace(self.recipe, **change), self.examples))
            self._compare(name, scored, whole)
            if name == "another seed":
                self._compare("both seeds together", _together(whole, scored), whole)
            yield self.figures
        name = "without another model's predictions"
        self._compare(name, self._scored(self._train(name, self.recipe, any_set.load(self.data))), whole)
        yield self.figures

    def of_share(self, share: float) -> Scored:
        """The recipe with a share of the training patients."""
        part = [example for example in self.examples if _position(example.patient) < share]
        network = self._train(f"{share:.1%}", self.recipe, part)
        scored = self._scored(network)
        self.figures["learning_curve"][f"{share:.1%}"] = {"images": len(_training(part)), **_judged(scored)}
        if share == 1.0:
            self._compare("without mirrored images", self._scored(network, mirrored=False), scored)
        return scored

    def _train(self, name: str, recipe: Recipe, examples: Sequence[LabelledRadiograph]) -> ChestNetwork:
        from models.training.chest.train import train

        with tempfile.TemporaryDirectory() as folder:
            return train(_training(examples), recipe, Path(folder), _printed(name))

    def _scored(self, network: ChestNetwork, *, mirrored: bool = True) -> Scored:
        from models.training.chest.packaging import score

        validation = [example for example in self.examples if example.split == "validation" and example.tier >= _SIZE]
        return score(network, self.recipe.findings, validation, _SIZE, mirrored=mirrored)

    def _compare(self, name: str, scored: Scored, whole: Scored) -> None:
        """The figures of a variant, and its AUROC minus that of the recipe itself on the same images."""
        from models.evaluation import truths_of

        ahead = {}
        for finding in JUDGED:
            truths, known = truths_of(scored.examples, finding)
            pair = (other.column(finding)[known] for other in (scored, whole))
            ahead[finding] = auroc_difference(truths[known], *pair).rounded(3)
        self.figures["variants"][name] = {**_judged(scored), "auroc_minus_that_of_the_recipe": ahead}


def _judged(scored: Scored) -> dict[str, Any]:
    from models import evaluation
    from models.localisation import localise

    everyone = scored.at(*{example.tier for example in scored.examples})
    return {
        "auroc": {finding: evaluation.discrimination(scored, finding, everyone).auroc for finding in JUDGED},
        "times_chance": localise(scored, "lung_opacity", everyone).times_chance,
    }


def _together(first: Scored, second: Scored) -> Scored:
    half = np.float32(0.5)
    logits, maps = half * (first.logits + second.logits), half * (first.maps + second.maps)
    return dataclasses.replace(first, logits=logits, maps=maps)


def _training(examples: Sequence[LabelledRadiograph]) -> list[LabelledRadiograph]:
    return [example for example in examples if example.split == "train"]


def _position(patient: str) -> float:
    return int(hashlib.sha256(f"candor learning curve:{patient}".encode()).hexdigest()[:8], 16) / 2**32


def _printed(name: str) -> Progress:
    def progress(_what: str, done: int, total: int, _note: str = "") -> None:
        sys.stderr.write(f"\r{name}: step {done} of {total} ")
        sys.stderr.flush()

    return progress


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Short runs that tell what each part of the recipe bought.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the NIH subset")
    parser.add_argument("--predictions", type=Path, help="table of another model's probabilities")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the figures")
    parser.add_argument("--cycles", type=int, nargs="+", default=[200, 300], help="steps of each cycle")
    arguments = parser.parse_args()
    for figures in Ablation(arguments.data, arguments.predictions, tuple(arguments.cycles)).run():
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
