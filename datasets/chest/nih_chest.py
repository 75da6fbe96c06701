"""Reads the NIH ChestX-ray14 subset: which image, what is known of it, who said so, and on which side of the split.

Labels come from two kinds of reader. The fourteen NIH labels were mined from report text and are noisy; the RSNA
2018 class and boxes were given by radiologists and are preferred wherever they exist (any abnormality, lung
opacity). What no reader mentions is unknown (weight 0), never negative.

The split is by patient over all resolution tiers together. It follows from a hash of the patient number
(`split_of`); the names of all held-out images are frozen in `nih_chest_split.csv`, and `load` checks that rule
and file agree, so a later change of either cannot move a test patient into training unseen.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pydicom
from numpy.typing import NDArray

from core.errors import ConfigurationError, IntegrityError
from models.examples import read_pixels

Split = Literal["train", "validation", "test"]

FROZEN_SPLIT = Path(__file__).with_name("nih_chest_split.csv")

FINDINGS = (
    "any_abnormality",
    "lung_opacity",
    "effusion",
    "cardiomegaly",
    "edema",
    "pneumothorax",
    "atelectasis",
    "consolidation",
    "infiltration",
    "nodule_or_mass",
    "emphysema",
    "fibrosis",
    "pleural_thickening",
)

_TEXT_MINED: dict[str, frozenset[str]] = {
    "effusion": frozenset({"Effusion"}),
    "cardiomegaly": frozenset({"Cardiomegaly"}),
    "edema": frozenset({"Edema"}),
    "pneumothorax": frozenset({"Pneumothorax"}),
    "atelectasis": frozenset({"Atelectasis"}),
    "consolidation": frozenset({"Consolidation"}),
    "infiltration": frozenset({"Infiltration"}),
    "nodule_or_mass": frozenset({"Nodule", "Mass"}),
    "emphysema": frozenset({"Emphysema"}),
    "fibrosis": frozenset({"Fibrosis"}),
    "pleural_thickening": frozenset({"Pleural_Thickening"}),
}
_OPAQUE = frozenset({"Pneumonia", "Consolidation", "Edema", "Infiltration"})
BOXED = {  # the finding of ours that a box of this name is about
    "Lung Opacity": "lung_opacity",
    "Pneumonia": "lung_opacity",
    "Infiltrate": "lung_opacity",
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "effusion",
    "Mass": "nodule_or_mass",
    "Nodule": "nodule_or_mass",
    "Pneumothorax": "pneumothorax",
}
_BOX_FRAME = 1024.0  # boxes.csv speaks of the 1024 x 1024 originals


@dataclass(frozen=True, slots=True)
class Target:
    """What is known of one finding on one image: `value` 0..1, `weight` 0 (unknown) .. 1, and who said so."""

    value: float
    weight: float
    source: Literal["radiologists", "text-mined", "unknown"]


@dataclass(frozen=True, slots=True)
class Box:
    """A reader's box in fractions (0..1) of the image: left, top, width, height."""

    finding: str
    left: float
    top: float
    width: float
    height: float
    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRadiograph:
    """One frontal chest radiograph of the set. `tier`: rows = columns of the stored image, 64, 128 or 512."""

    name: str
    path: Path
    tier: int
    patient: str = field(repr=False)
    age_years: int
    sex: str
    view: str
    split: Split
    rsna_class: str
    targets: Mapping[str, Target]
    boxes: tuple[Box, ...] = ()
    source: str = "NIH ChestX-ray14"

    def read(self) -> NDArray[np.uint8]:
        """Grey values, uint8, shape (rows, columns), 0 black .. 255 white."""
        return pydicom.dcmread(self.path).pixel_array if self.path.suffix == ".dcm" else read_pixels(self.path)


def split_of(patient: str, *, in_largest_tier: bool) -> Split:
    """Side of the split for a patient: half of those with a 512 px image are held out, an eighth of the others."""
    digest = hashlib.sha256(f"candor nih_chest split 1:{int(patient)}".encode()).hexdigest()
    position = int(digest[:8], 16) / 2**32
    test_below, validation_below = (0.28, 0.50) if in_largest_tier else (0.06, 0.12)
    if position < test_below:
        return "test"
    return "validation" if position < validation_below else "train"


def targets_of(finding_labels: str, rsna_class: str) -> dict[str, Target]:
    """Targets of one row of labels.csv; radiologists' words before text-mined ones."""
    labels = frozenset(finding_labels.split("|"))
    targets = {name: Target(float(bool(labels & mined)), 1.0, "text-mined") for name, mined in _TEXT_MINED.items()}
    targets["any_abnormality"] = _abnormality(labels, rsna_class)
    targets["lung_opacity"] = _opacity(labels, rsna_class)
    return {name: targets[name] for name in FINDINGS}


def _abnormality(labels: frozenset[str], rsna_class: str) -> Target:
    if rsna_class:
        return Target(float(rsna_class != "Normal"), 1.0, "radiologists")
    # Radiologists called 40 % of the text-mined "No Finding" abnormal and 23 % of the others normal: little weight.
    return Target(float(labels != {"No Finding"}), 0.3, "text-mined")


