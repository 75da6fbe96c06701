"""How far labels go: a published network and ours on the same held-out images, `python -m datasets.training.published`.

Where a network of another maker and size does no better on the very images that ours is judged on, what is missed there
is likelier the labels' or the images' doing than the recipe's. Whether it saw these patients in training is not known;
if it did, that can only flatter it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.statistics.estimate import Estimate
from core.statistics.ranking import auroc, auroc_difference
from core.wording import with_interval
from datasets.chest.nih_chest import FINDINGS, rows_of, said_of

HEAD = "| finding | images | positives | ours | published | ours - published |"


def compare(scores: Path, predictions: Path) -> Iterator[str]:
    """A line of the table per finding that both speak of.

    `scores`: predictions.csv of `candor evaluate`; `predictions`: "Image Index" and a column `prob_<label>` per label.
    """
    published = said_of(predictions)
    ours = [row for row in rows_of(scores) if row["study_id"] in published]
    for finding in FINDINGS:
        known = [row for row in ours if row.get(f"truth_{finding}")]
        if not known or finding not in published[known[0]["study_id"]]:
            continue
        truths = np.array([row[f"truth_{finding}"] == "1" for row in known])
        first = np.array([float(row[f"prob_{finding}"]) for row in known])
        second = np.array([published[row["study_id"]][finding] for row in known])
        found = (auroc(truths, first), auroc(truths, second), auroc_difference(truths, first, second))
        yield f"| {finding} | {len(truths)} | {truths.sum()} | {' | '.join(map(_words, found))} |"


def _words(found: Estimate) -> str:
    return with_interval(found.value, found.low, found.high, digits=3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="AUROC of our model and of a published one on the same images.")
    parser.add_argument("--scores", type=Path, required=True, help="predictions.csv that `candor evaluate` wrote")
    parser.add_argument("--predictions", type=Path, required=True, help="table of the published model's probabilities")
    arguments = parser.parse_args()
    sys.stdout.write(f"{HEAD}\n| --- | --- | --- | --- | --- | --- |\n")
    for line in compare(arguments.scores, arguments.predictions):
        sys.stdout.write(line + "\n")