def _opacity(labels: frozenset[str], rsna_class: str) -> Target:
    if rsna_class:
        return Target(float(rsna_class == "Lung Opacity"), 1.0, "radiologists")
    if labels & _OPAQUE:
        return Target(1.0, 0.4, "text-mined")
    if labels == {"No Finding"}:
        return Target(0.0, 0.5, "text-mined")
    return Target(0.0, 0.0, "unknown")


def load(root: Path, predictions: Path | None = None) -> tuple[LabelledRadiograph, ...]:
    """Read labels.csv and boxes.csv under `root`; raises ConfigurationError where the folder is not such a set.

    `predictions` is a table of another model's probabilities ("Image Index", "prob_Effusion", ...): text-mined
    targets of training images become the mean of label and prediction, which takes some noise out of them. Held-out
    images keep their labels as they are.
    """
    rows = rows_of(root / "labels.csv")
    boxes = _boxes(rows_of(root / "boxes.csv"))
    largest = {row["patient_id"] for row in rows if row["tier"] == "512"}
    frozen = frozen_split()
    examples = tuple(_example(root, row, boxes, largest) for row in rows)
    _check_frozen(examples, frozen)
    return _softened(examples, predictions) if predictions else examples


def held_out_patients() -> dict[str, Split]:
    """Side of each held-out patient, by patient number: an image's name starts with it (00000021_000.png)."""
    return {str(int(name[:8])): side for name, side in frozen_split().items()}


def side_of(patient: str, held_out: Mapping[str, Split]) -> Split:
    """Side of a patient of a larger set: held-out patients of the subset stay held out, the rule places the others."""
    return held_out.get(patient) or split_of(patient, in_largest_tier=False)


def frozen_split() -> dict[str, Split]:
    """The committed side of every held-out image name."""
    return {row["image"]: "test" if row["split"] == "test" else "validation" for row in rows_of(FROZEN_SPLIT)}


def _check_frozen(examples: Iterable[LabelledRadiograph], frozen: Mapping[str, Split]) -> None:
    if any(frozen.get(e.name, e.split) != e.split for e in examples):
        raise IntegrityError("The split of the NIH set is not the frozen one; do not train or evaluate with it.")


def _softened(examples: Iterable[LabelledRadiograph], predictions: Path) -> tuple[LabelledRadiograph, ...]:
    said = said_of(predictions)
    usual = {name: sum(row[name] for row in said.values()) / len(said) for name in _TEXT_MINED}
    return tuple(
        replace(example, targets=_blended(example.targets, said[example.name], usual))
        if example.split == "train" and example.name in said
        else example
        for example in examples
    )


def said_of(predictions: Path) -> dict[str, dict[str, float]]:
    """By image name, a published model's probability of each text-mined finding of ours."""
    return {row["Image Index"]: _said(row) for row in rows_of(predictions)}


def _said(row: Mapping[str, str]) -> dict[str, float]:
    return {
        name: 1.0 - math.prod(1.0 - float(row[f"prob_{label}"]) for label in mined)
        for name, mined in _TEXT_MINED.items()
    }


def _blended(targets: Mapping[str, Target], said: Mapping[str, float], usual: Mapping[str, float]) -> dict[str, Target]:
    """Mean of label and prediction, the prediction first brought halfway from its base rate to even odds."""
    blended = dict(targets)
    for name, probability in said.items():
        odds = probability / (1 - probability) / math.sqrt(usual[name] / (1 - usual[name]))
        blended[name] = replace(targets[name], value=(targets[name].value + odds / (1 + odds)) / 2)
    return blended


def _example(
    root: Path, row: Mapping[str, str], boxes: Mapping[str, tuple[Box, ...]], largest: set[str]
) -> LabelledRadiograph:
    return LabelledRadiograph(
        name=row["image"],
        path=root / row["file"],
        tier=int(row["tier"]),
        patient=row["patient_id"],
        age_years=int(row["age"]),
        sex=row["sex"],
        view=row["view"],
        split=split_of(row["patient_id"], in_largest_tier=row["patient_id"] in largest),
        rsna_class=row["rsna_class"],
        targets=targets_of(row["finding_labels"], row["rsna_class"]),
        boxes=boxes.get(row["image"], ()),
    )


def _boxes(rows: Iterable[Mapping[str, str]]) -> dict[str, tuple[Box, ...]]:
    found: dict[str, tuple[Box, ...]] = {}
    for row in rows:
        left, top, width, height = (float(row[key]) / _BOX_FRAME for key in ("x", "y", "width", "height"))
        box = Box(BOXED[row["finding"]], left, top, width, height, row["reader"])
        found[row["image"]] = (*found.get(row["image"], ()), box)
    return found


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; raises ConfigurationError when it cannot be read."""
    try:
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise ConfigurationError(f"{path.name} cannot be read: point --data to a folder that holds it.") from error
